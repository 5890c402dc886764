"""Sessions: one id for conversation, notebook, workspace and kernel."""

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Body, Header, Path, Query
from starlette.responses import Response

from cellblock.adapters import stream
from cellblock.adapters.http.executions import EVENT_STREAM
from cellblock.adapters.http.request import Owner, Responses, media
from cellblock.adapters.http.shapes import (
    Branch,
    Complete,
    CompleteReply,
    Inspect,
    InspectReply,
    KernelIn,
    Kernels,
    Undo,
    Variable,
)
from cellblock.adapters.problems import problems
from cellblock.adapters.wire import Json
from cellblock.host.interpreter import Interpreter
from cellblock.host.looking import MAX_ROWS, VariableView
from cellblock.host.sessions import KernelView
from cellblock.host.views import BranchView, StateView, TravelView


class KernelRoutes:
    """Routes below /api/jupyter/kernel, but for notebook and files."""

    def __init__(self, interpreter: Interpreter, closing: asyncio.Event) -> None:
        self.interpreter, self.closing = interpreter, closing

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/api/jupyter/kernel", tags=["kernels"])
        start = problems(404, 429, 503)
        routes.post("", status_code=201, response_model=KernelView, responses=start)(self.create)
        routes.get("", response_model=Kernels, responses=problems())(self.listing)
        routes.get("/{id}", response_model=KernelView, responses=problems(404))(self.read)
        routes.delete("/{id}", status_code=204, response_class=Response, responses=problems(404))(self.delete)
        routes.post("/{id}/release", response_model=KernelView, responses=problems(404))(self.release)
        routes.post("/{id}/interrupt", response_model=KernelView, responses=problems(404))(self.interrupt)
        routes.post("/{id}/restart", response_model=KernelView, responses=start)(self.restart)
        back = problems(404, 409, 429, 503)
        routes.post("/{id}/undo", response_model=TravelView, responses=back)(self.undo)
        routes.post("/{id}/redo", response_model=TravelView, responses=back)(self.redo)
        apart = problems(404, 409, 413, 429, 503)
        routes.post("/{id}/branch", status_code=201, response_model=BranchView, responses=apart)(self.branch)
        routes.get("/{id}/snapshots", response_model=list[StateView], responses=problems(404))(self.snapshots)
        routes.post("/{id}/complete", response_model=CompleteReply, responses=start)(self.complete)
        routes.post("/{id}/inspect", response_model=InspectReply, responses=start)(self.inspect)
        routes.get("/{id}/variables", response_model=list[Variable], responses=start)(self.variables)
        one = "/{id}/variables/{name}"
        routes.get(one, response_model=VariableView, responses=start)(self.variable)
        streamed: Responses = {200: {"content": EVENT_STREAM}}
        routes.get("/{id}/events", response_class=Response, responses={**streamed, **problems(404)})(self.events)
        return routes

    async def create(self, owner: Owner, body: Annotated[KernelIn | None, Body()] = None) -> Response:
        """A new session with a kernel; an empty body is legal."""
        asked = body or KernelIn()
        kernel = await self.interpreter.create(owner, environment=asked.environment, title=asked.title)
        return Json(kernel, 201, headers={"Location": f"/api/jupyter/kernel/{kernel['id']}"})

    async def listing(
        self,
        owner: Owner,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        after: Annotated[str | None, Query(description="`next` of the page before.")] = None,
    ) -> Response:
        """Sessions, the last used first."""
        return Json(await self.interpreter.kernels(owner, limit=limit, after=after))

    async def read(self, owner: Owner, id: str) -> Response:
        """A session and the state of its kernel."""
        return Json(await self.interpreter.kernel(owner, id))

    async def delete(self, owner: Owner, id: str) -> Response:
        """Session, notebook, files and conversation are gone."""
        await self.interpreter.delete(owner, id)
        return Response(status_code=204)

    async def release(self, owner: Owner, id: str) -> Response:
        """Free the process only; the next execution brings a fresh kernel and says what was lost."""
        return Json(await self.interpreter.release(owner, id))

    async def interrupt(self, owner: Owner, id: str) -> Response:
        """Interrupt what runs; variables live."""
        return Json(await self.interpreter.interrupt(owner, id))

    async def restart(self, owner: Owner, id: str) -> Response:
        """A fresh process under the same id; variables are gone."""
        return Json(await self.interpreter.restart(owner, id))

    async def undo(self, owner: Owner, id: str, body: Annotated[Undo | None, Body()] = None) -> Response:
        """Kernel and files as they were before an execution, or before the last one; an empty body is legal."""
        return Json(await self.interpreter.undo(owner, id, to=body.to if body else None))

    async def redo(self, owner: Owner, id: str) -> Response:
        """Take the last undo back."""
        return Json(await self.interpreter.redo(owner, id))

    async def branch(self, owner: Owner, id: str, body: Annotated[Branch | None, Body()] = None) -> Response:
        """A new session in the state behind an execution, or in the one there is; an empty body is legal."""
        asked = body or Branch()
        made = await self.interpreter.branch(owner, id, at=asked.at, title=asked.title, reseed=asked.reseed)
        return Json(made, 201, headers={"Location": f"/api/jupyter/kernel/{made['id']}"})

    async def snapshots(self, owner: Owner, id: str) -> Response:
        """The states that are kept, and what each takes of memory."""
        return Json(await self.interpreter.snapshots(owner, id))

    async def complete(self, owner: Owner, id: str, body: Complete) -> Response:
        """What may follow at the cursor."""
        return Json(await self.interpreter.complete(owner, id, body.code, body.cursor_pos))

    async def inspect(self, owner: Owner, id: str, body: Inspect) -> Response:
        """What is at the cursor."""
        level: Literal[0, 1] = 1 if body.detail_level else 0
        return Json(await self.interpreter.inspect(owner, id, body.code, body.cursor_pos, level))

    async def variables(self, owner: Owner, id: str) -> Response:
        """The session's variables."""
        return Json(await self.interpreter.variables(owner, id))

    async def variable(
        self,
        owner: Owner,
        id: str,
        name: Annotated[str, Path(max_length=500)],
        offset: Annotated[int, Query(ge=0, le=1 << 62)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 50,
        sort: Annotated[int | None, Query(ge=0, le=10_000, description="The place of the column to order by.")] = None,
        descending: bool = False,
    ) -> Response:
        """One variable: a page of a table, or a text."""
        view = await self.interpreter.variable(
            owner, id, name, offset=offset, limit=limit, sort=sort, descending=descending
        )
        return Json(view)

    async def events(
        self, owner: Owner, id: str, accept: Annotated[str | None, Header(include_in_schema=False)] = None
    ) -> Response:
        """Everything that happens in the session, beginning with a snapshot."""
        await self.interpreter.kernel(owner, id)  # an unknown kernel is a 404, not a broken stream
        events = self.interpreter.watch(owner, id)
        if media(accept) == stream.NDJSON:
            return stream.EventResponse(stream.ndjson(events), stream.NDJSON, self.closing)
        return stream.EventResponse(stream.sse(events), stream.SSE, self.closing)
