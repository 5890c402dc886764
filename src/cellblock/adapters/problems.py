"""Every failure leaves in one JSON shape, `{"error": {code, message, hint, fields}}`, and a traceback leaves never."""

import http
import math
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket
from typing_extensions import TypedDict

from cellblock import errors
from cellblock.adapters.paths import is_jupyter
from cellblock.adapters.wire import Json
from cellblock.errors import CellblockError, InternalError

log = structlog.get_logger("cellblock.http")

JSON_BROKEN = "json_invalid"
NO_OBJECT = frozenset({"model_attributes_type", "dict_type"})
METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")
BY_STATUS: Mapping[int, type[CellblockError]] = {
    400: errors.InvalidRequest,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    409: errors.Conflict,
    413: errors.TooLarge,
    416: errors.RangeNotSatisfiable,
    422: errors.InvalidRequest,
    429: errors.TooMany,
    503: errors.Unavailable,
}
RENAMED = {413: "Content Too Large", 416: "Range Not Satisfiable"}
"""What RFC 9110 calls them; Python's own names for them are not the same in every version."""


class Field(TypedDict):
    """Where a request does not fit. `path` is dotted: `files.0.path`, `query.limit`, `header.if-match`."""

    path: str
    message: str


class ErrorBody(TypedDict):
    """`code` is stable; `message` says what, `hint` what to do about it."""

    code: str
    message: str
    hint: str
    fields: list[Field]


class Problem(TypedDict):
    """The body of every answer that is not 2xx. `current`, the notebook as it is now, comes with `stale_revision`."""

    error: ErrorBody


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers that a route has of its own, for OpenAPI; every answer that is not 2xx has this shape."""
    return {
        status: {"model": Problem} | ({"description": RENAMED[status]} if status in RENAMED else {})
        for status in statuses
    }


def answer(error: CellblockError, headers: Mapping[str, str] = {}, path: str = "") -> Json:
    """The response of an error, in the shape of the door that `path` leads to."""
    body: dict[str, object] = {"error": error.as_dict()}
    if is_jupyter(path):
        body = {"message": error.message, "reason": error.hint or None, "code": error.code}
    elif error.current is not None:
        body["current"] = error.current
    return Json(body, status_code=error.status, headers={**headers, **_headers(error)})


def _headers(error: CellblockError) -> dict[str, str]:
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="cellblock"'
    return headers


def from_http(problem: HTTPException) -> CellblockError:
    """What the framework raised, in our tree."""
    if problem.status_code == 400:
        return errors.InvalidRequest("The body is not JSON.", fields=[{"path": "body", "message": "not JSON in UTF-8"}])
    kind = BY_STATUS.get(problem.status_code, InternalError)
    phrase = http.HTTPStatus(problem.status_code).phrase
    message = problem.detail if problem.detail not in ("", phrase) else _sentence(problem.status_code, phrase)
    return kind(message)


def _sentence(status: int, phrase: str) -> str:
    known = {404: "There is nothing at this address.", 405: "This address does not take this method."}
    return known.get(status, phrase + ".")


def from_validation(found: Sequence[Mapping[str, Any]]) -> CellblockError:
    """Pydantic's findings as `fields`."""
    fields = [_field(row) for row in found]
    first = fields[0]
    return errors.InvalidRequest(f"{first['path']}: {first['message']}", fields=fields)


def _field(row: Mapping[str, Any]) -> dict[str, str]:
    place, *path = (str(part) for part in row["loc"])
    if row["type"] == JSON_BROKEN:
        return {"path": "body", "message": f"not JSON: {row['ctx']['error']} at character {path[0]}"}
    if place == "body" and not path and row["type"] in NO_OBJECT:  # as curl's -d is without a Content-Type
        return {"path": "body", "message": "must be a JSON object, with Content-Type: application/json"}
    # A field of the body is named as it stands in the body; the others say where they stand.
    named = path if place == "body" and path else [place, *path]
    return {"path": ".".join(named), "message": row["msg"].removeprefix("Value error, ")}


async def on_error(request: Request, error: CellblockError) -> Response:
    """Handler of our own errors."""
    return answer(error, path=request.scope["path"])


async def on_http(request: Request, error: HTTPException) -> Response:
    """Handler of the framework's own errors."""
    allow = {"Allow": ", ".join(allowed(request))} if error.status_code == 405 else {}
    return answer(from_http(error), {**(error.headers or {}), **allow}, request.scope["path"])


def allowed(request: Request) -> list[str]:
    """Every method of this address: the framework itself names those of the first route only."""
    tried = ((method, {**request.scope, "method": method}) for method in METHODS)
    routes = request.app.routes
    return [method for method, scope in tried if any(route.matches(scope)[0] is Match.FULL for route in routes)]


async def on_validation(_: Request, error: RequestValidationError) -> Response:
    """Handler of a request that does not fit its model."""
    return answer(from_validation(error.errors()))


Handler = Callable[[Request, Any], Coroutine[Any, Any, Response]]
HANDLERS: dict[int | type[Exception], Handler] = {
    CellblockError: on_error,
    HTTPException: on_http,
    RequestValidationError: on_validation,
}


class Guard:
    """Gives each request an id, answers what middleware raises, and logs what nobody caught under that id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._other(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except CellblockError as problem:
            if started:
                raise
            await answer(problem, path=scope["path"])(scope, receive, watch)
        except ClientDisconnect:
            log.info("client_left", request_id=request_id, method=scope["method"], path=scope["path"])
        except Exception:
            log.exception("request_failed", request_id=request_id, method=scope["method"], path=scope["path"])
            if started:
                raise  # half an answer is out: the server cuts the connection
            failure = InternalError("Something went wrong on the server.")
            await answer(failure, path=scope["path"])(scope, receive, watch)

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket that is not let in hears why, as an answer to its handshake."""
        try:
            await self.app(scope, receive, send)
        except CellblockError as problem:
            if scope["type"] != "websocket":
                raise
            await WebSocket(scope, receive, send).send_denial_response(answer(problem, path=scope["path"]))
