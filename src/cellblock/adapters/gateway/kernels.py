"""Jupyter's REST API for kernels and kernelspecs, over sessions and environments."""

import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from cellblock.adapters.gateway import shapes
from cellblock.adapters.gateway.body import environment_of, json_body, text
from cellblock.adapters.wire import Json
from cellblock.errors import FileNotFound, KernelNotFound
from cellblock.host.interpreter import Desk, EnvironmentView, Interpreter


class Kernels:
    """Kernels are sessions that have one; a released one is not there, the session stays."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter

    def routes(self) -> list[BaseRoute]:
        one = "/api/kernels/{id}"
        return [
            Route("/api", self.version, methods=["GET"]),
            Route("/api/kernelspecs", self.specs, methods=["GET"]),
            Route("/api/kernelspecs/{name}", self.spec, methods=["GET"]),
            Route("/kernelspecs/{name}/{file}", self.resource, methods=["GET"]),
            Route("/api/kernels", self.listing, methods=["GET"]),
            Route("/api/kernels", self.start, methods=["POST"]),
            Route(one, self.kernel, methods=["GET"]),
            Route(one, self.end, methods=["DELETE"]),
            Route(f"{one}/interrupt", self.interrupt, methods=["POST"]),
            Route(f"{one}/restart", self.restart, methods=["POST"]),
        ]

    async def version(self, _: Request) -> Response:
        return Json({"version": shapes.API_VERSION})

    # kernelspecs

    async def specs(self, _: Request) -> Response:
        known = self.interpreter.environments_known()
        specs = {each["name"]: shapes.kernelspec(each, resources(each)) for each in known}
        return Json({"default": known[0]["name"], "kernelspecs": specs})

    async def spec(self, request: Request) -> Response:
        environment = self._environment(request.path_params["name"])
        return Json(shapes.kernelspec(environment, resources(environment)))

    async def resource(self, request: Request) -> Response:
        """A picture beside a kernelspec."""
        environment, file = self._environment(request.path_params["name"]), request.path_params["file"]
        if file not in files_of(environment):
            raise FileNotFound(f"There is no {file[:80]!r}.")
        path = Path(environment["resources"] or "") / file
        return FileResponse(path, media_type=mimetypes.guess_type(file)[0])

    def _environment(self, name: str) -> EnvironmentView:
        wanted = environment_of(self.interpreter, name)
        return next(each for each in self.interpreter.environments_known() if each["name"] == wanted)

    # kernels

    async def listing(self, request: Request) -> Response:
        owner = request.state.owner
        live = self.interpreter.live(owner)
        return Json([shapes.kernel(await self.interpreter.desk(owner, view["id"])) for view in live])

    async def start(self, request: Request) -> Response:
        body = await json_body(request)
        environment = environment_of(self.interpreter, text(body, "name"))
        made = await self.interpreter.create(request.state.owner, environment=environment)
        desk = await self.interpreter.desk(request.state.owner, made["id"])
        return Json(shapes.kernel(desk), 201, headers={"Location": f"/api/kernels/{made['id']}"})

    async def kernel(self, request: Request) -> Response:
        return Json(shapes.kernel(await self._live(request)))

    async def end(self, request: Request) -> Response:
        desk = await self._live(request)
        await self.interpreter.release(request.state.owner, desk.kernel["id"])
        return Response(status_code=204)

    async def interrupt(self, request: Request) -> Response:
        desk = await self._live(request)
        await self.interpreter.interrupt(request.state.owner, desk.kernel["id"])
        return Response(status_code=204)

    async def restart(self, request: Request) -> Response:
        owner, id = request.state.owner, (await self._live(request)).kernel["id"]
        await self.interpreter.restart(owner, id)
        await self.interpreter.wake(owner, id)
        return Json(shapes.kernel(await self.interpreter.desk(owner, id)))

    async def _live(self, request: Request) -> Desk:
        """KernelNotFound also when only the session is there."""
        id = request.path_params["id"]
        desk = await self.interpreter.desk(request.state.owner, id)
        if desk.kernel["state"] == "released":
            raise KernelNotFound(f"There is no live kernel {id}.")
        return desk


def files_of(environment: EnvironmentView) -> list[str]:
    """Names of the pictures and scripts beside a kernelspec."""
    directory = Path(environment["resources"]) if environment["resources"] else None
    if directory is None or not directory.is_dir():
        return []
    wanted = ("logo-*", "kernel.js", "kernel.css")
    return sorted(file.name for pattern in wanted for file in directory.glob(pattern) if file.is_file())


def resources(environment: EnvironmentView) -> dict[str, str]:
    """Where they are, by the names that Jupyter has for them."""
    files = files_of(environment)
    return {file.partition(".")[0]: f"/kernelspecs/{environment['name']}/{file}" for file in files}
