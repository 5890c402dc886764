"""A watch on the disk: what counts as growth, and of whom, when the disk is looked at while something else happens."""

import asyncio
import threading

import pytest
from conftest import Start
from interpreting import MIB, Bench, text

from cellblock.host.session import Session
from cellblock.host.workspace import Scan, Workspace

pytestmark = pytest.mark.asyncio(loop_scope="session")

ROOM = 20 * MIB  # twice as much is too much
FILL = f"for n in range(2): open(f'{{n}}.bin', 'wb').write(bytes({ROOM}))\n"
UNTIL = "import os, time\nwhile not os.path.exists('{}'): time.sleep(0.01)\n"
NAMELESS = f"""
import os, time
held = []
for n in range(2):
    held.append(open(str(n), 'wb'))
    os.unlink(str(n))
    os.posix_fallocate(held[-1].fileno(), 0, {ROOM})
while True: time.sleep(0.01)
"""


class Look:
    """A look at a workspace in a thread, which has seen what there is and then takes until `end`."""

    def __init__(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.found: Scan | None = None
        self._seen, self._end = threading.Event(), threading.Event()
        scan = Workspace.scan

        def looking(looked: Workspace, *, ours: bool = False) -> Scan:
            found = scan(looked, ours=ours)
            in_a_thread = threading.current_thread() is not threading.main_thread()
            if looked is workspace and in_a_thread and self.found is None:
                self.found = found
                self._seen.set()
                self._end.wait(60)
            return found

        monkeypatch.setattr(Workspace, "scan", looking)

    async def begun(self) -> Scan:
        assert await asyncio.to_thread(self._seen.wait, 60)
        assert self.found
        return self.found

    def end(self) -> None:
        self._end.set()


def session_of(bench: Bench, kernel_id: str) -> Session:
    return next(each for each in bench.interpreter.sessions.live() if each.id == kernel_id)


async def test_what_has_no_name_counts_also_when_it_was_there_before_the_first_look(start: Start) -> None:
    bench = await start(watch_interval=1.0)
    kernel_id = await bench.kernel()
    result = await bench.run(NAMELESS, kernel_id, timeout=10.0)
    assert (result["status"], result["limit"]) == ("disk_full", {"name": "disk", "value": 32 * MIB})
    one_shot = await bench.run(NAMELESS, timeout=10.0)
    assert one_shot["status"] == "disk_full"


async def test_a_look_that_ends_after_the_execution_touches_no_other(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_id = await bench.kernel()
    session = session_of(bench, kernel_id)
    full = FILL + UNTIL.format("seen") + "for n in range(2): os.remove(f'{n}.bin')"
    look = Look(session.workspace, monkeypatch)
    running = await bench.submit(full, kernel_id)
    job = bench.interpreter.executions.get("local", running["id"])
    assert job
    while (await look.begun()).bytes <= 32 * MIB:
        before, look = look, Look(session.workspace, monkeypatch)
        before.end()
    (session.workspace.root / "seen").touch()
    assert (await bench.wait(running))["status"] == "ok"
    look.end()
    assert job.run
    await asyncio.gather(*job.run._tasks)
    assert job.run._timers == {}
    assert text(await bench.run("print('on')", kernel_id)) == "on\n"


async def test_what_an_execution_leaves_is_not_what_was_done_after_it(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await start(patrol_interval=3600.0)
    kernel_id = await bench.kernel()
    session = session_of(bench, kernel_id)
    await bench.run("x = 1", kernel_id)
    look = Look(session.workspace, monkeypatch)
    patrol = asyncio.create_task(session.patrol())
    await look.begun()
    assert (await bench.run(FILL, kernel_id))["status"] == "disk_full"
    look.end()
    await patrol
    await session.patrol()
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_a_file_that_loses_its_name_while_the_disk_is_looked_at_counts_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await start(patrol_interval=3600.0)
    kernel_id = await bench.kernel()
    session = session_of(bench, kernel_id)
    await bench.run(f"x = 1; held = open('f', 'wb'); held.write(bytes({ROOM})); held.flush()", kernel_id)
    scan = Workspace.scan

    def losing(workspace: Workspace, *, ours: bool = False) -> Scan:
        found = scan(workspace, ours=ours)
        (workspace.root / "f").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(Workspace, "scan", losing)
    await session.patrol()
    assert session.kernel
    monkeypatch.undo()
    await session.patrol()
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_an_execution_that_is_ended_twice_counts_once(bench: Bench) -> None:
    """As one does that is taken back while its kernel is being started, which then fails."""
    executions = bench.interpreter.executions
    result = await bench.run("x = 1", await bench.kernel())
    job = executions.get("local", result["id"])
    assert job
    before = executions.said, executions._ended_bytes, job.ended
    executions.emit(job, job.execution.end("kernel_died", "lost"))
    assert (executions.said, executions._ended_bytes, job.ended) == before
