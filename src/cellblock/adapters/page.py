"""The page and the headers that fence it in: nothing from elsewhere runs, nothing is sent elsewhere."""

from collections.abc import Awaitable, Callable, Mapping
from os import PathLike, stat_result
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = Path(__file__).parents[1] / "static"

PAGE_CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "frame-src 'self'; frame-ancestors 'none'; object-src 'none'; base-uri 'none'; form-action 'none'"
)
# Untrusted outputs run here: scripts of their own, no network, no origin.
FRAME_CSP = (
    "sandbox allow-scripts; default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src data: blob:; media-src data: blob:; font-src data:; connect-src 'none'; "
    "frame-ancestors 'self'"
)
API_CSP = "default-src 'none'; frame-ancestors 'none'"

PAGE_HEADERS = {
    "Content-Security-Policy": PAGE_CSP,
    "Cache-Control": "no-cache",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# No directive that a browser enforces keeps a script from calling out over WebRTC; where this header is known, it does.
FRAME_HEADERS = {
    "Content-Security-Policy": FRAME_CSP,
    "Connection-Allowlist": "(response-origin);webrtc=block",
    "Cache-Control": "no-cache",
}
# The frame has no origin, so its module chunks are fetched across origins; names are hashed, so they never change.
ASSET_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "public, max-age=31536000, immutable",
}
EVERY_ANSWER = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": API_CSP,
}

NOT_BUILT = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Cellblock</title>
<body style="font: 16px/1.5 system-ui, sans-serif; max-width: 36rem; margin: 4rem auto; padding: 0 1rem">
<h1>The page is not built</h1>
<p>The server runs and its API answers, but this checkout has no page yet. Build it with Node 20 and start again:</p>
<pre>make run</pre>
<p>The API is described at <a href="/docs">/docs</a>.</p></body></html>
"""


class SecurityHeaders:
    """Gives every answer the headers it has not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def fenced(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in EVERY_ANSWER.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, fenced)


class Assets(StaticFiles):
    """Files with hashed names."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(ASSET_HEADERS)
        return response


def open_files(static: Path = STATIC) -> frozenset[str]:
    """Paths of the files beside index.html, such as /favicon.svg."""
    if not static.is_dir():
        return frozenset()
    return frozenset(f"/{file.name}" for file in static.iterdir() if file.is_file() and file.name != "index.html")


def routes(static: Path = STATIC) -> list[BaseRoute]:
    """The page at /, /c/{id} and /shared, the frame for untrusted output, and the files they need."""
    index = _file(static / "index.html", PAGE_HEADERS) if (static / "index.html").is_file() else _not_built
    return [
        Route("/", index),
        Route("/c/{id}", index),
        Route("/shared", index),
        *(Route(path, _file(static / path[1:], _headers(path))) for path in sorted(open_files(static))),
        Mount("/assets", Assets(directory=static / "assets", check_dir=False)),
    ]


def _headers(path: str) -> Mapping[str, str]:
    return FRAME_HEADERS if path == "/frame.html" else {"Cache-Control": "no-cache"}


def _file(path: Path, headers: Mapping[str, str]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(_: Request) -> Response:
        return FileResponse(path, headers=headers)

    return endpoint


async def _not_built(_: Request) -> Response:
    csp = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return HTMLResponse(NOT_BUILT, 503, {"Content-Security-Policy": csp})
