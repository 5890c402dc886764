"""What happens when something under the server breaks: see "Faults" in docs/design.md. Each test breaks it for real."""

import asyncio
import os
import resource
import signal
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import Start
from interpreting import MIB, OWNER, Bench, Clock, text

from cellblock.errors import (
    CellblockError,
    ConfigurationError,
    HostExhausted,
    KernelStartFailed,
    StoreUnavailable,
)
from cellblock.host import environments, memory
from cellblock.host import store as module
from cellblock.host.store import FILE, Store

pytestmark = pytest.mark.asyncio(loop_scope="session")

ENDLESS = "print('on', flush=True)\nwhile True: pass"


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def begun(bench: Bench, kernel_id: str) -> str:
    """The id of an execution that runs and has been heard of."""
    running = await bench.submit(ENDLESS, kernel_id)
    await bench.until(running, "stream")
    return running["id"]


# --- processes -------------------------------------------------------------------------------------------------------


async def test_a_fork_server_that_is_killed_takes_its_kernels_and_loses_nothing_that_waits(start: Start) -> None:
    bench = await start(pool_size=0)
    engine = bench.interpreter.environments.get()
    busy, idle = await bench.kernel(), await bench.kernel()
    await asyncio.gather(*(bench.run("x = 1; open('kept.txt', 'w').write('kept')", each) for each in (busy, idle)))
    running = await begun(bench, busy)
    waiting = await bench.submit("print('x' in globals(), open('kept.txt').read())", busy)
    assert engine.launcher
    os.kill(engine.launcher.pid, signal.SIGKILL)
    ended = await bench.interpreter.wait(OWNER, running)
    assert (ended["status"], ended["kernel_state"], text(ended)) == ("kernel_died", "lost", "on\n")
    after = await bench.wait(waiting)
    if after["status"] == "ok":
        assert text(after) == "False kept\n"
    else:  # its turn came before the next fork server: it says so
        assert (after["status"], after["error"] and after["error"]["ename"]) == ("kernel_died", "KernelStartFailed")
    for each in (busy, idle):
        result = await bench.run("print('x' in globals(), open('kept.txt').read())", each)
        assert (result["status"], text(result)) == ("ok", "False kept\n")
    assert engine.restarts == 1


async def test_while_a_fork_server_is_gone_notebooks_and_files_are_there(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "AGAIN", (60.0,))
    bench = await start(pool_size=0)
    engine = bench.interpreter.environments.get()
    kernel = await bench.kernel()
    await bench.run("1", kernel)
    assert engine.launcher
    os.kill(engine.launcher.pid, signal.SIGKILL)
    async with asyncio.timeout(20):
        await asyncio.shield(engine.launcher.closed)
    await bench.interpreter.add_cell(OWNER, kernel, source="still here")
    assert len((await bench.interpreter.notebook(OWNER, kernel))["cells"]) == 2
    await bench.interpreter.write_file(OWNER, kernel, "a.txt", once(b"a"))


async def test_an_init_that_is_killed_ends_its_own_kernel_only(bench: Bench, bystander: str) -> None:
    kernel = await bench.kernel()
    await bench.run("x = 1", kernel)
    running = await begun(bench, kernel)
    os.kill(bench.process(kernel).init, signal.SIGKILL)
    ended = await bench.interpreter.wait(OWNER, running)
    assert (ended["status"], ended["kernel_state"], ended["limit"]) == ("kernel_died", "lost", None)
    after = await bench.run("print('x' in globals())", kernel)
    assert (after["status"], text(after)) == ("ok", "False\n")
    assert "killed by signal 9" in (after["notice"] or "")


# --- the disk --------------------------------------------------------------------------------------------------------


@dataclass
class Disk:
    """A small disk of its own."""

    path: Path

    def fill(self) -> None:
        with (self.path / "filler").open("ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        filler.write(b"x" * size)
                except OSError:
                    continue

    def free(self) -> None:
        (self.path / "filler").unlink()

    def allow_files(self, more: int) -> None:
        """So many more than there are."""
        found = os.statvfs(self.path)
        most = found.f_files - found.f_ffree + more
        subprocess.run(["mount", "-o", f"remount,size=16m,nr_inodes={most}", str(self.path)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("a small disk can be mounted by root only")
    path = tmp_path / "data"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m,mode=700", "small", str(path)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this root may not mount")
    yield Disk(path)
    subprocess.run(["umount", "--lazy", str(path)], check=True)


async def test_a_full_disk_is_told_to_whoever_needs_it_and_nothing_that_ran_is_lost(disk: Disk, start: Start) -> None:
    bench = await start(pool_size=0)
    kernel = await bench.kernel()
    await bench.run("x = 1", kernel)
    disk.fill()
    ran = await bench.run("x += 1; print(x)", kernel)
    assert (ran["status"], ran["kernel_state"], text(ran)) == ("ok", "kept", "2\n")
    wrote = await bench.run("open('a.txt', 'wb', buffering=0).write(bytes(10_000))", kernel)
    assert wrote["error"]
    assert (wrote["status"], wrote["error"]["ename"]) == ("error", "OSError")
    large = await bench.run("print('x' * 200_000)", kernel)
    assert (large["status"], large["truncated"], large["spill"]) == ("ok", True, None)
    with pytest.raises(HostExhausted, match="No space left"):
        await bench.interpreter.write_file(OWNER, kernel, "b.txt", once(b"x" * MIB))
    with pytest.raises(StoreUnavailable) as refused:
        await bench.interpreter.kernels(OWNER)
    assert "full" in refused.value.message
    assert refused.value.hint
    assert refused.value.retry_after
    assert (await bench.interpreter.status())["store"]["error"]
    assert (await bench.interpreter.result(OWNER, ran["id"]))["status"] == "ok"
    assert text(await bench.run("print(x)", kernel)) == "2\n"
    disk.free()
    assert [each["id"] for each in (await bench.interpreter.kernels(OWNER))["items"]] == [kernel]
    store = (await bench.interpreter.status())["store"]
    assert (store["waiting"], store["error"], store["dropped"]) == (0, None, 0)
    await bench.interpreter.aclose()
    again = await start(pool_size=0)
    assert text(await again.interpreter.result(OWNER, ran["id"])) == "2\n"
    cells = (await again.interpreter.notebook(OWNER, kernel))["cells"]
    assert [cell["status"] for cell in cells] == ["ok", "ok", "error", "ok", "ok"]


async def test_a_disk_without_room_for_a_kernel_leaves_no_half_of_one(disk: Disk, start: Start) -> None:
    bench = await start(pool_size=0)
    before = sorted(os.listdir(disk.path / "kernels"))
    disk.allow_files(0)
    with pytest.raises(HostExhausted) as refused:
        await bench.kernel()
    assert "No space left" in refused.value.message
    with pytest.raises(HostExhausted):
        await bench.run("1")
    assert sorted(os.listdir(disk.path / "kernels")) == before
    disk.allow_files(1000)
    assert text(await bench.run("print('room')", await bench.kernel())) == "room\n"
    assert len((await bench.interpreter.kernels(OWNER))["items"]) == 1


async def test_a_database_that_may_not_grow_keeps_what_it_was_told(tmp_path: Path) -> None:
    """What a quota does, where no small disk can be mounted."""
    store = await Store.open(tmp_path)
    await store.save_conversation(OWNER, "a", messages=b"[]", title="before", running=False, at=1.0)
    await store.flush()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = max(path.stat().st_size for path in tmp_path.iterdir())
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 4096, hard))
    try:
        await store.save_conversation(OWNER, "b", messages=b"x" * MIB, title="during", running=False, at=2.0)
        with pytest.raises(StoreUnavailable):
            await store.conversations(OWNER, limit=9, after=None)
        assert store.status()["waiting"] == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    found = await store.conversations(OWNER, limit=9, after=None)
    assert [each["title"] for each in found["items"]] == ["during", "before"]
    await store.aclose()


# --- descriptors -----------------------------------------------------------------------------------------------------


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """The server may open nothing more; what is open stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_without_descriptors_live_sessions_go_on_and_new_ones_are_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "FRESH", 0.0)  # what was measured before does not count
    bench = await start(pool_size=0)
    kernel = await bench.kernel()
    await bench.run("x = 1", kernel)
    with no_descriptors_left():
        ran = await bench.run("x += 1; print(x)", kernel)
        assert (ran["status"], ran["kernel_state"], text(ran)) == ("ok", "kept", "2\n")
        assert "Too many open files" in (ran["notice"] or "")  # the files it changed are not known
        for attempt in (
            bench.kernel(),
            bench.run("1"),
            bench.interpreter.files(OWNER, kernel),
            bench.interpreter.write_file(OWNER, kernel, "a.txt", once(b"a")),
        ):
            with pytest.raises(CellblockError) as refused:
                await attempt
            assert isinstance(refused.value, HostExhausted | KernelStartFailed)
            assert refused.value.hint
    assert text(await bench.run("x += 1; print(x)", kernel)) == "3\n"
    await bench.interpreter.write_file(OWNER, kernel, "a.txt", once(b"a"))
    assert text(await bench.run("print('room')", await bench.kernel())) == "room\n"
    assert len((await bench.interpreter.kernels(OWNER))["items"]) == 2


async def test_a_kernel_that_no_descriptor_was_left_for_lives_nowhere(start: Start) -> None:
    engine = (await start(pool_size=0)).interpreter.environments.get()
    assert isinstance(engine, environments.Engine)
    launcher, uid = engine.launcher, engine.homes.new_uid()
    assert launcher
    engine.homes.make("new", uid)
    home = engine.homes.path("new")
    with no_descriptors_left(), pytest.raises(KernelStartFailed):
        await launcher.launch(id="new", home=home, uid=uid, policy=engine._policy(launcher))
    await asyncio.sleep(0)
    assert launcher.lives_in(home) is None


# --- the store -------------------------------------------------------------------------------------------------------


async def test_a_locked_store_stops_no_execution_and_is_told_to_who_reads_it(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.2)
    bench = await start(pool_size=0)
    kernel = await bench.kernel()
    await bench.run("x = 1", kernel)
    with closing(sqlite3.connect(tmp_path / "data" / FILE, isolation_level=None)) as thief:
        thief.execute("BEGIN EXCLUSIVE")
        ran = await bench.run("x += 1; print(x)", kernel)
        assert (ran["status"], text(ran)) == ("ok", "2\n")
        with pytest.raises(StoreUnavailable, match="locked"):
            await bench.interpreter.kernels(OWNER)
        assert (await bench.interpreter.notebook(OWNER, kernel))["cells"][1]["status"] == "ok"
        with pytest.raises(StoreUnavailable):  # whether it was asked before cannot be known
            await bench.submit("x += 1", kernel, idempotency_key="once")
        thief.execute("ROLLBACK")
    assert text(await bench.run("print(x)", kernel)) == "2\n"
    assert len((await bench.interpreter.kernels(OWNER))["items"]) == 1
    await bench.interpreter.aclose()
    again = await start(pool_size=0)
    assert text(await again.interpreter.result(OWNER, ran["id"])) == "2\n"


async def test_a_store_that_another_program_keeps_is_no_reason_to_begin_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Store.open(tmp_path)
    await store.save_conversation(OWNER, "a", messages=b"[]", title="kept", running=False, at=1.0)
    await store.aclose()
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as thief:
        thief.execute("PRAGMA locking_mode=EXCLUSIVE")
        thief.execute("PRAGMA journal_mode=DELETE")
        thief.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite3, "connect", _impatient(sqlite3.connect))
        with pytest.raises(StoreUnavailable, match="locked"):
            await Store.open(tmp_path)
        thief.execute("ROLLBACK")
    monkeypatch.undo()
    again = await Store.open(tmp_path)
    assert [each["title"] for each in (await again.conversations(OWNER, limit=9, after=None))["items"]] == ["kept"]
    await again.aclose()


def _impatient(connect):  # type: ignore[no-untyped-def]
    return lambda *args, **more: connect(*args, **{**more, "timeout": 0.1})


async def test_a_store_that_is_no_database_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"not a database, but long enough to be looked at as one" * 100)
    with pytest.raises(ConfigurationError, match="no database") as refused:
        await Store.open(tmp_path)
    assert "Move it away" in refused.value.hint
    assert (tmp_path / FILE).read_bytes().startswith(b"not a database")


async def test_a_store_that_breaks_while_it_is_used_drops_nothing_that_can_still_be_written(
    start: Start, tmp_path: Path
) -> None:
    bench = await start(pool_size=0)
    kernel = await bench.kernel()
    await bench.run("x = 1", kernel)
    await bench.interpreter.store.flush()
    path = tmp_path / "data" / FILE
    with closing(sqlite3.connect(path)) as checkpoint:
        checkpoint.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.write(b"\xff" * len(whole))
    ran = await bench.run("x += 1; print(x)", kernel)
    assert (ran["status"], text(ran)) == ("ok", "2\n")
    with pytest.raises(StoreUnavailable, match=r"malformed|not a database|disk I/O"):
        await bench.interpreter.kernels(OWNER)
    status = bench.interpreter.store.status()
    assert status["waiting"] > 0
    assert status["dropped"] == 0
    await bench.interpreter.aclose()
    with pytest.raises(ConfigurationError, match=r"no database") as refused:
        await start()
    assert "backup" in refused.value.hint


# --- the clock -------------------------------------------------------------------------------------------------------


async def test_a_clock_set_back_ends_nothing_early_and_nothing_never(start: Start) -> None:
    clock = Clock()
    bench = await start(clock=clock, idle_timeout=100.0, housekeeping_interval=0.05, pool_size=0)
    kernel = await bench.kernel()
    await bench.run("x = 1", kernel)
    running = await bench.submit(ENDLESS, kernel, timeout=2.0)
    await bench.until(running, "stream")
    clock.now -= 10 * 86400
    ended = await bench.wait(running)  # by the machine's own clock, which cannot be set
    assert (ended["status"], ended["kernel_state"]) == ("timeout", "kept")
    assert all(value >= 0 for value in ended["timing"].values())
    await bench.interpreter.housekeeping.tidy()
    assert (await bench.view(kernel))["state"] == "idle"
    assert text(await bench.run("print(x)", kernel)) == "1\n"
    clock.now += 200
    await bench.interpreter.housekeeping.tidy()
    assert (await bench.view(kernel))["state"] == "released"
    events = await bench.events(ended)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
