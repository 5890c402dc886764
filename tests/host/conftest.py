"""One interpreter for all tests that only need kernels; those about its life start their own."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from gateways import Begin, Gateway, Kind, elsewhere, end_all
from interpreting import Bench, small, text

from cellblock.host.interpreter import Interpreter
from cellblock.host.servers import JupyterServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    interpreter = await Interpreter.start(small(tmp_path_factory.mktemp("shared") / "data"))
    try:
        await interpreter.ready()
        yield Bench(interpreter)
    finally:
        await interpreter.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def bench(shared: Bench) -> AsyncIterator[Bench]:
    """The shared interpreter; the test's kernels are deleted after it."""
    yield shared
    await shared.tidy()


@pytest_asyncio.fixture(loop_scope="session")
async def bystander(bench: Bench) -> AsyncIterator[str]:
    """A session that must not notice what a test does: its variable and its file are looked at afterwards."""
    kernel_id = await bench.kernel()
    await bench.run("mine = 42; open('mine.txt', 'w').write('mine')", kernel_id)
    yield kernel_id
    result = await bench.run("print(mine, open('mine.txt').read())", kernel_id)
    assert (result["status"], text(result), result["notice"]) == ("ok", "42 mine\n", None)


Start = Callable[..., Coroutine[Any, Any, Bench]]


@pytest_asyncio.fixture(loop_scope="session")
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    """Starts interpreters of a test's own on one data directory, and closes those that are still open."""
    running: list[Interpreter] = []

    async def started(**config: Any) -> Bench:
        interpreter = await Interpreter.start(small(tmp_path / "data", **config))
        running.append(interpreter)
        await interpreter.ready()
        return Bench(interpreter)

    yield started
    for interpreter in running:
        await interpreter.aclose()


# --- kernels of other Jupyter servers ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Kind], Gateway]]:
    made: dict[Kind, Gateway] = {}

    def started(kind: Kind) -> Gateway:
        if kind not in made:
            made[kind] = Gateway(tmp_path_factory.mktemp(kind), kind).start()
        return made[kind]

    yield started
    end_all(made.values())


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway(_started: Callable[[Kind], Gateway]) -> Gateway:
    """A Jupyter Kernel Gateway, which keeps no files and lists no kernels."""
    return await _started("gateway").up()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(_started: Callable[[Kind], Gateway]) -> Gateway:
    """A Jupyter Server, which has both."""
    return await _started("server").up()


@pytest_asyncio.fixture(loop_scope="session")
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    """Starts interpreters of a test's own on some servers, and closes them."""
    running: list[Bench] = []

    async def begun(*servers: JupyterServer, **options: Any) -> Bench:
        running.append(await elsewhere(tmp_path / "data", servers, **options))
        return running[-1]

    yield begun
    for bench in running:
        await bench.interpreter.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def gateways(tmp_path: Path) -> AsyncIterator[Callable[..., Coroutine[Any, Any, list[Gateway]]]]:
    """Starts gateways of a test's own, and ends them."""
    made: list[Gateway] = []

    async def started(count: int, *options: str, kind: Kind = "gateway", **others: Any) -> list[Gateway]:
        new = [Gateway(tmp_path / f"g{len(made) + n}", kind, options, **others).start() for n in range(count)]
        made.extend(new)
        return [await gateway.up() for gateway in new]

    yield started
    end_all(made)
