"""What happens to a session while something else of it is on its way: nothing is left behind, and nothing is lost unsaid."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Start
from interpreting import OWNER, Bench, Clock, text
from starlette.websockets import WebSocket

from cellblock.adapters.gateway.channels import Channels
from cellblock.adapters.gateway.formats import Message
from cellblock.adapters.gateway.requests import Client
from cellblock.errors import KernelLimit, KernelNotFound, QueueFull
from cellblock.host import tree
from cellblock.host.config import ExecuteRequest
from cellblock.host.homes import Homes
from cellblock.host.kernels import Kernel
from cellblock.host.running import FRESH
from cellblock.host.session import Session

pytestmark = pytest.mark.asyncio(loop_scope="session")

LARGE = "#" * (20 << 10) + "\n"  # judged in a thread
BREAK_OFF = """
import os, socket, stat, threading, time
def break_off():
    while not os.path.exists('now'): time.sleep(0.01)
    for fd in filter(is_socket, range(3, 100)):
        try:
            os.write(fd, b'no ZeroMQ')
        except OSError:
            pass
def is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False
threading.Thread(target=break_off, daemon=True).start()
"""


def session_of(bench: Bench, kernel_id: str) -> Session:
    return next(each for each in bench.interpreter.sessions.live() if each.id == kernel_id)


async def at_rest(session: Session) -> None:
    """Nothing of it is on its way."""
    while session._starting:
        await asyncio.gather(session._starting, return_exceptions=True)


async def test_a_kernel_that_is_released_while_code_runs_stays_released_for_a_client_that_listens(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    session = session_of(bench, kernel_id)
    session.tape.enter("client")
    running = await bench.submit("import time; print('on'); time.sleep(60)", kernel_id)
    await bench.until(running, "stream")
    view = await bench.interpreter.release(OWNER, kernel_id)
    await at_rest(session)
    assert (view["state"], session.state, (await bench.wait(running))["status"]) == (
        "released",
        "released",
        "interrupted",
    )


async def test_a_session_that_is_deleted_while_code_runs_leaves_no_kernel_to_a_client_that_listens(
    bench: Bench,
) -> None:
    kernel_id = await bench.kernel()
    session = session_of(bench, kernel_id)
    session.tape.enter("client")
    running = await bench.submit("import time; print('on'); time.sleep(60)", kernel_id)
    await bench.until(running, "stream")
    await bench.interpreter.delete(OWNER, kernel_id)
    await at_rest(session)
    assert session.kernel is None
    assert not bench.interpreter.environments.homes.path(kernel_id).exists()


async def test_a_session_that_is_deleted_while_it_is_restarted_leaves_no_kernel(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    session = session_of(bench, kernel_id)
    await bench.run("x = 1", kernel_id)
    await asyncio.gather(
        bench.interpreter.restart(OWNER, kernel_id),
        bench.interpreter.delete(OWNER, kernel_id),
        return_exceptions=True,
    )
    await at_rest(session)
    assert session.kernel is None
    assert not bench.interpreter.environments.homes.path(kernel_id).exists()


async def test_a_kernel_that_is_starting_goes_on_when_who_asked_for_its_end_goes_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_id = await bench.kernel()
    session, begun, go = session_of(bench, kernel_id), asyncio.Event(), asyncio.Event()
    await bench.interpreter.release(OWNER, kernel_id)
    fresh = session._fresh

    async def held() -> Kernel:
        begun.set()
        await go.wait()
        return await fresh()

    monkeypatch.setattr(session, "_fresh", held)
    waiting = await bench.submit("x = 1", kernel_id)
    await begun.wait()
    starting = session._starting
    assert starting
    restarted = asyncio.create_task(bench.interpreter.restart(OWNER, kernel_id))
    assert (await bench.wait(waiting))["status"] == "cancelled"
    restarted.cancel()
    await asyncio.wait([restarted])
    go.set()
    await asyncio.wait([starting])
    assert not starting.cancelled()
    assert text(await bench.run("print(2)", kernel_id)) == "2\n"


async def test_a_jupyter_client_that_leaves_when_it_has_asked_for_a_restart_gets_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_id = await bench.kernel()
    session, ending, ended = session_of(bench, kernel_id), asyncio.Event(), asyncio.Event()
    await bench.run("x = 1", kernel_id)
    restart = session.restart

    async def watched() -> None:
        ending.set()
        try:
            await restart()
        finally:
            ended.set()

    monkeypatch.setattr(session, "restart", watched)
    client = Client(bench.interpreter, OWNER, kernel_id, "client", session.tape)
    header = {"msg_id": "1", "msg_type": "shutdown_request", "session": "client"}
    asking = asyncio.create_task(client.handle(Message("control", header, {}, {}, {"restart": True}, ())))
    await ending.wait()
    asking.cancel()
    await ended.wait()
    await at_rest(session)
    assert session.state == "idle"
    assert text(await bench.run("print('x' in globals())", kernel_id)) == "False\n"


async def test_a_jupyter_client_that_is_gone_when_it_is_told_something_is_no_failure(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    accepted, tried = asyncio.Event(), asyncio.Event()
    said: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said.put_nowait({"type": "websocket.connect"})

    async def send(message: Any) -> None:
        accepted.set()
        if message["type"] == "websocket.send":
            tried.set()
            raise OSError("it is gone")

    scope = {
        "type": "websocket",
        "path_params": {"id": kernel_id},
        "subprotocols": [],
        "query_string": b"",
        "headers": [],
    }
    socket = WebSocket({**scope, "state": {"owner": OWNER}}, said.get, send)
    served = asyncio.create_task(Channels(bench.interpreter, asyncio.Event()).serve(socket))
    await accepted.wait()
    await bench.run("print(1)", kernel_id)
    await tried.wait()
    await served  # raises nothing, and says nothing more to nobody


async def test_code_that_is_judged_while_its_session_is_deleted_does_not_run(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    session = session_of(bench, kernel_id)
    submitted = asyncio.create_task(session.submit(ExecuteRequest(LARGE + "x = 1", kernel_id)))
    await asyncio.sleep(0)
    deleted = asyncio.create_task(bench.interpreter.delete(OWNER, kernel_id))
    with pytest.raises(KernelNotFound):
        await submitted
    await deleted
    await at_rest(session)
    assert session.kernel is None
    rows = await bench.interpreter.store.unfinished()
    assert [row for row in rows if row["session_id"] == kernel_id] == []


async def test_code_that_is_judged_when_who_asked_goes_away_is_taken_back(bench: Bench) -> None:
    executions = bench.interpreter.executions
    kernel_id = await bench.kernel()
    submitted = asyncio.create_task(bench.submit(LARGE + "x = 1", kernel_id))
    await asyncio.sleep(0)
    assert executions.unfinished() == 1
    submitted.cancel()
    await asyncio.wait([submitted])
    assert executions.unfinished() == 0
    rows = await bench.interpreter.store.unfinished()
    assert [row for row in rows if row["session_id"] == kernel_id] == []


async def test_code_that_is_being_judged_counts_for_the_queue(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    running = await bench.submit("print('on', flush=True)\nwhile True: pass", kernel_id)
    await bench.until(running, "stream")
    asked = (bench.submit(LARGE, kernel_id) for _ in range(8))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(each, QueueFull) for each in answers].count(True) == 4
    await bench.interpreter.restart(OWNER, kernel_id)


async def test_code_that_is_being_judged_counts_for_the_limit_of_kernels(start: Start) -> None:
    bench = await start(kernels_per_owner=1)
    kernels = []
    for _ in range(2):
        kernels.append(await bench.kernel())
        await bench.interpreter.release(OWNER, kernels[-1])
    answers = await asyncio.gather(*(bench.run(LARGE, each) for each in kernels), return_exceptions=True)
    assert [isinstance(each, KernelLimit) for each in answers].count(True) == 1


async def test_a_kernel_that_breaks_the_protocol_while_nothing_runs_is_a_loss_that_is_told(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1" + BREAK_OFF, kernel_id)
    await broken_off(bench, kernel_id)
    result = await bench.run("print('x' in globals())", kernel_id)
    assert (result["status"], text(result)) == ("ok", "False\n")
    assert result["notice"] == FRESH.format(why="it closed its channels")


async def test_a_kernel_that_breaks_the_protocol_while_nothing_runs_comes_back_from_a_state(start: Start) -> None:
    bench = await start(snapshot="always")
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    await bench.run(BREAK_OFF, kernel_id)
    await broken_off(bench, kernel_id)
    result = await bench.run("print(x)", kernel_id)
    assert (result["status"], text(result)) == ("ok", "1\n")
    assert "Since the last execution it closed its channels." in (result["notice"] or "")


async def broken_off(bench: Bench, kernel_id: str) -> None:
    """Code has put an end to the connection, and its process lives."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b""

    kernel = session_of(bench, kernel_id).kernel
    assert kernel
    await bench.interpreter.write_file(OWNER, kernel_id, "now", chunks())
    async with asyncio.timeout(90):
        await kernel.connection._transport.closed
    assert not kernel.process.death.done()


async def test_a_change_to_a_session_that_is_being_put_away_is_kept(start: Start) -> None:
    clock = Clock()
    bench = await start(clock=clock)
    sessions, store = bench.interpreter.sessions, bench.interpreter.store
    kernel_id = await bench.kernel(title="before")
    await bench.interpreter.release(OWNER, kernel_id)
    session = session_of(bench, kernel_id)
    clock.now += 2 * bench.interpreter.config.idle_timeout
    async with store._writing:
        tidied = asyncio.create_task(sessions.release_idle())
        await asyncio.sleep(0)
        session.rename("after")
    await tidied
    assert (await bench.view(kernel_id))["title"] == "after"


async def test_code_for_a_session_that_is_put_away_while_it_waits_runs_in_the_one_that_is_found(start: Start) -> None:
    clock = Clock()
    bench = await start(clock=clock)
    engine = bench.interpreter.environments.get()
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    await bench.interpreter.release(OWNER, kernel_id)
    engine._settled.clear()  # as while a fork server is started again
    submitted = asyncio.create_task(bench.submit("x = 2", kernel_id))
    await asyncio.sleep(0)
    clock.now += 2 * bench.interpreter.config.idle_timeout
    await bench.interpreter.sessions.release_idle()
    assert kernel_id not in [each.id for each in bench.interpreter.sessions.live()]
    engine._settled.set()
    await bench.wait(await submitted)
    assert (await bench.view(kernel_id))["state"] == "idle"
    assert text(await bench.run("print(x)", kernel_id)) == "2\n"


async def test_what_a_kernel_has_left_is_removed_beside_the_event_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code may have filled the directory of its sockets: to empty it takes seconds."""
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    removing, real = list[threading.Thread](), tree.remove_tree
    monkeypatch.setattr(tree, "remove_tree", lambda *where: (removing.append(threading.current_thread()), real(*where)))
    await bench.interpreter.restart(OWNER, kernel_id)
    await bench.run("x = 1", kernel_id)
    assert removing
    assert threading.main_thread() not in removing


async def test_what_was_kept_of_files_is_removed_beside_the_event_loop(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await start(snapshot="always", pool_size=0)
    kernel_id = await bench.kernel()
    await bench.run("for n in range(20): open(f'{n}', 'w').close()", kernel_id)
    await bench.run("x = 1", kernel_id)
    session = session_of(bench, kernel_id)
    kept = session.travel.aside.place
    before = set(kept.parent.parent.iterdir())
    assert len(list(kept.iterdir())) == 20
    removed, unlink = list[Path](), Path.unlink

    def unlinking(path: Path, missing_ok: bool = False) -> None:
        if threading.current_thread() is threading.main_thread():
            removed.append(path)
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", unlinking)
    await bench.interpreter.release(OWNER, kernel_id)
    assert [path for path in removed if path.parent == kept] == []
    assert not kept.exists()
    await bench.interpreter.delete(OWNER, kernel_id)
    async with asyncio.timeout(90):
        while set(kept.parent.parent.iterdir()) - before:
            await asyncio.to_thread(lambda: None)


class Busy(Counter[int]):
    """Somebody else takes an id whenever it is gone through."""

    def items(self) -> Any:
        for each in super().items():
            yield each
            self[max(self) + 1] = 1


async def test_an_id_is_given_back_while_others_are_taken(tmp_path: Path) -> None:
    homes = Homes(tmp_path, ())
    homes.directory.mkdir()
    homes._taken = Busy({200_001: 1, 200_002: 1})
    homes.remove("gone", 200_001)
    assert homes._taken[200_001] == 0
    assert homes._taken[200_002] == 1


async def test_a_home_that_is_removed_while_an_environment_starts_stops_nothing(tmp_path: Path) -> None:
    homes = Homes(tmp_path, ())
    homes.directory.mkdir()
    (homes.directory / "gone").symlink_to("nowhere")  # as one that was listed, and is not there any more
    homes.let_in("full")
