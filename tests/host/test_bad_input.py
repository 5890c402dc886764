"""Bad input gets a clear error, and nothing is lost: every case on a real kernel, beside a session that must not notice."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest
from interpreting import MIB, OWNER, Bench, text

from cellblock.errors import KernelNotFound, NotARegularFile, UploadTooLarge, WorkspaceFull
from cellblock.host.kernels import Kernel

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("bystander")]


async def upload(size: int) -> AsyncIterator[bytes]:
    while size > 0:
        yield b"x" * min(size, MIB)
        size -= MIB


async def lost(bench: Bench, kernel_id: str, why: str) -> None:
    """The next execution has a fresh kernel and says why."""
    result = await bench.run("print('x' in globals())", kernel_id)
    assert (result["status"], text(result), result["execution_count"]) == ("ok", "False\n", 1)
    assert why in (result["notice"] or ""), result["notice"]
    assert (await bench.run("1", kernel_id))["notice"] is None


# output


async def test_a_print_of_very_much_is_cut_and_spilled(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = "for i in range(64): print(('%08d' % i) * (1 << 17))\nprint('the end')"
    result = await bench.run(code, kernel_id)
    assert (result["status"], result["kernel_state"], result["truncated"]) == ("ok", "kept", True)
    said = text(result)
    assert len(said) < 80 << 10
    assert said.startswith("00000000")
    assert said.endswith("the end\n")
    assert result["spill"]
    assert result["spill"] in said
    with await bench.interpreter.open_file(OWNER, kernel_id, result["spill"]) as spill:
        assert 30 * MIB < spill.size < 33 * MIB
        assert b"workspace is full" in await spill.read(spill.size - 100, 100)


@pytest.mark.parametrize("half", [r"\udcff", r"\ud83d"])
async def test_text_that_is_no_unicode_is_shown_as_far_as_it_is(bench: Bench, half: str) -> None:
    """A name that is not UTF-8 has such characters, and code that prints it means no harm."""
    kernel_id = await bench.kernel()
    printed = await bench.run(f"x = 1; print('a{half}b')", kernel_id)
    assert (printed["status"], text(printed)) == ("ok", "a\ufffdb\n")
    shown = await bench.run(f"class A:\n    def __repr__(self): return 'a{half}b'\nA()", kernel_id)
    assert shown["outputs"][0]["data"]["text/plain"] == "a\ufffdb"
    raised = await bench.run(f"raise ValueError('a{half}b')", kernel_id)
    assert raised["error"]
    assert (raised["error"]["ename"], raised["error"]["evalue"]) == ("ValueError", "a\ufffdb")
    assert (await bench.run("x", kernel_id))["status"] == "ok"


async def test_a_number_that_json_lacks_is_shown_without_a_word_about_it(bench: Bench) -> None:
    result = await bench.run("from IPython.display import JSON; JSON({'x': float('nan')})")
    (output,) = result["outputs"]
    assert output["data"]["application/json"] == {"x": "nan"}


@pytest.mark.parametrize("levels", [60, 500, 20_000])
async def test_json_that_is_nested_very_deep_costs_nobody_a_kernel(bench: Bench, levels: int) -> None:
    kernel_id = await bench.kernel()
    code = (
        f"import sys; sys.setrecursionlimit(100_000)\nx = 'bottom'\nfor _ in range({levels}): x = [x]\n"
        "display({'application/json': x, 'text/plain': 'deep'}, raw=True)"
    )
    shown = await bench.run(code, kernel_id)
    assert shown["kernel_state"] == "kept"
    [output] = shown["outputs"]
    if shown["status"] == "error":  # Python has a bound of its own for it since 3.12
        assert output["ename"] == "RecursionError"
    else:
        said = output["data"]["text/plain"] if "data" in output else output["evalue"]
        assert said == "deep" or "too deeply" in said
    assert text(await bench.run("y = 5; print(y)", kernel_id)) == "5\n"


async def test_a_spill_that_would_follow_a_symlink_is_not_written(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = "import os; os.symlink('/tmp', '.cellblock'); print('x' * 200_000)"
    result = await bench.run(code, kernel_id)
    assert (result["status"], result["truncated"]) == ("ok", True)
    assert not [name for name in os.listdir("/tmp") if name.startswith("output-")]


# input


async def test_input_nobody_may_answer_is_an_error(bench: Bench) -> None:
    result = await bench.run("input('? ')", await bench.kernel())
    assert result["status"] == "error"
    assert result["error"]
    assert result["error"]["ename"] == "StdinNotImplementedError"


async def test_input_nobody_answers_is_interrupted(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    result = await bench.run("input('? ')", kernel_id, allow_stdin=True)
    assert (result["status"], result["kernel_state"]) == ("interrupted", "kept")
    assert result["error"]
    assert result["error"]["ename"] == "stdin_timeout"
    assert result["limit"] == {"name": "stdin_timeout", "value": 2.0}
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_the_time_a_person_takes_to_answer_does_not_count(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    asking = await bench.submit("a = input(); b = input(); print(a + b)", kernel_id, allow_stdin=True, timeout=1.5)
    async for event in bench.interpreter.events(OWNER, asking["id"]):
        if event["event"] == "input_request":
            await asyncio.sleep(0.8)  # a person types
            await bench.interpreter.answer(OWNER, asking["id"], "ab")
    result = await bench.wait(asking)
    assert (result["status"], text(result)) == ("ok", "abab\n")


# time


async def test_endless_code_is_interrupted_and_the_kernel_kept(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    result = await bench.run("print('on')\nwhile True: pass", kernel_id, timeout=2.0)
    assert (result["status"], result["kernel_state"], text(result)) == ("timeout", "kept", "on\n")
    assert result["limit"] == {"name": "timeout", "value": 2.0}
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_code_that_ignores_interrupts_is_killed_after_the_grace(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on')\nwhile True: pass"
    result = await bench.run(code, kernel_id, timeout=2.0)
    assert (result["status"], result["kernel_state"], text(result)) == ("timeout", "lost", "on\n")
    assert "did not stop" in (result["notice"] or "")
    await lost(bench, kernel_id, "did not stop when its time was up")


async def test_code_in_the_queue_has_its_time_from_its_start(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.submit("import time; time.sleep(2.1)", kernel_id)
    result = await bench.run("print('in time')", kernel_id, timeout=2.0)
    assert (result["status"], text(result)) == ("ok", "in time\n")


# death


async def test_a_kernel_that_exits_says_so_and_comes_back(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1; open('kept.txt', 'w').write('kept')", kernel_id)
    result = await bench.run("import os, sys\nprint('last words'); sys.stdout.flush()\nos._exit(0)", kernel_id)
    assert (result["status"], result["kernel_state"]) == ("kernel_died", "lost")
    assert text(result) == "last words\n"
    assert (await bench.view(kernel_id))["state"] == "released"
    await lost(bench, kernel_id, "exited with 0")
    assert [each["path"] for each in await bench.interpreter.files(OWNER, kernel_id)] == ["kept.txt"]
    assert len((await bench.interpreter.notebook(OWNER, kernel_id))["cells"]) == 4


async def test_code_that_calls_exit_ends_in_order_and_is_told_what_is_lost(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    leaving = await bench.submit("x = 1\nexit()", kernel_id)
    waiting = await bench.submit("print('x' in globals())", kernel_id)
    result = await bench.wait(leaving)
    assert (result["status"], result["kernel_state"]) == ("ok", "lost")
    assert "the code asked it to exit" in (result["notice"] or "")
    assert text(await bench.wait(waiting)) == "False\n"


async def test_what_waits_behind_a_death_runs_in_a_fresh_kernel(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    dying = await bench.submit("import os; os._exit(3)", kernel_id)
    waiting = await bench.submit("print('x' in globals())", kernel_id)
    assert (await bench.wait(dying))["status"] == "kernel_died"
    result = await bench.wait(waiting)
    assert (result["status"], text(result)) == ("ok", "False\n")
    assert "exited with 3" in (result["notice"] or "")


async def test_a_kernel_killed_from_outside_while_it_runs(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    running = await bench.submit("print('on', flush=True)\nwhile True: pass", kernel_id)
    await bench.until(running, "stream")
    bench.kill(kernel_id)
    result = await bench.wait(running)
    assert (result["status"], result["kernel_state"], result["limit"]) == ("kernel_died", "lost", None)
    await lost(bench, kernel_id, "killed by signal 9")


async def test_a_kernel_killed_from_outside_while_it_is_idle(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    watcher = bench.interpreter.watch(OWNER, kernel_id)
    await anext(watcher)
    bench.kill(kernel_id)
    told = await anext(watcher)
    assert told["event"] == "kernel_state"
    assert told["content"]["kernel"]["state"] == "released"
    assert "killed by signal 9" in told["content"]["notice"]
    await watcher.aclose()  # type: ignore[attr-defined]
    await lost(bench, kernel_id, "killed by signal 9")


async def warm(bench: Bench, *, but: Kernel | None = None) -> Kernel:
    """The kernel that waits in the pool, when there is one other than `but`."""
    pool = bench.interpreter.environments.get().pool
    async with asyncio.timeout(90):
        while not pool._warm or pool._warm[0] is but:
            pool._changed.clear()
            await pool._changed.wait()
    return pool._warm[0]


async def test_a_warm_kernel_that_dies_is_replaced(bench: Bench) -> None:
    old = await warm(bench)
    os.kill(old.process.pid, 9)
    fresh = await warm(bench, but=old)
    result = await bench.run("print('fine')", await bench.kernel())
    assert text(result) == "fine\n"
    assert bench.kernels[-1] == fresh.id
    assert not old.alive


async def test_a_memory_bomb_hits_the_limit_and_nobody_else(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    result = await bench.run("hold = []\nwhile True: hold.append(bytearray(10 << 20))", kernel_id)
    if result["status"] == "error":  # without cgroups a limit of the process: the code gets MemoryError
        assert result["error"]
        assert result["error"]["ename"] == "MemoryError"
        return
    assert (result["status"], result["kernel_state"]) == ("out_of_memory", "lost")
    assert result["limit"] == {"name": "memory", "value": 256 * MIB}
    await lost(bench, kernel_id, "ran out of memory")


async def test_a_fork_bomb_stays_in_its_sandbox(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    bomb = """
import os, time
children = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        children += 1
except OSError as problem:
    print(type(problem).__name__, 0 < children < 100)
"""
    result = await bench.run(bomb, kernel_id)
    assert result["status"] == "ok"
    assert text(result).startswith("BlockingIOError True\n")  # Python may warn of the threads of who forks
    await bench.interpreter.restart(OWNER, kernel_id)
    assert text(await bench.run("print('free again')", kernel_id)) == "free again\n"


async def test_a_fork_bomb_that_never_ends_is_ended(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    result = await bench.run(code, kernel_id, timeout=1.0)
    assert result["status"] in ("timeout", "kernel_died", "protocol_error")
    await bench.interpreter.restart(OWNER, kernel_id)
    assert text(await bench.run("print('free again')", kernel_id)) == "free again\n"


# disk


async def test_a_full_workspace_stops_the_code_and_its_files_can_be_deleted(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = """
import time
for n in range(100_000):
    with open(f'{n}.bin', 'wb') as file:
        file.write(bytes(4 << 20))
    time.sleep(0.02)
"""
    result = await bench.run(code, kernel_id)
    assert (result["status"], result["kernel_state"]) == ("disk_full", "kept")
    assert result["limit"] == {"name": "disk", "value": 32 * MIB}
    with pytest.raises(WorkspaceFull):
        await bench.interpreter.write_file(OWNER, kernel_id, "more.bin", upload(MIB))
    cleaning = await bench.run("import os\nfor name in os.listdir(): os.remove(name)", kernel_id)
    assert cleaning["status"] == "ok"
    await bench.interpreter.write_file(OWNER, kernel_id, "more.bin", upload(MIB))


async def test_code_that_filled_the_workspace_quickly_is_told_too(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.run("for n in range(3): open(f'{n}', 'wb').write(bytes(20 << 20))", kernel_id)
    assert (result["status"], result["kernel_state"]) == ("disk_full", "kept")


async def test_files_without_a_name_count_as_long_as_they_are_open(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = """
import os, time
held = []
for n in range(100_000):
    held.append(open('here', 'wb'))
    os.unlink('here')
    held[-1].write(bytes(4 << 20))
    time.sleep(0.02)
"""
    result = await bench.run(code, kernel_id)
    assert (result["status"], result["limit"]) == ("disk_full", {"name": "disk", "value": 32 * MIB})


async def test_a_mapping_of_a_file_without_a_name_counts(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = """
import ctypes, os, time
libc = ctypes.CDLL(None)
for n in range(100_000):
    with open('here', 'wb+') as file:
        file.write(bytes(4 << 20))
        file.flush()
        libc.mmap(None, ctypes.c_size_t(4 << 20), 1, 1, file.fileno(), ctypes.c_long(0))
    os.unlink('here')
    time.sleep(0.02)
"""
    assert (await bench.run(code, kernel_id))["status"] == "disk_full"


async def test_a_program_left_running_cannot_fill_the_disk(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = """
import subprocess
writer = "i=0; while true; do i=$((i+1)); head -c 4000000 /dev/zero > left$i; sleep 0.05; done"
left = subprocess.Popen(["sh", "-c", writer])
"""
    assert (await bench.run(code, kernel_id))["status"] == "ok"
    async with asyncio.timeout(90):
        async for event in bench.interpreter.watch(OWNER, kernel_id):
            if event["event"] == "kernel_state" and event["content"]["kernel"]["state"] == "released":
                break
    assert "filled the workspace" in event["content"]["notice"]
    await lost(bench, kernel_id, "filled the workspace")


async def test_a_tree_beside_the_sockets_too_deep_to_walk_does_not_keep_a_kernel_from_starting(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.interpreter.release(OWNER, kernel_id)
    home = bench.interpreter.environments.homes.path(kernel_id)
    fd = os.open(home / "run", os.O_RDONLY)
    for _ in range(2000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert text(await bench.run("print('up')", kernel_id)) == "up\n"


async def test_an_upload_over_the_limit_changes_nothing(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    with pytest.raises(UploadTooLarge):
        await bench.interpreter.write_file(OWNER, kernel_id, "big.bin", upload(9 * MIB))
    assert await bench.interpreter.files(OWNER, kernel_id) == []


async def test_what_code_leaves_in_a_workspace_cannot_lead_the_server_out(bench: Bench) -> None:
    kernel_id, interpreter = await bench.kernel(), bench.interpreter
    code = """
import os
os.symlink('/etc/passwd', 'passwd')
os.symlink('/etc', 'etc')
os.symlink('../../..', 'up')
os.mkfifo('pipe')
open('sparse', 'wb').truncate(30 << 20)
open(b'\\xff\\n', 'w').close()
os.makedirs('/'.join('d' * 200))
"""
    result = await bench.run(code, kernel_id)
    assert result["status"] == "ok", result["error"]
    for path in ("passwd", "etc/passwd", "up/cellblock.db", "pipe"):
        with pytest.raises(NotARegularFile):
            await interpreter.open_file(OWNER, kernel_id, path)
        with pytest.raises(NotARegularFile):
            await interpreter.write_file(OWNER, kernel_id, path, upload(1))
    kinds = {each["path"]: each["type"] for each in await interpreter.files(OWNER, kernel_id)}
    assert [kinds[name] for name in ("passwd", "etc", "up", "pipe", "sparse", "d")] == ["other"] * 4 + [
        "file",
        "directory",
    ]
    packed = b"".join([piece async for piece in await interpreter.archive(OWNER, kernel_id)])
    assert b"root:" not in packed
    assert len(packed) < 1 * MIB
    await interpreter.delete(OWNER, kernel_id)


# several at once


async def test_deleting_a_kernel_that_is_running(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    running = await bench.submit("print('on', flush=True)\nwhile True: pass", kernel_id)
    waiting = await bench.submit("print('never')", kernel_id)
    await bench.until(running, "stream")
    waiters = asyncio.gather(bench.wait(running), bench.wait(waiting))
    await asyncio.sleep(0)
    session = await bench.interpreter.sessions.get(OWNER, kernel_id)
    assert session.kernel
    home, process = session.kernel.home, session.kernel.process
    await bench.interpreter.delete(OWNER, kernel_id)
    assert [(each["status"], each["kernel_state"]) for each in await waiters] == [
        ("cancelled", "released"),
        ("cancelled", "kept"),
    ]
    assert process.death.done()
    assert not home.exists()
    with pytest.raises(KernelNotFound):
        await bench.submit("1", kernel_id)
    with pytest.raises(KernelNotFound):
        await bench.interpreter.notebook(OWNER, kernel_id)
    assert await bench.interpreter.store.session(kernel_id) is None
    assert await bench.interpreter.store.execution(running["id"]) is None


async def test_many_sessions_at_once_keep_to_themselves(bench: Bench) -> None:
    kernels = await asyncio.gather(*(bench.kernel() for _ in range(6)))
    await asyncio.gather(*(bench.run(f"x = {n}", kernel) for n, kernel in enumerate(kernels)))
    results = await asyncio.gather(*(bench.run("print(x)", kernel) for kernel in kernels))
    assert [text(result) for result in results] == [f"{n}\n" for n in range(6)]


async def test_a_kernel_that_breaks_the_protocol_is_ended_and_named(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    forged = """
shell = get_ipython()
session, socket = shell.kernel.session, shell.kernel.iopub_socket
session.send(socket, 'stream', {'name': 7, 'text': None}, parent=shell.kernel.get_parent('shell'))
import time; time.sleep(20)
"""
    result = await bench.run(forged, kernel_id)
    assert (result["status"], result["kernel_state"]) == ("protocol_error", "lost")
    await lost(bench, kernel_id, "broke the protocol")
