"""Warm kernels: a pure decision on what to start and what to drop, then the acts.

How many are kept follows how many are taken: each take counts for one, and for half as much HALF_LIFE seconds later.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

import structlog

from cellblock.errors import CellblockError
from cellblock.host.kernels import Kernel

HALF_LIFE = 15.0  # seconds
QUIET = 0.1  # seconds after a kernel was taken: its first cell should have the processors for itself
CHECK = 1.0  # seconds until it is looked again what demand and memory have become
FIRST_DELAY, LAST_DELAY = 0.5, 30.0  # seconds between failed starts: doubled each time
AT_ONCE = 1  # kernels started at the same time for the pool: executions come first
LONGEST_REST = 2.0  # seconds between two starts, however much is executed

log = structlog.get_logger("cellblock.pool")


@dataclass(frozen=True, slots=True)
class State:
    """What `decide` looks at. Times are of one clock, in seconds.

    Between `size` and `most` warm kernels are wanted. `room` is how many more kernels the machine's memory allows, and
    `busy` how many executions want its processors. `demand` is as of `taken`; the last start took `took` seconds.
    """

    size: int
    most: int
    warm: int
    starting: int
    room: int
    now: float
    busy: int = 0
    demand: float = 0.0
    taken: float = float("-inf")
    took: float = 0.0
    started: float = float("-inf")
    failed: float = float("-inf")
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """Start so many, discard so many of the oldest, and decide again at `again` (None: when something happens)."""

    start: int = 0
    discard: int = 0
    again: float | None = None


def faded(demand: float, seconds: float) -> float:
    """What is left of a demand after some time."""
    return demand * math.exp2(-seconds / HALF_LIFE)


def wanted(state: State) -> int:
    """How many warm kernels there should be: as many as were lately taken, within the bounds."""
    return min(max(state.size, state.most), max(state.size, round(faded(state.demand, state.now - state.taken))))


def decide(state: State) -> Decision:
    """Kernels being started count as warm ones to be; memory that may not be taken is not."""
    target = wanted(state)
    look = state.now + CHECK if target > state.size else None
    missing = target - state.warm - state.starting
    if missing < 0:
        return Decision(discard=min(state.warm, -missing), again=look)
    if missing == 0 or state.starting >= AT_ONCE:
        return Decision(again=look)
    if state.now < (earliest := earliest_start(state)):
        return Decision(again=earliest)
    if state.room < 1:
        return Decision(again=state.now + CHECK)
    return Decision(start=min(missing, AT_ONCE - state.starting, state.room), again=look)


def earliest_start(state: State) -> float:
    """After a take the first cell comes first; after a start the pool takes no more than one execution's share of the
    processors; after a failure it waits, twice as long each time."""
    earliest = max(state.taken + QUIET, state.started + min(LONGEST_REST, state.took * (1 + state.busy)))
    if state.failures:
        earliest = max(earliest, state.failed + min(LAST_DELAY, FIRST_DELAY * 2.0 ** (state.failures - 1)))
    return earliest


class Pool:
    """Keeps `size` kernels ready, up to `most` where many are taken.

    `launch` starts one, `discard` ends one for good, `room` and `busy` are State's.
    """

    def __init__(
        self,
        size: int,
        *,
        most: int,
        launch: Callable[[], Awaitable[Kernel]],
        discard: Callable[[Kernel], Coroutine[Any, Any, None]],
        room: Callable[[], int],
        busy: Callable[[], int],
    ) -> None:
        self.size, self.most = size, most
        self._launch, self._discard, self._room, self._busy = launch, discard, room, busy
        self._warm: list[Kernel] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._open = self._was_full = False
        self._changed = asyncio.Event()
        self._starting = 0
        self._taken = self._started = self._failed = float("-inf")
        self._demand = self._took = 0.0
        self._failures = 0
        self.error: str | None = None
        self.hits = self.misses = self.started = self.lost = 0

    def open(self) -> None:
        """Begins to fill."""
        self._open = True
        self._step()

    @property
    def was_full(self) -> bool:
        """Whether it has been full since it opened. From then on nobody waits for it: an empty pool forks."""
        return self._was_full or self.size == 0

    async def filled(self) -> None:
        """Waits until it has been full, or a start has failed (`error` says why), or memory allows no more."""
        while self._open and not self.was_full and not self._failures and (self._starting or self._room() > 0):
            self._changed.clear()
            await self._changed.wait()

    def take(self) -> Kernel | None:
        """A warm kernel, which is the caller's from now on; None when there is none."""
        self._drop_dead()
        kernel = self._warm.pop(0) if self._warm else None
        if kernel is None:
            self.misses += 1
        else:
            self.hits += 1
            kernel.process.death.remove_done_callback(self._died)
        now = asyncio.get_running_loop().time()
        self._demand, self._taken = faded(self._demand, now - self._taken) + 1, now
        self._step()
        return kernel

    async def aclose(self) -> None:
        """Ends all of them."""
        self._open = False
        if self._timer:
            self._timer.cancel()
        self._changed.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        warm, self._warm = self._warm, []
        await asyncio.gather(*(self._discard(kernel) for kernel in warm))

    def statistics(self) -> dict[str, Any]:
        """Counts since the start of this pool; `error`: why the last start failed, None when it did not."""
        return {
            "size": self.size,
            "wanted": wanted(self._state(asyncio.get_running_loop().time())),
            "warm": len(self._warm),
            "starting": self._starting,
            "hits": self.hits,
            "misses": self.misses,
            "started": self.started,
            "lost": self.lost,
            "failures": self._failures,
            "error": self.error,
        }

    def _step(self) -> None:
        """Decides, and acts on it."""
        self._changed.set()
        if not self._open:
            return
        loop = asyncio.get_running_loop()
        state = self._state(loop.time())
        decision = decide(state)
        if decision.start:  # memory is measured only then: that takes longer than all the rest
            decision = decide(replace(state, room=self._room()))
        for _ in range(decision.start):
            self._starting += 1
            self._spawn(self._start())
        for _ in range(decision.discard):
            self._spawn(self._discard(self._warm.pop(0)))
        if self._timer:
            self._timer.cancel()
        self._timer = loop.call_at(decision.again, self._step) if decision.again is not None else None

    def _state(self, now: float) -> State:
        return State(
            size=self.size,
            most=self.most,
            warm=len(self._warm),
            starting=self._starting,
            room=AT_ONCE,
            now=now,
            busy=self._busy(),
            demand=self._demand,
            taken=self._taken,
            took=self._took,
            started=self._started,
            failed=self._failed,
            failures=self._failures,
        )

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            kernel = await self._launch()
        except CellblockError as problem:
            self._start_failed(problem.message)
        except Exception as problem:  # what nobody foresaw is waited out as well
            log.exception("warm_kernel_failed")
            self._start_failed(repr(problem))
        else:
            self._failures, self.error = 0, None
            self.started += 1
            self._warm.append(kernel)
            self._was_full = self._was_full or len(self._warm) >= self.size
            kernel.process.death.add_done_callback(self._died)
        finally:
            self._starting -= 1
            self._started = loop.time()
            self._took = self._started - began
            self._step()

    def _start_failed(self, why: str) -> None:
        self._failures += 1
        self._failed = asyncio.get_running_loop().time()
        self.error = why
        log.error("warm_kernel_not_started", failures=self._failures, error=why)

    def _died(self, _: object) -> None:
        self._drop_dead()
        self._step()

    def _drop_dead(self) -> None:
        """A kernel that died while it waited is replaced; what is left of it is removed."""
        dead = [kernel for kernel in self._warm if not kernel.alive]
        self._warm = [kernel for kernel in self._warm if kernel.alive]
        for kernel in dead:
            self.lost += 1
            log.warning("warm_kernel_died", kernel=kernel.id)
            self._spawn(self._discard(kernel))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
