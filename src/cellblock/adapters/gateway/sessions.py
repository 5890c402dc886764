"""Jupyter's REST API for sessions: which notebook, by its path, runs in which kernel. One of ours is one of theirs.

A path in a session's folder leads to that session, unless it was given another kernel; any other path is a notebook of the
client's own, which gets a session.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from cellblock.adapters.gateway import places, shapes
from cellblock.adapters.gateway.body import environment_of, json_body, part, text
from cellblock.adapters.gateway.places import NOTEBOOK
from cellblock.adapters.gateway.tree import Tree
from cellblock.adapters.wire import Json
from cellblock.errors import FileNotFound, InvalidRequest, KernelNotFound
from cellblock.host.interpreter import Alias, Desk, Interpreter


class JupyterSessions:
    """Routes below /api/sessions. Those whose kernel is released are not listed."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter

    def routes(self) -> list[BaseRoute]:
        one = "/api/sessions/{id}"
        return [
            Route("/api/sessions", self.listing, methods=["GET"]),
            Route("/api/sessions", self.start, methods=["POST"]),
            Route(one, self.session, methods=["GET"]),
            Route(one, self.change, methods=["PATCH"]),
            Route(one, self.end, methods=["DELETE"]),
        ]

    async def listing(self, request: Request) -> Response:
        owner = request.state.owner
        return Json([_model(await self.interpreter.desk(owner, view["id"])) for view in self.interpreter.live(owner)])

    async def start(self, request: Request) -> Response:
        owner, body = request.state.owner, await json_body(request)
        path, kernel = text(body, "path") or "", part(body, "kernel")
        alias = _alias(path, body)
        id = await self._kernel_for(owner, path, kernel)
        await self.interpreter.wake(owner, id)
        await self._call(owner, id, alias)
        return Json(_model(await self.interpreter.desk(owner, id)), 201, headers={"Location": f"/api/sessions/{id}"})

    async def _kernel_for(self, owner: str, path: str, kernel: dict[str, Any]) -> str:
        """The kernel that is named, the one the path has already, the one of the folder it is in, or a new one."""
        if wanted := text(kernel, "id"):
            return await self._existing(owner, wanted)
        environment = environment_of(self.interpreter, text(kernel, "name"))
        if (desk := await self._called(owner, path)) or (desk := await self._in_folder(owner, path)):
            if text(kernel, "name") and desk.kernel["environment"] != environment:
                raise InvalidRequest(f"This conversation's kernel is {desk.kernel['environment']}.")
            return desk.kernel["id"]
        made = await self.interpreter.create(owner, environment=environment, title=places.title_of(path) or None)
        return made["id"]

    async def _existing(self, owner: str, id: str) -> str:
        """KernelNotFound also when it is released."""
        if (await self.interpreter.kernel(owner, id))["state"] == "released":
            raise KernelNotFound(f"There is no live kernel {id[:80]!r}.")
        return id

    async def _in_folder(self, owner: str, path: str) -> Desk | None:
        try:
            spot = await Tree(self.interpreter, owner).spot(path)
        except FileNotFound:
            return None
        return spot.desk if spot else None

    async def _called(self, owner: str, path: str, but: str = "") -> Desk | None:
        for view in self.interpreter.live(owner):
            desk = await self.interpreter.desk(owner, view["id"])
            if path and desk.alias and desk.alias["path"] == path and view["id"] != but:
                return desk
        return None

    async def _call(self, owner: str, id: str, alias: Alias) -> None:
        """The path is that session's from now on, and no other's: a notebook that was given another kernel keeps it."""
        if not alias["path"]:
            return
        while (former := await self._called(owner, alias["path"], but=id)) is not None:
            await self.interpreter.name_notebook(owner, former.kernel["id"], None)
        await self.interpreter.name_notebook(owner, id, alias)

    async def session(self, request: Request) -> Response:
        return Json(_model(await self._live(request)))

    async def change(self, request: Request) -> Response:
        """Another path, name or type, another kernel, or the same one afresh."""
        owner, desk, body = request.state.owner, await self._live(request), await json_body(request)
        id, kernel, before = desk.kernel["id"], part(body, "kernel"), _model(desk)
        alias = _alias(text(body, "path") or before["path"], {**before, **body})
        if (wanted := text(kernel, "id")) and wanted != id:
            id = await self._existing(owner, wanted)
        elif text(kernel, "name"):
            if environment_of(self.interpreter, text(kernel, "name")) != desk.kernel["environment"]:
                raise InvalidRequest(f"This conversation's kernel is {desk.kernel['environment']}.")
            await self.interpreter.restart(owner, id)
            await self.interpreter.wake(owner, id)
        await self._call(owner, id, alias)
        return Json(_model(await self.interpreter.desk(owner, id)))

    async def end(self, request: Request) -> Response:
        desk = await self._live(request)
        await self.interpreter.release(request.state.owner, desk.kernel["id"])
        return Response(status_code=204)

    async def _live(self, request: Request) -> Desk:
        id = request.path_params["id"]
        desk = await self.interpreter.desk(request.state.owner, id)
        if desk.kernel["state"] == "released":
            raise KernelNotFound(f"There is no live session {id[:80]!r}.")
        return desk


def _model(desk: Desk) -> dict[str, Any]:
    folder = places.folder(desk.kernel["title"], desk.kernel["id"])
    return shapes.session(desk, f"{folder}/{NOTEBOOK}")


def _alias(path: str, body: dict[str, Any]) -> Alias:
    """What a client calls the notebook at a path. InvalidRequest."""
    name = text(body, "name") or path.rpartition("/")[2]
    return {"path": path, "name": name, "type": text(body, "type") or "notebook"}
