"""Cells as data: edits, revisions, executions applied, nbformat in and out."""

import itertools
from typing import Any

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from cellblock.errors import CellblockError, CellNotFound, InvalidRequest, StaleRevision, TooLarge
from cellblock.execution import Event, Execution
from cellblock.notebook import MAX_CELLS, MAX_DELETED, MAX_IMPORT, Notebook, from_ipynb

LIMIT = 10_000


def ids() -> Any:
    numbers = itertools.count()
    return lambda: f"c{next(numbers)}"


@pytest.fixture
def notebook() -> Notebook:
    return Notebook("k", "python3", ids())


def sources(notebook: Notebook) -> list[str]:
    return [cell["source"] for cell in notebook.cells]


def run(notebook: Notebook, cell_id: str, code: str, id: str = "x") -> tuple[Execution, list[Event]]:
    execution = Execution(id, "k", cell_id, code, output_limit=LIMIT, clock=lambda: 1e9)
    events = execution.start("running")
    for event in events:
        notebook.apply(event)
    return execution, events


def hear(notebook: Notebook, execution: Execution, msg_type: str, content: dict[str, Any]) -> None:
    for event in execution.receive("iopub", msg_type, execution.id, content):
        notebook.apply(event)


def end(notebook: Notebook, execution: Execution) -> None:
    execution.receive("shell", "execute_reply", execution.id, {"status": "ok", "execution_count": 5})
    for event in execution.end():
        notebook.apply(event)


# --- edits -----------------------------------------------------------------------------------------------------------


def test_cells_are_added_where_they_are_wanted(notebook: Notebook) -> None:
    a = notebook.add("a")
    notebook.add("c")
    notebook.add("b", after=a["id"])
    notebook.add("top", type="markdown", first=True)
    assert sources(notebook) == ["top", "a", "b", "c"]


def test_cells_are_moved_and_deleted(notebook: Notebook) -> None:
    a, b, c = (notebook.add(source)["id"] for source in "abc")
    notebook.move(c, after=a)
    assert sources(notebook) == ["a", "c", "b"]
    notebook.move(b, after=None)
    assert sources(notebook) == ["b", "a", "c"]
    notebook.move(b, after=b)
    notebook.delete(a)
    assert sources(notebook) == ["b", "c"]


def test_an_unknown_cell_is_told_and_changes_nothing(notebook: Notebook) -> None:
    notebook.add("a")
    before = notebook.view()
    for edit in (
        lambda: notebook.add("x", after="?"),
        lambda: notebook.edit("?", source="x"),
        lambda: notebook.delete("?"),
        lambda: notebook.move("?", after=None),
        lambda: notebook.move("c0", after="?"),
        lambda: notebook.replace_outputs("?", []),
    ):
        with pytest.raises(CellNotFound):
            edit()
    assert notebook.view() == before


def test_a_cell_that_becomes_text_loses_its_outputs(notebook: Notebook) -> None:
    cell = notebook.add("1")
    notebook.replace_outputs(cell["id"], [{"output_type": "stream", "name": "stdout", "text": "1"}], execution_count=3)
    assert notebook.cell(cell["id"])["execution_count"] == 3
    edited = notebook.edit(cell["id"], type="markdown")
    assert (edited["outputs"], edited["execution_count"]) == ([], None)


def test_a_cell_that_becomes_text_keeps_no_note_of_its_run(notebook: Notebook) -> None:
    noted = {"cellblock": {"run_ms": 5, "files": ["a.csv"], "undone": True}, "tags": ["mine"]}
    cell = notebook.add("1", metadata=noted)
    assert notebook.edit(cell["id"], type="markdown")["metadata"] == {"tags": ["mine"]}


def test_every_change_raises_the_revision(notebook: Notebook) -> None:
    seen = [notebook.revision]
    cell = notebook.add("a")
    for change in (
        lambda: notebook.edit(cell["id"], source="b"),
        lambda: notebook.rename("title"),
        lambda: notebook.replace_outputs(cell["id"], []),
        lambda: notebook.clear_outputs(),
        lambda: notebook.move(cell["id"], after=None),
        lambda: notebook.delete(cell["id"]),
    ):
        change()
        seen.append(notebook.revision)
    assert seen == sorted(set(seen))


def test_an_edit_against_an_old_revision_is_stale_and_gets_the_current_notebook(notebook: Notebook) -> None:
    cell = notebook.add("a")
    old = notebook.revision
    notebook.edit(cell["id"], source="theirs")
    with pytest.raises(StaleRevision) as caught:
        notebook.require(old)
    assert caught.value.current == notebook.view()
    notebook.require(notebook.revision)
    notebook.require(None)
    with pytest.raises(StaleRevision):
        notebook.require(notebook.revision + 1)


def test_outputs_do_not_make_an_edit_stale_but_a_rewritten_source_does(notebook: Notebook) -> None:
    cell = notebook.add("print(1)")
    old = notebook.revision
    execution, _ = run(notebook, cell["id"], "print(1)")
    hear(notebook, execution, "stream", {"name": "stdout", "text": "1"})
    end(notebook, execution)
    assert notebook.revision > old
    notebook.require(old)
    run(notebook, cell["id"], "print(2)", "x2")
    with pytest.raises(StaleRevision):
        notebook.require(old)


def test_a_notebook_has_a_bounded_number_of_cells(notebook: Notebook) -> None:
    for _ in range(MAX_CELLS):
        notebook.add("")
    with pytest.raises(TooLarge):
        notebook.add("")


def test_a_view_is_a_copy(notebook: Notebook) -> None:
    cell = notebook.add("a", metadata={"tags": ["t"]})
    view = notebook.view()
    view["cells"][0]["metadata"]["tags"].append("u")
    notebook.edit(cell["id"], source="b")
    assert view["cells"][0]["source"] == "a"
    assert notebook.cell(cell["id"])["metadata"] == {"tags": ["t"]}


def test_a_deletion_is_taken_back_with_the_outputs(notebook: Notebook) -> None:
    first, second = notebook.add("1"), notebook.add("2")
    execution, _ = run(notebook, second["id"], "print(2)")
    hear(notebook, execution, "stream", {"name": "stdout", "text": "2"})
    end(notebook, execution)
    before = notebook.view()["cells"]
    notebook.delete(second["id"])
    notebook.restore(second["id"], after=first["id"])
    assert notebook.view()["cells"] == before
    with pytest.raises(CellNotFound):
        notebook.restore(second["id"], after=None)


def test_what_runs_in_a_cell_goes_on_there_while_it_is_deleted(notebook: Notebook) -> None:
    cell = notebook.add("1")
    execution, _ = run(notebook, cell["id"], "print(2); print(3)")
    hear(notebook, execution, "stream", {"name": "stdout", "text": "2\n"})
    notebook.delete(cell["id"])
    hear(notebook, execution, "stream", {"name": "stdout", "text": "3\n"})
    restored = notebook.restore(cell["id"], after=None)
    assert (restored["status"], restored["outputs"][0]["text"]) == ("running", "2\n3\n")
    notebook.delete(cell["id"])
    end(notebook, execution)
    restored = notebook.restore(cell["id"], after=None)
    assert (restored["status"], restored["outputs"][0]["text"], restored["execution_count"]) == ("ok", "2\n3\n", 5)


def test_a_deleted_cell_hears_nothing_of_a_new_one_in_its_name(notebook: Notebook) -> None:
    cell = notebook.add("1", id="same")
    execution, _ = run(notebook, cell["id"], "print(1)")
    notebook.delete("same")
    notebook.add("2", id="same")
    hear(notebook, execution, "stream", {"name": "stdout", "text": "1"})
    assert notebook.cell("same")["outputs"] == []
    with pytest.raises(CellNotFound):
        notebook.restore("same", after=None)


def test_a_running_cell_that_was_deleted_before_another_notebook_came_is_at_rest(notebook: Notebook) -> None:
    cell = notebook.add("1")
    run(notebook, cell["id"], "print(1)")
    notebook.delete(cell["id"])
    notebook.become(Notebook("k", "python3", ids()))
    assert notebook.restore(cell["id"], after=None)["status"] == "cancelled"


def test_a_deleted_cell_whose_id_another_has_by_now_does_not_come_back(notebook: Notebook) -> None:
    cell = notebook.add("1")
    execution, _ = run(notebook, cell["id"], "print(2)")
    notebook.delete(cell["id"])
    assert notebook.add("new", id=cell["id"])["id"] == cell["id"]
    end(notebook, execution)
    with pytest.raises(CellNotFound):
        notebook.restore(cell["id"], after=None)
    assert [(each["source"], each["status"]) for each in notebook.cells] == [("new", None)]


def test_a_deleted_cell_that_an_editor_saves_again_goes_on_there_and_is_not_there_twice(notebook: Notebook) -> None:
    cell = notebook.add("print(2)")
    execution, _ = run(notebook, cell["id"], "print(2)")
    saved = notebook.to_ipynb()
    notebook.delete(cell["id"])
    read = from_ipynb(saved, kernel_id="k", environment="python3", new_id=ids())
    notebook.become(read, keep=notebook.going_on)
    hear(notebook, execution, "stream", {"name": "stdout", "text": "2\n"})
    end(notebook, execution)
    assert [(each["status"], each["outputs"][0]["text"]) for each in notebook.view()["cells"]] == [("ok", "2\n")]
    with pytest.raises(CellNotFound):
        notebook.restore(cell["id"], after=None)


def test_a_raw_cell_is_raw_again_when_it_is_written_until_it_becomes_another(notebook: Notebook) -> None:
    raw = {"cell_type": "raw", "id": "front", "source": "---\ntitle: T\n---", "metadata": {"format": "text/x-yaml"}}
    imported(notebook, {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [raw]})
    assert (notebook.cell("front")["type"], notebook.to_ipynb()["cells"]) == ("markdown", [raw])
    nbformat.validate(notebook.to_ipynb())
    notebook.edit("front", type="code")
    notebook.edit("front", type="markdown")
    assert notebook.to_ipynb()["cells"][0]["cell_type"] == "markdown"


def test_deleted_cells_are_kept_in_a_bounded_number(notebook: Notebook) -> None:
    ids = [notebook.add(str(n))["id"] for n in range(MAX_DELETED + 1)]
    for id in ids:
        notebook.delete(id)
    with pytest.raises(CellNotFound):
        notebook.restore(ids[0], after=None)
    notebook.restore(ids[1], after=None)


def test_hidden_outputs_are_noted_where_jupyter_looks_and_make_no_edit_stale(notebook: Notebook) -> None:
    cell = notebook.add("1", metadata={"jupyter": {"source_hidden": True}})
    revision = notebook.revision
    notebook.edit(cell["id"], outputs_hidden=True)
    assert notebook.to_ipynb()["cells"][0]["metadata"]["jupyter"] == {"source_hidden": True, "outputs_hidden": True}
    notebook.require(revision)


def test_what_a_run_took_and_left_is_kept_with_its_cell_until_the_next_run(notebook: Notebook) -> None:
    cell = notebook.add("1")
    execution, _ = run(notebook, cell["id"], "1")
    end(notebook, execution)
    noted = notebook.cell(cell["id"])["metadata"]["cellblock"]
    assert noted["run_ms"] == execution.result()["timing"]["run_ms"]
    run(notebook, cell["id"], "2", "x2")
    assert notebook.cell(cell["id"])["metadata"] == {}


# --- executions ------------------------------------------------------------------------------------------------------


def test_a_running_cell_shows_its_outputs_so_far(notebook: Notebook) -> None:
    cell = notebook.add("old")
    execution, _ = run(notebook, cell["id"], "for …")
    hear(notebook, execution, "stream", {"name": "stdout", "text": "\r1%"})
    hear(notebook, execution, "stream", {"name": "stdout", "text": "\r2%"})
    assert notebook.view()["cells"] == snapshot(
        [
            {
                "id": "c0",
                "type": "code",
                "source": "for …",
                "outputs": [{"output_type": "stream", "name": "stdout", "text": "2%"}],
                "execution_count": None,
                "status": "running",
                "execution_id": "x",
                "metadata": {},
            }
        ]
    )
    end(notebook, execution)
    shown = notebook.view()["cells"][0]
    assert (shown["status"], shown["execution_count"], shown["outputs"]) == ("ok", 5, execution.result()["outputs"])


def test_a_cell_in_the_queue_is_running_when_its_turn_comes(notebook: Notebook) -> None:
    cell = notebook.add("1")
    execution = Execution("x", "k", cell["id"], "1", output_limit=LIMIT, clock=lambda: 1e9)
    for event in execution.start("queued"):
        notebook.apply(event)
    assert notebook.cell(cell["id"])["status"] == "queued"
    for event in execution.running():
        notebook.apply(event)
    assert notebook.cell(cell["id"])["status"] == "running"


def test_a_display_is_updated_from_another_cell(notebook: Notebook) -> None:
    first, second = notebook.add("show"), notebook.add("update")
    shown = {"data": {"text/plain": "old"}, "metadata": {}, "transient": {"display_id": "d"}}
    execution, _ = run(notebook, first["id"], "show", "x1")
    hear(notebook, execution, "display_data", shown)
    end(notebook, execution)
    execution, _ = run(notebook, second["id"], "update", "x2")
    hear(notebook, execution, "update_display_data", {**shown, "data": {"text/plain": "new"}})
    assert notebook.cell(first["id"])["outputs"][0]["data"] == {"text/plain": "new"}


def test_a_picture_tells_what_later_events_mean(notebook: Notebook) -> None:
    first, second, third = (notebook.add(source) for source in ("one", "two", "three"))
    shown = {"data": {"text/plain": "old"}, "metadata": {}}
    for cell, display_id in ((first, "d"), (second, "e"), (third, None)):
        execution, _ = run(notebook, cell["id"], cell["source"], f"x{cell['id']}")
        hear(notebook, execution, "stream", {"name": "stdout", "text": "before"})
        named = {"transient": {"display_id": display_id}} if display_id else {}
        hear(notebook, execution, "display_data", {**shown, **named})
        if cell is first:
            end(notebook, execution)
    hear(notebook, execution, "clear_output", {"wait": True})
    picture = notebook.picture()
    assert picture["notebook"] == notebook.view()
    assert picture["display_ids"] == {first["id"]: [None, "d"], second["id"]: [None, "e"]}
    assert picture["clearing"] == [third["id"]]


def test_events_of_a_run_that_was_overtaken_or_whose_cell_is_gone_are_ignored(notebook: Notebook) -> None:
    cell = notebook.add("1")
    first, _ = run(notebook, cell["id"], "1", "x1")
    second, _ = run(notebook, cell["id"], "2", "x2")
    hear(notebook, first, "stream", {"name": "stdout", "text": "late"})
    end(notebook, first)
    assert notebook.cell(cell["id"])["status"] == "running"
    notebook.delete(cell["id"])
    end(notebook, second)
    assert notebook.cells == []


def test_a_stored_notebook_comes_back_with_nothing_running(notebook: Notebook) -> None:
    cell = notebook.add("1")
    run(notebook, cell["id"], "1")
    back = Notebook.from_view(notebook.view(), ids())
    assert back.cells[0]["status"] == "cancelled"
    assert back.revision == notebook.revision


# --- nbformat --------------------------------------------------------------------------------------------------------


def test_what_is_exported_is_valid_and_comes_back_the_same(notebook: Notebook) -> None:
    notebook.rename("Sales")
    notebook.add("# Title", type="markdown", metadata={"attachments": {"a.png": {"image/png": "aGk="}}})
    cell = notebook.add("1", metadata={"tags": ["x"]})
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "e"},
        {"output_type": "display_data", "data": {"text/plain": "p", "image/png": "aGk="}, "metadata": {"w": 1}},
        {
            "output_type": "execute_result",
            "data": {"application/json": {"a": [1]}},
            "metadata": {},
            "execution_count": 2,
        },
        {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
    ]
    notebook.replace_outputs(cell["id"], outputs, execution_count=2)
    made = notebook.to_ipynb()
    nbformat.validate(made)
    assert made["cells"][0]["attachments"] == {"a.png": {"image/png": "aGk="}}
    back = from_ipynb(made, kernel_id="k", environment="python3", new_id=ids())
    assert back.to_ipynb() == made


def imported(notebook: Notebook, ipynb: object) -> None:
    notebook.become(from_ipynb(ipynb, kernel_id="k", environment="python3", new_id=ids()))


def test_an_import_takes_the_place_of_everything(notebook: Notebook) -> None:
    notebook.add("gone")
    imported(
        notebook,
        {
            "nbformat": 4,
            "nbformat_minor": 2,
            "metadata": {"kernelspec": {"name": "r"}, "title": "New"},
            "cells": [
                {"cell_type": "code", "source": ["a\n", "b"], "metadata": {}, "execution_count": 1, "outputs": []},
                {"cell_type": "raw", "source": "raw", "metadata": {}},
                {"cell_type": "heading", "source": "old", "level": 2, "metadata": {}},
            ],
        },
    )
    assert [(cell["type"], cell["source"]) for cell in notebook.cells] == [
        ("code", "a\nb"),
        ("markdown", "raw"),
        ("markdown", "old"),
    ]
    assert notebook.title == "New"
    nbformat.validate(notebook.to_ipynb())


def test_nbformat_3_is_read(notebook: Notebook) -> None:
    cell = {"cell_type": "code", "input": ["1+1"], "language": "python", "outputs": [], "prompt_number": 4}
    heading = {"cell_type": "heading", "level": 2, "source": ["Old"], "metadata": {}}
    imported(
        notebook,
        {
            "nbformat": 3,
            "nbformat_minor": 0,
            "metadata": {},
            "worksheets": [{"cells": [heading, cell], "metadata": {}}],
        },
    )
    assert [(cell["type"], cell["source"]) for cell in notebook.cells] == [("markdown", "## Old"), ("code", "1+1")]


def test_a_repeated_or_impossible_cell_id_gets_a_new_one(notebook: Notebook) -> None:
    cell = {"cell_type": "code", "source": "", "metadata": {}, "execution_count": None, "outputs": []}
    cells = [{**cell, "id": "same"}, {**cell, "id": "same"}, {**cell, "id": "../../x"}]
    imported(notebook, {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
    assert [cell["id"] for cell in notebook.cells] == ["same", "c0", "c1"]


@pytest.mark.parametrize(
    "ipynb",
    [
        None,
        [],
        {},
        {"nbformat": 2, "cells": []},
        {"nbformat": 4, "cells": {}},
        {"nbformat": 4, "cells": [1]},
        {"nbformat": 4, "cells": [{"cell_type": "code", "source": 5}]},
        {"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "outputs": [{"output_type": "pyout"}]}]},
        {"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "outputs": "x"}]},
        {"nbformat": 4, "cells": [{"cell_type": "code", "source": "", "metadata": {"tags": "not a list"}}]},
        {"nbformat": 3, "worksheets": 7},
    ],
)
def test_what_is_no_notebook_is_told_and_changes_nothing(notebook: Notebook, ipynb: object) -> None:
    notebook.add("stays")
    with pytest.raises(InvalidRequest):
        imported(notebook, ipynb)
    assert sources(notebook) == ["stays"]


def test_an_import_is_bounded(notebook: Notebook) -> None:
    cell = {"cell_type": "markdown", "source": "", "metadata": {}}
    with pytest.raises(TooLarge):
        imported(notebook, {"nbformat": 4, "metadata": {}, "cells": [cell] * (MAX_CELLS + 1)})
    with pytest.raises(TooLarge):
        imported(notebook, {"nbformat": 4, "metadata": {}, "cells": [{**cell, "source": "x" * MAX_IMPORT}]})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OUTPUT = st.fixed_dictionaries(
    {"output_type": st.sampled_from(["stream", "display_data", "execute_result", "error"]) | JSON},
    optional={
        "name": st.sampled_from(["stdout", "stderr"]) | JSON,
        "text": st.lists(st.text(max_size=5), max_size=3) | JSON,
        "data": st.dictionaries(st.sampled_from(["text/plain", "application/json"]), JSON) | JSON,
        "metadata": st.just({}) | JSON,
        "execution_count": JSON,
        "ename": JSON,
        "evalue": JSON,
        "traceback": JSON,
    },
)
CELL = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["code", "markdown", "raw", "other"]) | JSON},
    optional={
        "id": st.sampled_from(["a", "b", "!"]) | JSON,
        "source": st.text(max_size=9) | JSON,
        "metadata": st.just({}) | JSON,
        "outputs": st.lists(OUTPUT, max_size=3) | JSON,
        "execution_count": JSON,
        "attachments": JSON,
    },
)


@given(st.lists(CELL, max_size=4), st.just({}) | JSON)
def test_an_import_is_valid_or_one_of_our_errors(cells: list[Any], metadata: Any) -> None:
    ipynb = {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells}
    try:
        notebook = from_ipynb(ipynb, kernel_id="k", environment="python3", new_id=ids())
    except CellblockError:
        return
    nbformat.validate(notebook.to_ipynb())
    notebook.to_html()
    notebook.to_md()
    notebook.to_py()
