"""A server that dies or is stopped, and the next one on its data directory: kernels go on, and nothing is left behind."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

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
        command = [sys.executable, HERE / "serving.py", str(data), json.dumps(options)]
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
    before = mounts()

    async def start(**options: Any) -> Server:
        server = await Server.start(tmp_path / "data", **options)
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop()
    if remains(tmp_path / "data"):  # of a server that was killed, or kept them: one that keeps nothing ends them
        await (await Server.start(tmp_path / "data", reattach_timeout=0.0)).stop()
    assert remains(tmp_path / "data") == []
    assert mounts() == before


def mounts() -> int:
    return len(Path("/proc/self/mountinfo").read_text().splitlines())


def remains(data: Path) -> list[str]:
    """What is left of a data directory's fork servers: processes with what they hold of it, sockets, cgroups."""
    processes = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit() and holds(entry, str(data))]
    sockets = [str(path) for path in data.glob("forkservers/*")]
    return processes + sockets


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


async def test_variables_and_ids_live_through_a_crash_of_the_server(serve: Serve) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel(title='Kept')")
    await first.ask(f"await bench.run('x = [1, 2]', {kernel!r})")
    pid = await first.ask(f"bench.pid({kernel!r})")
    await first.ask("await interpreter.store.flush()")
    await first.crash()
    second = await serve()
    after = await second.ask(f"await bench.run('x.append(3); print(x)', {kernel!r})")
    assert (after["status"], after["outputs"][0]["text"]) == ("ok", "[1, 2, 3]\n")
    assert (after["notice"], after["execution_count"]) == (None, 2)
    assert await second.ask(f"bench.pid({kernel!r})") == pid
    view = await second.ask(f"await bench.view({kernel!r})")
    assert (view["title"], view["state"], view["execution_count"]) == ("Kept", "idle", 2)
    assert (await second.ask("interpreter.sessions.statistics()"))["idle"] == 1


async def test_what_ran_when_the_server_crashed_is_followed_and_what_waited_waits(serve: Serve, tmp_path: Path) -> None:
    first = await serve()
    kernel = await first.ask("await bench.kernel()")
    running = await first.ask(f"await bench.submit({UNTIL_GO!r}, {kernel!r})")
    waiting = await first.ask(f"await bench.submit('print(_)', {kernel!r})")
    assert await first.ask(f"await printed(bench, {running!r})") == ["begun\n"]
    await first.ask("await interpreter.store.flush()")
    await first.crash()
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
