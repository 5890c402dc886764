"""Back and forth in a session's states: after deaths and errors, by undo and redo, with its files, at both levels."""

import asyncio
import os
import select
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from conftest import Start
from interpreting import MIB, OWNER, Bench, text
from leveled import LEVELS, interpreter_at

from cellblock.errors import KernelBusy, NoState
from cellblock.execution import Result
from cellblock.host import aside, process
from cellblock.host.workspace import Workspace

pytestmark = pytest.mark.asyncio(loop_scope="session")

SEGFAULT = "import ctypes; ctypes.string_at(0)"
GREEDY = "held = []\nwhile True: held.append(bytearray(20 << 20))"
ENDLESS = "print('on', flush=True)\nwhile True: pass"


@pytest_asyncio.fixture(loop_scope="session", scope="session", params=LEVELS)
async def traveller(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """An interpreter that keeps the state before every cell, at each level."""
    async with interpreter_at(request.param, snapshot="always", grace=20.0) as bench:
        yield bench


@pytest_asyncio.fixture(loop_scope="session")
async def bench(traveller: Bench) -> AsyncIterator[Bench]:
    yield traveller
    await traveller.tidy()


async def said(bench: Bench, kernel_id: str, code: str, **options: Any) -> str:
    result = await bench.run(code, kernel_id, **options)
    assert result["status"] == "ok", result
    return text(result)


async def undo(bench: Bench, kernel_id: str, to: Result | None = None) -> Any:
    return await bench.interpreter.undo(OWNER, kernel_id, to=to and to["id"])


async def marked(bench: Bench, kernel_id: str) -> list[bool]:
    """Of each cell, whether the notebook says that it is undone."""
    cells = (await bench.interpreter.notebook(OWNER, kernel_id))["cells"]
    return [bool(cell["metadata"].get("cellblock", {}).get("undone")) for cell in cells]


# --- after a death or an error ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "why"),
    [
        (SEGFAULT, "kernel_died", "signal 11"),
        (GREEDY, "out_of_memory", "ran out of memory"),
        ("import os; os._exit(3)", "kernel_died", "exited with 3"),
    ],
)
async def test_a_kernel_that_dies_comes_back_as_it_was_before_the_cell(
    bench: Bench, bystander: str, code: str, status: str, why: str
) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 'before'", kernel_id)
    result = await bench.run(f"x = 'after'\n{code}", kernel_id)
    assert (result["status"], result["kernel_state"]) == (status, "restored")
    assert why in (result["notice"] or "")
    assert "before this cell" in (result["notice"] or "")
    after = await bench.run("print(x)", kernel_id)
    assert (text(after), after["notice"]) == ("before\n", None)
    assert after["execution_count"] == (result["execution_count"] or 0) + 1
    assert await marked(bench, kernel_id) == [False, True, False]


async def test_without_a_state_a_kernel_that_dies_is_lost(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id, snapshot="never")
    result = await bench.run(SEGFAULT, kernel_id, snapshot="never")
    assert (result["status"], result["kernel_state"]) == ("kernel_died", "lost")
    assert await bench.interpreter.snapshots(OWNER, kernel_id) == []


async def test_without_a_state_of_its_own_a_cell_that_dies_costs_what_ran_since_the_last_one(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 'first'", kernel_id, snapshot="never")
    second = await bench.run("x = 'second'", kernel_id)
    result = await bench.run(SEGFAULT, kernel_id, snapshot="never")
    assert result["kernel_state"] == "restored"
    assert f"before execution {second['id']}" in (result["notice"] or "")
    assert await said(bench, kernel_id, "print(x)") == "first\n"
    assert await marked(bench, kernel_id) == [False, True, True, False]


async def test_after_an_error_the_kernel_is_as_before_where_that_is_wanted(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1; open('kept.txt', 'w').write('one')", kernel_id)
    failed = "x = 2; open('kept.txt', 'w').write('two'); open('new.txt', 'w').write('new'); 1 / 0"
    result = await bench.run(failed, kernel_id, on_error="rollback")
    assert (result["status"], result["kernel_state"], result["files"]) == ("error", "restored", [])
    assert "has been undone" in (result["notice"] or "")
    assert await said(bench, kernel_id, "import os; print(x, open('kept.txt').read(), os.path.exists('new.txt'))") == (
        "1 one False\n"
    )
    kept = await bench.run("x = 3; 1 / 0", kernel_id)
    assert (kept["kernel_state"], await said(bench, kernel_id, "print(x)")) == ("kept", "3\n")


async def test_an_error_that_cannot_be_undone_says_so(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    wrote = "x = 2; open('new.txt', 'w').write('new'); 1 / 0"
    result = await bench.run(wrote, kernel_id, snapshot="never", on_error="rollback")
    assert (result["status"], result["kernel_state"]) == ("error", "kept")
    assert result["notice"] == "It failed, and could not be undone: the state before it was not kept."
    assert result["files"] == [{"path": "new.txt", "size": 3, "change": "created"}]


async def test_files_that_a_dying_cell_wrote_are_kept(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.run(f"open('written.txt', 'w').write('1')\n{SEGFAULT}", kernel_id)
    assert [each["path"] for each in result["files"]] == ["written.txt"]
    assert await said(bench, kernel_id, "print(open('written.txt').read())") == "1\n"


async def test_a_kernel_that_is_killed_while_nothing_runs_comes_back_in_its_last_state(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    await bench.run("x = 2", kernel_id)
    bench.kill(kernel_id)
    await bench.process(kernel_id).death
    result = await bench.run("print(x)", kernel_id)
    assert (text(result), result["kernel_state"]) == ("1\n", "kept")
    assert "killed by signal 9 while nothing ran" in (result["notice"] or "")
    assert await marked(bench, kernel_id) == [False, True, False]


async def test_what_waits_runs_in_the_state_that_came_back(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    dying = await bench.submit(f"x = 2\n{SEGFAULT}", kernel_id)
    waiting = await bench.submit("print(x)", kernel_id)
    assert (await bench.wait(dying))["kernel_state"] == "restored"
    assert text(await bench.wait(waiting)) == "1\n"


# --- undo and redo ---------------------------------------------------------------------------------------------------


async def test_undo_and_redo_go_through_the_states_with_their_files(bench: Bench, bystander: str) -> None:
    kernel_id = await bench.kernel()
    for number in (1, 2, 3):
        await bench.run(f"x = {number}; open('x.txt', 'w').write(str(x)); open('{number}.txt', 'w').close()", kernel_id)
    back = await undo(bench, kernel_id)
    assert (len(back["undone"]), back["redone"], back["not_restored"]) == (1, [], [])
    assert back["restored"] == ["3.txt", "x.txt"]
    await undo(bench, kernel_id)
    assert await marked(bench, kernel_id) == [False, True, True]
    forth = await bench.interpreter.redo(OWNER, kernel_id)
    assert (len(forth["redone"]), await marked(bench, kernel_id)) == (1, [False, False, True])
    look = "import os; print(x, open('x.txt').read(), sorted(os.listdir()))"
    assert await said(bench, kernel_id, look) == "2 2 ['1.txt', '2.txt', 'x.txt']\n"
    with pytest.raises(NoState):
        await bench.interpreter.redo(OWNER, kernel_id)


async def test_undo_to_an_execution_takes_it_and_all_behind_it_back(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    second = await bench.run("x = 2", kernel_id)
    third = await bench.run("x = 3", kernel_id)
    back = await undo(bench, kernel_id, second)
    assert back["undone"] == [second["id"], third["id"]]
    after = await bench.run("print(x)", kernel_id)
    assert (text(after), after["execution_count"]) == ("1\n", 4)
    with pytest.raises(NoState):
        await undo(bench, kernel_id, third)
    with pytest.raises(NoState):
        await bench.interpreter.redo(OWNER, kernel_id)


async def test_the_same_numbers_are_drawn_again_after_an_undo(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("import random", kernel_id)
    draw = "print(random.random())"
    first = await said(bench, kernel_id, draw)
    await undo(bench, kernel_id)
    assert await said(bench, kernel_id, draw) == first


async def test_a_library_with_openmp_works_in_a_state_that_came_back(start: Start) -> None:
    """Its threads are not there after a fork, and it would wait for them for ever."""
    bench = await start(snapshot="always", memory_limit=1 << 30)
    kernel_id = await bench.kernel()
    code = (
        "import numpy as np\nfrom sklearn.ensemble import HistGradientBoostingClassifier as Model\n"
        "x = np.random.rand(3000, 20); y = (x[:, 0] > 0.5).astype(int)\nprint(Model(max_iter=5).fit(x, y).score(x, y) > 0.9)"
    )
    await bench.run(code, kernel_id)
    await bench.run(code, kernel_id)
    await undo(bench, kernel_id)
    assert await said(bench, kernel_id, code) == "True\n"


async def test_an_open_file_goes_back_with_its_content(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("f = open('log.txt', 'w+'); n = f.write('ab'); f.flush()", kernel_id)
    await bench.run("n = f.write('cd'); f.flush()", kernel_id)
    await undo(bench, kernel_id)
    assert await said(bench, kernel_id, "n = f.write('ef'); f.flush(); print(open('log.txt').read())") == "abef\n"


async def test_permissions_go_back_also_where_nothing_else_has_changed(bench: Bench) -> None:
    modes = "import os; print([oct(os.stat(each).st_mode & 0o777) for each in ('same', 'written')])"
    kernel_id = await bench.kernel()
    await said(bench, kernel_id, "for each in ('same', 'written'): n = open(each, 'w').write('1')")
    new = await said(bench, kernel_id, modes)
    given = await bench.run("os.chmod('same', 0o700); os.chmod('written', 0o600)", kernel_id)
    then = await said(bench, kernel_id, modes)
    await said(
        bench, kernel_id, "os.chmod('same', 0o444); os.chmod('written', 0o640); n = open('written', 'w').write('22')"
    )
    back = await undo(bench, kernel_id)
    changed = ["same", "written"] if new != then else ["written"]  # at level `unprivileged` chmod does nothing
    assert (back["restored"], back["not_restored"]) == (changed, [])
    assert await said(bench, kernel_id, modes) == then
    twig = await bench.interpreter.branch(OWNER, kernel_id)
    bench.kernels.append(twig["id"])
    assert await said(bench, twig["id"], modes) == then
    await undo(bench, kernel_id, given)
    assert await said(bench, kernel_id, modes) == new


async def test_an_init_that_answers_late_costs_no_state(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel_id = await bench.kernel()
    await said(bench, kernel_id, "x = 1")
    await said(bench, kernel_id, "x = 2")
    with monkeypatch.context() as patch:
        patch.setattr(process, "LOOK_SECONDS", 0.0)
        assert len(await bench.interpreter.snapshots(OWNER, kernel_id)) == 2
    await undo(bench, kernel_id)
    assert await said(bench, kernel_id, "print(x)") == "1\n"


async def test_what_is_asked_for_later_is_not_answered_by_what_was_seen_before(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    first = await bench.run("x = 1", kernel_id)
    seen = bench.process(kernel_id)
    os.kill(seen.init, signal.SIGSTOP)
    try:
        earlier = asyncio.create_task(seen.snapshots())
        await asyncio.sleep(0)
        seen.drop([first["id"]])
        later = asyncio.create_task(seen.snapshots())
        await asyncio.sleep(0)
    finally:
        os.kill(seen.init, signal.SIGCONT)
    assert first["id"] in (await earlier or {})
    assert await later == {}


async def test_files_too_large_to_be_kept_are_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside, "cloned", lambda source, target: False)
    kernel_id = await bench.kernel()
    session = await bench.interpreter.sessions.get(OWNER, kernel_id)
    session.travel.aside.limit = MIB
    await bench.run("open('large.bin', 'wb').write(bytes(2 << 20)); open('small.bin', 'wb').write(b'1')", kernel_id)
    await bench.run("open('large.bin', 'wb').write(b'2'); open('small.bin', 'wb').write(b'2')", kernel_id)
    back = await undo(bench, kernel_id)
    assert (back["restored"], back["not_restored"]) == (["small.bin"], ["large.bin"])
    assert "large.bin" in back["notice"]


async def test_what_an_undo_keeps_for_the_way_back_takes_no_room_from_what_it_puts_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aside, "cloned", lambda source, target: False)
    kernel_id = await bench.kernel()
    session = await bench.interpreter.sessions.get(OWNER, kernel_id)
    session.travel.aside.limit = 3 * MIB
    write = "n = open('data.bin', 'wb').write(b'{}' * (2 << 20))"
    await bench.run(write.format(1), kernel_id)
    await bench.run(write.format(2), kernel_id)
    back = await undo(bench, kernel_id)
    assert (back["restored"], back["not_restored"]) == (["data.bin"], [])
    assert await said(bench, kernel_id, "print(open('data.bin').read(1))") == "1\n"


async def test_of_empty_files_no_more_are_kept_than_there_is_room_for(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    session = await bench.interpreter.sessions.get(OWNER, kernel_id)
    session.travel.aside.limit = 20 * aside.LEAST
    await bench.run("for n in range(30): open(f'{n:02}', 'w').close()", kernel_id)
    await bench.run("for n in range(30): n = open(f'{n:02}', 'w').write('x')", kernel_id)
    back = await undo(bench, kernel_id)
    assert (len(back["restored"]), len(back["not_restored"])) == (20, 10)


class Walked(dict[str, Any]):
    """The files of a workspace; `walks`: how often somebody went through them."""

    walks = 0

    def items(self) -> Any:
        self.walks += 1
        return super().items()


async def test_files_for_which_there_is_no_room_are_not_weighed_against_all_others_each(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    for n in range(100):
        (tmp_path / "files" / f"{n:03}").touch()
    workspace = Workspace(tmp_path / "files")
    scan = workspace.scan()
    files = Walked(scan.files)
    kept = aside.Aside(tmp_path / "aside", workspace, limit=10 * aside.LEAST)
    kept.keep("state", replace(scan, files=files))
    assert len(kept.copies) == 10
    assert files.walks < 10


async def test_an_undo_while_code_runs_is_refused(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    running = await bench.submit(ENDLESS, kernel_id)
    await bench.until(running, "stream")
    with pytest.raises(KernelBusy):
        await undo(bench, kernel_id)
    await bench.interpreter.interrupt(OWNER, kernel_id)
    assert (await bench.wait(running))["status"] == "interrupted"
    await undo(bench, kernel_id)
    assert await said(bench, kernel_id, "print(x)") == "1\n"


async def test_two_undos_at_once_are_two_steps_one_after_the_other(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    for number in (1, 2, 3):
        await bench.run(f"x = {number}", kernel_id)
    went = await asyncio.gather(undo(bench, kernel_id), undo(bench, kernel_id))
    assert [len(each["undone"]) for each in went] == [1, 1]
    assert await said(bench, kernel_id, "print(x)") == "1\n"


async def test_there_is_nothing_to_undo_before_anything_ran(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    with pytest.raises(NoState):
        await undo(bench, kernel_id)
    await bench.run("x = 1", kernel_id)
    await bench.interpreter.restart(OWNER, kernel_id)
    with pytest.raises(NoState):
        await undo(bench, kernel_id)


async def test_the_state_before_the_first_cell_can_be_gone_back_to(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    await undo(bench, kernel_id)
    assert await said(bench, kernel_id, "print('x' in globals())") == "False\n"


# --- how many, and how much ------------------------------------------------------------------------------------------


async def test_the_last_five_states_are_kept_and_told(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    ids = [(await bench.run(f"x = {number}", kernel_id))["id"] for number in range(7)]
    states = await bench.interpreter.snapshots(OWNER, kernel_id)
    assert [state["execution_id"] for state in states] == ids[-5:]
    assert all(state["bytes"] > 0 for state in states[:-1])
    assert not any(state["undone"] for state in states)
    await undo(bench, kernel_id)
    states = await bench.interpreter.snapshots(OWNER, kernel_id)
    assert [state["execution_id"] for state in states] == [*ids[2:6], None]
    assert [state["undone"] for state in states] == [False] * 4 + [True]


async def test_a_state_that_makes_way_for_another_ends_after_the_cell(bench: Bench) -> None:
    """To end takes as long as to be forked; a cell does not wait for it."""
    kernel_id = await bench.kernel()
    ids = [(await bench.run(f"x = {number}", kernel_id))["id"] for number in range(5)]
    running = await bench.submit("x = input()", kernel_id, allow_stdin=True)
    await bench.until(running, "input_request")
    assert [*await pids_of(bench, kernel_id)] == [*ids, running["id"]]
    await bench.interpreter.answer(OWNER, running["id"], "6")
    await bench.wait(running)
    assert [*await pids_of(bench, kernel_id)] == [*ids[1:], running["id"]]


async def test_states_that_grow_beyond_their_limit_go_the_oldest_first(start: Start) -> None:
    bench = await start(snapshot="always", snapshot_limit=60 * MIB)
    kernel_id = await bench.kernel()
    for _ in range(4):
        await bench.run("held = bytearray(b'x') * (40 << 20)", kernel_id)
    last = await bench.run("held = None", kernel_id)
    states = await bench.interpreter.snapshots(OWNER, kernel_id)
    assert states[-1]["execution_id"] == last["id"]
    session = await bench.interpreter.sessions.get(OWNER, kernel_id)
    assert len(states) < 5
    assert session.travel.total <= 60 * MIB


async def test_a_cell_has_the_memory_that_older_states_held(bench: Bench) -> None:
    """256 MiB in all: four states of 40 MiB would leave no room for 150."""
    kernel_id = await bench.kernel()
    for _ in range(4):
        await bench.run("held = bytearray(b'x') * (40 << 20)", kernel_id)
    code = "import time\nheld = []\nfor _ in range(15): held.append(bytearray(b'x') * (10 << 20)); time.sleep(0.2)"
    result = await bench.run(code, kernel_id)
    assert (result["status"], result["kernel_state"]) == ("ok", "kept")
    assert len(await bench.interpreter.snapshots(OWNER, kernel_id)) < 5


async def test_near_its_limit_a_kernel_is_not_forked_unasked(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("held = bytearray(b'x') * (140 << 20)", kernel_id)
    unasked = await bench.run("held[0] = 1", kernel_id, snapshot="auto")
    states = await bench.interpreter.snapshots(OWNER, kernel_id)
    assert unasked["id"] not in [state["execution_id"] for state in states]


async def test_with_nearly_all_memory_taken_a_state_still_outlives_its_kernel(bench: Bench) -> None:
    """256 MiB in all, and 210 of them in one array, which the cell writes to."""
    kernel_id = await bench.kernel()
    await bench.run("held = bytearray(b'x') * (210 << 20)", kernel_id, snapshot="never")
    result = await bench.run("held[:] = b'y' * len(held)", kernel_id)
    assert (result["status"], result["kernel_state"]) == ("out_of_memory", "restored")
    assert await said(bench, kernel_id, "print(held[:2], len(held) >> 20)") == "bytearray(b'xx') 210\n"


async def test_when_the_machine_is_short_of_memory_the_last_state_is_kept(start: Start) -> None:
    bench = await start(snapshot="always", patrol_interval=3600.0)
    kernel_id = await bench.kernel()
    ids = [(await bench.run(f"x = {number}", kernel_id))["id"] for number in range(3)]
    sessions = bench.interpreter.sessions
    sessions.config = replace(sessions.config, memory_reserve=1 << 60)
    await sessions.patrol()
    assert [each["execution_id"] for each in await bench.interpreter.snapshots(OWNER, kernel_id)] == ids[-1:]


# --- faults ----------------------------------------------------------------------------------------------------------


async def pids_of(bench: Bench, kernel_id: str) -> dict[str, int]:
    while not all((found := await bench.process(kernel_id).snapshots()).values()):
        pass  # the last one is just being made
    return found


async def test_a_snapshot_that_is_killed_is_no_state_any_more_and_the_kernel_does_not_notice(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    second = await bench.run("x = 2", kernel_id)
    pids = await pids_of(bench, kernel_id)
    fd = os.pidfd_open(pids[second["id"]])
    os.kill(pids[second["id"]], 9)
    await asyncio.to_thread(wait_for, fd)
    with pytest.raises(NoState):
        await undo(bench, kernel_id, second)
    assert await said(bench, kernel_id, "print(x)") == "2\n"


async def test_a_kernel_killed_while_it_is_forked_comes_back_or_says_that_it_is_lost(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    for _ in range(5):
        await bench.run("x = 1", kernel_id, snapshot="never")
        running = await bench.submit("x = 2\nwhile True: pass", kernel_id)
        await bench.until(running, "status")
        bench.kill(kernel_id)
        result = await bench.wait(running)
        assert result["status"] == "kernel_died"
        there = "x = 1" if result["kernel_state"] == "restored" else "no x"
        seen = await said(bench, kernel_id, "print(f'{x = }' if 'x' in globals() else 'no x')", snapshot="never")
        assert seen == there + "\n"


async def test_when_all_snapshots_are_killed_a_death_is_a_loss(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    result = await bench.run(f"import os; os.kill(-1, 9)\n{SEGFAULT}", kernel_id)
    assert (result["status"], result["kernel_state"]) == ("kernel_died", "lost")
    assert await said(bench, kernel_id, "print('x' in globals())") == "False\n"


async def test_the_end_of_its_init_ends_a_kernel_and_its_states(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    process = bench.process(kernel_id)
    os.kill(process.init, 9)
    await process.death
    with pytest.raises(NoState):
        await undo(bench, kernel_id)
    result = await bench.run("print('x' in globals())", kernel_id)
    assert (text(result), "fresh kernel" in (result["notice"] or "")) == ("False\n", True)


async def test_a_release_ends_all_states(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    pids = list((await pids_of(bench, kernel_id)).values())
    fds = [os.pidfd_open(pid) for pid in pids]
    await bench.interpreter.release(OWNER, kernel_id)
    for fd in fds:
        await asyncio.to_thread(wait_for, fd)
    assert await bench.interpreter.snapshots(OWNER, kernel_id) == []
    assert list((bench.interpreter.config.data_dir / "kernels" / kernel_id).glob("kept/*")) == []


def wait_for(fd: int) -> None:
    """Until the process behind a pidfd has ended."""
    select.select([fd], [], [], 30)
    os.close(fd)


# --- unasked ---------------------------------------------------------------------------------------------------------


async def test_before_the_first_cell_a_fresh_kernel_is_state_enough(start: Start) -> None:
    bench = await start(snapshot="auto")
    kernel_id = await bench.kernel()
    first = await bench.run("x = 1; open('x.txt', 'w').close()", kernel_id)
    assert await bench.process(kernel_id).snapshots() == {}
    back = await undo(bench, kernel_id)
    assert (back["undone"], back["restored"]) == ([first["id"]], ["x.txt"])
    after = await bench.run("print('x' in globals())", kernel_id)
    assert (text(after), after["execution_count"], after["notice"]) == ("False\n", 2, None)


async def test_a_first_cell_that_dies_loses_nothing(start: Start) -> None:
    bench = await start(snapshot="auto")
    kernel_id = await bench.kernel()
    result = await bench.run(SEGFAULT, kernel_id)
    assert (result["status"], result["kernel_state"]) == ("kernel_died", "restored")
    after = await bench.run("print(1)", kernel_id)
    assert (text(after), after["execution_count"], after["notice"]) == ("1\n", 2, None)


async def test_a_second_cell_without_a_state_is_a_loss_and_no_fresh_kernel_is_called_a_state(start: Start) -> None:
    bench = await start(snapshot="auto")
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    result = await bench.run(SEGFAULT, kernel_id, snapshot="never")
    assert result["kernel_state"] == "lost"


async def test_a_program_of_many_small_cells_has_a_state_a_second_at_most(start: Start) -> None:
    bench = await start(snapshot="auto", snapshots=16)
    kernel_id = await bench.kernel()
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number in range(8):
        await bench.run(f"x = {number}", kernel_id)
    assert len(await bench.process(kernel_id).snapshots()) <= 1 + (loop.time() - began)


async def test_before_each_cell_of_a_model_there_is_a_state(start: Start) -> None:
    bench = await start(snapshot="auto")
    kernel_id = await bench.kernel()
    ids = [(await bench.run(f"x = {number}", kernel_id, door="chat"))["id"] for number in range(3)]
    states = await bench.interpreter.snapshots(OWNER, kernel_id)
    assert [state["execution_id"] for state in states] == ids


async def test_errors_of_a_model_are_undone_where_that_is_configured(start: Start) -> None:
    bench = await start(snapshot="auto", model_on_error="rollback")
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id, door="chat")
    model = await bench.run("x = 2; 1 / 0", kernel_id, door="chat")
    assert (model["kernel_state"], await said(bench, kernel_id, "print(x)")) == ("restored", "1\n")
    person = await bench.run("x = 3; 1 / 0", kernel_id)
    assert (person["kernel_state"], await said(bench, kernel_id, "print(x)")) == ("kept", "3\n")


@pytest.mark.parametrize("times", [8, pytest.param(60, marks=pytest.mark.slow)])
async def test_an_interrupt_in_the_middle_of_a_snapshot_is_not_lost(bench: Bench, times: int) -> None:
    kernel_id = await bench.kernel()
    for _ in range(times):
        endless = await bench.submit("while True: pass", kernel_id, snapshot="always")
        await bench.until(endless, "status")
        await bench.interpreter.interrupt_execution(OWNER, endless["id"])
        result = await bench.wait(endless)
        assert (result["status"], result["kernel_state"]) == ("interrupted", "kept"), result["outputs"]


async def test_an_undo_whose_caller_goes_away_is_done_all_the_same(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    await bench.run("x = 2", kernel_id)
    asking = asyncio.create_task(undo(bench, kernel_id))
    while (await bench.view(kernel_id))["state"] == "idle":
        await asyncio.sleep(0)
        assert not asking.done()
    asking.cancel()
    assert await said(bench, kernel_id, "print(x)") == "1\n"
    assert await marked(bench, kernel_id) == [False, True, False]


# --- a state that dies on the way ------------------------------------------------------------------------------------

TRAP = """
import os, select, signal
def trap(*arguments, real=signal.setitimer):
    try:
        end = os.pidfd_open({pid})
        os.kill({pid}, 9)
        select.select([end], [], [], 10)
    except ProcessLookupError:
        pass
    return real(*arguments)
signal.setitimer = trap  # a kernel that lies down stops its alarms
"""


async def test_a_state_that_dies_while_the_kernel_makes_way_costs_that_state_alone(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    first = await bench.run("x = 1", kernel_id)
    second = await bench.run("x = 2", kernel_id)
    while not (found := (await bench.process(kernel_id).snapshots())[second["id"]]):
        pass  # it has not said yet where it is
    status = Path(f"/proc/{found}/status").read_text().splitlines()
    pid = next(line.split()[-1] for line in status if line.startswith("NSpid:"))
    await said(bench, kernel_id, TRAP.format(pid=pid), snapshot="never")
    with pytest.raises(NoState, match="ended while the kernel made way"):
        await undo(bench, kernel_id, second)
    assert await marked(bench, kernel_id) == [False, False, False]
    after = await bench.run("print(x)", kernel_id)
    assert (text(after), after["kernel_state"], after["notice"]) == ("2\n", "kept", None)
    assert second["id"] not in await bench.process(kernel_id).snapshots()
    await undo(bench, kernel_id)
    await bench.interpreter.redo(OWNER, kernel_id)
    assert await said(bench, kernel_id, "print(x)") == "2\n"
    await undo(bench, kernel_id, first)
    assert await said(bench, kernel_id, "print('x' in dir())") == "False\n"
