"""What people do to a session's notebook: each edit is made, kept and told to all who watch."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from cellblock.host.config import ExecuteRequest
from cellblock.host.watching import Watchers
from cellblock.notebook import CellType, Notebook, NotebookView, from_ipynb


@dataclass(eq=False)
class Edits:
    """`changed` keeps a cell; `used` notes that somebody is at work."""

    notebook: Notebook
    watchers: Watchers
    changed: Callable[[str], None]
    used: Callable[[], None]

    def add_cell(
        self, *, type: CellType, source: str, after: str | None, id: str | None, revision: int | None
    ) -> NotebookView:
        self.notebook.require(revision)
        self.added(self.notebook.add(source, type=type, after=after, id=id)["id"])
        return self.notebook.view()

    def edit_cell(
        self,
        cell_id: str,
        *,
        source: str | None,
        type: CellType | None,
        outputs_hidden: bool | None = None,
        revision: int | None,
    ) -> NotebookView:
        self.notebook.require(revision)
        cell = self.notebook.edit(cell_id, source=source, type=type, outputs_hidden=outputs_hidden)
        return self._edited("cell_edited", cell_id, {"cell": {**cell}})

    def delete_cell(self, cell_id: str, *, revision: int | None) -> NotebookView:
        self.notebook.require(revision)
        self.notebook.delete(cell_id)
        return self._edited("cell_deleted", cell_id, {"cell_id": cell_id})

    def restore_cell(self, cell_id: str, *, after: str | None, revision: int | None) -> NotebookView:
        self.notebook.require(revision)
        cell = self.notebook.restore(cell_id, after=after)
        return self._edited("cell_added", cell_id, {"cell": {**cell}, "after": after})

    def move_cell(self, cell_id: str, *, after: str | None, revision: int | None) -> NotebookView:
        self.notebook.require(revision)
        self.notebook.move(cell_id, after=after)
        return self._edited("cell_moved", cell_id, {"cell_id": cell_id, "after": after})

    async def read(self, ipynb: object) -> Notebook:
        """What may be imported, in a thread: it may be large, and to load nbformat's rules alone takes up to seconds."""
        own = self.notebook
        reading = partial(from_ipynb, kernel_id=own.kernel_id, environment=own.environment, new_id=own.new_id)
        return await asyncio.to_thread(reading, ipynb)

    def import_notebook(
        self, read: Notebook, *, revision: int | None, keep: Collection[str] | None = None
    ) -> NotebookView:
        """`keep`: as of `Notebook.become`, when a Jupyter client saves."""
        self.notebook.require(revision)
        before = [cell["id"] for cell in self.notebook.cells]
        self.notebook.become(read, keep=keep)
        if keep is None:
            self.used()
        for cell_id in {*before, *(cell["id"] for cell in self.notebook.cells)}:
            self.changed(cell_id)
        self.watchers.picture_again()
        return self.notebook.view()

    def added(self, cell_id: str) -> None:
        """A cell that is new."""
        content = {"cell": {**self.notebook.cell(cell_id)}, "after": self._before(cell_id)}
        self._edited("cell_added", cell_id, content)

    def cell_of(self, request: ExecuteRequest) -> str:
        """The cell whose code is to run; a new one, unless there is one, and a text that is executed becomes code: only code
        has outputs and a count."""
        id = request.cell_id
        if id is None or (request.asked is not None and not self.notebook.has(id)):
            id = self.notebook.add(request.code, id=id)["id"]
            self.added(id)
        elif self.notebook.cell(id)["type"] != "code":
            self.edit_cell(id, source=None, type="code", revision=None)
        return id

    def mark(self, shown: Iterable[tuple[str | None, str]], *, undone: bool) -> None:
        """Cells that show these executions, as (cell, execution), do or do not stand."""
        for cell_id, execution_id in shown:
            if cell_id and (cell := self.notebook.mark_undone(cell_id, execution_id, undone)):
                self._edited("cell_edited", cell_id, {"cell": {**cell}})

    def _edited(self, name: str, cell_id: str, content: dict[str, Any]) -> NotebookView:
        self.changed(cell_id)
        self.used()
        self.watchers.tell(name, {**content, "revision": self.notebook.revision}, cell_id)
        return self.notebook.view()

    def _before(self, cell_id: str) -> str | None:
        """The cell above; None at the top."""
        ids = [cell["id"] for cell in self.notebook.cells]
        at = ids.index(cell_id)
        return ids[at - 1] if at else None
