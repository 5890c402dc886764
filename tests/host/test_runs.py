"""Detached runs: they go on without listeners, and stop when told to."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from cellblock.errors import RunActive
from cellblock.host.runs import Run, Runs


async def words(*said: str) -> AsyncIterator[str]:
    for word in said:
        await asyncio.sleep(0)
        yield word


async def forever(ended: list[str]) -> AsyncIterator[str]:
    try:
        yield "begun"
        await asyncio.Event().wait()
    finally:
        ended.append("ended")


async def broken() -> AsyncIterator[str]:
    yield "a"
    raise RuntimeError("no")


async def heard(run: Run) -> list[str]:
    return [piece async for piece in run.tail()]


async def test_every_listener_hears_the_whole_run_whenever_it_comes() -> None:
    runs = Runs()
    run = runs.start("x", words("a", "b"))
    assert await heard(run) == ["a", "b"]
    assert await heard(run) == ["a", "b"]
    assert not runs.active("x")


async def test_one_run_at_a_time_and_another_afterwards() -> None:
    runs = Runs()
    run = runs.start("x", words("a"))
    second = words("b")
    with pytest.raises(RunActive):
        runs.start("x", second)
    await run.done.wait()
    assert await heard(runs.start("x", second)) == ["b"]


async def test_stop_ends_the_run_and_its_listeners() -> None:
    runs, ended = Runs(), list[str]()
    run = runs.start("x", forever(ended))
    listener = asyncio.create_task(heard(run))
    assert await anext(run.tail()) == "begun"
    assert await runs.stop("x")
    assert await listener == ["begun"]
    assert run.stopped
    assert not await runs.stop("x")


async def test_a_run_stopped_before_its_first_step_is_over() -> None:
    runs = Runs()
    source = words("a")
    run = runs.start("x", source)
    assert await runs.stop("x")
    assert await heard(run) == []
    await source.aclose()  # type: ignore[attr-defined]


async def test_a_run_that_fails_ends_with_its_error() -> None:
    runs = Runs()
    run = runs.start("x", broken())
    assert await heard(run) == ["a"]
    assert isinstance(run.error, RuntimeError)


async def test_an_ended_run_is_kept_by_its_readers_only_and_closing_stops_the_rest() -> None:
    runs, ended = Runs(), list[str]()
    run = runs.start("a", words("a"))
    await run.done.wait()
    assert runs.get("a") is None
    gone = weakref.ref(run)
    del run
    await asyncio.sleep(0)
    gc.collect()
    assert gone() is None
    runs.start("live", forever(ended))
    await asyncio.sleep(0)
    await runs.aclose()
    assert not runs.active("live")
    assert ended == ["ended"]
