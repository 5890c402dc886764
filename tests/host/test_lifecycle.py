"""What outlasts a kernel, a fork server, and the server itself. Each test starts its own."""

import asyncio
import json
import os
import select
import shutil
import signal
import sys
from pathlib import Path

import pytest
from conftest import Start
from interpreting import OWNER, PLAIN, Bench, Clock, small, text

from cellblock.errors import DataDirectoryInUse, FileNotFound, KernelLimit, KernelNotFound, KernelStartFailed, NoMemory
from cellblock.host import kernels
from cellblock.host.config import ExecuteRequest
from cellblock.host.environments import Engine
from cellblock.host.interpreter import Interpreter
from cellblock.host.launcher import Environment
from cellblock.host.policy import CodeRules

pytestmark = pytest.mark.asyncio(loop_scope="session")

CRASHING = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from interpreting import Bench, OWNER, small
from cellblock.host.interpreter import Interpreter

async def main():
    bench = Bench(await Interpreter.start(small(Path({data!r}), reattach_timeout=0.0)))
    await bench.interpreter.ready()
    kernel = await bench.kernel(title="Crashed")
    done = await bench.run("x = 1; open('kept.txt', 'w').write('kept'); print('done')", kernel, idempotency_key="once")
    running = await bench.submit("import time\\nfor n in range(10**6): print(n, flush=True); time.sleep(0.01)", kernel)
    waiting = await bench.submit("print('never')", kernel)
    shot = await bench.submit("while True: pass")
    async for event in bench.interpreter.events(OWNER, running["id"]):
        if event["event"] == "stream" and "20" in event["content"]["text"]:
            break
    print(kernel, done["id"], running["id"], waiting["id"], shot["id"], flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def test_a_server_that_was_killed_tells_the_truth_afterwards(tmp_path: Path, start: Start) -> None:
    data = tmp_path / "data"
    code = CRASHING.format(tests=str(Path(__file__).parent), data=str(data))
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    assert server.stdout
    try:
        async with asyncio.timeout(60):
            while b"info" in (line := await server.stdout.readline()):
                pass
        kernel, done, running, waiting, shot = line.decode().split()
    finally:
        server.kill()
        await server.wait()
    bench = await start()
    interpreter = bench.interpreter
    assert (await interpreter.result(OWNER, done))["status"] == "ok"
    cut = await interpreter.result(OWNER, running)
    assert (cut["status"], cut["kernel_state"]) == ("kernel_died", "lost")
    assert text(cut).startswith("0\n1\n2\n")
    assert "server ended" in (cut["notice"] or "")
    never = await interpreter.result(OWNER, waiting)
    assert (never["status"], never["outputs"]) == ("cancelled", [])
    alone = await interpreter.result(OWNER, shot)
    assert (alone["status"], alone["kernel_state"]) == ("kernel_died", "released")
    assert "notebook" not in (alone["notice"] or "")  # it had none
    events = [event async for event in interpreter.events(OWNER, running)]
    assert (events[0]["event"], events[-1]["event"]) == ("execution_start", "execution_end")
    assert events[-1]["content"] == cut
    view = await interpreter.kernel(OWNER, kernel)
    assert (view["title"], view["state"]) == ("Crashed", "released")
    notebook = await interpreter.notebook(OWNER, kernel)
    assert [cell["status"] for cell in notebook["cells"]] == ["ok", "kernel_died", "cancelled"]
    assert notebook["cells"][1]["outputs"] == cut["outputs"]
    again = await bench.run("print(open('kept.txt').read()); x", kernel)
    assert (again["status"], text(again)) == ("error", "kept\n")
    assert "server was restarted" in (again["notice"] or "")
    same = await bench.submit(
        "x = 1; open('kept.txt', 'w').write('kept'); print('done')", kernel, idempotency_key="once"
    )
    assert same["id"] == done


async def test_a_server_that_is_stopped_ends_what_runs_and_keeps_the_rest(tmp_path: Path, start: Start) -> None:
    first = await start()
    kernel = await first.kernel()
    await first.run("x = 1", kernel)
    running = await first.submit("print('on', flush=True)\nwhile True: pass", kernel)
    waiting = await first.submit("print('never')", kernel)
    await first.until(running, "stream")
    with pytest.raises(DataDirectoryInUse, match=str(os.getpid())):
        await Interpreter.start(small(tmp_path / "data"))
    await first.interpreter.save_conversation(OWNER, kernel, messages=b"[]", title="Talk")
    await first.interpreter.aclose()
    second = await start(pool_size=0)
    ended = await second.interpreter.result(OWNER, running["id"])
    assert (ended["status"], ended["kernel_state"], text(ended)) == ("interrupted", "lost", "on\n")
    assert (await second.interpreter.result(OWNER, waiting["id"]))["status"] == "cancelled"
    assert "stopped" in ((await second.run("1", kernel))["notice"] or "")
    talk = await second.interpreter.load_conversation(OWNER, kernel)
    assert talk
    assert (talk.title, talk.messages) == ("Talk", b"[]")
    known = {kernel, *(os.listdir(tmp_path / "data" / "kernels"))}
    assert known == {kernel}


async def test_what_is_old_goes_by_the_clock(start: Start) -> None:
    clock = Clock()
    bench = await start(clock=clock, pool_size=0, idle_timeout=1800.0, one_shot_files=3600.0)
    interpreter = bench.interpreter
    house = interpreter.housekeeping
    kernel = await bench.kernel()
    kept = await bench.run("x = 1", kernel)
    shot = await bench.run("open('out.txt', 'w').write('out'); print('shot')")
    clock.now += 1700
    await house.tidy()
    assert (await bench.view(kernel))["state"] == "idle"
    clock.now += 200
    await house.tidy()
    assert (await bench.view(kernel))["state"] == "released"
    with await interpreter.open_execution_file(OWNER, shot["id"], "out.txt") as found:
        assert found.size == 3
    clock.now += 1800
    await house.tidy()
    with pytest.raises(FileNotFound):
        await interpreter.open_execution_file(OWNER, shot["id"], "out.txt")
    assert text(await interpreter.result(OWNER, shot["id"])) == "shot\n"
    again = await bench.run("1", kernel)
    assert "idle for 30 minutes" in (again["notice"] or "")
    clock.now += 8 * 86400
    await house.tidy()
    assert await interpreter.store.execution(shot["id"]) is None
    assert await interpreter.store.events(kept["id"], 0) == []
    assert await interpreter.result(OWNER, kept["id"]) == kept
    assert os.listdir(interpreter.config.data_dir / "kernels") == [kernel]


async def test_what_the_operator_forbids_is_refused_with_the_reason(start: Start) -> None:
    bench = await start(pool_size=0, forbidden=CodeRules(modules=("socket",), magics=("!",)))
    kernel = await bench.kernel()
    for code in ("import socket", "!ls"):
        result = await bench.submit(code, kernel)
        assert (result["status"], result["execution_count"], result["kernel_state"]) == ("refused", None, "kept")
        assert "operator does not allow" in (result["notice"] or "")
    assert (await bench.submit("from socket import socket"))["status"] == "refused"
    assert (await bench.run("1", kernel))["execution_count"] == 1


async def test_limits_on_kernels_are_told_apart(start: Start) -> None:
    bench = await start(pool_size=0, kernels_per_owner=2)
    interpreter = bench.interpreter
    first, _ = await bench.kernel(), await bench.kernel()
    with pytest.raises(KernelLimit):
        await bench.kernel()
    with pytest.raises(KernelLimit):
        await bench.submit("1")
    await interpreter.release(OWNER, first)
    third = await bench.kernel()
    with pytest.raises(KernelLimit):
        await bench.submit("1", first)
    await interpreter.delete(OWNER, third)
    assert (await bench.run("1", first))["status"] == "ok"


async def test_the_pool_grows_with_demand_and_every_session_gets_a_kernel_that_nobody_used(start: Start) -> None:
    bench = await start(pool_size=1, pool_max=3)
    pool = bench.interpreter.environments.get().pool
    used = "print('mark' in globals()); mark = 1"
    for _ in range(4):
        assert text(await bench.run(used, await bench.kernel())) == "False\n"
    async with asyncio.timeout(30):
        while pool.statistics()["warm"] < 3:
            pool._changed.clear()
            await pool._changed.wait()
    assert pool.statistics()["wanted"] == 3
    assert text(await bench.run(used, await bench.kernel())) == "False\n"
    assert pool.hits + pool.misses == 5


TRACES = """import sys
shell = get_ipython()
names = sorted(name for name in globals() if name not in ("sys", "shell"))
print(names, In[1:-1], dict(Out), repr((_, __, _i, _ii)), shell.execution_count)
print([*shell.history_manager.get_range()][:-1], sorted(vars(sys).keys() & {"last_value", "last_traceback"}))"""


async def test_what_a_warm_kernel_has_rehearsed_leaves_no_trace(start: Start) -> None:
    bench = await start(pool_size=1)
    pool = bench.interpreter.environments.get().pool
    warm = await bench.run(TRACES, await bench.kernel())
    assert (warm["status"], pool.hits, pool.misses) == ("ok", 1, 0)
    await pool.aclose()
    forked = await bench.run(TRACES, await bench.kernel())
    assert (text(warm), warm["execution_count"]) == (text(forked), forked["execution_count"])
    assert pool.misses == 1


async def test_a_warm_kernel_that_cannot_rehearse_is_not_handed_out_and_leaves_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "REHEARSAL", "import os; os.kill(os.getpid(), 9)")
    bench = await start(pool_size=1)
    pool = bench.interpreter.environments.get().pool
    assert (pool.take(), pool.statistics()["warm"]) == (None, 0)
    assert "ended" in (pool.error or "") or "closed" in (pool.error or "")
    await pool.aclose()
    assert os.listdir(bench.interpreter.config.data_dir / "kernels") == []
    assert (await bench.run("1", await bench.kernel()))["status"] == "ok"


async def test_a_machine_without_memory_refuses_kernels_and_says_when_to_try_again(start: Start) -> None:
    bench = await start(pool_size=0, memory_reserve=1 << 50)
    with pytest.raises(NoMemory) as refused:
        await bench.kernel()
    assert refused.value.retry_after
    with pytest.raises(NoMemory):
        await bench.submit("1")
    assert (await bench.interpreter.kernels(OWNER))["items"] == []
    assert os.listdir(bench.interpreter.config.data_dir / "kernels") == []


async def test_a_fork_server_that_dies_is_started_again_and_sessions_are_told(start: Start) -> None:
    bench = await start()
    engine = bench.interpreter.environments.get()
    kernel = await bench.kernel()
    await bench.run("x = 1", kernel)
    running = await bench.submit("print('on', flush=True)\nwhile True: pass", kernel)
    await bench.until(running, "stream")
    assert engine.launcher
    os.kill(engine.launcher.pid, signal.SIGKILL)
    ended = await bench.wait(running)
    assert (ended["status"], ended["kernel_state"]) == ("kernel_died", "lost")
    async with asyncio.timeout(60):
        after = await bench.run("print('back')", kernel)
    assert (after["status"], text(after)) == ("ok", "back\n")
    assert after["notice"]
    assert engine.restarts == 1


async def test_a_second_environment_and_one_that_cannot_start(start: Start) -> None:
    broken = Environment(name="broken", python="/nonexistent/python", preload=())
    other = Environment(name="other", preload=("json",), display_name="Other")
    bench = await start(environments=[PLAIN, other, broken], pool_size=0)
    kernel = await bench.kernel(environment="other")
    assert (await bench.view(kernel))["environment"] == "other"
    assert text(await bench.run("print(1)", kernel)) == "1\n"
    with pytest.raises(KernelStartFailed, match="nonexistent"):
        await bench.kernel(environment="broken")
    shown = {each["name"]: each for each in (await bench.interpreter.status())["environments"]}
    assert "nonexistent" in shown["broken"]["error"]
    assert shown["other"]["error"] is None


async def test_the_log_has_figures_and_never_code_or_output(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    import structlog

    lines: list[dict[str, object]] = []

    def keep(_: object, __: str, event: dict[str, object]) -> str:
        lines.append(dict(event))
        return json.dumps(event, default=str)

    structlog.configure(processors=[keep])
    try:
        bench = await start(pool_size=0)
        result = await bench.run("secret = 'hunter2'; print(secret * 2)")
        await bench.interpreter.aclose()
    finally:
        structlog.reset_defaults()
    line = next(each for each in lines if each["event"] == "execution")
    assert line["execution"] == result["id"]
    assert line["code_sha256"] == result["code_sha256"]
    assert (line["status"], line["door"]) == ("ok", "http")
    assert "hunter2" not in json.dumps(lines, default=str)


@pytest.mark.slow
async def test_a_gigabyte_of_print_under_the_default_limits(start: Start) -> None:
    bench = await start(
        pool_size=0, max_timeout=110, memory_limit=2 << 30, output_limit=1 << 20, workspace_limit=1 << 30
    )
    kernel, other = await bench.kernel(), await bench.kernel()
    code = "for i in range(1024): print(('%08d' % i) * (1 << 17))\nprint('the end')"
    flood = await bench.submit(code, kernel)
    beside = [await bench.run("1 + 1", other, timeout=5) for _ in range(20)]
    result = await bench.wait(flood)
    assert (result["status"], result["kernel_state"], result["truncated"]) == ("ok", "kept", True)
    assert len(text(result)) < 1 << 21
    assert text(result).endswith("the end\n")
    assert result["spill"]
    with await bench.interpreter.open_file(OWNER, kernel, result["spill"]) as spill:
        assert 64 << 20 <= spill.size < 66 << 20
    assert [text(each) for each in beside] == ["2"] * 20


async def test_an_unknown_session_is_unknown_however_it_is_asked_for(start: Start) -> None:
    bench: Bench = await start(pool_size=0)
    for id in ("", "../../etc", "x" * 5000, "\ud800", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(KernelNotFound):
            await bench.interpreter.kernel(OWNER, id)
        with pytest.raises(KernelNotFound):
            await bench.interpreter.submit(OWNER, ExecuteRequest("1", kernel_id=id))


async def test_where_the_data_directory_has_been_removed_nothing_is_left_for_another_server(start: Start) -> None:
    bench = await start(keep_kernels=True, reattach_timeout=1000.0)
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    engine = bench.interpreter.environments.get()
    assert isinstance(engine, Engine)
    assert engine.launcher
    ends = [os.pidfd_open(pid) for pid in (engine.launcher.pid, bench.pid(kernel_id))]
    shutil.rmtree(bench.interpreter.config.data_dir)
    await bench.interpreter.aclose()
    assert len(select.select(ends, [], [], 0)[0]) == 2
    for fd in ends:
        os.close(fd)
