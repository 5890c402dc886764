"""The warm pool's decision, and what it does when starts fail. With real kernels it is in test_kernels.py."""

import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cellblock.errors import KernelStartFailed
from cellblock.host.kernels import Kernel
from cellblock.host.pool import AT_ONCE, CHECK, FIRST_DELAY, LAST_DELAY, QUIET, Decision, Pool, State, decide

EMPTY = State(size=2, warm=0, starting=0, room=10, now=100.0)
counts = st.integers(0, 5)


def test_an_empty_pool_starts_a_kernel_and_not_all_at_once() -> None:
    assert decide(EMPTY) == Decision(start=AT_ONCE)
    assert decide(replace(EMPTY, starting=AT_ONCE)) == Decision()


def test_a_full_pool_rests_and_one_too_full_discards() -> None:
    assert decide(replace(EMPTY, warm=2)) == Decision()
    assert decide(replace(EMPTY, warm=1, starting=1)) == Decision()
    assert decide(replace(EMPTY, warm=4)) == Decision(discard=2)


def test_after_a_kernel_was_taken_its_first_cell_has_the_processors() -> None:
    assert decide(replace(EMPTY, taken=100.0)) == Decision(again=100.0 + QUIET)
    assert decide(replace(EMPTY, taken=100.0 - QUIET)) == Decision(start=AT_ONCE)


def test_without_memory_it_looks_again_later() -> None:
    assert decide(replace(EMPTY, room=0)) == Decision(again=100.0 + CHECK)


def test_failures_are_waited_out_longer_and_longer() -> None:
    waits = [decide(replace(EMPTY, failed=100.0, failures=count)).again for count in (1, 2, 3, 50)]
    assert waits == [100 + FIRST_DELAY, 100 + 2 * FIRST_DELAY, 100 + 4 * FIRST_DELAY, 100 + LAST_DELAY]


@given(st.builds(State, counts, counts, counts, counts, st.just(10.0), failures=counts))
def test_it_never_goes_beyond_size_or_memory(state: State) -> None:
    decision = decide(state)
    assert 0 <= decision.start <= min(state.room, max(0, state.size - state.warm - state.starting))
    assert 0 <= decision.discard <= state.warm
    assert decision.again is None or decision.again > state.now


async def test_a_start_that_fails_is_told_and_tried_again() -> None:
    tries = asyncio.Semaphore(0)

    async def launch() -> Kernel:
        tries.release()
        raise KernelStartFailed("no")

    async def discard(_: Kernel) -> None:
        raise AssertionError

    pool = Pool(1, launch=launch, discard=discard, room=lambda: 5)
    pool.open()
    await pool.filled()
    assert pool.statistics()["error"] == "no"
    assert pool.take() is None
    async with asyncio.timeout(10):
        await tries.acquire()
        await tries.acquire()
    await pool.aclose()
    assert pool.statistics()["failures"] >= 1
    assert pool.statistics()["misses"] == 1


async def test_closing_does_not_wait_for_a_kernel_that_is_starting() -> None:
    begun = asyncio.Event()

    async def launch() -> Kernel:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def discard(_: Kernel) -> None:
        raise AssertionError

    pool = Pool(1, launch=launch, discard=discard, room=lambda: 5)
    pool.open()
    await begun.wait()
    await pool.aclose()
    assert not pool.was_full
