"""Detached runs: a run lives in a task of its own and writes a log; whoever listens only tails it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import structlog

from cellblock.errors import RunActive
from cellblock.host.log import EventLog, Gap

LOG_BYTES = 64 << 20

log = structlog.get_logger("cellblock.runs")


@dataclass(eq=False)
class Run:
    """One run: `done` is set when its task has ended, however it ended; `error` is what it raised, if anything."""

    id: str
    events: EventLog[str] = field(
        default_factory=lambda: EventLog[str](max_items=1 << 20, max_bytes=LOG_BYTES, size=len)
    )
    done: asyncio.Event = field(default_factory=asyncio.Event)
    error: BaseException | None = None
    stopped: bool = False
    task: asyncio.Task[None] | None = None

    async def pump(self, source: AsyncIterator[str]) -> None:
        try:
            async for piece in source:
                self.events.append(piece)
        except asyncio.CancelledError:
            self.stopped = True
        except Exception as problem:
            self.error = problem
            log.exception("run_failed", run=self.id)

    def ended(self, task: asyncio.Task[None]) -> None:
        """Called when the task is over: also when it was cancelled before its first step."""
        self.stopped = self.stopped or task.cancelled()
        self.done.set()
        self.events.close()

    async def tail(self) -> AsyncIterator[str]:
        """What it has written and goes on to write. Ends early for a reader that fell behind the log's bound."""
        async for entry in self.events.tail():
            if isinstance(entry, Gap):
                return
            yield entry[1]


class Runs:
    """The runs of this process that have not ended, by id. One that has is kept by its readers, and by nobody else."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, id: str) -> asyncio.Lock:
        """Held by who reads a conversation to write it, until it is written or its run has started."""
        return self._turns.setdefault(id, asyncio.Lock())

    def start(self, id: str, source: AsyncIterator[str]) -> Run:
        """Pumps `source` into a new run's log. RunActive while the id's last run is not done."""
        if id in self._runs:
            raise RunActive(f"The conversation {id} is being answered.")
        run = self._runs[id] = Run(id)
        run.task = asyncio.create_task(run.pump(source), name=f"run {id}")
        run.task.add_done_callback(lambda task: self._ended(run, task))
        return run

    def _ended(self, run: Run, task: asyncio.Task[None]) -> None:
        del self._runs[run.id]
        run.ended(task)

    def get(self, id: str) -> Run | None:
        return self._runs.get(id)

    def active(self, id: str) -> bool:
        return id in self._runs

    async def stop(self, id: str) -> bool:
        """Cancels the run and waits for its end; False when there was nothing to stop."""
        run = self._runs.get(id)
        if run is None or run.task is None:
            return False
        run.task.cancel()
        await run.done.wait()
        return True

    async def aclose(self) -> None:
        await asyncio.gather(*(self.stop(id) for id in list(self._runs)))
