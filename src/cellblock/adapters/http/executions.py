"""Running code: JSON, server-sent events or NDJSON from one and the same execution."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import Response

from cellblock.adapters import stream
from cellblock.adapters.http import files
from cellblock.adapters.http.request import JSON, After, Owner, Responses, inside, media, wants_async
from cellblock.adapters.http.shapes import Execute, InputValue
from cellblock.adapters.problems import problems
from cellblock.adapters.wire import Json
from cellblock.errors import InvalidRequest, Unavailable
from cellblock.execution import Event, Result
from cellblock.host.interpreter import ExecuteRequest, Interpreter

EVENT_STREAM: dict[str, Any] = {
    stream.SSE: {"schema": {"type": "string", "description": "Server-sent events; `data` is an Event."}},
    stream.NDJSON: {"schema": {"$ref": "#/components/schemas/Event"}},
}
ID_HEADER = {"X-Execution-Id": {"schema": {"type": "string"}, "description": "The execution's id."}}


class Executions:
    """Routes below /api/jupyter/execute."""

    def __init__(self, interpreter: Interpreter, closing: asyncio.Event) -> None:
        self.interpreter, self.closing = interpreter, closing

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/api/jupyter/execute", tags=["executions"])
        streamed: Responses = {200: {"content": EVENT_STREAM, "headers": ID_HEADER}}
        accepted: Responses = {202: {"model": Result, "description": "Accepted; see Location.", "headers": ID_HEADER}}
        routes.post(
            "", response_model=Result, responses={**streamed, **accepted, **problems(400, 404, 409, 413, 429, 503)}
        )(self.execute)
        routes.get("/{id}", response_model=Result, responses=problems(404))(self.result)
        routes.get("/{id}/events", response_class=Response, responses={**streamed, **problems(404)})(self.events)
        routes.post("/{id}/interrupt", response_model=Result, responses=problems(404))(self.interrupt)
        routes.post("/{id}/input", status_code=204, response_class=Response, responses=problems(404, 409))(self.input)
        routes.api_route(
            "/{id}/files/{path:workspace}",
            methods=["GET"],
            response_class=Response,
            responses={**files.DOWNLOAD, **problems(400, 404, 409, 416)},
        )(self.file)
        return routes

    async def execute(
        self,
        request: Request,
        owner: Owner,
        body: Execute,
        accept: Annotated[str | None, Header(include_in_schema=False)] = None,
        prefer: Annotated[str | None, Header(description="`respond-async` answers 202 at once.")] = None,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        """Run code in a session, or once in a private workspace."""
        wanted = media(accept)
        accepted, first = await self.interpreter.accept(owner, self._asked(body, wanted, idempotency_key))
        interrupt = first and body.on_disconnect == "interrupt"
        headers = _headers(accepted["id"])
        if wants_async(prefer):
            headers["Preference-Applied"] = "respond-async"
            return Json(accepted, 202, headers={**headers, "Location": f"/api/jupyter/execute/{accepted['id']}"})
        if wanted != JSON:
            return self._stream(request, owner, accepted["id"], wanted, interrupt=interrupt)
        return Json(await self._finished(request, owner, accepted["id"], interrupt), headers=headers)

    def _asked(self, body: Execute, wanted: str, key: str | None) -> ExecuteRequest:
        return ExecuteRequest(
            code=body.code,
            kernel_id=body.kernel_id,
            cell_id=body.cell_id,
            store=body.store,
            timeout=body.timeout,
            allow_stdin=wanted != JSON if body.allow_stdin is None else body.allow_stdin,
            on_disconnect=body.on_disconnect,
            files=[(inside(file.path), _content(index, file.content_base64)) for index, file in enumerate(body.files)],
            idempotency_key=key,
            snapshot=body.snapshot,
            on_error=body.on_error,
        )

    async def _finished(self, request: Request, owner: str, id: str, interrupt: bool) -> Result:
        """The Result once it is final; the client's leaving may interrupt it, the server's end ends the wait."""
        ends = [self.closing.wait()]
        if interrupt:
            ends.append(stream.disconnected(request.receive))  # type: ignore[arg-type]
        result = await stream.first_of(self.interpreter.wait(owner, id), *ends)
        if result is not None:
            return result
        if self.closing.is_set():
            raise Unavailable("The server is stopping.", retry_after=5)
        return await self.interpreter.interrupt_execution(owner, id)

    def _stream(
        self, request: Request, owner: str, id: str, wanted: str, *, after: int = 0, interrupt: bool = False
    ) -> Response:
        events: AsyncIterator[Event] = self.interpreter.events(owner, id, after=after)
        chunks = stream.ndjson(events) if wanted == stream.NDJSON else stream.sse(events)

        async def left() -> None:
            await self.interpreter.interrupt_execution(owner, id)

        return stream.EventResponse(chunks, wanted, self.closing, _headers(id), left if interrupt else None)

    async def result(self, owner: Owner, id: str) -> Response:
        """The Result so far, or the final one."""
        return Json(await self.interpreter.result(owner, id), headers=_headers(id))

    async def events(
        self,
        request: Request,
        owner: Owner,
        id: str,
        after: After,
        accept: Annotated[str | None, Header(include_in_schema=False)] = None,
    ) -> Response:
        """The execution's events, from the start or after Last-Event-ID; also when it has ended."""
        await self.interpreter.result(owner, id)  # an unknown execution is a 404, not a broken stream
        wanted = media(accept, default=stream.SSE)
        return self._stream(request, owner, id, stream.SSE if wanted == JSON else wanted, after=after)

    async def interrupt(self, owner: Owner, id: str) -> Response:
        """Interrupt it, or take it out of the queue."""
        return Json(await self.interpreter.interrupt_execution(owner, id), headers=_headers(id))

    async def input(self, owner: Owner, id: str, body: InputValue) -> Response:
        """Answer `input()`."""
        await self.interpreter.answer(owner, id, body.value)
        return Response(status_code=204, headers=_headers(id))

    async def file(self, owner: Owner, id: str, path: str, range: Annotated[str | None, Header()] = None) -> Response:
        """A file that a one-shot execution made, for an hour."""
        opened = await self.interpreter.open_execution_file(owner, id, inside(path))
        return files.download(opened, path, range, _headers(id))


def _headers(id: str) -> dict[str, str]:
    return {"X-Execution-Id": id}


def _content(index: int, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        field = {"path": f"files.{index}.content_base64", "message": "not base64"}
        raise InvalidRequest(f"{field['path']}: not base64", fields=[field]) from None
