"""A person's edits of a session's notebook: each checked against the revision it was made at, and told to who looks on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cellblock.notebook import Cell, CellType, Notebook, NotebookView


@dataclass(frozen=True)
class Edits:
    """`tell` hears the event's name, the cell's id, and the event's content. Each edit returns the notebook after it."""

    notebook: Notebook
    tell: Callable[[str, str, dict[str, Any]], None]

    def add_cell(self, *, type: CellType, source: str, after: str | None, revision: int | None) -> NotebookView:
        self.notebook.require(revision)
        self.added(self.notebook.add(source, type=type, after=after))
        return self.notebook.view()

    def added(self, cell: Cell) -> None:
        """A cell that is new, whoever made it."""
        self.tell("cell_added", cell["id"], {"cell": {**cell}, "after": self._before(cell["id"])})

    def edit_cell(
        self,
        cell_id: str,
        *,
        source: str | None = None,
        type: CellType | None = None,
        outputs_hidden: bool | None = None,
        revision: int | None = None,
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

    def _edited(self, name: str, cell_id: str, content: dict[str, Any]) -> NotebookView:
        self.tell(name, cell_id, content)
        return self.notebook.view()

    def _before(self, cell_id: str) -> str | None:
        """The cell above; None at the top."""
        ids = [cell["id"] for cell in self.notebook.cells]
        at = ids.index(cell_id)
        return ids[at - 1] if at else None
