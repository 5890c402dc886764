"""A server that dies or is stopped, and the next one on its data directory: kernels go on, and nothing is left behind."""

import asyncio
import json
import os
import select
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

PATIENCE = 60.0
HERE = Path(__file__).resolve().parent


class Server:
    """A server in a process of its own; see serving.py."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def start(cls, data: Path, **options: Any) -> "Server":
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        patient = {"max_timeout": 100.0, "reattach_timeout": 100.0}  # whatever else this machine has to do
        command = [sys.executable, HERE / "serving.py", str(data), json.dumps(patient | options)]
        made = cls(await asyncio.create_subprocess_exec(*command, **pipes, limit=1 << 24))
        await made._line("ready")
        return made

    async def ask(self, expression: str) -> Any:
        assert self.process.stdin
        self.process.stdin.write(expression.encode() + b"\n")
        return json.loads(await self._line("="))

    async def _line(self, beginning: str) -> str:
        """The rest of the first line that begins so; others are the log."""
        assert self.process.stdout
        seen = []
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stdout.readline()).decode():
                if line.startswith(beginning):
                    return line[len(beginning) :]
                seen.append(line)
        raise AssertionError("the server ended: " + "".join(seen))

    async def crash(self) -> None:
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        await self._end(signal.SIGTERM)

    async def _end(self, number: int) -> None:
        if self.process.returncode is None:
            self.process.send_signal(number)
        assert self.process.stdin
        self.process.stdin.close()
        await asyncio.wait_for(self.process.communicate(), PATIENCE)


Serve = Callable[..., Coroutine[Any, Any, Server]]


@pytest_asyncio.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Starts servers on one data directory; afterwards nothing of them may be left."""
    started: list[Server] = []
    groups: list[dict[str, Any]] = []

    async def start(**options: Any) -> Server:
        server = await Server.start(tmp_path / "data", **options)
        started.append(server)
        groups.append(await server.ask("interpreter.environments.get().launcher.facts['cgroups']"))
        return server

    yield start
    for server in started:
        await server.stop()
    if remains(tmp_path / "data"):  # of a server that was killed, or kept them: one that keeps nothing ends them
        await (await Server.start(tmp_path / "data", reattach_timeout=0.0)).stop()
    assert remains(tmp_path / "data") == []
    assert [each for group in groups for each in left_of(group)] == []


def left_of(groups: dict[str, Any]) -> list[Path]:
    """Cgroups of a fork server's kernels, and its own."""
    return [each for path in groups.get("paths", {}).values() for each in Path(path).glob(f"{groups['token']}-*")]


async def cast_off(server: Server) -> None:
    """Everything is written that will be; then the server dies."""
    await server.ask("await interpreter.store.flush()")
    await server.crash()


def remains(data: Path) -> list[str]:
    """What is left of a data directory's fork servers: processes that hold anything of it, sockets, mounts."""
    processes = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and holds(entry, str(data))]
    sockets = [str(path) for path in data.glob("forkservers/*")]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return processes + sockets + [each for each in mounts if str(data) in each]


def holds(process: Path, data: str) -> bool:
    try:
        targets = [os.readlink(process / "cwd"), *(os.readlink(fd) for fd in (process / "fd").iterdir())]
    except OSError:  # gone meanwhile
        return False
    return any(target.startswith(data) for target in targets)


def workspace(data: Path, kernel: str) -> Path:
    return data / "data" / "kernels" / kernel / "files"


UNTIL_GO = """
import os, time
print("begun", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
print("done")
6 * 7
"""


OPENED = (
    "[each for fd in __import__('os').listdir('/proc/self/fd') "
    "if '/run/' in (each := __import__('os').path.realpath(f'/proc/self/fd/{fd}'))]"
)


async def test_variables_and_ids_live_through_a_crash_of_the_server(serve: Serve) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel(title='Kept')")
    await first.ask(f"await bench.run('x = [1, 2]', {kernel!r})")
    pid = await first.ask(f"bench.pid({kernel!r})")
    await cast_off(first)
    second = await serve()
    after = await second.ask(f"await bench.run('x.append(3); print(x)', {kernel!r})")
    assert (after["status"], after["outputs"][0]["text"]) == ("ok", "[1, 2, 3]\n")
    assert (after["notice"], after["execution_count"]) == (None, 2)
    assert await second.ask(f"bench.pid({kernel!r})") == pid
    assert await second.ask(OPENED) == []  # nothing of the sockets' names is needed once they are connected to
    view = await second.ask(f"await bench.view({kernel!r})")
    assert (view["title"], view["state"], view["execution_count"]) == ("Kept", "idle", 2)
    assert (await second.ask("interpreter.sessions.statistics()"))["idle"] == 1


async def test_what_ran_when_the_server_crashed_is_followed_and_what_waited_waits(serve: Serve, tmp_path: Path) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    running = await first.ask(f"await bench.submit({UNTIL_GO!r}, {kernel!r})")
    waiting = await first.ask(f"await bench.submit('print(_)', {kernel!r})")
    assert await first.ask(f"await printed(bench, {running!r})") == ["begun\n"]
    await cast_off(first)
    second = await serve()
    so_far = await second.ask(f"await interpreter.result(OWNER, {running['id']!r})")
    assert (so_far["status"], so_far["outputs"][0]["text"]) == ("running", "begun\n")
    assert (await second.ask(f"await interpreter.result(OWNER, {waiting['id']!r})"))["status"] == "queued"
    (workspace(tmp_path, kernel) / "go").touch()
    ended = await second.ask(f"await bench.wait({running!r})")
    assert (ended["status"], ended["kernel_state"]) == ("ok", "kept")
    assert [output.get("text") or output["data"]["text/plain"] for output in ended["outputs"]] == [
        "begun\ndone\n",
        "42",
    ]
    assert "restarted while this ran" in ended["notice"]
    assert [each["path"] for each in ended["files"]] == ["go"]
    later = await second.ask(f"await bench.wait({waiting!r})")
    assert (later["status"], later["outputs"][0]["text"], later["notice"]) == ("ok", "42\n", None)
    cells = (await second.ask(f"await interpreter.notebook(OWNER, {kernel!r})"))["cells"]
    assert [cell["status"] for cell in cells] == ["ok", "ok"]
    assert cells[0]["outputs"] == ended["outputs"]


async def test_what_has_waited_and_run_unwritten_is_not_run_again(serve: Serve, tmp_path: Path) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    running = await first.ask(f"await bench.submit({UNTIL_GO!r}, {kernel!r})")
    waiting = await first.ask(f"await bench.submit({ONE_MORE!r}, {kernel!r})")
    assert await first.ask(f"await printed(bench, {running!r})") == ["begun\n"]
    await first.ask("await interpreter.store.flush()")
    await first.ask("interpreter.store._task.cancel()")  # from now on it writes only what somebody waits for
    (workspace(tmp_path, kernel) / "go").touch()
    assert (await first.ask(f"await bench.wait({waiting!r})"))["execution_count"] == 2
    await first.crash()
    second = await serve()
    later = await second.ask(f"await bench.run('print(open(\"ran\").read())', {kernel!r})")
    assert (later["outputs"][0]["text"], later["execution_count"]) == ("once\n", 3)
    unheard = await second.ask(f"await interpreter.result(OWNER, {waiting['id']!r})")
    assert (unheard["status"], unheard["kernel_state"]) == ("interrupted", "kept")


ONE_MORE = "with open('ran', 'a') as file:\n    file.write('once')"


async def test_a_server_that_keeps_kernels_leaves_them_and_the_next_misses_nothing(
    serve: Serve, tmp_path: Path
) -> None:
    first = await serve(keep_kernels=True)
    kernel = await first.ask("await bench.kernel()")
    running = await first.ask(f"await bench.submit({COUNTING!r}, {kernel!r})")
    await first.ask(f"await printed(bench, {running!r}, 20)")
    await first.stop()
    assert remains(tmp_path / "data")
    second = await serve(keep_kernels=False)
    (workspace(tmp_path, kernel) / "go").touch()
    ended = await second.ask(f"await bench.wait({running!r})")
    assert (ended["status"], ended["kernel_state"]) == ("ok", "kept")
    numbers = [int(line) for line in ended["outputs"][0]["text"].split()]
    assert numbers == list(range(len(numbers)))
    assert ended["notice"] == "The server was restarted while this ran."
    events = await second.ask(f"await bench.events({running!r})")
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert "".join(event["content"]["text"] for event in events if event["event"] == "stream").split() == [
        str(number) for number in numbers
    ]
    await second.stop()
    assert remains(tmp_path / "data") == []


COUNTING = """
import os, time
number = 0
while not os.path.exists("go"):
    print(number, flush=True)
    number += 1
    time.sleep(0.0005)
"""


@pytest.mark.slow
async def test_after_a_crash_no_number_stands_for_two_events(serve: Serve, tmp_path: Path) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    running = await first.ask(f"await bench.submit({COUNTING!r}, {kernel!r})")
    await first.ask("await interpreter.store.flush()")
    await first.ask(f"await printed(bench, {running!r}, 20)")
    await first.crash()  # in the middle of a batch: what the readers have seen is more than what is stored
    second = await serve()
    (workspace(tmp_path, kernel) / "go").touch()
    ended = await second.ask(f"await bench.wait({running!r})")
    assert ended["status"] == "ok"
    assert "may be missing" in ended["notice"]
    events = await second.ask(f"await bench.events({running!r}, after=20)")
    assert [event["event"] for event in events[:2]] == ["gap", "snapshot"]
    assert events[-1]["content"] == ended


async def test_without_keeping_a_stop_ends_everything(serve: Serve, tmp_path: Path) -> None:
    server = await serve()
    kernel = await server.ask("await bench.kernel()")
    await server.ask(f"(await bench.submit('while True: pass', {kernel!r}))['id']")
    await server.stop()
    assert remains(tmp_path / "data") == []


async def test_kernels_that_belong_to_nobody_are_ended_with_all_they_had(serve: Serve, tmp_path: Path) -> None:
    first = await serve(pool_size=2)
    kernel = await first.ask("await bench.kernel()")
    shot = await first.ask(f"await bench.submit({UNTIL_GO!r})")
    await first.ask(f"await printed(bench, {shot!r})")
    await first.ask("await interpreter.environments.get().pool.filled()")
    await cast_off(first)
    second = await serve(pool_size=0)
    cut = await second.ask(f"await interpreter.result(OWNER, {shot['id']!r})")
    assert (cut["status"], cut["kernel_state"]) == ("kernel_died", "released")
    template = await second.ask("interpreter.environments.get().launcher.pid")
    assert len(kernels_of(template)) == 1
    homes = set(os.listdir(tmp_path / "data" / "kernels"))
    assert homes == {kernel, await second.ask(f"(await interpreter.store.execution({shot['id']!r}))['home']")}
    descriptors = await second.ask("len(__import__('os').listdir('/proc/self/fd'))")
    await second.ask(f"await bench.run('1', {kernel!r})")
    assert await second.ask("len(__import__('os').listdir('/proc/self/fd'))") <= descriptors


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kernels_of(fork_server: int) -> list[int]:
    """The kernels of a fork server, whose pid is that of its process outside of its PID namespace."""
    [inside] = children(fork_server)
    helpers = children(inside)
    inits = next(each for each in helpers if any(is_first(pid) for pid in children(each)))
    return [pid for each in helpers if each != inits for pid in children(each)]


def is_first(pid: int) -> bool:
    """Whether it is the first of its PID namespace."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[-1] == "1" for line in lines if line.startswith("NSpid:"))


async def test_a_fork_server_that_nobody_comes_for_ends_with_its_kernels(serve: Serve, tmp_path: Path) -> None:
    server = await serve(reattach_timeout=0.5)
    kernel = await server.ask("await bench.kernel()")
    pids = await server.ask(f"[interpreter.environments.get().launcher.pid, bench.pid({kernel!r})]")
    fds = [os.pidfd_open(pid) for pid in pids]
    await server.crash()
    await over(fds)
    assert remains(tmp_path / "data") == []


async def there(path: Path) -> None:
    """A file that code makes."""
    async with asyncio.timeout(PATIENCE):
        while not await asyncio.to_thread(path.exists):
            pass


async def over(pidfds: list[int]) -> None:
    """All these processes have ended."""
    for fd in pidfds:
        ready, _, _ = await asyncio.to_thread(select.select, [fd], [], [], PATIENCE)
        os.close(fd)
        assert ready


@pytest.mark.slow
async def test_a_fork_server_of_another_configuration_is_ended_first(serve: Serve) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    await first.ask(f"await bench.run('x = 1', {kernel!r})")
    fds = [os.pidfd_open(await first.ask("interpreter.environments.get().launcher.pid"))]
    await cast_off(first)
    second = await serve(preload=["json"])
    await over(fds)
    after = await second.ask(f"await bench.run('x', {kernel!r})")
    assert (after["status"], after["error"]["ename"]) == ("error", "NameError")
    assert "server was restarted" in after["notice"]


@pytest.mark.slow
async def test_a_question_that_was_asked_before_the_crash_can_be_answered_after_it(serve: Serve) -> None:
    first = await serve(stdin_timeout=30.0)
    kernel = await first.ask("await bench.kernel()")
    asked = await first.ask(f"await bench.submit('print(input())', {kernel!r}, allow_stdin=True)")
    await first.ask(f"await bench.until({asked!r}, 'input_request')")
    await cast_off(first)
    second = await serve(stdin_timeout=30.0)
    await second.ask(f"await interpreter.answer(OWNER, {asked['id']!r}, 'still here')")
    ended = await second.ask(f"await bench.wait({asked!r})")
    assert (ended["status"], ended["outputs"][0]["text"]) == ("ok", "still here\n")


@pytest.mark.slow
async def test_a_question_that_is_asked_while_there_is_no_server_reaches_the_next(serve: Serve, tmp_path: Path) -> None:
    first = await serve(stdin_timeout=30.0)
    kernel = await first.ask("await bench.kernel()")
    code = UNTIL_GO + "print(input())"
    asked = await first.ask(f"await bench.submit({code!r}, {kernel!r}, allow_stdin=True)")
    await first.ask(f"await printed(bench, {asked!r})")
    await cast_off(first)
    (workspace(tmp_path, kernel) / "go").touch()
    second = await serve(stdin_timeout=30.0)
    await second.ask(f"await bench.until({asked!r}, 'input_request')")
    await second.ask(f"await interpreter.answer(OWNER, {asked['id']!r}, 'late')")
    assert (await second.ask(f"await bench.wait({asked!r})"))["outputs"][0]["text"] == "begun\ndone\nlate\n"


async def test_what_ended_while_there_was_no_server_has_its_whole_result(serve: Serve, tmp_path: Path) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    code = UNTIL_GO + "open('ended', 'w').close(); 1 / 0"
    running = await first.ask(f"await bench.submit({code!r}, {kernel!r})")
    await first.ask(f"await printed(bench, {running!r})")
    await cast_off(first)
    (workspace(tmp_path, kernel) / "go").touch()
    await there(workspace(tmp_path, kernel) / "ended")
    second = await serve()
    ended = await second.ask(f"await bench.wait({running!r})")
    assert (ended["status"], ended["error"]["ename"], ended["kernel_state"]) == ("error", "ZeroDivisionError", "kept")
    assert ended["outputs"][0]["text"] == "begun\ndone\n"


@pytest.mark.slow
async def test_limits_and_interrupts_hold_for_what_is_followed(serve: Serve) -> None:
    first = await serve()
    kernel, other = await first.ask("[await bench.kernel(), await bench.kernel()]")
    forever = "print('on', flush=True)\nwhile True: pass"
    limited = await first.ask(f"await bench.submit({forever!r}, {kernel!r}, timeout=3.0)")
    endless = await first.ask(f"await bench.submit({forever!r}, {other!r})")
    for each in (limited, endless):
        await first.ask(f"await printed(bench, {each!r})")
    await cast_off(first)
    second = await serve()
    await second.ask(f"await interpreter.interrupt_execution(OWNER, {endless['id']!r})")
    ended = await second.ask(f"await bench.wait({endless!r})")
    assert (ended["status"], ended["kernel_state"]) == ("interrupted", "kept")
    ended = await second.ask(f"await bench.wait({limited!r})")
    assert (ended["status"], ended["kernel_state"]) == ("timeout", "kept")
    assert (await second.ask(f"await bench.run('1', {kernel!r})"))["status"] == "ok"


@pytest.mark.slow
async def test_what_was_too_much_to_keep_while_there_was_no_server_is_said_to_be_missing(
    serve: Serve, tmp_path: Path
) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    code = UNTIL_GO + "for _ in range(12): print('x' * (1 << 20), flush=True)\nopen('ended', 'w').close()"
    running = await first.ask(f"await bench.submit({code!r}, {kernel!r})")
    await first.ask(f"await printed(bench, {running!r})")
    await cast_off(first)
    (workspace(tmp_path, kernel) / "go").touch()
    await there(workspace(tmp_path, kernel) / "ended")
    second = await serve()
    ended = await second.ask(f"await bench.wait({running!r})")
    assert (ended["status"], ended["kernel_state"]) == ("ok", "kept")
    assert "more than a kernel keeps" in ended["notice"]
    after = await second.ask(f"await bench.run('1', {kernel!r})")
    assert after["notice"] is None


async def end_unheard(first: Server, data: Path, kernel: str, running: Any) -> None:
    """The server goes, then its kernel, by the code that runs or, where none does, by a signal."""
    pid = await first.ask(f"bench.pid({kernel!r})")
    fds = [os.pidfd_open(pid)]
    await cast_off(first)
    if running:
        (workspace(data, kernel) / "go").touch()
    else:
        os.kill(pid, signal.SIGKILL)
    await over(fds)


@pytest.mark.parametrize("snapshot", [pytest.param("never", marks=pytest.mark.slow), "always"])
async def test_a_kernel_that_ended_while_there_was_no_server_is_told_of_and_comes_back_where_it_can(
    serve: Serve, tmp_path: Path, snapshot: str
) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    await first.ask(f"await bench.run('x = 1', {kernel!r}, snapshot={snapshot!r})")
    code = UNTIL_GO + "os._exit(3)"
    running = await first.ask(f"await bench.submit({code!r}, {kernel!r}, snapshot={snapshot!r})")
    waiting = await first.ask(f"await bench.submit('print(\"x\" in globals())', {kernel!r}, snapshot={snapshot!r})")
    await first.ask(f"await printed(bench, {running!r})")
    await end_unheard(first, tmp_path, kernel, running)
    second = await serve()
    ended = await second.ask(f"await bench.wait({running!r})")
    state = "restored" if snapshot == "always" else "lost"
    assert (ended["status"], ended["kernel_state"], ended["outputs"][0]["text"]) == ("kernel_died", state, "begun\n")
    assert "its process exited with 3" in ended["notice"]
    assert "lost with the kernel" in ended["notice"]
    after = await second.ask(f"await bench.wait({waiting!r})")
    assert (after["status"], after["outputs"][0]["text"]) == ("ok", f"{state == 'restored'}\n")
    assert ("exited with 3" in (after["notice"] or "")) == (state == "lost")


@pytest.mark.slow
@pytest.mark.parametrize("snapshot", ["never", "always"])
async def test_an_idle_kernel_that_ended_while_there_was_no_server_is_told_of(
    serve: Serve, tmp_path: Path, snapshot: str
) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    await first.ask(f"await bench.run('x = 1', {kernel!r}, snapshot={snapshot!r})")
    await first.ask(f"await bench.run('y = 2', {kernel!r}, snapshot={snapshot!r})")
    await end_unheard(first, tmp_path, kernel, None)
    second = await serve()
    after = await second.ask(f'await bench.run(\'print("x" in globals(), "y" in globals())\', {kernel!r})')
    assert (after["status"], after["outputs"][0]["text"]) == ("ok", f"{snapshot == 'always'} False\n")
    assert "its process was killed by signal 9 while no server was there" in after["notice"]


@pytest.mark.slow
async def test_a_kernel_that_ran_out_of_memory_while_there_was_no_server_says_so(serve: Serve, tmp_path: Path) -> None:
    first = await serve(memory_limit=256 << 20)
    kernel = await first.ask("await bench.kernel()")
    await first.ask(f"await bench.run('x = 1', {kernel!r}, snapshot='always')")
    code = UNTIL_GO + "held = []\nwhile True: held.append(bytearray(b'x' * (8 << 20)))"
    running = await first.ask(f"await bench.submit({code!r}, {kernel!r}, snapshot='always')")
    await first.ask(f"await printed(bench, {running!r})")
    await end_unheard(first, tmp_path, kernel, running)
    second = await serve(memory_limit=256 << 20)
    ended = await second.ask(f"await bench.wait({running!r})")
    assert (ended["status"], ended["kernel_state"]) == ("out_of_memory", "restored")
    assert (await second.ask(f"await bench.run('print(x)', {kernel!r})"))["outputs"][0]["text"] == "1\n"


@pytest.mark.slow
async def test_a_kernel_that_does_not_answer_the_next_server_is_ended_and_told_of(serve: Serve) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    await first.ask(f"await bench.run('x = 1', {kernel!r})")
    running = await first.ask(f"await bench.submit({UNTIL_GO!r}, {kernel!r}, timeout=5.0)")
    await first.ask(f"await printed(bench, {running!r})")
    fd = os.pidfd_open(pid := await first.ask(f"bench.pid({kernel!r})"))
    os.kill(pid, signal.SIGSTOP)
    await cast_off(first)
    second = await serve()
    ended = await second.ask(f"await bench.wait({running!r})")
    await over([fd])
    assert (ended["status"], ended["kernel_state"], ended["outputs"][0]["text"]) == ("kernel_died", "lost", "begun\n")
    assert "did not answer when the server was started again" in ended["notice"]
    after = await second.ask(f"await bench.run('x', {kernel!r})")
    assert (after["error"]["ename"], "did not answer" in after["notice"]) == ("NameError", True)


@pytest.mark.slow
async def test_kernels_live_through_one_crash_after_the_other(serve: Serve) -> None:
    server = await serve()
    kernel = await server.ask("await bench.kernel()")
    await server.ask(f"await bench.run('x = 0', {kernel!r})")
    template = await server.ask("interpreter.environments.get().launcher.pid")
    before = None
    for _ in range(3):
        await cast_off(server)
        server = await serve(pool_size=0)
        after = await server.ask(f"await bench.run('x += 1; print(x)', {kernel!r})")
        [inside] = children(template)
        held = len(os.listdir(f"/proc/{inside}/fd"))
        assert before in (None, held)
        before = held
    assert after["outputs"][0]["text"] == "3\n"
    await server.ask(f"await interpreter.restart(OWNER, {kernel!r})")
    assert "on request" in (await server.ask(f"await bench.run('1', {kernel!r})"))["notice"]


@pytest.mark.slow
async def test_an_idle_kernel_that_was_taken_over_is_released_in_its_time(serve: Serve) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    await cast_off(first)
    second = await serve(idle_timeout=0.01)
    async with asyncio.timeout(PATIENCE):
        while (await second.ask(f"await bench.view({kernel!r})"))["state"] != "released":
            await second.ask("await interpreter.housekeeping.tidy()")


@pytest.mark.slow
async def test_a_stop_a_crash_and_a_stop_while_one_cell_runs(serve: Serve, tmp_path: Path) -> None:
    server = await serve(keep_kernels=True)
    kernel = await server.ask("await bench.kernel()")
    running = await server.ask(f"await bench.submit({COUNTING!r}, {kernel!r})")
    await server.ask(f"await printed(bench, {running!r}, 5)")
    for end in (Server.stop, cast_off, Server.stop):
        await end(server)
        server = await serve(keep_kernels=True)
        so_far = await server.ask(f"await interpreter.result(OWNER, {running['id']!r})")
        assert so_far["status"] == "running"
    (workspace(tmp_path, kernel) / "go").touch()
    ended = await server.ask(f"await bench.wait({running!r})")
    assert (ended["status"], ended["kernel_state"]) == ("ok", "kept")
    assert "may be missing" in ended["notice"]
    numbers = [int(line) for line in ended["outputs"][0]["text"].split()]
    assert numbers == sorted(set(numbers))
    await server.ask(f"await interpreter.delete(OWNER, {kernel!r})")


async def test_states_outlive_a_server_but_what_was_undone_does_not(serve: Serve) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    for number in (1, 2, 3):
        await first.ask(f"await bench.run('x = {number}', {kernel!r}, snapshot='always')")
    await first.ask(f"await bench.interpreter.undo('local', {kernel!r})")
    await cast_off(first)
    second = await serve()
    states = await second.ask(f"await bench.interpreter.snapshots('local', {kernel!r})")
    assert [state["undone"] for state in states] == [False, False]
    back = await second.ask(f"await bench.interpreter.undo('local', {kernel!r})")
    assert (len(back["undone"]), "not kept" in back["notice"]) == (1, True)
    after = await second.ask(f"await bench.run('print(x)', {kernel!r})")
    assert (after["status"], after["outputs"][0]["text"]) == ("ok", "1\n")


@pytest.mark.parametrize("end", ["SIGKILL", pytest.param("SIGTERM", marks=pytest.mark.slow)])
async def test_a_server_that_ends_in_the_middle_of_an_undo_loses_no_kernel(serve: Serve, end: str) -> None:
    first = await serve(keep_kernels=True)
    kernel = await first.ask("await bench.kernel()")
    for number in (1, 2, 3):
        await first.ask(f"await bench.run('x = {number}', {kernel!r}, snapshot='always')")
    await first.ask("await interpreter.store.flush()")
    code = f"await half_way_back(bench, {kernel!r}) or os.kill(os.getpid(), {getattr(signal, end):d})"
    assert first.process.stdin
    first.process.stdin.write(code.encode() + b"\n")
    await asyncio.wait_for(first.process.wait(), PATIENCE)
    second = await serve()
    after = await second.ask(f"await bench.run('print(x)', {kernel!r})")
    assert (after["status"], after["kernel_state"], after["outputs"][0]["text"]) == ("ok", "kept", "2\n")


BASH_UNTIL_GO = "x=5; echo begun; while [ ! -e go ]; do sleep 0.01; done; echo done"


@pytest.mark.slow
async def test_a_kernel_of_another_language_goes_on_as_what_it_is(serve: Serve, tmp_path: Path) -> None:
    """Nobody asks it for snapshots, of which it knows nothing, or believes that it has made them."""
    bash = {"command": [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"]}
    first = await serve(**bash)
    kernel = await first.ask("await bench.kernel(environment='foreign')")
    running = await first.ask(f"await bench.submit({BASH_UNTIL_GO!r}, {kernel!r})")
    await first.ask(f"await printed(bench, {running!r})")
    await cast_off(first)
    second = await serve(**bash)
    waiting = await second.ask(f"await bench.submit('echo $x', {kernel!r}, snapshot='always')")
    (workspace(tmp_path, kernel) / "go").touch()
    ended = await second.ask(f"await bench.wait({running!r})")
    assert (ended["status"], ended["outputs"][0]["text"]) == ("ok", "begun\ndone\n")
    assert "output of that moment may be missing" in ended["notice"]
    after = await second.ask(f"await bench.wait({waiting!r})")
    assert (after["notice"], after["outputs"][0]["text"]) == (None, "5\n")
    assert await second.ask(f"await bench.interpreter.snapshots('local', {kernel!r})") == []
    asking = f"__import__('asyncio').gather(interpreter.branch(OWNER, {kernel!r}), return_exceptions=True)"
    assert await second.ask(f"(await {asking})[0].code") == "no_state"


async def test_a_branch_lives_through_a_crash_of_the_server_as_its_original_does(serve: Serve, tmp_path: Path) -> None:
    options = {"snapshot": "always"}
    first = await serve(**options)
    trunk = await first.ask("await bench.kernel()")
    await first.ask(f"await bench.run('x = [1]', {trunk!r})")
    twig = (await first.ask(f"await interpreter.branch(OWNER, {trunk!r})"))["id"]
    await first.ask(f'await bench.run(\'x.append(2); f = open("own", "w")\', {twig!r})')
    await cast_off(first)
    second = await serve(**options)
    for kernel, printed in ((twig, "[1, 2]\n"), (trunk, "[1]\n")):
        after = await second.ask(f"await bench.run('print(x)', {kernel!r})")
        assert (after["status"], after["notice"], after["outputs"][0]["text"]) == ("ok", None, printed)
    await second.ask(f"await interpreter.undo(OWNER, {twig!r})")
    leaf = (await second.ask(f"await interpreter.branch(OWNER, {twig!r})"))["id"]
    await second.ask(f"await interpreter.delete(OWNER, {trunk!r})")
    await cast_off(second)
    third = await serve(**options)
    for kernel in (twig, leaf):
        after = await third.ask(f"await bench.run('import os; print(x, os.listdir())', {kernel!r})")
        assert after["outputs"][0]["text"] == "[1, 2] ['own']\n"
    home = tmp_path / "data" / "kernels" / trunk
    assert home.exists()
    for kernel in (twig, leaf):
        await third.ask(f"await interpreter.delete(OWNER, {kernel!r})")
    await third.ask("await interpreter.sessions.settled()")
    assert not home.exists()


@pytest.mark.slow
async def test_a_branch_whose_kernel_has_not_outlived_the_server_has_its_files(serve: Serve) -> None:
    first = await serve()
    trunk = await first.ask("await bench.kernel()")
    await first.ask(f'await bench.run(\'open("f", "w").write("1")\', {trunk!r})')
    twig = (await first.ask(f"await interpreter.branch(OWNER, {trunk!r})"))["id"]
    await first.ask(f'await bench.run(\'open("own", "w").write("2")\', {twig!r})')
    await first.stop()
    second = await serve()
    listed = await second.ask(f"await interpreter.files(OWNER, {twig!r})")
    assert [each["path"] for each in listed] == ["f", "own"]
    await second.ask(f"await interpreter.delete(OWNER, {trunk!r})")
    after = await second.ask(f"await bench.run('print(open(\"own\").read())', {twig!r})")
    assert after["outputs"][0]["text"] == "2\n"
