"""Files of a workspace: what a session holds is hostile to our origin, so it only ever leaves as an attachment."""

import mimetypes
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Query
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from cellblock.adapters import problems as answers
from cellblock.adapters.http.request import Owner, Responses, Span, inside, span
from cellblock.adapters.http.shapes import Saved
from cellblock.adapters.problems import problems
from cellblock.adapters.wire import Json
from cellblock.errors import RangeNotSatisfiable
from cellblock.host.interpreter import Interpreter
from cellblock.host.workspace import FileEntry, OpenFile

UNTRUSTED = {"Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"}
BINARY: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
ANY: dict[str, Any] = {"*/*": BINARY["application/octet-stream"]}
DOWNLOAD: Responses = {
    200: {"description": "The file, as an attachment.", "content": ANY},
    206: {"description": "The part asked for by Range.", "content": ANY},
}
LISTING: Responses = {200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}}


class WorkspacePath(Convertor[str]):
    """A path in a URL. Starlette's own `path` knows no line breaks, which file names may have."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("workspace", WorkspacePath())
UPLOAD: dict[str, Any] = {"requestBody": {"content": ANY}}


class Files:
    """Routes below /api/jupyter/kernel/{id}/files."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/api/jupyter/kernel/{id}/files", tags=["files"])
        one = "/{path:workspace}"
        routes.get("", response_model=list[FileEntry], responses={**LISTING, **problems(404)})(self.listing)
        routes.put(
            one,
            response_model=Saved,
            responses={201: {"model": Saved, "description": "Created."}, **problems(400, 404, 409, 413)},
            openapi_extra=UPLOAD,
        )(self.write)
        routes.get(one, response_class=Response, responses={**DOWNLOAD, **problems(400, 404, 409, 416)})(self.read)
        routes.delete(one, status_code=204, response_class=Response, responses=problems(400, 404, 409))(self.delete)
        return routes

    async def listing(
        self,
        owner: Owner,
        id: str,
        format: Annotated[Literal["json", "zip"], Query(description="`zip`: all files.")] = "json",
    ) -> Response:
        """Everything in the workspace, recursively."""
        if format == "json":
            return Json(await self.interpreter.files(owner, id))
        chunks = await self.interpreter.archive(owner, id)
        return StreamingResponse(chunks, headers=attachment(f"{id}.zip"), media_type="application/zip")

    async def write(
        self,
        request: Request,
        owner: Owner,
        id: str,
        path: str,
        content_length: Annotated[int | None, Header(ge=0, include_in_schema=False)] = None,
    ) -> Response:
        """Create or replace a file: raw body, parents created, atomic."""
        entry, created = await self.interpreter.write_file(owner, id, inside(path), _body(request), size=content_length)
        saved: Saved = {"path": entry["path"], "size": entry["size"], "modified": entry["modified"]}
        return Json(saved, 201 if created else 200)

    async def read(self, owner: Owner, id: str, path: str, range: Annotated[str | None, Header()] = None) -> Response:
        """The file as an attachment; Range is honoured."""
        return download(await self.interpreter.open_file(owner, id, inside(path)), path, range)

    async def delete(self, owner: Owner, id: str, path: str) -> Response:
        """Delete a file, or a directory with all that is in it."""
        await self.interpreter.delete_file(owner, id, inside(path))
        return Response(status_code=204)


async def _body(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        if chunk:
            yield chunk


def attachment(name: str) -> dict[str, str]:
    """Headers under which untrusted content may leave: saved, never shown (RFC 6266)."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\' else "_" for c in name)
    quoted = quote(name.encode("utf-8", "replace"), safe="")
    return {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quoted}", **UNTRUSTED}


def download(opened: OpenFile, path: str, range: str | None, headers: Mapping[str, str] | None = None) -> Response:
    """The file or the part of it that was asked for. Closes it, also when nobody reads on."""
    name = path.rstrip("/").rsplit("/", 1)[-1]
    sent = {**attachment(name), "Accept-Ranges": "bytes", "Cache-Control": "no-cache", **(headers or {})}
    try:
        part = span(range, opened.size)
    except RangeNotSatisfiable as problem:
        opened.close()
        return answers.answer(problem, {**(headers or {}), "Content-Range": f"bytes */{opened.size}"})
    if part is not None:
        sent["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{opened.size}"
    whole = part or Span(0, opened.size)
    sent["Content-Length"] = str(whole.end - whole.start)
    sent["Content-Type"] = (
        mimetypes.guess_type(name)[0] or "application/octet-stream"
    )  # of its charset nothing is known
    return FileBody(opened, whole, 206 if part else 200, sent)


class FileBody(StreamingResponse):
    """A part of an open file."""

    def __init__(self, opened: OpenFile, part: Span, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(opened.aiter(part.start, part.end), status, headers)
        self.opened = opened

    async def __call__(self, *connection: Any) -> None:
        try:
            await super().__call__(*connection)
        finally:
            self.opened.close()
