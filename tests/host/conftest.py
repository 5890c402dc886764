"""One interpreter for all tests that only need kernels; those about its life start their own."""

from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from interpreting import Bench, small, text

from cellblock.host.interpreter import Interpreter


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
