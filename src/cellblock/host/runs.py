"""Detached runs: a run lives in a task of its own and writes a log; whoever listens only tails it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

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

    @property
    def active(self) -> bool:
        return not self.done.is_set()

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


class Runs:
    """The runs of this process by id: at most one active run per id, the last one kept for a reader who comes late."""

    def __init__(self, *, kept: int = 256) -> None:
        self._kept = kept
        self._runs: dict[str, Run] = {}

    def start(self, id: str, source: AsyncIterator[str]) -> Run:
        """Pumps `source` into a new run's log. RunActive while the id's last run is not done."""
        current = self._runs.get(id)
        if current and current.active:
            raise RunActive(f"The conversation {id} is being answered.")
        run = Run(id)
        self._runs.pop(id, None)
        self._runs[id] = run
        run.task = asyncio.create_task(run.pump(source), name=f"run {id}")
        run.task.add_done_callback(run.ended)
        self._forget_old()
        return run

    def get(self, id: str) -> Run | None:
        return self._runs.get(id)

    def active(self, id: str) -> bool:
        run = self._runs.get(id)
        return run is not None and run.active

    async def tail(self, id: str, after: int = 0) -> AsyncIterator[str]:
        """What the run has written and goes on to write. Ends early for a reader that fell behind the log's bound."""
        run = self._runs.get(id)
        if run is None:
            return
        async for entry in run.events.tail(after):
            if isinstance(entry, Gap):
                return
            yield entry[1]

    async def stop(self, id: str) -> bool:
        """Cancels the run and waits for its end; False when there was nothing to stop."""
        run = self._runs.get(id)
        if run is None or not run.active or run.task is None:
            return False
        run.task.cancel()
        await run.done.wait()
        return True

    async def forget(self, id: str) -> None:
        await self.stop(id)
        self._runs.pop(id, None)

    async def aclose(self) -> None:
        await asyncio.gather(*(self.stop(id) for id in list(self._runs)))

    def _forget_old(self) -> None:
        done = [id for id, run in self._runs.items() if not run.active]
        for id in done[: max(0, len(self._runs) - self._kept)]:
            del self._runs[id]
