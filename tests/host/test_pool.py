"""The warm pool's decision, and what it does when starts fail. With real kernels it is in test_kernels.py."""

import asyncio
from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from cellblock.errors import KernelStartFailed
from cellblock.host.kernels import Kernel
from cellblock.host.pool import (
    AT_ONCE,
    CHECK,
    FIRST_DELAY,
    HALF_LIFE,
    LAST_DELAY,
    LONGEST_REST,
    QUIET,
    Decision,
    Pool,
    State,
    decide,
    faded,
    wanted,
)

EMPTY = State(size=2, most=8, warm=0, starting=0, room=10, now=100.0)
counts = st.integers(0, 10)
moments = st.floats(0, 10)
states = st.builds(
    State,
    size=counts,
    most=counts,
    warm=counts,
    starting=counts,
    room=st.integers(-3, 10),
    now=st.just(10.0),
    busy=st.integers(0, 100),
    demand=st.floats(0, 1000),
    taken=moments,
    took=moments,
    started=moments,
    failed=moments,
    failures=counts,
)


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


def test_as_many_are_wanted_as_were_lately_taken_but_never_fewer_or_more_than_set() -> None:
    taken = replace(EMPTY, taken=100.0)
    assert [wanted(replace(taken, demand=demand)) for demand in (0, 1, 2, 5, 50)] == [2, 2, 2, 5, 8]
    assert wanted(replace(EMPTY, most=0)) == 2


def test_demand_fades_by_half_and_what_is_too_much_then_goes() -> None:
    after_a_burst = replace(EMPTY, warm=8, demand=50, taken=100.0)
    assert decide(after_a_burst) == Decision(again=100.0 + CHECK)
    later = replace(after_a_burst, now=100.0 + 4 * HALF_LIFE)
    assert decide(later) == Decision(discard=5, again=later.now + CHECK)
    assert decide(replace(later, warm=2, now=later.now + 60)) == Decision()


def test_it_takes_no_more_of_the_processors_than_one_more_execution() -> None:
    just_started = replace(EMPTY, warm=1, started=99.9, took=0.2)
    assert decide(just_started).again == 99.9 + 0.2
    assert decide(replace(just_started, busy=3)).again == 99.9 + 0.2 * 4
    assert decide(replace(just_started, busy=1000)).again == 99.9 + LONGEST_REST
    assert decide(replace(just_started, busy=3, now=101.0)) == Decision(start=AT_ONCE)


@given(states)
def test_it_never_goes_beyond_demand_or_memory(state: State) -> None:
    decision = decide(state)
    missing = wanted(state) - state.warm - state.starting
    assert 0 <= decision.start <= max(0, min(state.room, missing, AT_ONCE - state.starting))
    assert 0 <= decision.discard <= min(state.warm, max(0, -missing))
    assert decision.again is None or decision.again > state.now
    assert state.size <= wanted(state) <= max(state.size, state.most)


@given(states)
def test_whoever_has_too_few_or_too_many_starts_discards_or_looks_again(state: State) -> None:
    decision = decide(state)
    idle = not decision.start and not decision.discard and decision.again is None
    assert not idle or state.starting or state.warm == state.size == wanted(state)


@dataclass
class Simulation:
    """A pool in a world without kernels: what `decide` says is done, and time passes as it asks for."""

    state: State

    def act(self) -> float | None:
        """Does what is decided; how long until it wants to be asked again."""
        decision = decide(self.state)
        assert decision.start + self.state.starting <= AT_ONCE
        assert decision.start <= max(0, self.state.room)
        self.state = replace(
            self.state,
            starting=self.state.starting + decision.start,
            room=self.state.room - decision.start + decision.discard,
            warm=self.state.warm - decision.discard,
        )
        return None if decision.again is None else decision.again - self.state.now

    def started(self, took: float) -> None:
        now = self.state.now + took
        self.state = replace(self.state, starting=0, warm=self.state.warm + 1, now=now, started=now, took=took)

    def taken(self) -> None:
        demand = faded(self.state.demand, self.state.now - self.state.taken) + 1
        warm = max(0, self.state.warm - 1)
        self.state = replace(self.state, warm=warm, demand=demand, taken=self.state.now)

    def settle(self) -> None:
        """Until it rests for good."""
        for _ in range(10_000):
            pause = self.act()
            if self.state.starting:
                self.started(0.05)
            elif pause is None:
                return
            else:
                self.state = replace(self.state, now=self.state.now + pause)
        raise AssertionError("it does not come to rest")


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(0, 100), st.integers(0, 20)), max_size=8))
def test_whatever_happens_it_comes_to_rest_at_its_size(bursts: list[tuple[int, float, int]]) -> None:
    world = Simulation(replace(EMPTY, room=100))
    for takes, pause, busy in bursts:
        for _ in range(takes):
            world.taken()
            world.act()
        assert wanted(world.state) >= min(8, takes)
        if world.state.starting:
            world.started(0.05)
        world.state = replace(world.state, now=world.state.now + pause, busy=busy)
        world.act()
    world.settle()
    assert (world.state.warm, world.state.starting) == (2, 0)


@given(st.integers(0, 10))
def test_memory_that_may_not_be_taken_is_left(room: int) -> None:
    world = Simulation(replace(EMPTY, room=room, demand=1000, taken=100.0, now=101.0))
    for _ in range(100):
        pause = world.act()
        if world.state.starting:
            world.started(0.05)
        elif pause:
            world.state = replace(world.state, now=world.state.now + min(pause, 0.01))
    assert world.state.warm == min(room, 8)
    assert world.state.room >= 0


async def test_a_start_that_fails_is_told_and_tried_again() -> None:
    tries = asyncio.Semaphore(0)

    async def launch() -> Kernel:
        tries.release()
        raise KernelStartFailed("no")

    async def discard(_: Kernel) -> None:
        raise AssertionError

    pool = Pool(1, most=1, launch=launch, discard=discard, room=lambda: 5, busy=lambda: 0)
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

    pool = Pool(1, most=1, launch=launch, discard=discard, room=lambda: 5, busy=lambda: 0)
    pool.open()
    await begun.wait()
    await pool.aclose()
    assert not pool.was_full


async def test_a_start_that_fails_in_a_way_nobody_foresaw_is_waited_out_too() -> None:
    starts = 0

    async def launch() -> Kernel:
        nonlocal starts
        starts += 1
        raise PermissionError("a place that the server may not write to any more")

    async def discard(_: Kernel) -> None:
        raise AssertionError("there is nothing to discard")

    pool = Pool(1, most=1, launch=launch, discard=discard, room=lambda: 1, busy=lambda: 0)
    pool.open()
    await asyncio.wait_for(pool.filled(), 5)
    for _ in range(50):
        await asyncio.sleep(0)
    statistics = pool.statistics()
    await pool.aclose()
    assert (starts, statistics["failures"]) == (1, 1)
    assert "may not write" in statistics["error"]
