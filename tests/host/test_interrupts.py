"""What a person's interrupt does to an execution, and what a limit does when code does not listen."""

import asyncio
import os
import signal

import pytest
from conftest import Start
from interpreting import OWNER, Bench, text

from cellblock.execution import Result

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.usefixtures("bystander")]

DEAF = """
import itertools
try:
    print('begun', flush=True)
    while True: pass
finally:
    -1 in itertools.count()  # C code that keeps Python's lock and never looks up
"""
DEAF_FOR_A_WHILE = """
import ctypes, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # another thread takes the signal: sleep is not cut short
try:
    ctypes.PyDLL(None).sleep(2)  # with Python's lock held
finally:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
"""
SLOW_TO_LEAVE = """
import ctypes
try:
    print('begun', flush=True)
    while True: pass
finally:
    ctypes.PyDLL(None).sleep(2)  # longer than the grace
"""
RESTS = {
    "a sleep": "import time; print('begun', flush=True); time.sleep(60)",
    "a tight loop": "print('begun', flush=True)\nwhile True: pass",
    "an await": "import asyncio; print('begun', flush=True); await asyncio.sleep(60)",
    "a shell cell": "%%bash\necho begun; sleep 60",
    "a program": "import subprocess; print('begun', flush=True); subprocess.run(['sleep', '60'])",
}


async def interrupted(bench: Bench, kernel_id: str, code: str) -> Result:
    """After it has printed its first word."""
    running = await bench.submit(code, kernel_id)
    await bench.until(running, "stream")
    await bench.interpreter.interrupt(OWNER, kernel_id)
    return await bench.wait(running)


@pytest.mark.parametrize("name", RESTS)
async def test_whatever_is_interrupted_says_so_and_the_kernel_goes_on(bench: Bench, name: str) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    result = await interrupted(bench, kernel_id, RESTS[name])
    assert (result["status"], result["kernel_state"], result["limit"]) == ("interrupted", "kept", None)
    after = await bench.run("print(x)", kernel_id)
    assert (after["status"], text(after), after["notice"]) == ("ok", "1\n", None)


async def test_a_shell_command_that_is_interrupted_ends_and_its_cell_goes_on(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await interrupted(bench, kernel_id, "!echo begun; sleep 60\nprint('on')")
    assert (result["status"], result["kernel_state"]) == ("ok", "kept")
    assert text(result).endswith("on\n")


SILENT = {"silent": True, "store_history": False}


async def test_code_that_is_run_silently_is_interrupted_and_stopped_like_any_other(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    code = RESTS["a sleep"]
    running = await bench.submit(code, kernel_id, store=False, options=SILENT)
    await bench.until(running, "stream")
    await bench.interpreter.interrupt_execution(OWNER, running["id"])
    result = await bench.wait(running)
    assert (result["status"], result["kernel_state"], result["limit"]) == ("interrupted", "kept", None)
    late = await bench.run(code, kernel_id, store=False, options=SILENT, timeout=0.5)
    assert (late["status"], late["kernel_state"]) == ("timeout", "kept")
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_a_question_that_is_interrupted_waits_no_longer(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = (
        "import ctypes\nx = 1\ntry: x = input('? ')\nfinally: ctypes.PyDLL(None).sleep(3)"  # longer than stdin_timeout
    )
    asking = await bench.submit(code, kernel_id, allow_stdin=True)
    await bench.until(asking, "input_request")
    await bench.interpreter.interrupt(OWNER, kernel_id)
    result = await bench.wait(asking)
    assert (result["status"], result["kernel_state"], result["limit"]) == ("interrupted", "kept", None)
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_an_interrupt_of_a_person_kills_nothing_however_long_the_code_takes_to_leave(start: Start) -> None:
    bench = await start(grace=1.0)
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    result = await interrupted(bench, kernel_id, SLOW_TO_LEAVE)
    assert (result["status"], result["kernel_state"], result["limit"]) == ("interrupted", "kept", None)
    assert result["timing"]["run_ms"] > 2000
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_code_that_hears_an_interrupt_late_but_within_the_grace_keeps_its_kernel(start: Start) -> None:
    bench = await start(grace=20.0)
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    result = await bench.run(DEAF_FOR_A_WHILE, kernel_id, timeout=0.5)
    assert (result["status"], result["kernel_state"]) == ("timeout", "kept")
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_code_that_cannot_hear_an_interrupt_is_killed_when_its_time_is_up(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id, snapshot="never")
    running = await bench.submit(DEAF, kernel_id, timeout=2.5, snapshot="never")
    await bench.until(running, "stream")
    await bench.interpreter.interrupt(OWNER, kernel_id)
    result = await bench.wait(running)
    assert (result["status"], result["kernel_state"], text(result)) == ("timeout", "lost", "begun\n")
    assert result["limit"] == {"name": "timeout", "value": 2.5}
    after = await bench.run("print('x' in globals())", kernel_id)
    assert (after["status"], text(after)) == ("ok", "False\n")
    assert "did not stop when its time was up" in (after["notice"] or "")


async def test_code_that_cannot_hear_an_interrupt_leaves_the_state_before_it(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    result = await bench.run(f"x = 2\n{DEAF}", kernel_id, timeout=2.5, snapshot="always")
    assert (result["status"], result["kernel_state"], text(result)) == ("timeout", "restored", "begun\n")
    assert "did not stop when its time was up" in (result["notice"] or "")
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


BEFORE = """
import time
def before(info):
    print('before', flush=True)
    {what}
get_ipython().events.register('pre_run_cell', before)
"""


async def test_what_is_called_before_a_cell_does_not_keep_an_interrupt_from_it(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run(BEFORE.format(what="time.sleep(60)"), kernel_id)
    running = await bench.submit("print('never')", kernel_id)
    await bench.until(running, "stream")
    await bench.interpreter.interrupt_execution(OWNER, running["id"])
    result = await bench.wait(running)
    assert (result["status"], result["kernel_state"], text(result)) == ("interrupted", "kept", "before\n")


async def test_a_fault_of_what_is_called_before_a_cell_is_told_and_the_cell_runs(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run(BEFORE.format(what="1 / 0"), kernel_id)
    result = await bench.run("print('all the same')", kernel_id)
    assert result["status"] == "ok"
    assert "Error in callback" in text(result)
    assert "ZeroDivisionError" in str(result["outputs"])
    assert text(result).endswith("all the same\n")


async def late_interrupt(bench: Bench, kernel_id: str, patch: pytest.MonkeyPatch) -> Result:
    """What is run while an interrupt is on its way, and waits for it: init has been stopped."""
    process, waits = bench.process(kernel_id), asyncio.Event()
    until_interrupted = process.until_interrupted

    async def waited() -> None:
        waits.set()
        await until_interrupted()

    patch.setattr(process, "until_interrupted", waited)
    os.kill(process.init, signal.SIGSTOP)  # it is slow to send the signal
    await bench.interpreter.interrupt(OWNER, kernel_id)
    running = await bench.submit("print(x)", kernel_id)
    await waits.wait()
    return running


async def test_an_interrupt_that_comes_late_hits_nothing_that_begins_after_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    process = bench.process(kernel_id)
    try:
        running = await late_interrupt(bench, kernel_id, monkeypatch)
        assert (await bench.interpreter.result(OWNER, running["id"]))["outputs"] == []
    finally:
        os.kill(process.init, signal.SIGCONT)
    result = await bench.wait(running)
    assert (result["status"], text(result), result["kernel_state"]) == ("ok", "1\n", "kept")


async def test_a_kernel_that_is_released_while_a_turn_waits_for_an_interrupt_stays_released(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    session = next(each for each in bench.interpreter.sessions.live() if each.id == kernel_id)
    process = bench.process(kernel_id)
    try:
        waiting = await late_interrupt(bench, kernel_id, monkeypatch)
        releasing = asyncio.create_task(bench.interpreter.release(OWNER, kernel_id))
        assert (await bench.wait(waiting))["status"] == "cancelled"
    finally:
        os.kill(process.init, signal.SIGCONT)
    await releasing
    if session._worker:
        await session._worker
    assert (await bench.view(kernel_id))["state"] == "released"


BETWEEN = """
import os, signal
kernel = get_ipython().kernel
true = kernel.{name}
def late(*arguments):
    kernel.{name} = true
    os.kill(os.getpid(), signal.SIGINT)
    return true(*arguments)
kernel.{name} = late
x = 1
"""


async def test_an_interrupt_between_the_code_and_its_reply_leaves_a_kernel_that_goes_on(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.run(BETWEEN.format(name="finish_metadata"), kernel_id)
    assert (result["status"], result["kernel_state"]) == ("interrupted", "kept")
    assert "without a word on how it ended" in (result["notice"] or "")
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"


async def test_an_interrupt_between_a_reply_and_the_rest_leaves_a_kernel_that_goes_on(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.run(BETWEEN.format(name="post_handler_hook"), kernel_id)
    assert (result["status"], result["kernel_state"], text(result)) == ("ok", "kept", "")
    await bench.interpreter.interrupt(OWNER, kernel_id)  # nothing runs: it is ignored, as before
    assert text(await bench.run("print(x)", kernel_id)) == "1\n"
