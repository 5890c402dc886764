"""One server process: a socket, uvicorn on it, and a clean end."""

import asyncio
import gc
import logging
import resource
import signal
import socket

import uvicorn
from starlette.types import ASGIApp

from cellblock.app import Server, create_app
from cellblock.cli.bounded import Bounded
from cellblock.cli.gathered import Gathering
from cellblock.errors import CellblockError, ConfigurationError
from cellblock.settings import Settings
from cellblock.version import __version__

GRACE_S = 5
# What uvicorn says of a WebSocket that was answered with an error, as it should be.
UNTRUE = ("ASGI callable returned without completing handshake.",)


class Listening(uvicorn.Server):
    """uvicorn, told to end open streams when it stops, and to say where it is."""

    def __init__(self, loaded: Settings) -> None:
        app = create_app(loaded)
        self.server: Server = app.state.server
        super().__init__(_uvicorn(app, loaded))
        # Why the start failed is said in a sentence; uvicorn would print the traceback.
        logging.getLogger("uvicorn.error").addFilter(lambda _: self.server.failure is None)
        logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg not in UNTRUE)

    def serve_on(self, *listeners: socket.socket) -> None:
        """Serves until SIGTERM or SIGINT; raises why it could not start."""
        allow_descriptors()
        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again when all is done: that is a clean end
        try:
            self.run(sockets=list(listeners))
        except KeyboardInterrupt:
            pass
        except SystemExit:
            raise (self.server.failure or ConfigurationError("The server could not start; see the log.")) from None
        if self.server.failure:
            raise self.server.failure

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.collect()
        gc.freeze()  # what is imported stays: to look through it again and again would halt every stream
        for line in banner(self.server):
            print(line, flush=True)
        self.watch = asyncio.create_task(self._until_ready())

    async def _until_ready(self) -> None:
        """A server whose sandbox cannot be had says so and ends, rather than refuse every request."""
        if self.server.interpreter is None:
            return
        try:
            await self.server.interpreter.ready()
        except CellblockError as problem:
            self.server.failure = problem
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.server.closing.set()
        self.watch.cancel()
        await super().shutdown(sockets)


def allow_descriptors() -> None:
    """A kernel takes a dozen: as many as this process may give itself, where shells begin with 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _uvicorn(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """Compression helps WebSockets over a network; over loopback it only takes time."""
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=Bounded,
        ws=Gathering,
        ws_max_size=int(settings.body_limit),
        ws_per_message_deflate=not settings.loopback,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
    )


def banner(server: Server) -> list[str]:
    """Where the page is, where the data is, and where no token is needed."""
    host = {"127.0.0.1": "localhost", "0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(  # noqa: S104
        server.settings.host, server.settings.host
    )
    authority = f"[{host}]:{server.settings.port}" if ":" in host else f"{host}:{server.settings.port}"
    token = "" if server.settings.token else f"?token={server.token}"
    port = server.settings.jupyter_port
    return [
        f"Cellblock {__version__} is at http://{authority}/{token}",
        f"Its data is in {server.settings.data_dir}; Ctrl-C stops it.",
        *(
            [f"Jupyter's API needs no token at http://127.0.0.1:{port}: whoever can connect can run code."]
            if port
            else []
        ),
    ]
