"""Every lie on the wire ends as it should, costs little memory, and nobody else notices."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from _pytest.mark import ParameterSet
from interpreting import MIB, Bench, text
from leveled import LEVELS, interpreter_at
from lies import FAMILIES, LIAR, SPOKE, Attack

from cellblock.execution import Result
from cellblock.host import kernels

VICTIM = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('mine')"
GROWTH = (
    64 * MIB
)  # what the server may take for a moment, all parts of one message of 16 MiB as bytes and as text included


def memory(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) << 10


class Peak:
    """The most this process has held since it was made, above what it held then."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")
        self._before = memory("VmRSS")

    @property
    def growth(self) -> int:
        return memory("VmHWM") - self._before


@asynccontextmanager
async def working(bench: Bench, kernel_id: str) -> AsyncIterator[None]:
    """Meanwhile a neighbour computes, and everything it computes is right."""
    over = asyncio.Event()

    async def work() -> None:
        turn = 0
        while not over.is_set() or turn == 0:
            turn += 1
            result = await bench.run(f"print({turn}, mine + {turn})", kernel_id)
            assert (result["status"], text(result), result["notice"]) == ("ok", f"{turn} {42 + turn}\n", None)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        over.set()
        await task


async def attempt(bench: Bench, attack: Attack, kernel_id: str, what: str, other: str) -> Result:
    code = f"{LIAR}\n{attack.program(what)}".replace("OTHER", repr(other))
    return await bench.run(code, kernel_id, allow_stdin=attack.stdin, timeout=attack.timeout)


def shared_out() -> list[ParameterSet]:
    """One of each family at each level in `make test`, and some more at full; all of them in `make test-all`."""
    return [
        pytest.param(level, attack, id=f"{level}/{family}/{attack.name}", marks=[] if n % OFTEN[level] == 0 else SLOW)
        for level in LEVELS
        for family, attacks in FAMILIES.items()
        for n, attack in enumerate(attacks)
    ]


OFTEN = {"full": 8, "unprivileged": 100}
SLOW = [pytest.mark.slow]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def benches() -> AsyncIterator[Callable[[str], Coroutine[Any, Any, Bench]]]:
    """One interpreter for each level that is asked for."""
    async with AsyncExitStack() as stack:
        made: dict[str, Bench] = {}

        async def at(level: str) -> Bench:
            if level not in made:
                made[level] = await stack.enter_async_context(interpreter_at(level))
            return made[level]

        yield at


@pytest_asyncio.fixture(loop_scope="session")
async def bench(benches: Callable[[str], Coroutine[Any, Any, Bench]], level: str) -> AsyncIterator[Bench]:
    made = await benches(level)
    yield made
    await made.tidy()


@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize(("level", "attack"), shared_out())
async def test_a_lie_ends_as_it_should(
    bench: Bench, bystander: str, attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "LAST_BREATH", 0.5)
    kernel_id, other = await bench.kernel(), await bench.kernel()
    control = await attempt(bench, attack, kernel_id, attack.honest, "nobody")
    assert control["status"] == "ok", control["error"]
    assert SPOKE in text(control), control["outputs"]
    victim = await bench.submit(VICTIM, other)
    peak = Peak()
    async with working(bench, bystander):
        result = await attempt(bench, attack, kernel_id, attack.lie, victim["id"])
    assert peak.growth < GROWTH
    kept = result["kernel_state"] == "kept"
    assert result["status"] == attack.status, result["error"]
    assert attack.kept in (None, kept)
    assert attack.says is None or text(result) == attack.says
    assert len(str(result["outputs"])) < 4 * bench.interpreter.config.output_limit
    after = await bench.run("print(6 * 7)", kernel_id)
    assert (after["status"], text(after), after["notice"] is None) == ("ok", "42\n", kept)
    workspace = (await bench.interpreter.sessions.get("local", other)).workspace
    await asyncio.to_thread(workspace.write_bytes, "go", b"")
    mine = await bench.wait(victim)
    assert (mine["status"], text(mine)) == ("ok", "mine\n")


def test_the_gauge_sees_memory_that_is_taken_for_a_moment() -> None:
    peak = Peak()
    assert peak.growth < 8 * MIB
    held = b"x" * (100 * MIB)
    del held
    assert peak.growth > 90 * MIB
