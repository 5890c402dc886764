"""Kernels of real Jupyter servers: what runs, its files and its limits are as those of our own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from gateways import QUICK, STEADY, Begin, Gateway, elsewhere, state, until
from interpreting import MIB, OWNER, Bench, text

from cellblock.errors import NoState, ServersUnavailable

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def benches(
    gateway: Gateway, server: Gateway, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Bench]]:
    """An interpreter for each kind of server."""
    made: dict[str, Bench] = {}
    for each in (gateway, server):
        made[each.kind] = await elsewhere(tmp_path_factory.mktemp("at") / "data", [each.server])
    yield made
    for bench in made.values():
        await bench.interpreter.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def bench(benches: dict[str, Bench]) -> AsyncIterator[Bench]:
    """With kernels of a Kernel Gateway."""
    yield benches["gateway"]
    await benches["gateway"].tidy()


@pytest_asyncio.fixture(loop_scope="session", params=["gateway", "server"])
async def either(request: pytest.FixtureRequest, benches: dict[str, Bench]) -> AsyncIterator[Bench]:
    """With kernels of one and of the other: they differ in how files travel."""
    yield benches[request.param]
    await benches[request.param].tidy()


async def upload(bench: Bench, kernel_id: str, path: str, data: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield data

    await bench.interpreter.write_file(OWNER, kernel_id, path, pieces())


async def content(bench: Bench, kernel_id: str, path: str) -> bytes:
    with await bench.interpreter.open_file(OWNER, kernel_id, path) as file:
        return b"".join([chunk async for chunk in file.aiter()])


async def test_a_session_runs_code_keeps_variables_and_is_shown_as_remote(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    first = await bench.run("x = 20; print('hi'); x + 1", kernel_id)
    assert (first["status"], text(first), first["notice"]) == ("ok", "hi\n21", None)
    assert text(await bench.run("x * 2", kernel_id)) == "40"
    assert (await bench.view(kernel_id))["sandbox"] == "remote"
    assert bench.interpreter.level == "remote"
    async with asyncio.timeout(90):
        while not (await bench.interpreter.complete(OWNER, kernel_id, "pri", 3))["matches"]:
            pass  # the first one loads what completes, and is waited for only so long
    assert [each["name"] for each in await bench.interpreter.variables(OWNER, kernel_id)] == ["x"]
    events = [event["event"] for event in await bench.events(first)]
    assert events == ["execution_start", "status", "stream", "execute_result", "status", "execution_end"]


async def test_files_travel_there_and_back(either: Bench) -> None:
    kernel_id = await either.kernel()
    large = bytes(range(256)) * 12_000
    await upload(either, kernel_id, "in/data é.bin", large)
    await upload(either, kernel_id, "empty", b"")
    code = """
import os
data = open("in/data é.bin", "rb").read()
assert open("empty").read() == ""
os.makedirs("out/deep")
open("out/deep/copy.bin", "wb").write(data[::-1])
open("nothing", "w").close()
os.remove("empty")
"""
    result = await either.run(code, kernel_id)
    assert (result["status"], result["error"], result["notice"]) == ("ok", None, None)
    changed = [(each["path"], each["size"], each["change"]) for each in result["files"]]
    expected = [("empty", 0, "deleted"), ("nothing", 0, "created"), ("out/deep/copy.bin", len(large), "created")]
    assert changed == expected
    assert await content(either, kernel_id, "out/deep/copy.bin") == large[::-1]
    await either.interpreter.delete_file(OWNER, kernel_id, "out/deep/copy.bin")
    await upload(either, kernel_id, "nothing", b"something")
    after = await either.run("os.path.exists('out/deep/copy.bin'), open('nothing').read()", kernel_id)
    assert (text(after), after["files"], after["notice"]) == ("(False, 'something')", [], None)


async def test_links_do_not_travel(either: Bench) -> None:
    kernel_id = await either.kernel()
    result = await either.run(
        "import os; os.symlink('/etc/passwd', 'link'); os.mkfifo('pipe'); os.symlink('.', 'round')", kernel_id
    )
    assert result["files"] == []
    entries = await either.interpreter.files(OWNER, kernel_id)
    assert [each["path"] for each in entries] == []


async def test_what_does_not_fit_stays_there_and_that_is_said(either: Bench) -> None:
    kernel_id = await either.kernel()
    code = f"open('large', 'wb').truncate({33 * MIB}); open('small', 'w').write('1')"
    result = await either.run(code, kernel_id)
    assert [each["path"] for each in result["files"]] == ["small"]
    assert (
        result["notice"]
        == "1 files that it changed could not be fetched from the kernel (large: the workspace has no room for it)."
    )


async def test_a_spill_is_there_for_the_next_cell(either: Bench) -> None:
    kernel_id = await either.kernel()
    result = await either.run("print('word ' * 50_000)", kernel_id)
    assert result["truncated"]
    read = await either.run(f"len(open({result['spill']!r}).read())", kernel_id)
    if "contents" in (await routes(either)):  # which shows no hidden files
        assert read["status"] == "error"
        assert read["notice"]
    else:
        assert text(read) == "250001"


async def routes(bench: Bench) -> set[str]:
    return {kernel.process.record.route for each in bench.interpreter.sessions.live() if (kernel := each.kernel)}  # type: ignore[attr-defined]


async def test_code_that_runs_too_long_is_interrupted_and_the_kernel_kept(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    slow = await bench.run(
        "import time\nopen('before', 'w').write('1')\nwhile True: time.sleep(0.01)", kernel_id, timeout=3.0
    )
    assert (slow["status"], slow["kernel_state"]) == ("timeout", "kept")
    assert [each["path"] for each in slow["files"]] == ["before"]
    assert text(await bench.run("x", kernel_id)) == "1"


async def test_code_that_will_not_stop_costs_the_kernel_at_its_server(gateway: Gateway, begin: Begin) -> None:
    bench = await begin(gateway.server, grace=0.5)
    kernel_id = await bench.kernel()
    deaf = "import signal; x = signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    result = await bench.run(deaf, kernel_id, timeout=0.5)
    assert (result["status"], result["kernel_state"]) == ("timeout", "lost")
    assert "it did not stop when its time was up" in str(result["notice"])
    after = await bench.run("'x' in globals()", kernel_id)
    assert (text(after), "fresh kernel" in str(after["notice"])) == ("False", True)


async def test_questions_are_answered_and_interrupts_heard(bench: Bench) -> None:
    kernel_id = await bench.kernel()
    asking = await bench.submit("print(input('name? '))", kernel_id, allow_stdin=True)
    assert (await bench.until(asking, "input_request"))["content"]["prompt"] == "name? "
    await bench.interpreter.answer(OWNER, asking["id"], "Ada")
    assert text(await bench.wait(asking)) == "Ada\n"
    waiting = await bench.submit("print('on')\nimport time\nwhile True: time.sleep(0.01)", kernel_id)
    await bench.until(waiting, "stream")
    await bench.interpreter.interrupt(OWNER, kernel_id)
    assert (await bench.wait(waiting))["status"] == "interrupted"


async def test_a_kernel_that_dies_is_noticed_and_the_next_one_has_the_files(either: Bench) -> None:
    kernel_id = await either.kernel()
    await either.run("x = 1; open('kept', 'w').write('kept')", kernel_id)
    died = await either.run("open('last', 'w').write('1')\nimport os; os._exit(3)", kernel_id)
    assert (died["status"], died["kernel_state"]) == ("kernel_died", "lost")
    if "lost: they went with the kernel" in str(died["notice"]):
        expected = ["kept"]
    else:
        assert [each["path"] for each in died["files"]] == ["last"]
        expected = ["kept", "last"]
    after = await either.run("import os; sorted(os.listdir())", kernel_id)
    assert text(after) == str(expected)
    assert "variables of before are lost" in str(after["notice"])


async def test_a_one_shot_has_its_files_and_leaves_its_own(bench: Bench) -> None:
    result = await bench.run("open('b', 'w').write(open('a').read() * 2)", files=[("a", b"ab")])
    assert [each["path"] for each in result["files"]] == ["b"]
    with await bench.interpreter.open_execution_file(OWNER, result["id"], "b") as file:
        assert await file.read(0, 10) == b"abab"


async def test_kernels_at_the_server_end_with_their_sessions(server: Gateway, begin: Begin) -> None:
    bench = await begin(server.server)
    before = (await state(bench, server.server.name, "healthy"))["kernels"]
    kernel_id = await bench.kernel()
    await bench.run("1", kernel_id)
    assert await counted(bench, before + 1)
    await bench.interpreter.delete(OWNER, kernel_id)
    assert await counted(bench, before)


async def counted(bench: Bench, wanted: int) -> bool:
    return await until(bench, lambda status: status["remote"][0]["kernels"] == wanted)


async def test_warm_kernels_are_kept_at_the_server(gateway: Gateway, begin: Begin) -> None:
    bench = await begin(gateway.server, pool_size=1)
    assert await until(bench, lambda status: status["pool"]["warm"] == 1)
    kernel_id = await bench.kernel()
    assert (await bench.view(kernel_id))["state"] == "idle"
    assert text(await bench.run("1 + 1", kernel_id)) == "2"


async def test_a_kernelspec_that_no_server_has_is_told(gateway: Gateway, begin: Begin) -> None:
    bench = await begin(gateway.server, remote=replace(STEADY, kernels=("python3", "ir")))
    kernel_id = await bench.kernel(environment="ir")
    result = await bench.run("1", kernel_id)
    assert result["status"] == "kernel_died"
    assert "1 have no kernelspec ir" in str(result["notice"])


async def test_the_text_format_is_spoken_where_a_server_has_no_other(gateways: Any, begin: Begin) -> None:
    (old,) = await gateways(
        1,
        "--GatewayWebSocketConnection.kernel_ws_protocol=",
        "--ZMQChannelsWebsocketConnection.kernel_ws_protocol=",
        kind="server",
    )
    bench = await begin(old.server)
    kernel_id = await bench.kernel()
    code = """
from IPython.display import display, Image
print("é" * 1000)
display(Image(data=b"\\x89PNG" + bytes(1000), format="png"))
input("?")
"""
    asking = await bench.submit(code, kernel_id, allow_stdin=True)
    await bench.until(asking, "input_request")
    await bench.interpreter.answer(OWNER, asking["id"], "yes")
    result = await bench.wait(asking)
    assert result["status"] == "ok"
    assert text(result).startswith("é" * 1000)
    assert "image/png" in result["outputs"][1]["data"]


async def test_no_server_at_all_is_told_and_nothing_hangs(gateways: Any, begin: Begin) -> None:
    (gone,) = await gateways(1)
    gone.end()
    bench = await begin(gone.server, remote=QUICK)
    kernel_id = await bench.kernel()
    result = await bench.run("1", kernel_id)
    assert result["status"] == "kernel_died"
    assert "1 do not answer" in str(result["notice"])
    with pytest.raises(ServersUnavailable):
        await bench.interpreter.environments.get().kernel(id=kernel_id, uid=0)


async def test_a_kernel_elsewhere_has_no_state_to_branch_from(bench: Bench) -> None:
    kernel = await bench.kernel()
    await bench.run("x = 1", kernel)
    with pytest.raises(NoState):
        await bench.interpreter.branch(OWNER, kernel)
    assert text(await bench.run("print(x)", kernel)) == "1\n"
