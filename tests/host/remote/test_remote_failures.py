"""Several gateways at once, and what becomes of them: killed, frozen, refusing, answering 500, slow."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from gateways import QUICK, STEADY, Begin, Gateway, end_all, state, until
from interpreting import OWNER, Bench, text
from odd import Odd

from cellblock.host.remote import record

pytestmark = pytest.mark.asyncio(loop_scope="session")
Gateways = Callable[..., Coroutine[Any, Any, list[Gateway]]]


async def placed(bench: Bench, count: int) -> Counter[str]:
    """Starts sessions, one after the other, and says at which servers their kernels are."""
    for _ in range(count):
        await bench.run("1", await bench.kernel())
    return Counter(map(place, map(live(bench), bench.kernels)))


def live(bench: Bench) -> Callable[[str], Any]:
    sessions = {each.id: each for each in bench.interpreter.sessions.live()}
    return lambda kernel_id: sessions[kernel_id].kernel


def place(kernel: Any) -> str:
    return str(kernel.process.upstream.server.name)


async def all_healthy(bench: Bench, gateways: list[Gateway]) -> None:
    for gateway in gateways:
        await state(bench, gateway.server.name, "healthy")


def at(bench: Bench, gateways: list[Gateway], kernel_id: str) -> Gateway:
    name = place(live(bench)(kernel_id))
    return next(each for each in gateways if each.server.name == name)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def three(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Gateway]]:
    """Gateways that may be killed and frozen, if they are well again afterwards."""
    made = [Gateway(tmp_path_factory.mktemp("one")).start() for _ in range(3)]
    yield [await each.up() for each in made]
    end_all(made)


async def test_kernels_are_spread_and_move_when_their_server_is_killed(three: list[Gateway], begin: Begin) -> None:
    bench = await begin(*(each.server for each in three), remote=QUICK)
    await all_healthy(bench, three)
    assert sorted((await placed(bench, 3)).values()) == [1, 1, 1]
    kernel_id, *others = bench.kernels
    await bench.run("x = 1; open('mine', 'w').write('mine')", kernel_id)
    victim = at(bench, three, kernel_id)
    running = await bench.submit("print('on', flush=True)\nimport time\nwhile True: time.sleep(0.01)", kernel_id)
    await bench.until(running, "stream")
    victim.kill()
    died = await bench.wait(running)
    assert (died["status"], died["kernel_state"], text(died)) == ("kernel_died", "lost", "on\n")
    assert "its server does not answer" in str(died["notice"])
    moved = await bench.run("open('mine').read(), 'x' in globals()", kernel_id)
    assert text(moved) == "('mine', False)"
    assert "variables of before are lost" in str(moved["notice"])
    assert at(bench, three, kernel_id) is not victim
    for other in others:
        assert text(await bench.run("1 + 1", other)) == "2"  # they have noticed nothing
        assert (await bench.run("2", other))["notice"] is None
    assert (await state(bench, victim.server.name, "dead"))["lost"] == 1
    victim.start()
    await victim.up()
    await state(bench, victim.server.name, "healthy")
    await bench.run("1", await bench.kernel())
    assert at(bench, three, bench.kernels[-1]) is victim  # it is the least loaded one


async def test_an_idle_session_of_a_frozen_server_moves_and_the_others_stay_as_quick(
    three: list[Gateway], begin: Begin
) -> None:
    two = three[:2]
    bench = await begin(*(each.server for each in two), remote=QUICK)
    await all_healthy(bench, two)
    await placed(bench, 2)
    first, second = bench.kernels
    await bench.run("x = 1; open('mine', 'w').write('mine')", first)
    frozen = at(bench, two, first)
    ended = frozen.log().count("204 DELETE")
    frozen.freeze()
    waiting = await bench.submit("open('mine').read(), 'x' in globals()", first)
    while (await bench.interpreter.result(OWNER, waiting["id"]))["status"] not in ("ok", "kernel_died"):
        assert text(await bench.run("1 + 1", second)) == "2"
    moved = await bench.wait(waiting)
    if moved["status"] == "kernel_died":  # it was sent before anybody could know
        moved = await bench.run("open('mine').read(), 'x' in globals()", first)
    assert text(moved) == "('mine', False)"
    assert at(bench, two, first) is not frozen
    frozen.thaw()
    given_up = await state(bench, frozen.server.name, "healthy")
    assert given_up["ours"] == 0
    log = frozen.log
    async with asyncio.timeout(90):
        while log().count("204 DELETE") <= ended:  # noqa: ASYNC110 (another process's log)
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_a_full_server_is_passed_over_and_asked_again_later(gateways: Gateways, begin: Begin) -> None:
    (full,) = await gateways(1, "--KernelGatewayApp.max_kernels=1")
    (roomy,) = await gateways(1)
    bench = await begin(full.server, roomy.server)
    await all_healthy(bench, [full, roomy])
    assert (await placed(bench, 4))[full.server.name] == 1
    found = await state(bench, full.server.name, "resting")
    assert (found["refused"], found["started"]) == (1, 1)


async def test_when_all_are_full_that_is_told(gateways: Gateways, begin: Begin) -> None:
    (full,) = await gateways(1, "--KernelGatewayApp.max_kernels=0")
    bench = await begin(full.server)
    result = await bench.run("1", await bench.kernel())
    assert result["status"] == "kernel_died"
    assert result["notice"] == ("No kernel could be started. No Jupyter server takes another kernel (of 1: 1 refuse).")


async def test_a_draining_server_keeps_what_it_has_and_gets_nothing(
    gateway: Gateway, server: Gateway, begin: Begin
) -> None:
    bench = await begin(replace(gateway.server, draining=True), server.server)
    await state(bench, gateway.server.name, "draining")
    await state(bench, server.server.name, "healthy")
    assert await placed(bench, 2) == {server.server.name: 2}


MORE = [
    pytest.param(each, marks=pytest.mark.slow) for each in ("refuses", "talks for ever", "no json", "deep", "hangs up")
]


@pytest.mark.parametrize("oddity", ["fails", "slow", "redirects", *MORE])
async def test_an_odd_server_costs_nobody_anything(oddity: str, gateway: Gateway, begin: Begin) -> None:
    async with Odd(oddity, gateway.url) as odd:
        bench = await begin(odd.server, gateway.server, remote=QUICK)
        await state(bench, gateway.server.name, "healthy")
        assert await placed(bench, 2) == {gateway.server.name: 2}
        assert not odd.elsewhere, "the secret went to another server"


async def test_a_server_that_is_well_but_starts_no_kernel_is_passed_over(gateway: Gateway, begin: Begin) -> None:
    async with Odd("starts nothing", gateway.url) as odd:
        bench = await begin(odd.server, gateway.server, remote=QUICK)
        await all_healthy(bench, [gateway])
        await state(bench, odd.server.name, "healthy")
        assert (await placed(bench, 3))[gateway.server.name] == 3
        assert await until(bench, lambda status: status["remote"][0]["refused"] > 0)


async def test_a_server_that_never_starts_one_is_waited_for_once(gateway: Gateway, begin: Begin) -> None:
    async with Odd("starts never") as odd:
        bench = await begin(odd.server, gateway.server, remote=replace(STEADY, start_timeout=8.0))
        await all_healthy(bench, [gateway])
        await state(bench, odd.server.name, "healthy")
        assert (await placed(bench, 3))[gateway.server.name] == 3
        assert odd.asked.count("POST /api/kernels") == 1


async def test_a_refused_kernel_leaves_no_directory_behind(begin: Begin) -> None:
    async with Odd("keeps files") as odd:
        bench = await begin(odd.server)
        await state(bench, odd.server.name, "healthy")
        await until(bench, lambda status: status["remote"][0]["contents"])
        await bench.run("1", await bench.kernel())
        await state(bench, odd.server.name, "resting")
        made = {path.removeprefix("PUT ") for path in odd.asked if path.startswith("PUT ") and "/cellblock-" in path}
        assert len(made) == 2, "the directory, and the file that shows that a kernel lives there"
        async with asyncio.timeout(90):
            while not made <= {path.removeprefix("DELETE ") for path in odd.asked}:  # noqa: ASYNC110 (a server's log)
                await asyncio.sleep(0.02)


async def test_what_cannot_be_removed_here_keeps_no_server_from_being_watched(gateway: Gateway, begin: Begin) -> None:
    bench = await begin(gateway.server)
    kernel_id = await bench.kernel()
    await bench.run("x = 1", kernel_id)
    process = live(bench)(kernel_id).process
    (process.home / record.NAME).unlink()
    (process.home / record.NAME).mkdir()
    assert gateway.get(f"api/kernels/{process.record.kernel}", "DELETE") == 204
    assert "was ended by its server" in (await process.death).said
    (process.home / record.NAME).rmdir()
    assert text(await bench.run("1 + 1", kernel_id)) == "2"
    await state(bench, gateway.server.name, "healthy")


MUTE = """
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp

class Mute(IPythonKernel):
    async def do_execute(self, *given, **more):
        return {"status": "ok", "execution_count": 0, "payload": [], "user_expressions": {}}

IPKernelApp.launch_instance(kernel_class=Mute)
"""


@pytest.mark.slow
async def test_a_python_that_answers_no_errand_is_told_as_one_that_did_not_start(
    gateways: Gateways, begin: Begin
) -> None:
    (gateway,) = await gateways(1)
    place = gateway.directory / "jupyter/kernels/mute"
    place.mkdir(parents=True)
    argv = ["python", "-c", MUTE, "-f", "{connection_file}"]
    (place / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Mute", "language": "python"}))
    bench = await begin(gateway.server, remote=replace(STEADY, kernels=("mute",)))
    result = await bench.run("1", await bench.kernel())
    assert result["status"] == "kernel_died"
    assert "did not come up. It could not be asked about files: the kernel did not do what" in str(result["notice"])
    assert await until(bench, lambda status: status["remote"][0]["ours"] == 0)
