"""The composition root: settings in, an ASGI application out. What stands between a request and a door is one list."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from fastapi import APIRouter, FastAPI
from pydantic import SecretStr, TypeAdapter
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from cellblock.adapters import chat, gateway, http, page, problems
from cellblock.adapters.access import Access, Rules, names_of
from cellblock.adapters.limits import BodyLimit
from cellblock.errors import CellblockError
from cellblock.execution import Event
from cellblock.host.interpreter import Interpreter
from cellblock.host.runs import Runs
from cellblock.settings import Settings, config
from cellblock.version import __version__

WILDCARDS = ("0.0.0.0", "::")  # noqa: S104  (recognised, not bound)
# Answered also while the pool is being filled.
ANSWERED_UNREADY = frozenset({"/api/status", "/api/shared"})


@dataclass
class Server:
    """What outlives a request: the settings, the token in force, and, from start to stop, the interpreter.

    `closing` is set when the server stops, so that open streams end; `failure` is why it could not start.
    """

    settings: Settings
    token: str
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    interpreter: Interpreter | None = None
    failure: CellblockError | None = None

    @property
    def shut_in(self) -> bool:
        """Whether kernels are in a sandbox of ours: the one level that is none is asked for by name."""
        level = self.interpreter.level if self.interpreter else None
        ours = self.settings.sandbox != "off" and not self.settings.remote_servers
        return ours and level in (None, "full", "unprivileged")


def create_app(settings: Settings) -> FastAPI:
    """Everything, wired; `app.state.server` is its Server. The interpreter lives as long as the lifespan."""
    given = settings.token.get_secret_value() if settings.token else secrets.token_urlsafe(24)
    server = Server(settings, given)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running(server) as routers:
            for router in routers:
                app.include_router(router)
            yield

    app = application(lifespan, middleware(server))
    app.state.server = server
    app.router.routes.extend(page.routes())
    return app


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[list[APIRouter]]:
    """The doors of a started interpreter, which ends afterwards."""
    async with AsyncExitStack() as stack:
        try:
            server.interpreter = await Interpreter.start(config(server.settings))
        except CellblockError as problem:
            server.failure = problem
            raise
        stack.push_async_callback(server.interpreter.aclose)
        models = chat.Models(model_settings(server.settings))
        stack.push_async_callback(models.aclose)
        runs = Runs()
        stack.push_async_callback(runs.aclose)
        stack.callback(server.closing.set)
        yield doors(server.interpreter, runs, models, server.closing)


class Application(FastAPI):
    """FastAPI whose OpenAPI document also says how to get in, and what streams hold."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            document = super().openapi()
            document["components"]["schemas"]["Event"] = TypeAdapter(Event).json_schema()
            document["components"]["securitySchemes"] = {
                "header": {"type": "http", "scheme": "bearer"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            }
            document["security"] = [{"header": []}, {"query": []}, {}]  # {}: one's own process over loopback
        return super().openapi()


def application(lifespan: Callable[[FastAPI], Any] | None = None, stack: list[Middleware] | None = None) -> FastAPI:
    """The framework without what it would serve by itself."""
    return Application(
        title="Cellblock",
        version=__version__,
        description="A self-hosted code interpreter: sandboxed Jupyter kernels, streamed into a notebook.",
        lifespan=lifespan,
        middleware=stack,
        exception_handlers=problems.HANDLERS,
        responses={"default": {"model": problems.Problem, "description": "Anything that is not 2xx."}},
        generate_unique_id_function=lambda route: f"{route.tags[0]}_{route.name}",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )


def middleware(server: Server) -> list[Middleware]:
    """From the outside in."""
    return [
        Middleware(page.SecurityHeaders),
        Middleware(problems.Guard),
        Middleware(Access, rules=rules(server)),
        Middleware(BodyLimit, limit=int(server.settings.body_limit)),
        Middleware(UntilReady, server=server),
    ]


def doors(interpreter: Interpreter, runs: Runs, models: chat.Models, closing: asyncio.Event) -> list[APIRouter]:
    """The doors of this server."""
    return [
        http.router(interpreter, closing),
        gateway.router(interpreter, closing),
        chat.router(interpreter, runs, models, closing),
    ]


def rules(server: Server) -> Rules:
    """Who may come in. On anything but loopback every request needs the token."""
    settings = server.settings
    wildcard = settings.host in WILDCARDS
    hosts = {settings.host, socket.gethostname(), socket.getfqdn()} if wildcard else {settings.host}
    return Rules(
        token=server.token,
        port=settings.port,
        names=names_of(hosts),
        extra=frozenset(name.lower() for name in settings.allowed_hosts),
        any_ip=wildcard,
        loopback_trust=settings.loopback_trust and settings.loopback,
        shut_in=lambda: server.shut_in,
        open_files=page.open_files(),
        open_port=settings.jupyter_port,
    )


def model_settings(settings: Settings) -> chat.ModelSettings:
    """What the chat door is told of models."""

    def key(secret: SecretStr | None) -> str | None:
        return secret.get_secret_value() if secret else None

    return chat.ModelSettings(
        default=settings.model,
        titles=settings.model_titles,
        google_key=key(settings.gemini_api_key),
        google_base_url=settings.google_base_url,
        openai_key=key(settings.openai_api_key),
        openai_base_url=settings.openai_base_url,
        anthropic_key=key(settings.anthropic_api_key),
        anthropic_base_url=settings.anthropic_base_url,
    )


def openapi() -> dict[str, Any]:
    """The OpenAPI document, without an interpreter: routes are made here, none is called."""
    app = application()
    models = chat.Models(chat.ModelSettings())
    for router in doors(cast("Interpreter", None), Runs(), models, asyncio.Event()):
        app.include_router(router)
    return app.openapi()


class UntilReady:
    """Holds API requests back until the pool is filled; when the sandbox cannot be had, they hear why."""

    def __init__(self, app: ASGIApp, server: Server) -> None:
        self.app, self.server = app, server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        interpreter = self.server.interpreter
        if interpreter is not None and not interpreter.is_ready and waits(scope):
            await interpreter.ready()
        await self.app(scope, receive, send)


def waits(scope: Scope) -> bool:
    """Whether a request needs kernels."""
    path = scope.get("path", "")
    return path.startswith("/api/") and path not in ANSWERED_UNREADY
