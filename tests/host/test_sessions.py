"""Sessions on real kernels: executions in order, one notebook, many watchers."""

import asyncio
import io
import json
import threading
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import nbformat
import pytest
from conftest import Start
from interpreting import OWNER, Bench, text

from cellblock.errors import (
    CellblockError,
    CellNotFound,
    CodeTooLarge,
    EnvironmentNotFound,
    ExecutionNotFound,
    FileNotFound,
    IdempotencyConflict,
    InternalError,
    InvalidPath,
    InvalidRequest,
    KernelNotFound,
    NotWaitingForInput,
    OutputNotFound,
    QueueFull,
    StaleRevision,
    Unavailable,
    VariableNotFound,
)
from cellblock.host import closer, looking, peeking
from cellblock.host.config import ExecuteRequest

pytestmark = pytest.mark.asyncio(loop_scope="session")


UNTIL_GO = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\n"


async def go(bench: Bench, kernel_id: str) -> None:
    """Code that waits for it goes on."""
    await bench.interpreter.write_file(OWNER, kernel_id, "go", upload(b"go"), size=2)


async def upload(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


# one-shots


async def test_a_one_shot_answers_with_everything_and_keeps_no_kernel(bench: Bench) -> None:
    code = "print('Hello from Jupyter'); open('out.txt', 'w').write(open('in.txt').read() * 2); 1 + 1"
    result = await bench.run(code, files=[("in.txt", b"ab")])
    assert (result["status"], result["kernel_state"], result["kernel_id"]) == ("ok", "released", None)
    assert [output["output_type"] for output in result["outputs"]] == ["stream", "execute_result"]
    assert result["files"] == [{"path": "out.txt", "size": 4, "change": "created"}]
    assert result["execution_count"] == 1
    assert result["timing"]["total_ms"] >= result["timing"]["run_ms"] > 0
    assert result["usage"]["memory_peak_bytes"]
    with await bench.interpreter.open_execution_file(OWNER, result["id"], "out.txt") as found:
        assert await found.read(0, 10) == b"abab"
    assert (await bench.interpreter.kernels(OWNER))["items"] == []


async def test_one_shots_share_nothing(bench: Bench) -> None:
    await bench.run("x = 1; open('a', 'w')")
    result = await bench.run("import os; print(os.listdir()); x")
    assert (result["status"], text(result)) == ("error", "[]\n")
    assert result["error"]
    assert result["error"]["ename"] == "NameError"


async def test_a_one_shots_files_are_checked_before_it_is_accepted(bench: Bench) -> None:
    with pytest.raises(InvalidPath):
        await bench.submit("1", files=[("ok.txt", b"x"), ("../out", b"x")])


# executions


async def test_state_stays_and_counts_go_up(bench: Bench) -> None:
    kernel_id = await bench.kernel(title="Mine")
    await bench.run("x = 20", kernel_id)
    result = await bench.run("x * 2 + 2", kernel_id)
    assert (text(result), result["execution_count"], result["kernel_state"]) == ("42", 2, "kept")
    view = await bench.view(kernel_id)
    assert (view["title"], view["state"], view["execution_count"], view["queue"]) == ("Mine", "idle", 2, 0)
    assert view["memory_bytes"] > 0


async def test_two_executions_at_once_run_one_after_the_other(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    first, second, third = [
        await bench.submit(f"{UNTIL_GO}order = [*globals().get('order', []), {n}]; print(order)", kernel_id)
        for n in (1, 2, 3)
    ]
    assert (second["status"], third["status"]) == ("queued", "queued")
    assert (await bench.view(kernel_id))["queue"] == 2
    await go(bench, kernel_id)
    assert text(await bench.wait(third)) == "[1, 2, 3]\n"
    assert text(await bench.wait(first)) == "[1]\n"
    assert (await bench.wait(second))["timing"]["queued_ms"] > 0


async def test_an_execution_behind_one_that_failed_runs(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    failing = await bench.submit("1/0", kernel_id)
    after = await bench.submit("print('still here')", kernel_id)
    assert (await bench.wait(failing))["status"] == "error"
    assert text(await bench.wait(after)) == "still here\n"


async def test_a_full_queue_refuses_and_loses_nothing(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    accepted = [await bench.submit(f"{UNTIL_GO}print('ran')", kernel_id) for _ in range(5)]
    with pytest.raises(QueueFull):
        await bench.submit("print('too many')", kernel_id)
    await go(bench, kernel_id)
    assert [text(await bench.wait(each)) for each in accepted] == ["ran\n"] * 5


async def test_what_waits_can_be_taken_back(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    running = await bench.submit(UNTIL_GO, kernel_id)
    waiting = await bench.submit("print('never')", kernel_id)
    result = await bench.interpreter.interrupt_execution(OWNER, waiting["id"])
    assert (result["status"], result["outputs"]) == ("cancelled", [])
    await go(bench, kernel_id)
    assert (await bench.wait(running))["status"] == "ok"


async def test_an_interrupt_keeps_the_variables(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    endless = await bench.submit("print('on', flush=True)\nwhile True: pass", kernel_id)
    await bench.until(endless, "stream")
    await bench.interpreter.interrupt(OWNER, kernel_id)
    result = await bench.wait(endless)
    assert (result["status"], result["kernel_state"]) == ("interrupted", "kept")
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_an_interrupt_straight_after_acceptance_is_not_lost(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    for _ in range(5):
        endless = await bench.submit("while True: pass", kernel_id)
        await bench.until(endless, "status")
        await bench.interpreter.interrupt_execution(OWNER, endless["id"])
        result = await bench.wait(endless)
        assert (result["status"], result["kernel_state"]) == ("interrupted", "kept")


async def test_a_request_with_a_key_runs_once(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("n = 0", kernel_id)
    both = await asyncio.gather(
        *(bench.submit("n += 1; print(n)", kernel_id, idempotency_key="k1", store=False) for _ in range(2))
    )
    assert both[0]["id"] == both[1]["id"]
    assert text(await bench.wait(both[0])) == "1\n"
    again = await bench.submit("n += 1; print(n)", kernel_id, idempotency_key="k1", store=False)
    assert (again["id"], text(again)) == (both[0]["id"], "1\n")
    with pytest.raises(IdempotencyConflict):
        await bench.submit("n += 2", kernel_id, idempotency_key="k1")
    assert text(await bench.run("print(n)", kernel_id)) == "1\n"


async def test_requests_that_do_not_fit_are_refused_with_why(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    with pytest.raises(CodeTooLarge, match="65,536"):
        await bench.submit("x" * 65_537, kernel_id)
    for timeout in (0, -1, 101, float("nan")):
        with pytest.raises(InvalidRequest) as refused:
            await bench.submit("1", kernel_id, timeout=timeout)
        assert refused.value.fields[0]["path"] == "timeout"
    for where, path, fields in (
        (None, "cell_id", {"cell_id": "c1"}),
        (kernel_id, "files", {"files": [("a.txt", b"never dropped without a word")]}),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await bench.submit("1", where, **fields)
        assert refused.value.fields[0]["path"] == path
    with pytest.raises(KernelNotFound):
        await bench.submit("1", "00000000-0000-4000-8000-000000000000")
    with pytest.raises(EnvironmentNotFound):
        await bench.kernel(environment="r")


async def test_another_owner_finds_nothing(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.run("1", kernel_id)
    interpreter = bench.interpreter
    for call in (
        interpreter.kernel,
        interpreter.notebook,
        interpreter.files,
        interpreter.delete,
        interpreter.interrupt,
    ):
        with pytest.raises(KernelNotFound):
            await call("someone", kernel_id)
    with pytest.raises(ExecutionNotFound):
        await interpreter.result("someone", result["id"])
    with pytest.raises(ExecutionNotFound):
        await anext(interpreter.events("someone", result["id"]))
    assert (await interpreter.kernels("someone"))["items"] == []


async def test_code_that_is_no_python_never_reaches_the_kernel(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.submit("x = 1\ndef f(:\n    pass", kernel_id)
    assert (result["status"], result["execution_count"], result["kernel_state"]) == ("error", None, "kept")
    assert result["error"]
    assert "\n".join(result["error"]["traceback"]).split("\n")[1:3] == ["    def f(:", "          ^"]
    assert [event["event"] for event in await bench.events(result)] == ["execution_start", "error", "execution_end"]
    assert (await bench.run("1", kernel_id))["execution_count"] == 1


# events


async def test_events_begin_with_start_and_end_with_the_result(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.submit("print('a')\n2", kernel_id)
    events = await bench.events(result)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    names = [event["event"] for event in events]
    assert (names[0], names[-1]) == ("execution_start", "execution_end")
    assert names.index("stream") < names.index("execute_result")
    assert events[-1]["content"] == await bench.wait(result)
    assert {event["kernel_id"] for event in events} == {kernel_id}
    assert {event["cell_id"] for event in events} == {result["cell_id"]}


async def test_events_go_on_where_a_reader_stopped(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.submit("for i in range(3): print(i, flush=True)", kernel_id)
    everything = await bench.events(result)
    assert await bench.events(result, after=3) == everything[3:]
    assert await bench.events(result, after=len(everything)) == []


async def test_events_of_the_past_come_from_the_store(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.submit("print('a')\n2", kernel_id)
    live = await bench.events(result)
    bench.interpreter.executions._ended.clear()
    assert await bench.events(result) == live
    assert await bench.events(result, after=2) == live[2:]
    assert await bench.interpreter.result(OWNER, result["id"]) == live[-1]["content"]
    assert await bench.wait(result) == live[-1]["content"]


async def test_folded_events_leave_a_gap_a_snapshot_and_the_end(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.submit("print('a')\n2", kernel_id)
    live = await bench.events(result)
    await bench.interpreter.store.fold_events(2e9)
    bench.interpreter.executions._ended.clear()
    folded = await bench.events(result)
    assert [event["event"] for event in folded] == ["gap", "snapshot", "execution_end"]
    assert folded[0]["content"] == {"from": 1, "to": len(live) - 1}
    assert folded[1]["content"] == folded[2]["content"] == live[-1]["content"]
    assert folded[2]["seq"] == live[-1]["seq"]
    assert await bench.events(result, after=len(live)) == []


async def test_a_flood_of_events_is_cut_to_a_gap_for_who_comes_late(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = "from IPython.display import display\nh = display(0, display_id=True)\nfor i in range(10_000): h.update(i)"
    result = await bench.wait(await bench.submit(code, kernel_id, timeout=30))
    assert result["status"] == "ok"
    late = await bench.events(result)
    assert [event["event"] for event in late[:2]] == ["gap", "snapshot"]
    assert late[-1]["event"] == "execution_end"


async def test_a_watcher_who_comes_late_is_told_the_question_that_waits_alone(bench: Bench) -> None:
    kernel_id = await bench.kernel()

    async def question() -> Any:
        return (await anext(bench.interpreter.watch(OWNER, kernel_id)))["content"]["input"]

    code = "import os, time\nprint(input('one? '))\nwhile not os.path.exists('go'): time.sleep(0.01)\ninput('two? ')"
    asking = await bench.submit(code, kernel_id, allow_stdin=True)
    asked = await bench.until(asking, "input_request")
    assert await question() == asked
    await bench.interpreter.answer(OWNER, asking["id"], "heard")
    await bench.until(asking, "stream")
    assert await question() is None
    await bench.interpreter.write_file(OWNER, kernel_id, "go", upload(b""))
    async for event in bench.interpreter.events(OWNER, asking["id"], after=asked["seq"]):
        if event["event"] == "input_request":
            break
    assert (event["content"]["prompt"], await question()) == ("two? ", event)
    await bench.interpreter.answer(OWNER, asking["id"], "")
    assert (await bench.wait(asking))["status"] == "ok"
    assert await question() is None


async def test_a_watcher_sees_everybodys_work(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("print('before')", kernel_id)
    interpreter = bench.interpreter
    watcher = interpreter.watch(OWNER, kernel_id)
    first = await anext(watcher)
    assert first["event"] == "snapshot"
    assert first["seq"] > 1
    assert first["content"]["notebook"]["cells"][0]["outputs"][0]["text"] == "before\n"
    assert first["content"]["kernel"]["state"] == "idle"
    cells = await interpreter.add_cell(OWNER, kernel_id, type="markdown", source="# Hi")
    note = cells["cells"][-1]["id"]
    await interpreter.move_cell(OWNER, kernel_id, note, after=None)
    await interpreter.edit_cell(OWNER, kernel_id, note, source="# Ho")
    await interpreter.delete_cell(OWNER, kernel_id, note)
    await interpreter.write_file(OWNER, kernel_id, "a.txt", upload(b"x"))
    result = await bench.run("open('b.txt', 'w')", kernel_id)
    seen = []
    async for event in watcher:
        seen.append(event)
        if event["event"] == "file_changed" and event["content"]["path"] == "b.txt":
            break
    names = [event["event"] for event in seen]
    assert names[:5] == ["cell_added", "cell_moved", "cell_edited", "cell_deleted", "file_changed"]
    assert "cell_added" in names[5:]
    assert names.index("execution_start") < names.index("execution_end")
    assert [event["seq"] for event in seen] == list(range(first["seq"] + 1, first["seq"] + 1 + len(seen)))
    assert next(event for event in seen if event["event"] == "execution_end")["execution_id"] == result["id"]
    assert "kernel_state" in names
    await watcher.aclose()  # type: ignore[attr-defined]


async def test_a_watcher_that_falls_behind_gets_a_new_picture(bench: Bench) -> None:
    kernel_id, interpreter = await bench.kernel(), bench.interpreter
    watcher = interpreter.watch(OWNER, kernel_id)
    first = await anext(watcher)
    assert first["seq"] >= 1
    session = await interpreter.sessions.get(OWNER, kernel_id)
    for number in range(5000):
        session.watchers.tell("kernel_state", {"number": number})
    await bench.run("print('behind')", kernel_id)
    gap, picture = await anext(watcher), await anext(watcher)
    assert (gap["event"], gap["content"]["from"]) == ("gap", first["seq"] + 1)
    assert (picture["event"], picture["seq"]) == ("snapshot", gap["content"]["to"])
    assert picture["content"]["notebook"]["cells"][0]["outputs"][0]["text"] == "behind\n"
    later = await bench.submit("1", kernel_id)
    assert (await anext(watcher))["seq"] == picture["seq"] + 1
    await bench.wait(later)
    await watcher.aclose()  # type: ignore[attr-defined]


async def test_watchers_of_a_deleted_session_are_let_go(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    watcher = bench.interpreter.watch(OWNER, kernel_id)
    await anext(watcher)
    await bench.interpreter.delete(OWNER, kernel_id)
    assert all(event["event"] == "kernel_state" for event in [event async for event in watcher])


# notebook


async def test_executions_write_the_notebook(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    first = await bench.run("print(1)", kernel_id)
    await bench.run("print(2)", kernel_id)
    await bench.run("print(3)", kernel_id, store=False)
    await bench.run("print('one')", kernel_id, cell_id=first["cell_id"])
    notebook = await bench.interpreter.notebook(OWNER, kernel_id)
    assert [(cell["source"], cell["outputs"][0]["text"], cell["status"]) for cell in notebook["cells"]] == [
        ("print('one')", "one\n", "ok"),
        ("print(2)", "2\n", "ok"),
    ]
    assert notebook["cells"][0]["execution_count"] == 4
    with pytest.raises(CellNotFound):
        await bench.submit("1", kernel_id, cell_id="nope")


async def test_a_text_that_is_executed_becomes_code(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    notebook = await bench.interpreter.add_cell(OWNER, kernel_id, type="markdown", source="1 + 1")
    await bench.run("1 + 1", kernel_id, cell_id=notebook["cells"][0]["id"])
    (cell,) = (await bench.interpreter.notebook(OWNER, kernel_id))["cells"]
    assert (cell["type"], cell["source"], cell["execution_count"], len(cell["outputs"])) == ("code", "1 + 1", 1, 1)


async def test_a_stale_edit_gets_the_current_notebook(bench: Bench) -> None:
    kernel_id, interpreter = await bench.kernel(), bench.interpreter
    seen = (await interpreter.add_cell(OWNER, kernel_id, source="a"))["revision"]
    now = await interpreter.add_cell(OWNER, kernel_id, source="b", revision=seen)
    with pytest.raises(StaleRevision) as stale:
        await interpreter.add_cell(OWNER, kernel_id, source="c", revision=seen)
    assert stale.value.current == now


async def test_a_notebook_goes_out_and_comes_in(bench: Bench) -> None:
    kernel_id, interpreter = await bench.kernel(title="A/b: c"), bench.interpreter
    await bench.run("print('hello')", kernel_id)
    exports = {format: await interpreter.export(OWNER, kernel_id, format) for format in ("ipynb", "py", "html", "md")}
    assert [exports[format].filename for format in exports] == ["A-b- c.ipynb", "A-b- c.py", "A-b- c.html", "A-b- c.md"]
    assert all(b"hello" in export.body for export in exports.values())
    other = await bench.kernel()
    taken = await interpreter.import_notebook(OWNER, other, json.loads(exports["ipynb"].body))
    assert [cell["source"] for cell in taken["cells"]] == ["print('hello')"]
    with pytest.raises(InvalidRequest):
        await interpreter.import_notebook(OWNER, other, {"no": "notebook"})


async def test_a_session_that_is_being_deleted_is_not_listed(bench: Bench) -> None:
    """Whoever lists live sessions looks at each of them: one that is not there any more would hide all others."""
    kernel_id, interpreter = await bench.kernel(), bench.interpreter
    await bench.until(await bench.submit("while True: pass", kernel_id), "status")
    deleting = asyncio.create_task(interpreter.delete(OWNER, kernel_id))
    while not deleting.done():
        for view in interpreter.live(OWNER):
            await interpreter.desk(OWNER, view["id"])
        await asyncio.sleep(0)
    await deleting


async def test_others_go_on_while_a_notebook_is_read_in(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends meanwhile in a cell that is saved as running stays."""
    kernel_id, interpreter = await bench.kernel(), bench.interpreter
    begun, gone_on, validate = threading.Event(), threading.Event(), nbformat.validate

    def reading(*given: Any) -> None:
        begun.set()
        assert gone_on.wait(90), "nobody went on meanwhile"
        validate(*given)

    monkeypatch.setattr(nbformat, "validate", reading)
    running = await bench.submit(f"{UNTIL_GO}1 + 1", kernel_id)
    ipynb = json.loads((await interpreter.export(OWNER, kernel_id, "ipynb")).body)
    saving = asyncio.create_task(interpreter.import_notebook(OWNER, kernel_id, ipynb, keep=True))
    assert await asyncio.to_thread(begun.wait, 90)
    await go(bench, kernel_id)
    result = await bench.wait(running)
    gone_on.set()
    assert text(result) == "2"
    assert [cell["outputs"] for cell in (await saving)["cells"]] == [result["outputs"]]


# questions to the kernel


async def test_variables_have_type_shape_size_and_preview(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = """
import json
import numpy as np, pandas as pd
n, words, text = 7, ['a', 'b'], 'x' * 1000
table = pd.DataFrame({'a': [1, 2, 3], 'b': list('xyz')})
array = np.zeros((3, 4))
class Evil:
    def __repr__(self): raise SystemExit
    def __len__(self): raise KeyboardInterrupt
    @property
    def shape(self): raise SystemExit
evil, _hidden = Evil(), 1
"""
    assert (await bench.run(code, kernel_id))["status"] == "ok"
    found = {each["name"]: each for each in await bench.interpreter.variables(OWNER, kernel_id)}
    assert list(found) == sorted(["n", "words", "text", "table", "array", "Evil", "evil"])
    assert found["n"] == {"name": "n", "type": "int", "shape": None, "size": 28, "preview": "7"}
    assert (found["words"]["shape"], found["words"]["preview"]) == ([2], "['a', 'b']")
    assert (found["table"]["type"], found["table"]["shape"], found["table"]["preview"]) == (
        "pandas.DataFrame",
        [3, 2],
        "a, b",
    )
    assert (found["array"]["shape"], found["array"]["size"]) == ([3, 4], 96)
    assert found["evil"]["preview"] == "<Evil>"
    assert len(found["text"]["preview"]) <= 200
    after = await bench.run("print(sorted(set(globals()) - {'a'})[:0], _)", kernel_id)
    assert after["execution_count"] == 2


async def test_a_table_is_seen_page_by_page_in_any_order_and_other_things_as_text(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = """
import pandas as pd
table = pd.DataFrame({'a': [3, 1, 2], 'b': ['x', None, 'z' * 999], 'mixed': [1, 'one', None]}, index=[10, 20, 30])
column = table['a']
words = ['a', 'b']
class Evil:
    def __repr__(self): raise SystemExit
evil = Evil()

"""
    assert (await bench.run(code, kernel_id))["status"] == "ok"

    async def look(name: str, **more: Any) -> Any:
        asked = {"offset": 0, "limit": 50, "sort": None, "descending": False, **more}
        return await bench.interpreter.variable(OWNER, kernel_id, name, **asked)

    whole = await look("table")
    assert (whole["total"], whole["columns_total"], whole["index"]) == (3, 3, ["10", "20", "30"])
    assert [(column["name"], column["numeric"]) for column in whole["columns"]] == [
        ("a", True),
        ("b", False),
        ("mixed", False),
    ]
    assert whole["rows"][1][:2] == ["1", None]
    assert len(whole["rows"][2][1]) == 200
    page = await look("table", offset=1, limit=1, sort=0)
    assert (page["total"], page["index"], page["rows"][0][0]) == (3, ["30"], "2")
    assert (await look("table", sort=2, descending=True))["index"][-1] == "30"
    assert (await look("column", sort=0, descending=True))["rows"] == [["3"], ["2"], ["1"]]
    assert await look("words") == {"kind": "text", "text": "['a', 'b']"}
    assert await look("evil") == {"kind": "text", "text": "<SystemExit>"}
    with pytest.raises(VariableNotFound):
        await look("nothing")


@pytest.mark.parametrize("told", ["", "[]", '{"kind": "table"}', '{"kind": "text", "text": 1}', "not json"])
async def test_what_a_kernel_tells_of_a_variable_is_read_with_suspicion(told: str) -> None:
    with pytest.raises(Unavailable):
        looking.read(told)


@pytest.mark.parametrize("told", ["", "[]", "null ", "[" * 100_000, '"not base64"', '"AAAA"', '"\\ud800"'])
async def test_what_a_kernel_tells_of_a_figure_is_read_with_suspicion(told: str) -> None:
    with pytest.raises(CellblockError) as refused:
        closer.unpacked(told)
    assert isinstance(refused.value, Unavailable | OutputNotFound)


async def test_completion_and_inspection(bench: Bench) -> None:
    kernel_id, interpreter = await bench.kernel(), bench.interpreter
    await bench.run("alphabet = 'abc'", kernel_id)
    assert "alphabet" in (await interpreter.complete(OWNER, kernel_id, "alpha", 5))["matches"]
    assert (await interpreter.inspect(OWNER, kernel_id, "alphabet", 3))["found"]
    busy = await bench.submit(UNTIL_GO, kernel_id)
    assert (await interpreter.complete(OWNER, kernel_id, "alpha", 5))["matches"] == []
    assert not (await interpreter.inspect(OWNER, kernel_id, "alphabet", 3))["found"]
    await go(bench, kernel_id)
    await bench.wait(busy)


async def test_a_peek_leaves_no_trace(bench: Bench) -> None:
    kernel_id, interpreter = await bench.kernel(), bench.interpreter
    await bench.run("x = 5", kernel_id)
    before = await interpreter.notebook(OWNER, kernel_id)
    assert await interpreter.peek(OWNER, kernel_id, "print(x * 2)") == "10\n"
    with pytest.raises(InternalError, match="ZeroDivisionError"):
        await interpreter.peek(OWNER, kernel_id, "1/0")
    assert await interpreter.notebook(OWNER, kernel_id) == before
    assert (await bench.run("x", kernel_id))["execution_count"] == 2


async def test_a_peek_that_hangs_is_interrupted_and_the_kernel_lives(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 5", kernel_id)
    with pytest.raises(Unavailable):
        await bench.interpreter.peek(OWNER, kernel_id, "while True: pass", timeout=0.3)
    result = await bench.run("print(x)", kernel_id)
    assert (text(result), result["notice"]) == ("5\n", None)


async def test_a_peek_that_a_person_interrupts_can_be_tried_again(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 5", kernel_id)
    kernel = next(each for each in bench.interpreter.sessions.live() if each.id == kernel_id).kernel
    assert kernel
    begun = asyncio.Event()
    kernel.connection.tap = lambda message: begun.set() if message.msg_type == "stream" else None
    hanging = "print('begun', flush=True)\nwhile True: pass"
    asked = asyncio.create_task(bench.interpreter.peek(OWNER, kernel_id, hanging))
    await begun.wait()
    await bench.interpreter.interrupt(OWNER, kernel_id)
    with pytest.raises(Unavailable, match="interrupted"):
        await asked
    assert text(await bench.run("print(x)", kernel_id)) == "5\n"


DEAF_FOR_A_WHILE = (
    "sum(range(150_000_000))"  # with Python's lock held and no ear for signals, as what sorts a large column
)


async def test_a_peek_that_hears_its_interrupt_late_keeps_the_kernel(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peeking, "LOOK_SECONDS", 0.2)
    bench = await start(grace=0.1)
    kernel_id = await bench.kernel()
    await bench.run("x = 5", kernel_id)
    with pytest.raises(Unavailable):
        await bench.interpreter.peek(OWNER, kernel_id, DEAF_FOR_A_WHILE, timeout=0.3)
    result = await bench.run("print(x)", kernel_id)
    assert (text(result), result["notice"]) == ("5\n", None)


async def test_a_peek_that_cannot_be_interrupted_costs_the_kernel_and_that_is_told(start: Start) -> None:
    bench = await start(max_timeout=1.0)
    kernel_id = await bench.kernel()
    await bench.run("x = 5", kernel_id)
    deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    with pytest.raises(Unavailable):
        await bench.interpreter.peek(OWNER, kernel_id, deaf, timeout=0.3)
    result = await bench.run("x", kernel_id)
    assert result["status"] == "error"
    assert "did not answer" in (result["notice"] or "")


async def test_a_peek_in_a_kernel_that_stands_still_costs_no_cell_behind_it_the_time_of_a_cell(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peeking, "LOOK_SECONDS", 0.05)
    bench = await start(max_timeout=100_000.0)
    kernel_id = await bench.kernel()
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(10_000)"
    with pytest.raises(Unavailable):
        await bench.interpreter.peek(OWNER, kernel_id, deaf, timeout=0.3)
    assert text(await bench.run("print('behind')", kernel_id)) == "behind\n"


async def test_a_peek_waits_its_turn_but_not_for_ever(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    busy = await bench.submit(f"{UNTIL_GO}y = 1", kernel_id)
    with pytest.raises(Unavailable):
        await bench.interpreter.peek(OWNER, kernel_id, "print(y)", timeout=0.1)
    await go(bench, kernel_id)
    assert await bench.interpreter.peek(OWNER, kernel_id, "print(y)") == "1\n"
    assert (await bench.wait(busy))["status"] == "ok"


# input


async def test_input_is_asked_for_and_answered(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    asking = await bench.submit("name = input('Who? '); print('Hi', name)", kernel_id, allow_stdin=True)
    asked = await bench.until(asking, "input_request")
    assert asked["content"] == {"prompt": "Who? ", "password": False}
    await bench.interpreter.answer(OWNER, asking["id"], "Ada")
    result = await bench.wait(asking)
    assert (result["status"], text(result)) == ("ok", "Hi Ada\n")
    with pytest.raises(NotWaitingForInput):
        await bench.interpreter.answer(OWNER, asking["id"], "again")


# files


async def test_files_come_in_and_go_out(bench: Bench) -> None:
    kernel_id, interpreter = await bench.kernel(), bench.interpreter
    entry, created = await interpreter.write_file(OWNER, kernel_id, "data/in.csv", upload(b"a,b\n", b"1,2\n"))
    assert (entry["size"], created) == (8, True)
    result = await bench.run("open('data/out.csv', 'w').write(open('data/in.csv').read() * 2); 0", kernel_id)
    assert result["files"] == [{"path": "data/out.csv", "size": 16, "change": "created"}]
    assert [each["path"] for each in await interpreter.files(OWNER, kernel_id)] == [
        "data",
        "data/in.csv",
        "data/out.csv",
    ]
    with await interpreter.open_file(OWNER, kernel_id, "data/out.csv") as found:
        assert await found.read(8, 8) == b"a,b\n1,2\n"
    packed = b"".join([piece async for piece in await interpreter.archive(OWNER, kernel_id)])
    assert sorted(zipfile.ZipFile(io.BytesIO(packed)).namelist()) == ["data/in.csv", "data/out.csv"]
    await interpreter.delete_file(OWNER, kernel_id, "data/in.csv")
    result = await bench.run("import os; os.remove('data/out.csv')", kernel_id)
    assert result["files"] == [{"path": "data/out.csv", "size": 0, "change": "deleted"}]
    with pytest.raises(FileNotFound):
        await interpreter.open_file(OWNER, kernel_id, "data/out.csv")


# the life of a kernel


async def test_release_frees_the_process_and_the_next_execution_says_so(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1; open('kept.txt', 'w')", kernel_id)
    view = await bench.interpreter.release(OWNER, kernel_id)
    assert (view["state"], view["memory_bytes"]) == ("released", 0)
    result = await bench.run("import os; print(os.listdir()); x", kernel_id)
    assert (result["status"], text(result), result["execution_count"]) == ("error", "['kept.txt']\n", 1)
    assert "released on request" in (result["notice"] or "")
    assert (await bench.run("1", kernel_id))["notice"] is None


async def test_a_restart_ends_what_runs_and_cancels_what_waits(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    running = await bench.submit("print('on', flush=True)\nwhile True: pass", kernel_id)
    waiting = await bench.submit("print('never')", kernel_id)
    await bench.until(running, "stream")
    await bench.interpreter.restart(OWNER, kernel_id)
    first, second = await bench.wait(running), await bench.wait(waiting)
    assert (first["status"], first["kernel_state"], text(first)) == ("interrupted", "lost", "on\n")
    assert (second["status"], second["outputs"]) == ("cancelled", [])
    after = await bench.run("'x' in globals()", kernel_id)
    assert (text(after), after["execution_count"]) == ("False", 1)
    assert "restarted on request" in (after["notice"] or "")


async def test_a_kernel_that_never_ran_anything_has_nothing_to_lose(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.interpreter.release(OWNER, kernel_id)
    assert (await bench.run("1", kernel_id))["notice"] is None


async def test_sessions_are_listed_newest_first_in_pages(bench: Bench) -> None:
    made = [await bench.kernel(title=str(n)) for n in range(3)]
    first = await bench.interpreter.kernels(OWNER, limit=2)
    assert [view["id"] for view in first["items"]] == made[:0:-1]
    rest = await bench.interpreter.kernels(OWNER, limit=2, after=first["next"])
    assert ([view["id"] for view in rest["items"]], rest["next"]) == (made[:1], None)


async def test_a_title_is_given_by_the_first_request_that_has_one(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("1", kernel_id, title="First")
    await bench.run("1", kernel_id, title="Second")
    assert (await bench.view(kernel_id))["title"] == "First"
    assert (await bench.interpreter.rename(OWNER, kernel_id, "Third"))["title"] == "Third"


async def test_status_tells_the_level_the_pool_and_the_limits(bench: Bench) -> None:
    status = await bench.interpreter.status()
    assert status["ready"] in (True, False)
    assert status["sandbox"]["level"] == bench.interpreter.level
    assert status["pool"]["size"] == 1
    assert status["limits"]["memory_limit"] == 256 << 20
    assert status["environments"][0]["name"] == "python3"
    assert status["store"]["dropped"] == 0
    json.dumps(status)


async def test_an_execution_request_is_a_value() -> None:
    assert ExecuteRequest("1") == ExecuteRequest("1")
