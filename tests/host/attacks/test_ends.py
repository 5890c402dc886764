"""Where an execution ends that does not end as others do: the rest of its output, its questions, its deaf ears."""

import asyncio
from pathlib import Path

import pytest
from hostile import KEY, Peer
from interpreting import OWNER, Bench, text
from lies import LIAR

from cellblock.errors import KernelTimeout, ProtocolError
from cellblock.host import running, sockets
from cellblock.host.connection import Connection, KernelMessage

pytestmark = pytest.mark.asyncio(loop_scope="session")

MORE = """
reply()
end = time.monotonic() + {seconds}
while time.monotonic() < end:
    out('.')
    time.sleep(0.01)
out('the end')
idle()
"""


async def test_code_that_has_ended_in_time_is_heard_out_when_its_output_comes_late(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.run(LIAR + MORE.format(seconds=3.0), kernel_id, timeout=1.5)
    assert (result["status"], result["kernel_state"], result["limit"]) == ("ok", "kept", None)
    assert text(result).endswith("the end")


async def test_output_that_never_ends_after_a_reply_ends_with_the_kernel(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "DRAINS", 1)
    kernel_id = await bench.kernel()
    deaf = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
    result = await bench.run(f"{LIAR}\n{deaf}\n{MORE.format(seconds=60)}", kernel_id, timeout=1.5)
    assert (result["status"], result["kernel_state"]) == ("timeout", "lost")


async def test_a_reply_after_which_nothing_comes_gains_no_time(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    result = await bench.run(f"{LIAR}\nreply()\nwhile True: pass", kernel_id, timeout=0.3)
    assert (result["status"], result["kernel_state"]) == ("timeout", "kept")
    assert text(await bench.run("print(6 * 7)", kernel_id)) == "42\n"


async def test_a_question_that_is_interrupted_does_not_stop_the_clock(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    code = "try: input()\nexcept KeyboardInterrupt:\n    while True: pass"
    asking = await bench.submit(code, kernel_id, allow_stdin=True, timeout=2.0)
    await bench.until(asking, "input_request")
    await bench.interpreter.interrupt(OWNER, kernel_id)
    result = await bench.wait(asking)
    assert (result["status"], result["limit"]) == ("timeout", {"name": "timeout", "value": 2.0})


async def test_a_kernel_that_does_not_read_is_given_up_before_what_it_is_sent_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "MAX_UNREAD", 4 << 20)

    asked = asyncio.Event()

    async def deaf(peer: Peer, request: KernelMessage) -> None:
        asked.set()
        await asyncio.Event().wait()

    async with Peer(tmp_path, deaf) as peer:
        made = await Connection.open(peer.endpoints, KEY, max_message=1 << 20)
        running = asyncio.create_task(made.execute("x", msg_id="x", on_message=lambda _: None))
        await asked.wait()
        for _ in range(3):
            with pytest.raises(KernelTimeout):
                await made.complete("x" * (1 << 20), 0, timeout=0.001)
        with pytest.raises(ProtocolError, match="does not read its shell"):
            await made.complete("x" * (2 << 20), 0, timeout=90)
        with pytest.raises(ProtocolError):
            await running
        await made.aclose()
