"""The server about itself: alive, ready, status, and its own reference."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from cellblock.adapters.http.reference import CSP, render
from cellblock.adapters.http.shapes import Health
from cellblock.adapters.problems import problems
from cellblock.adapters.wire import Json
from cellblock.errors import Unavailable
from cellblock.host.interpreter import Interpreter


class Service:
    """Routes beside the sessions."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter

    def router(self) -> APIRouter:
        routes = APIRouter(tags=["service"])
        routes.get("/healthz", response_model=Health)(self.health)
        routes.get("/readyz", response_model=Health, responses=problems(503))(self.readiness)
        routes.get("/api/status", response_model=dict[str, Any], responses=problems())(self.status)
        routes.get("/openapi.json", include_in_schema=False)(self.openapi)
        routes.get("/docs", include_in_schema=False)(self.docs)
        return routes

    async def health(self) -> Response:
        """The process is up. Needs no token."""
        return Json({"status": "ok"})

    async def readiness(self) -> Response:
        """Environments are preloaded and the pool is filled. Needs no token."""
        if not self.interpreter.is_ready:
            hint = "GET /api/status tells what is missing."
            raise Unavailable("The pool is not filled yet.", hint=hint, retry_after=1)
        return Json({"status": "ready"})

    async def status(self) -> Response:
        """Version, sandbox level and layers, pool, kernels, environments, limits; and what Jupyter says of a server."""
        return Json({**await self.interpreter.status(), **self.interpreter.activity()})

    async def openapi(self, request: Request) -> Response:
        """This API as OpenAPI."""
        return Json(request.app.openapi())

    async def docs(self, request: Request) -> Response:
        """This API for people."""
        return HTMLResponse(render(request.app.openapi()), headers={"Content-Security-Policy": CSP})
