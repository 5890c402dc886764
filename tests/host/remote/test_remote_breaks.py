"""The way to a server breaks in the middle of a cell, or our own server is started again: what is kept, and what is told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import STEADY, TOKEN, Begin, Gateway, elsewhere
from interpreting import OWNER, Bench, text
from ways import Way

from cellblock.errors import ProtocolError
from cellblock.host.remote import channels, process
from cellblock.host.servers import JupyterServer, server_at
from cellblock.host.transport import MAX_UNREAD
from cellblock.host.wire import Posted

pytestmark = pytest.mark.asyncio(loop_scope="session")

STEPS = """
import os, time
def step(name):
    print(name, flush=True)
    while not os.path.exists(GO + name): time.sleep(0.005)
for name in ("first", "second", "third"):
    step(name)
print("done", flush=True)
open(GO + "ended", "w").close()
"""


@pytest_asyncio.fixture(loop_scope="session")
async def way(gateway: Gateway) -> AsyncIterator[Way]:
    async with Way(gateway.port) as made:
        yield made


def over(way: Way) -> JupyterServer:
    return server_at(f"http://127.0.0.1:{way.port}", token=TOKEN)


async def stepping(bench: Bench, kernel_id: str, go: Path) -> Any:
    running = await bench.submit(f"GO = {str(go) + '/'!r}\n{STEPS}", kernel_id)
    await bench.until(running, "stream")
    return running


async def printed(bench: Bench, running: Any, word: str) -> None:
    async with asyncio.timeout(90):
        async for event in bench.interpreter.events(OWNER, running["id"]):
            if event["event"] == "stream" and word in event["content"]["text"]:
                return


async def kept(gateway: Gateway, times: int) -> None:
    """Waits until the gateway has noticed so many breaks: from then on it keeps what kernels say."""
    async with asyncio.timeout(90):
        while gateway.log().count("Starting buffering") < times:  # noqa: ASYNC110 (another process's log)
            await asyncio.sleep(0.02)


async def test_a_break_in_the_middle_of_a_cell_loses_nothing_where_the_server_keeps_it(
    way: Way, gateway: Gateway, begin: Begin, tmp_path: Path
) -> None:
    bench = await begin(over(way))
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    running = await stepping(bench, kernel_id, tmp_path)
    breaks = gateway.log().count("Starting buffering")
    way.shut()
    await kept(gateway, breaks + 1)
    (tmp_path / "first").touch()  # "second" is printed while nobody listens
    (tmp_path / "second").touch()
    way.shut(False)
    await printed(bench, running, "third")
    (tmp_path / "third").touch()
    result = await bench.wait(running)
    assert (result["status"], text(result)) == ("ok", "first\nsecond\nthird\ndone\n")
    assert (result["kernel_state"], result["notice"]) == ("kept", None)
    assert text(await bench.run("x", kernel_id)) == "1"


async def test_what_a_break_swallowed_is_told(way: Way, begin: Begin, tmp_path: Path) -> None:
    bench = await begin(over(way))
    kernel_id = await bench.kernel()
    for number in range(5):
        go = tmp_path / str(number)
        go.mkdir()
        running = await stepping(bench, kernel_id, go)
        (go / "first").touch()
        way.cut()  # the server may not have noticed when "second" comes
        (go / "second").touch()
        (go / "third").touch()
        result = await bench.wait(running)
        whole = text(result) == "first\nsecond\nthird\ndone\n"
        assert whole or result["notice"], (text(result), number)  # that only its end got lost cannot be known here
        assert result["notice"] is None or "output of that moment may be missing" in result["notice"]


async def test_a_cell_that_ends_while_nobody_listens_is_told_whole(
    way: Way, gateway: Gateway, begin: Begin, tmp_path: Path
) -> None:
    bench = await begin(over(way))
    kernel_id = await bench.kernel()
    running = await stepping(bench, kernel_id, tmp_path)
    breaks = gateway.log().count("Starting buffering")
    way.shut()
    await kept(gateway, breaks + 1)
    await until_ended(tmp_path)
    way.shut(False)
    result = await bench.wait(running)
    assert (result["status"], text(result)) == ("ok", "first\nsecond\nthird\ndone\n")
    assert result["notice"] is None


async def until_ended(go: Path) -> None:
    """Lets the code go on to its end."""
    for name in ("first", "second", "third"):
        (go / name).touch()
    async with asyncio.timeout(90):
        while not (go / "ended").exists():  # noqa: ASYNC110 (another process's doing)
            await asyncio.sleep(0.02)


async def test_where_the_server_keeps_nothing_the_result_says_so(gateways: Any, begin: Begin, tmp_path: Path) -> None:
    (forgetful,) = await gateways(1, "--SeedingMappingKernelManager.buffer_offline_messages=False")
    async with Way(forgetful.port) as way:
        bench = await begin(over(way))
        kernel_id = await bench.kernel()
        running = await stepping(bench, kernel_id, tmp_path)
        way.shut()
        await until_ended(tmp_path)
        way.shut(False)
        result = await bench.wait(running)
        assert (result["status"], text(result), result["kernel_state"]) == ("interrupted", "first\n", "kept")
        assert "output of that moment may be missing" in str(result["notice"])
        assert "how it ended is not known" in str(result["notice"])
        assert text(await bench.run("1 + 1", kernel_id)) == "2"


async def test_a_message_too_large_is_left_out_and_the_kernel_kept(
    gateway: Gateway, begin: Begin, tmp_path: Path
) -> None:
    bench = await begin(gateway.server)
    kernel_id = await bench.kernel()
    code = f"""
from IPython.display import display
import os, time
x = 1
print("before", flush=True)
display({{"text/plain": "y" * (20 << 20)}}, raw=True)
while not os.path.exists({str(tmp_path / "heard")!r}):  # an answer that is sent into the break is lost, too
    print("after", flush=True)
    time.sleep(0.05)
"""
    running = await bench.submit(code, kernel_id)
    await printed(bench, running, "after")
    (tmp_path / "heard").touch()
    result = await bench.wait(running)
    assert (result["status"], result["kernel_state"]) == ("ok", "kept")
    assert text(result).startswith("before\n")
    assert "output of that moment may be missing" in str(result["notice"])
    assert text(await bench.run("x", kernel_id)) == "1"


async def test_breaks_now_and_then_cost_no_kernel(
    way: Way, gateway: Gateway, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channels, "MAX_BREAKS", 2)
    monkeypatch.setattr(channels, "STEADY", 0.0)
    bench = await begin(over(way))
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    for _ in range(5):
        made = gateway.log().count("Connecting to kernel")
        way.cut()
        async with asyncio.timeout(90):
            while gateway.log().count("Connecting to kernel") == made:  # noqa: ASYNC110 (another process's log)
                await asyncio.sleep(0.02)
    assert text(await bench.run("x", kernel_id)) == "1"


@pytest.mark.slow
async def test_a_server_that_is_well_but_takes_no_connection_to_a_kernel_is_not_waited_for_without_end(
    way: Way, begin: Begin
) -> None:
    bench = await begin(over(way), remote=replace(STEADY, start_timeout=8.0))
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    way.narrow = True
    way.cut()
    remote = next(each.kernel for each in bench.interpreter.sessions.live() if each.id == kernel_id).process
    async with asyncio.timeout(90):
        while remote._channels._connected.is_set():  # noqa: ASYNC110 (another task's)
            await asyncio.sleep(0.02)
    async with asyncio.timeout(90):
        result = await bench.run("x", kernel_id)
    assert result["status"] == "kernel_died"
    assert "could not be connected to" in (await remote.death).said
    way.narrow = False
    again = await bench.run("'x' in globals()", kernel_id)
    assert text(again) == "False"
    assert "variables of before are lost" in str(again["notice"])


async def test_the_first_connection_to_a_kernel_has_the_time_of_its_start(
    gateway: Gateway, begin: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server may wait with it until the kernel is there."""
    monkeypatch.setattr(process, "AGAIN", 0.0)
    bench = await begin(gateway.server)
    assert text(await bench.run("1 + 1", await bench.kernel())) == "2"


async def test_what_waits_for_a_way_that_is_shut_is_bounded(way: Way, begin: Begin) -> None:
    bench = await begin(over(way), remote=STEADY)
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    connection = next(each.kernel for each in bench.interpreter.sessions.live() if each.id == kernel_id).connection
    way.shut()
    message = Posted("1", "shell", "comm_msg", {"comm_id": "c", "data": {"x": "y" * (1 << 20)}}, {}, ())
    for _ in range(MAX_UNREAD >> 20):
        connection.post(message)
    with pytest.raises(ProtocolError, match="does not read"):
        connection.post(message)
    assert connection._transport._unsent == 0
    way.shut(False)
    assert text(await bench.run("1 + 1", kernel_id)) == "2"


async def test_kernels_go_on_with_the_next_server_here(gateway: Gateway, tmp_path: Path) -> None:
    first = await elsewhere(tmp_path / "data", [gateway.server], keep_kernels=True)
    kernel_id = await first.kernel()
    await first.run("x = 1; open('old', 'w').write('old')", kernel_id)
    running = await stepping(first, kernel_id, tmp_path)
    await first.interpreter.aclose()
    (tmp_path / "first").touch()
    second = await elsewhere(tmp_path / "data", [gateway.server])
    try:
        await printed(second, running, "second")
        (tmp_path / "second").touch()
        (tmp_path / "third").touch()
        result = await second.wait(running)
        assert (result["status"], text(result)) == ("ok", "first\nsecond\nthird\ndone\n")
        assert "restarted while this ran" in str(result["notice"])
        after = await second.run("x, open('old').read(); open('new', 'w').write('new')", kernel_id)
        assert (after["notice"], [each["path"] for each in after["files"]]) == (None, ["new"])
    finally:
        await second.interpreter.aclose()


async def test_kernels_that_nobody_wants_are_ended_by_the_next_server_here(server: Gateway, tmp_path: Path) -> None:
    first = await elsewhere(tmp_path / "data", [server.server], keep_kernels=True)
    kernel_id = await first.kernel()
    await first.run("1", kernel_id)
    remote_id = next(each for each in first.interpreter.sessions.live()).kernel.process.record.kernel  # type: ignore[union-attr]
    await first.interpreter.aclose()
    assert server.get(f"api/kernels/{remote_id}") == 200
    (tmp_path / "data" / "cellblock.db").unlink()
    second = await elsewhere(tmp_path / "data", [server.server])
    await second.interpreter.aclose()
    assert server.get(f"api/kernels/{remote_id}") == 404


async def test_a_kernel_that_went_with_its_server_meanwhile_is_told_lost(gateways: Any, tmp_path: Path) -> None:
    (gateway,) = await gateways(1)
    first = await elsewhere(tmp_path / "data", [gateway.server], keep_kernels=True)
    kernel_id = await first.kernel()
    await first.run("x = 1", kernel_id)
    await first.interpreter.aclose()
    gateway.kill()
    await gateway.start().up()
    second = await elsewhere(tmp_path / "data", [gateway.server])
    try:
        result = await second.run("'x' in globals()", kernel_id)
        assert text(result) == "False"
        assert "variables of before are lost" in str(result["notice"])
    finally:
        await second.interpreter.aclose()
