"""The notebook of a session: read, exported, imported, and edited under a revision so that two editors lose nothing."""

from contextlib import suppress
from typing import Annotated, Any, Literal, assert_never

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from cellblock.adapters.http.files import attachment
from cellblock.adapters.http.request import Owner, Responses, Revision
from cellblock.adapters.http.shapes import (
    Added,
    CellEdit,
    CellIn,
    CellMove,
    Change,
    Changes,
    Deleted,
    Edited,
    Moved,
    Restored,
)
from cellblock.adapters.problems import problems
from cellblock.adapters.wire import Json
from cellblock.errors import CellNotFound
from cellblock.host.interpreter import Interpreter
from cellblock.host.looking import MAX_ROWS, TableView
from cellblock.notebook import NotebookView

Format = Literal["ipynb", "py", "html", "md"]
SVG: Responses = {200: {"content": {"image/svg+xml": {"schema": {"type": "string"}}}}}
EXPORTS: Responses = {
    200: {
        "content": {
            "application/x-ipynb+json": {"schema": {"type": "object"}},
            **{name: {"schema": {"type": "string"}} for name in ("text/x-python", "text/html", "text/markdown")},
        },
        "headers": {"ETag": {"schema": {"type": "string"}, "description": "The revision, for If-Match."}},
    }
}


class Notebooks:
    """Routes below /api/jupyter/kernel/{id}/notebook."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.interpreter = interpreter

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/api/jupyter/kernel/{id}/notebook", tags=["notebooks"])
        one = "/cells/{cell_id}"
        edits = problems(404, 409)
        routes.get("", response_model=NotebookView, responses={**EXPORTS, **problems(404)})(self.read)
        routes.put("", response_model=NotebookView, responses={**edits, **problems(413)})(self.import_)
        routes.post("/cells", status_code=201, response_model=NotebookView, responses=edits)(self.add)
        routes.patch(one, response_model=NotebookView, responses=edits)(self.edit)
        routes.delete(one, response_model=NotebookView, responses=edits)(self.delete)
        routes.post(f"{one}/restore", response_model=NotebookView, responses={**edits, **problems(413)})(self.restore)
        routes.post(f"{one}/move", response_model=NotebookView, responses=edits)(self.move)
        routes.post("/changes", response_model=NotebookView, responses=problems(404, 413))(self.change)
        output = f"{one}/outputs/{{at}}"
        closer = problems(404, 503)
        routes.get(f"{output}/rows", response_model=TableView, responses=closer)(self.rows)
        routes.get(f"{output}/svg", response_class=Response, responses={**SVG, **closer})(self.svg)
        return routes

    async def read(
        self,
        owner: Owner,
        id: str,
        format: Annotated[Format | None, Query(description="Export as an attachment.")] = None,
    ) -> Response:
        """The notebook, or an export of it."""
        if format is None:
            return _view(await self.interpreter.notebook(owner, id))
        export = await self.interpreter.export(owner, id, format)
        return Response(export.body, headers=attachment(export.filename), media_type=export.media_type)

    async def import_(
        self, owner: Owner, id: str, body: Annotated[dict[str, Any], Body(description="An .ipynb.")], revision: Revision
    ) -> Response:
        """Replace the notebook by an .ipynb."""
        return _view(await self.interpreter.import_notebook(owner, id, body, revision=revision))

    async def add(self, owner: Owner, id: str, body: CellIn, revision: Revision) -> Response:
        """Add a cell at the end, or after another."""
        return _view(
            await self.interpreter.add_cell(
                owner, id, type=body.type, source=body.source, after=body.after, cell_id=body.id, revision=revision
            ),
            201,
        )

    async def edit(self, owner: Owner, id: str, cell_id: str, body: CellEdit, revision: Revision) -> Response:
        """Change a cell's source or type, or hide its outputs."""
        return _view(
            await self.interpreter.edit_cell(
                owner,
                id,
                cell_id,
                source=body.source,
                type=body.type,
                outputs_hidden=body.outputs_hidden,
                revision=revision,
            )
        )

    async def delete(self, owner: Owner, id: str, cell_id: str, revision: Revision) -> Response:
        """Delete a cell."""
        return _view(await self.interpreter.delete_cell(owner, id, cell_id, revision=revision))

    async def restore(self, owner: Owner, id: str, cell_id: str, body: CellMove, revision: Revision) -> Response:
        """Take a deletion back: the cell as it was, outputs included."""
        return _view(await self.interpreter.restore_cell(owner, id, cell_id, after=body.after, revision=revision))

    async def move(self, owner: Owner, id: str, cell_id: str, body: CellMove, revision: Revision) -> Response:
        """Move a cell."""
        return _view(await self.interpreter.move_cell(owner, id, cell_id, after=body.after, revision=revision))

    async def change(self, owner: Owner, id: str, body: Changes) -> Response:
        """Make changes in order, at any revision. One whose cell is gone is passed over: who sent it may be gone too."""
        for one in body.changes:
            with suppress(CellNotFound):
                await self._made(owner, id, one)
        return _view(await self.interpreter.notebook(owner, id))

    async def _made(self, owner: str, id: str, one: Change) -> None:
        match one:
            case Added():
                await self.interpreter.add_cell(
                    owner, id, type=one.type, source=one.source, after=one.after, cell_id=one.id
                )
            case Edited():
                await self.interpreter.edit_cell(
                    owner, id, one.cell_id, source=one.source, type=one.type, outputs_hidden=one.outputs_hidden
                )
            case Deleted():
                await self.interpreter.delete_cell(owner, id, one.cell_id)
            case Restored():
                await self.interpreter.restore_cell(owner, id, one.cell_id, after=one.after)
            case Moved():
                await self.interpreter.move_cell(owner, id, one.cell_id, after=one.after)
            case _:
                assert_never(one)

    async def rows(
        self,
        owner: Owner,
        id: str,
        cell_id: str,
        at: Annotated[int, Path(ge=0, le=100_000, description="The place of the output.")],
        offset: Annotated[int, Query(ge=0, le=1 << 62)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 50,
        sort: Annotated[int | None, Query(ge=0, le=10_000, description="The place of the column to order by.")] = None,
        descending: bool = False,
    ) -> Response:
        """More of a table that a cell shows, while the kernel holds it unchanged."""
        return Json(
            await self.interpreter.rows(
                owner, id, cell_id, at, offset=offset, limit=limit, sort=sort, descending=descending
            )
        )

    async def svg(self, owner: Owner, id: str, cell_id: str, at: Annotated[int, Path(ge=0, le=100_000)]) -> Response:
        """A matplotlib figure that a cell shows, drawn as SVG, while the kernel holds it unchanged."""
        drawn = await self.interpreter.drawing(owner, id, cell_id, at)
        return Response(drawn, headers=attachment("figure.svg"), media_type="image/svg+xml")


def _view(notebook: NotebookView, status: int = 200) -> Response:
    return Json(notebook, status, headers={"ETag": f'"{notebook["revision"]}"'})
