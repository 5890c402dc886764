"""Branches of sessions: what they begin with, what neither notices of the other, and what becomes of them, at both levels."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from interpreting import OWNER, Bench
from test_travel import said, traveller, undo

from cellblock.execution import Result

__all__ = ["traveller"]

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def bench(traveller: Bench) -> AsyncIterator[Bench]:
    yield traveller
    await traveller.tidy()


async def branch(bench: Bench, kernel_id: str, at: Result | None = None, **options: Any) -> str:
    view = await bench.interpreter.branch(OWNER, kernel_id, at=at and at["id"], **options)
    bench.kernels.append(view["id"])
    return view["id"]


async def test_a_branch_has_the_variables_of_now_and_neither_sees_the_other_change_them(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = [1]")
    twig = await branch(bench, trunk)
    assert twig != trunk
    await said(bench, twig, "x.append('branch')")
    await said(bench, trunk, "x.append('trunk')")
    assert await said(bench, twig, "print(x)") == "[1, 'branch']\n"
    assert await said(bench, trunk, "print(x)") == "[1, 'trunk']\n"


async def test_a_branch_may_begin_behind_an_execution_whose_state_is_kept(bench: Bench) -> None:
    trunk = await bench.kernel()
    first = await bench.run("x = 1", trunk)
    await said(bench, trunk, "x = 2")
    await said(bench, trunk, "x = 3")
    twig = await branch(bench, trunk, first)
    assert await said(bench, twig, "print(x)") == "1\n"
    assert await said(bench, trunk, "print(x)") == "3\n"
    await undo(bench, trunk)
    assert await said(bench, trunk, "print(x)") == "3\n"
    again = await branch(bench, trunk, first)  # the state is still one
    assert await said(bench, again, "print(x)") == "1\n"
