"""A session's notebook: cells and outputs as data, edited by people and by executions; nbformat 4.5 in and out. Pure.

`revision` grows with every change. An edit made against an old revision is stale only if something a person may have
written (a source, a type, the order, the title) has changed since; outputs that came in do not lose an edit.
"""

import copy
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from typing_extensions import TypedDict

from cellblock.content import Content, Malformed, Output, clean, error_output, is_undone, plain
from cellblock.errors import CellNotFound, InvalidRequest, StaleRevision, TooLarge
from cellblock.execution import FINAL, MAX_COUNT, Event, Status
from cellblock.outputs import Outputs
from cellblock.rendering import PYTHON, Speech, to_html, to_md, to_py

CellType: TypeAlias = Literal["code", "markdown"]

MAX_IMPORT = 32 << 20  # bytes of an imported notebook
MAX_CELLS = 2000
MAX_NOTED = 20  # files a cell left that its metadata name
MAX_DELETED = 20  # cells that a deletion may be taken back for
NEVER_RAN = frozenset({"queued", "cancelled", "refused"})
LIVE_LIMIT = 1 << 20  # bytes of outputs folded from events while a cell runs
_CELL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Cell(TypedDict):
    """One cell; `status` and `execution_id` are its last execution's, null when it never ran here."""

    id: str
    type: CellType
    source: str
    outputs: list[Output]
    execution_count: int | None
    status: Status | None
    execution_id: str | None
    metadata: dict[str, Any]


class NotebookView(TypedDict):
    """The notebook as everybody sees it."""

    kernel_id: str
    revision: int
    title: str | None
    environment: str
    cells: list[Cell]
    metadata: dict[str, Any]


@dataclass(slots=True)
class _Live:
    """A running cell's outputs, folded from its events until its Result comes."""

    execution_id: str
    outputs: Outputs


@dataclass(slots=True)
class Notebook:
    """Plain data; methods change it and count the revision. `new_id` gives an id for a new cell."""

    kernel_id: str
    environment: str
    new_id: Callable[[], str]
    title: str | None = None
    cells: list[Cell] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    revision: int = 0
    _last: int = 0  # where the last cell that was asked for is: events come in rows
    _edited: int = 0  # the revision of the last change a person may have written
    _live: dict[str, _Live] = field(default_factory=dict)
    _display_ids: dict[str, list[str | None]] = field(default_factory=dict)
    _deleted: dict[str, Cell] = field(default_factory=dict)  # the last ones, oldest first

    @classmethod
    def from_view(cls, view: NotebookView, new_id: Callable[[], str]) -> "Notebook":
        """A notebook that was stored as its view; cells that were running then are not any more."""
        cells = [_at_rest(copy.deepcopy(cell)) for cell in view["cells"]]
        made = cls(view["kernel_id"], view["environment"], new_id, view["title"], cells, dict(view["metadata"]))
        made.revision = made._edited = view["revision"]
        return made

    def view(self) -> NotebookView:
        """A copy that later changes do not touch, with the outputs of running cells as they are now."""
        return {
            "kernel_id": self.kernel_id,
            "revision": self.revision,
            "title": self.title,
            "environment": self.environment,
            "cells": [self._shown(cell) for cell in self.cells],
            "metadata": copy.deepcopy(self.metadata),
        }

    def picture(self) -> dict[str, Any]:
        """The view, and what later events mean: by cell the display ids of its outputs; cells whose next one replaces all."""
        live = {id: live.outputs.display_ids() for id, live in self._live.items()}
        ids = {id: ids for id, ids in (self._display_ids | live).items() if any(ids)}
        clearing = [id for id, live in self._live.items() if live.outputs.clears_next]
        return {"notebook": self.view(), "display_ids": ids, "clearing": clearing}

    def _shown(self, cell: Cell) -> Cell:
        live = self._live.get(cell["id"])
        outputs = live.outputs.outputs() if live else cell["outputs"]
        # Outputs are replaced, never changed in place: sharing them is safe.
        return {**cell, "outputs": list(outputs), "metadata": copy.deepcopy(cell["metadata"])}

    def cell(self, cell_id: str) -> Cell:
        """The cell as it is; CellNotFound."""
        return self.cells[self._index(cell_id)]

    def has(self, cell_id: str) -> bool:
        """Whether there is such a cell."""
        return self._find(cell_id) is not None

    def executions(self) -> list[tuple[str, str]]:
        """(execution, cell) of all that cells show and that stands, in the order they were counted; one that runs last."""
        shown = [
            (cell["execution_count"] or MAX_COUNT, cell["execution_id"], cell["id"])
            for cell in self.cells
            if cell["execution_id"] and cell["status"] not in NEVER_RAN and not is_undone(cell)
        ]
        return [(execution_id, cell_id) for _, execution_id, cell_id in sorted(shown)]

    def require(self, revision: int | None) -> None:
        """StaleRevision, with the notebook as it is now, when an edit made at `revision` could lose somebody's edit."""
        if revision is not None and not self._edited <= revision <= self.revision:
            raise StaleRevision(f"The notebook is at revision {self.revision}, not {revision}.", current=self.view())

    # edits

    def add(
        self,
        source: str,
        *,
        type: CellType = "code",
        after: str | None = None,
        first: bool = False,
        metadata: Mapping[str, Any] | None = None,
        id: str | None = None,
    ) -> Cell:
        """A new cell after `after`, at the end without it, at the top with `first`. CellNotFound, TooLarge.

        Its id is `id` where that is a good one nobody has.
        """
        if len(self.cells) >= MAX_CELLS:
            raise TooLarge(f"A notebook has at most {MAX_CELLS} cells.")
        at = 0 if first else len(self.cells) if after is None else self._index(after) + 1
        wished = id if id is not None and _CELL_ID.fullmatch(id) and not self.has(id) else self._fresh_id()
        self._let_go(wished)
        cell = _cell(wished, type, clean(source), metadata=dict(metadata or {}))
        self.cells.insert(at, cell)
        self._changed(edit=True)
        return cell

    def edit(
        self,
        cell_id: str,
        *,
        source: str | None = None,
        type: CellType | None = None,
        outputs_hidden: bool | None = None,
    ) -> Cell:
        """Another source or type; a cell that is no longer code loses its outputs. CellNotFound.

        `outputs_hidden` is noted where Jupyter looks for it.
        """
        cell = self.cell(cell_id)
        if outputs_hidden is not None:
            _hide_outputs(cell, outputs_hidden)
        if source is not None:
            cell["source"] = clean(source)
        if type is not None and type != cell["type"]:
            cell["type"] = type
            for noted in ("cell_type", "cellblock"):
                cell["metadata"].pop(noted, None)
            self._forget(cell_id)
            cell.update({"outputs": [], "execution_count": None, "status": None, "execution_id": None})
        self._changed(edit=source is not None or type is not None)
        return cell

    def delete(self, cell_id: str) -> None:
        """Removes a cell; of the last ones, `restore` brings each back, and what runs in them goes on there. CellNotFound."""
        cell = self.cells.pop(self._index(cell_id))
        self._deleted[cell_id] = cell
        if len(self._deleted) > MAX_DELETED:
            self._let_go(next(iter(self._deleted)))
        self._changed(edit=True)

    def restore(self, cell_id: str, *, after: str | None) -> Cell:
        """Puts a deleted cell back as it was, outputs included, behind `after` or at the top: a copy. CellNotFound."""
        at = 0 if after is None else self._index(after) + 1
        if cell_id not in self._deleted or self.has(cell_id):
            raise CellNotFound(f"No cell {cell_id[:80]!r} was deleted lately.")
        if len(self.cells) >= MAX_CELLS:
            raise TooLarge(f"A notebook has at most {MAX_CELLS} cells.")
        cell = self._deleted.pop(cell_id)
        self.cells.insert(at, cell if cell_id in self._live else _at_rest(cell))
        self._changed(edit=True)
        return self._shown(cell)

    def move(self, cell_id: str, *, after: str | None) -> None:
        """Puts a cell behind `after`, or at the top. CellNotFound."""
        cell = self.cell(cell_id)
        if after == cell_id:
            return
        if after is not None:
            self._index(after)
        self.cells.remove(cell)
        self.cells.insert(0 if after is None else self._index(after) + 1, cell)
        self._changed(edit=True)

    def rename(self, title: str | None) -> None:
        """Another title."""
        self.title = None if title is None else clean(title)
        self._changed(edit=True)

    def replace_outputs(self, cell_id: str, outputs: Sequence[Output], *, execution_count: int | None = None) -> None:
        """Other outputs for a cell. CellNotFound."""
        cell = self.cell(cell_id)
        self._forget(cell_id)
        cell.update({"outputs": list(outputs), "execution_count": execution_count})
        self._changed()

    def clear_outputs(self) -> None:
        """No cell has outputs, counts or a status any more; running ones go on."""
        for cell in self.cells:
            if cell["id"] not in self._live:
                cell.update({"outputs": [], "execution_count": None, "status": None, "execution_id": None})
        self._display_ids.clear()
        self._changed()

    @property
    def going_on(self) -> frozenset[str]:
        """Ids of cells in which something runs or waits to."""
        return frozenset(self._live)

    def become(self, read: "Notebook", *, keep: Collection[str] | None = None) -> None:
        """Takes over what has been read by `from_ipynb` in the place of everything.

        `keep`: cells that are still there are still known, and what has gone on in these of them when it was saved stays.
        """
        former = {cell["id"]: cell for cell in (*self._deleted.values(), *self.cells) if keep is not None}
        self.cells = [self._kept(cell, former.get(cell["id"]), keep or ()) for cell in read.cells]
        self.metadata, self.title = read.metadata, read.title or self.title
        here = {cell["id"] for cell in self.cells} | self._deleted.keys() if keep is not None else set()
        self._live = {id: live for id, live in self._live.items() if id in here}
        self._display_ids = {id: ids for id, ids in self._display_ids.items() if id in here}
        self._changed(edit=True)

    def _kept(self, cell: Cell, former: Cell | None, going_on: Collection[str]) -> Cell:
        """A cell as it was saved, with what an editor does not know of it."""
        if former is None or former["type"] != cell["type"]:
            return cell
        if cell["id"] in self._live or cell["id"] in going_on:
            return {**former, "metadata": cell["metadata"]}
        if former["source"] == cell["source"] and former["outputs"] == cell["outputs"]:
            cell["status"], cell["execution_id"] = former["status"], former["execution_id"]
            if "cellblock" in former["metadata"]:
                cell["metadata"]["cellblock"] = former["metadata"]["cellblock"]
        return cell

    # executions

    def mark_undone(self, cell_id: str, execution_id: str, undone: bool) -> Cell | None:
        """Notes whether what the cell shows is undone; the cell, if that changes anything."""
        at = self._find(cell_id)
        if at is None or self.cells[at]["execution_id"] != execution_id:
            return None
        if is_undone(self.cells[at]) == undone:
            return None
        metadata = self.cells[at]["metadata"]
        noted = {name: value for name, value in dict(metadata.get("cellblock") or {}).items() if name != "undone"}
        metadata["cellblock"] = noted | ({"undone": True} if undone else {})
        self._changed()
        return self.cells[at]

    def apply(self, event: Event) -> bool:
        """What an execution's event means for its cell; whether the notebook has changed. Unknown cells are ignored."""
        if event["event"] == "update_display_data":
            self._update_elsewhere(event)
        at = self._find(event["cell_id"])
        cell = self._deleted.get(event["cell_id"] or "") if at is None else self.cells[at]
        if cell is None or event["execution_id"] is None:
            return False
        content = event["content"]
        if event["event"] == "execution_start":
            return self._started(cell, event["execution_id"], content)
        live = self._live.get(cell["id"])
        if live is None or live.execution_id != event["execution_id"]:
            return False
        if event["event"] == "execution_end":
            return self._ended(cell, content)
        return self._happened(cell, live, event["event"], content)

    def _started(self, cell: Cell, execution_id: str, content: dict[str, Any]) -> bool:
        self._live[cell["id"]] = _Live(execution_id, Outputs(LIVE_LIMIT))
        self._display_ids.pop(cell["id"], None)
        cell["metadata"].pop("cellblock", None)
        rewritten = cell["source"] != content["code"]
        cell.update(
            {
                "source": content["code"],
                "outputs": [],
                "execution_count": None,
                "status": content["status"],
                "execution_id": execution_id,
            }
        )
        self._changed(edit=rewritten)
        return True

    def _happened(self, cell: Cell, live: _Live, event: str, content: dict[str, Any]) -> bool:
        if event == "status" and content.get("execution_state") == "busy" and cell["status"] == "queued":
            cell["status"] = "running"
            self._changed()
            return True
        if fold := _FOLDS.get(event):
            fold(live.outputs, content)
            self._changed()
            return True
        return False

    def _ended(self, cell: Cell, result: Any) -> bool:
        live = self._live.pop(cell["id"])
        cell.update(
            {
                "outputs": list(result["outputs"]),
                "execution_count": result["execution_count"],
                "status": result["status"],
            }
        )
        _note(cell, result)
        ids = live.outputs.display_ids()
        if any(ids) and len(ids) == len(cell["outputs"]):
            self._display_ids[cell["id"]] = ids
        self._changed()
        return True

    def _update_elsewhere(self, event: Event) -> None:
        """A display may be updated from another cell than the one that showed it."""
        content = event["content"]
        display_id = content.get("transient", {}).get("display_id")
        for cell in self.cells:
            ids = self._display_ids.get(cell["id"], [])
            if display_id in ids:
                cell["outputs"] = [
                    {**output, "data": content["data"], "metadata": content["metadata"]} if id == display_id else output
                    for output, id in zip(cell["outputs"], ids, strict=True)
                ]
                self._changed()
        for live in self._live.values():
            if live.execution_id != event["execution_id"] and display_id is not None:
                live.outputs.update(display_id, content["data"], content["metadata"])

    # out

    def to_ipynb(self, speech: Speech = PYTHON) -> dict[str, Any]:
        """nbformat 4.5, valid."""
        return to_ipynb(self.view(), speech)

    def to_py(self) -> str:
        """The percent format: `# %%`."""
        return to_py(self.view())

    def to_md(self, speech: Speech = PYTHON) -> str:
        """Markdown with the outputs as text and images as data URIs."""
        return to_md(self.view(), speech)

    def to_html(self) -> str:
        """One file without scripts; untrusted markup only in sandboxed frames."""
        return to_html(self.view())

    # within

    def _changed(self, *, edit: bool = False) -> None:
        self.revision += 1
        if edit:
            self._edited = self.revision

    def _find(self, cell_id: str | None) -> int | None:
        if self._last < len(self.cells) and self.cells[self._last]["id"] == cell_id:
            return self._last
        found = next((at for at, cell in enumerate(self.cells) if cell["id"] == cell_id), None)
        self._last = self._last if found is None else found
        return found

    def _index(self, cell_id: str) -> int:
        at = self._find(cell_id)
        if at is None:
            raise CellNotFound(f"This notebook has no cell {cell_id[:80]!r}.")
        return at

    def _fresh_id(self) -> str:
        while self._find(made := self.new_id()) is not None:
            pass
        return made

    def _let_go(self, cell_id: str) -> None:
        """A deleted cell is not coming back."""
        if self._deleted.pop(cell_id, None):
            self._forget(cell_id)

    def _forget(self, cell_id: str) -> None:
        self._live.pop(cell_id, None)
        self._display_ids.pop(cell_id, None)


def _at_rest(cell: Cell) -> Cell:
    """A cell that nothing runs any more."""
    if cell["status"] is not None and cell["status"] not in FINAL:
        cell["status"] = "cancelled"
    return cell


def _hide_outputs(cell: Cell, hidden: bool) -> None:
    jupyter = cell["metadata"].get("jupyter")
    cell["metadata"]["jupyter"] = {**(jupyter if isinstance(jupyter, dict) else {}), "outputs_hidden": hidden}


def _note(cell: Cell, result: Any) -> None:
    """What a Result knows and nbformat has no place for: how long it took, which files it left, where all its text is."""
    files = [file["path"] for file in result["files"] if file["change"] != "deleted"]
    cell["metadata"]["cellblock"] = {
        "run_ms": result["timing"]["run_ms"],
        **({"files": files[:MAX_NOTED]} if files else {}),
        **({"truncated": True} if result["truncated"] else {}),
        **({"spill": result["spill"]} if result["spill"] else {}),
        **({"undone": True} if result["kernel_state"] == "restored" else {}),
    }


def _fold_display(outputs: Outputs, content: dict[str, Any]) -> None:
    data = {key: value for key, value in content.items() if key != "transient"}
    kind = "execute_result" if "execution_count" in content else "display_data"
    outputs.display({"output_type": kind, **data}, content.get("transient", {}).get("display_id"))


_FOLDS: Mapping[str, Callable[[Outputs, dict[str, Any]], object]] = {
    "stream": lambda outputs, content: outputs.stream(content["name"], content["text"]),
    "display_data": _fold_display,
    "execute_result": _fold_display,
    "error": lambda outputs, content: outputs.error(content["ename"], content["evalue"], content["traceback"]),
    "clear_output": lambda outputs, content: outputs.clear(content["wait"]),
    "update_display_data": lambda outputs, content: outputs.update(
        content["transient"]["display_id"], content["data"], content["metadata"]
    ),
}


def _cell(
    id: str,
    type: CellType,
    source: str,
    *,
    outputs: list[Output] | None = None,
    execution_count: int | None = None,
    metadata: dict[str, Any] | None = None,
) -> Cell:
    return {
        "id": id,
        "type": type,
        "source": source,
        "outputs": outputs or [],
        "execution_count": execution_count,
        "status": None,
        "execution_id": None,
        "metadata": metadata or {},
    }


def to_ipynb(view: NotebookView, speech: Speech = PYTHON) -> dict[str, Any]:
    """A view as a valid nbformat 4.5 notebook that any Jupyter opens and nbclient runs."""
    name, language = view["environment"], speech.language
    metadata = {
        **view["metadata"],
        "kernelspec": {"name": name, "display_name": speech.display_name or name, "language": language},
        "language_info": speech.described(view["metadata"]),
    }
    if view["title"]:
        metadata["title"] = view["title"]
    cells = [_ipynb_cell(cell) for cell in view["cells"]]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}


def _ipynb_cell(cell: Cell) -> dict[str, Any]:
    metadata = dict(cell["metadata"])
    attachments = metadata.pop("attachments", None)
    kind = "raw" if metadata.pop("cell_type", None) == "raw" and cell["type"] == "markdown" else cell["type"]
    made = {"id": cell["id"], "cell_type": kind, "metadata": metadata, "source": cell["source"]}
    if cell["type"] == "code":
        return {**made, "execution_count": cell["execution_count"], "outputs": cell["outputs"]}
    return made if attachments is None else {**made, "attachments": attachments}


def from_ipynb(ipynb: object, *, kernel_id: str, environment: str, new_id: Callable[[], str]) -> Notebook:
    """Reads nbformat 3 and 4; unknown cells become markdown, and raw ones until they are written. InvalidRequest, TooLarge."""
    read = _parse(ipynb)
    metadata = {key: value for key, value in read["metadata"].items() if key not in ("kernelspec", "title")}
    title = read["metadata"].get("title")
    made = Notebook(kernel_id, environment, new_id, title if isinstance(title, str) else None, [], metadata)
    for at, cell in enumerate(read["cells"]):
        try:
            made.cells.append(_read_cell(cell, made))
        except Malformed as problem:
            raise InvalidRequest("A cell cannot be read.", fields=[_field(f"cells.{at}", str(problem))]) from None
    _validate(made.to_ipynb())
    return made


def _parse(ipynb: object) -> dict[str, Any]:
    """Plain JSON of nbformat 4 with `cells` and `metadata`."""
    try:
        read: Any = plain(ipynb)
    except Malformed as problem:
        raise InvalidRequest(f"This is no notebook: {problem}.") from None
    if (size := len(json.dumps(read))) > MAX_IMPORT:
        raise TooLarge(f"A notebook has at most {MAX_IMPORT:,} bytes, this one has {size:,}.")
    if not isinstance(read, dict) or read.get("nbformat") not in (3, 4):
        raise InvalidRequest("This is no notebook of nbformat 3 or 4.", fields=[_field("nbformat", "must be 3 or 4")])
    if read["nbformat"] == 3:
        read = _upgrade(read)
    if not isinstance(read.get("cells"), list) or not isinstance(read.setdefault("metadata", {}), dict):
        raise InvalidRequest("This is no notebook.", fields=[_field("cells", "must be a list")])
    if len(read["cells"]) > MAX_CELLS:
        raise TooLarge(f"A notebook has at most {MAX_CELLS} cells, this one has {len(read['cells'])}.")
    return dict(read)


def _upgrade(read: dict[str, Any]) -> dict[str, Any]:
    import nbformat

    try:
        upgraded: dict[str, Any] = json.loads(nbformat.writes(nbformat.reads(json.dumps(read), 4)))  # type: ignore[no-untyped-call]
    except Exception as problem:  # nbformat's converter raises whatever a broken notebook leads it to
        raise InvalidRequest(f"This notebook of nbformat 3 cannot be upgraded: {type(problem).__name__}.") from None
    return upgraded


def _validate(ipynb: dict[str, Any]) -> None:
    import nbformat  # brings JSON schemas along: 0.1 s, and 2 s where jsonschema has its optional formats

    try:
        nbformat.validate(ipynb)
    except nbformat.ValidationError as problem:
        raise InvalidRequest(f"This is no valid notebook: {str(problem).splitlines()[0][:300]}") from None


def _field(path: str, message: str) -> dict[str, str]:
    return {"path": path, "message": message}


def _read_cell(raw: object, made: Notebook) -> Cell:
    """One cell as ours; its id stays when it is a good one."""
    content = Content(raw, None)
    kind: CellType = "code" if content.raw.get("cell_type") == "code" else "markdown"
    id = content.raw.get("id")
    keeps = isinstance(id, str) and _CELL_ID.fullmatch(id) and made._find(id) is None
    cell = _cell(str(id) if keeps else made._fresh_id(), kind, _joined(content.raw.get("source", "")))
    raw = {"cell_type": "raw"} if content.raw.get("cell_type") == "raw" else {}
    cell["metadata"] = {key: it for key, it in content.mapping("metadata").items() if key != "cell_type"} | raw
    if kind == "code":
        count = content.raw.get("execution_count")
        cell["execution_count"] = count if isinstance(count, int) and not isinstance(count, bool) else None
        cell["outputs"] = [_read_output(Content(output, None)) for output in content.items("outputs")]
    elif attachments := content.mapping("attachments"):
        cell["metadata"]["attachments"] = attachments
    return cell


def _read_output(content: Content) -> Output:
    kind = content.raw.get("output_type")
    if kind == "stream":
        name = "stderr" if content.raw.get("name") == "stderr" else "stdout"
        return {"output_type": "stream", "name": name, "text": _joined(content.raw.get("text", ""))}
    if kind == "error":
        ename, evalue, traceback = content.error()
        return error_output(ename, evalue, traceback)
    if kind not in ("display_data", "execute_result"):
        raise Malformed("an output that is no stream, error, display_data or execute_result")
    output = content.display(kind)
    if kind == "execute_result":
        count = content.raw.get("execution_count")
        output["execution_count"] = count if isinstance(count, int) and not isinstance(count, bool) else None
    return output


def _joined(text: object) -> str:
    """nbformat's multi-line text."""
    if isinstance(text, str):
        return text
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "".join(text)
    raise Malformed("text that is neither text nor a list of lines")
