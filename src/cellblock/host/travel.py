"""One session's way through its states: snapshots before cells, back after a death, undo and redo. `timeline` decides.

A snapshot lives in the sandbox of its kernel, ends with it, and is never more than a hope: it is there when init says so.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from cellblock.content import Malformed
from cellblock.errors import CellblockError, KernelBusy, KernelFault, NoState, Unavailable
from cellblock.execution import timestamp
from cellblock.host import timeline as time
from cellblock.host import weighing
from cellblock.host.aside import Aside, PutBack
from cellblock.host.config import Config
from cellblock.host.connection import Keeping
from cellblock.host.executions import Job
from cellblock.host.kernels import Kernel
from cellblock.host.timeline import ORIGIN, State, Step, Timeline
from cellblock.host.views import KernelView, StateView, TravelView
from cellblock.host.workspace import Scan, Workspace

MODEL_DOORS = frozenset({"chat", "mcp"})
TAKE_SECONDS = 10.0
WEIGH_SECONDS = 0.5  # from a cell until its states are weighed
SOON = (0.005, 0.02, 0.1, 0.0)  # seconds after which a snapshot that has just been forked is asked for again

log = structlog.get_logger("cellblock.travel")


@dataclass(frozen=True)
class Went:
    """Where a session has gone: the kernel from now on, and the executions that do not stand any more, or stand again.

    `problem`: why it is where it was.
    """

    kernel: Kernel
    undone: tuple[Step, ...] = ()
    redone: tuple[Step, ...] = ()
    files: PutBack = field(default_factory=PutBack)
    problem: NoState | None = None

    def view(self, kernel: KernelView) -> TravelView:
        return {
            "kernel": kernel,
            "undone": [step.execution_id for step in self.undone],
            "redone": [step.execution_id for step in self.redone],
            "restored": list(self.files.restored),
            "not_restored": list(self.files.not_restored),
            "notice": self.files.sentence() or None,
        }


@dataclass(eq=False)
class Jump:
    """A way back or forth that waits its turn in the session's queue. `place` finds where to."""

    place: Callable[[Timeline], int]
    went: "asyncio.Future[Went]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def go(self, travel: "Travel", kernel: Kernel | None, count: int) -> Went | None:
        """None when there is no way there, which whoever asked has been told."""
        try:
            if kernel is None or not kernel.alive:
                raise NoState("There is no live kernel, and so no state of it.")
            return await travel.jump(kernel, self.place(travel.timeline), count)
        except CellblockError as problem:
            self.fail(problem)
            return None

    def arrived(self, went: Went) -> None:
        if went.problem:
            self.fail(went.problem)
        elif not self.went.done():  # who asked may have gone away on the way
            self.went.set_result(went)

    def fail(self, problem: str | Exception) -> None:
        if not self.went.done():
            self.went.set_exception(Unavailable(problem, retry_after=1.0) if isinstance(problem, str) else problem)
            self.went.exception()  # nobody may be waiting any more


@dataclass(eq=False)
class Travel:
    """The states of one kernel. `kept` is where files are kept aside; `afresh` starts another kernel in its place; `total`:
    bytes that its snapshots add to it."""

    config: Config
    workspace: Workspace
    kept: Path
    afresh: Callable[[Kernel], Awaitable[Kernel]]
    timeline: Timeline = field(default_factory=Timeline)
    total: int = 0
    news: str | None = None  # what the next Result has to say of a state that nobody asked for
    _taken: float = float("-inf")  # when the last snapshot was, by the loop's clock
    _running: str = ""  # the state before the cell that runs
    _leaving: list[str] = field(default_factory=list)  # states in no timeline any more, whose processes are still there
    _common: int | None = None  # what the kernel shared with its template before the first one
    _weighing: asyncio.Task[None] | None = None
    _settling: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.aside = Aside(self.kept, self.workspace)

    def told(self) -> str | None:
        """The news, once."""
        news, self.news = self.news, None
        return news

    # before a cell

    async def before(self, kernel: Kernel, job: Job, scan: Scan, *, blank: bool) -> Keeping | None:
        """An execution is about to run: the snapshot to take, if any. `blank`: nothing has run in the kernel."""
        if job.resumed is not None or not kernel.ours:
            return None
        wish = self._wish(kernel, job, blank)
        name = job.id if self.config.snapshots > 0 and time.wanted(wish) else None
        kept = name or (ORIGIN if blank and wish.mode == "auto" else None)
        if name:
            await self._remember_common(kernel)
            self._taken, self._running = asyncio.get_running_loop().time(), name
        if kept:
            await self._keep_files(kept, scan)
        state = State(kept, self.config.clock()) if kept else None
        self._change(kernel, self.timeline.ran(job.id, job.execution.cell_id, state))
        if name:
            tight = wish.used > time.ROOM * wish.limit
            self._make_way(kernel, time.too_many(self.timeline, most=self.config.snapshots, spared={name}), tight)
            return Keeping(name, tight)
        return None

    def _wish(self, kernel: Kernel, job: Job, blank: bool) -> time.Wish:
        since = asyncio.get_running_loop().time() - self._taken
        used, limit = kernel.process.usage().memory_bytes, self.config.memory_limit
        mode = job.request.snapshot or self.config.snapshot
        return time.Wish(mode, job.request.door in MODEL_DOORS, blank, used, limit, since)

    async def _keep_files(self, state: str, scan: Scan | None, *, spared: str = "") -> None:
        try:
            known = scan if scan is not None else await asyncio.to_thread(self.workspace.scan)
            await asyncio.to_thread(self.aside.keep, state, known, spared=spared)
        except (CellblockError, OSError) as problem:
            log.warning("files_not_kept", reason=str(problem))

    async def _remember_common(self, kernel: Kernel) -> None:
        if self._common is None:
            self._common = (await asyncio.to_thread(weighing.weight, kernel.process.pid)).common

    def _make_way(self, kernel: Kernel, names: list[str], tight: bool) -> None:
        """For the state that is being taken: their processes end after the cell, as to end takes as long as to be forked.

        `tight`: now, since memory is short.
        """
        self.timeline = self.timeline.only(self.timeline.names - set(names))
        self.aside.forget(names)
        self._leaving += names
        if tight:
            self._see_off(kernel)

    def _see_off(self, kernel: Kernel) -> None:
        if self._leaving:
            kernel.process.drop(self._leaving)
            self._leaving = []

    def press(self, kernel: Kernel) -> None:
        """Memory is short while a cell runs: all older states go, so that they cost it nothing."""
        self._see_off(kernel)
        self._drop(kernel, [state.name for state in time.snapshots(self.timeline)[:-1]])

    # after it

    def settle(self, kernel: Kernel) -> None:
        """Behind the scenes, after a cell: which states there really are, what they weigh, and which are too many bytes."""
        self._running = ""
        self._see_off(kernel)
        if self.timeline.states and (self._settling is None or self._settling.done()):
            self._settling = asyncio.create_task(self._soon(kernel))

    async def _soon(self, kernel: Kernel) -> None:
        """Not after each of many small cells: to weigh a process holds up its own page faults, some 2 ms."""
        await asyncio.sleep(WEIGH_SECONDS)
        if kernel.alive and self._may_be_too_large(kernel):
            self._begin_weighing(kernel)

    def _may_be_too_large(self, kernel: Kernel) -> bool:
        """Not while all of the sandbox takes less than its states may; that is cheap to know only where a cgroup counts."""
        counted = kernel.process.cgroups.get("version")
        return not counted or kernel.process.usage().memory_bytes > self.config.snapshot_limit

    def _begin_weighing(self, kernel: Kernel) -> None:
        if self.timeline.states and (self._weighing is None or self._weighing.done()):
            self._weighing = asyncio.create_task(self._weigh(kernel))

    async def _weigh(self, kernel: Kernel) -> None:
        """What is dropped changes what the others weigh, so until nothing is."""
        while await self._weigh_once(kernel):
            pass

    async def _weigh_once(self, kernel: Kernel) -> bool:
        """Whether states had to go."""
        asked, running = self.timeline.names, self._running
        found = await _found(kernel)
        if found is None or not kernel.alive:
            return False  # nothing is known of any
        kept = {name: pid for name, pid in found.items() if name in self.timeline.names}
        sizes, self.total = await asyncio.to_thread(weighing.weigh, kernel.process.pid, kept, self._common or 0)
        new = (self.timeline.names - asked) | {running, self._running}  # which init may not have known when we asked
        self.timeline = self.timeline.only({*kept, *new}).weighed(sizes)
        dropped = time.too_large(self.timeline, limit=self.config.snapshot_limit, total=self.total)
        self._drop(kernel, dropped)
        return bool(dropped)

    async def look(self, kernel: Kernel | None) -> list[StateView]:
        """The states there are, measured now, in the order of what they have seen."""
        if kernel is None or not kernel.alive:
            return []
        if self._weighing:  # it may have begun before the last state was there
            await asyncio.wait([self._weighing])
        self._begin_weighing(kernel)
        if self._weighing:
            await asyncio.wait([self._weighing])
        line = self.timeline
        places = [(step.execution_id, step.cell_id) for step in line.steps] + [(None, None)]
        return [
            {
                "execution_id": execution_id,
                "cell_id": cell_id,
                "created": timestamp(state.created),
                "bytes": state.bytes,
                "undone": place >= line.at,
            }
            for place, (execution_id, cell_id) in enumerate(places)
            if (state := line.state(place))
        ]

    def rolls_back(self, job: Job) -> bool:
        """Whether an error in it is to leave no trace."""
        usual = self.config.model_on_error if job.request.door in MODEL_DOORS else self.config.on_error
        return (job.request.on_error or usual) == "rollback"

    # back

    async def back(self, kernel: Kernel, count: int, *, exactly: bool = False, idle: bool = False) -> "Went | None":
        """The kernel has ended, or has to: it is back as it was in the last state there is; `exactly`: before the last cell.

        None when there is no such state; `idle`: nothing ran. The steps are undone for good.
        """
        place = self.timeline.back()
        while place is not None and (place == self.timeline.at - 1 or not exactly):
            state = self.timeline.state(place) or State("", 0)
            if state.name == ORIGIN and (idle or place < self.timeline.at - 1):
                return None  # a fresh kernel in the place of one that had variables is a loss
            try:
                revived = await self._revived(kernel, state, count)
            except Unavailable as problem:
                log.warning("not_revived", kernel=kernel.id, reason=problem.message)
            else:
                undone = self.timeline.steps[place : self.timeline.at]
                files = await self._put_back(state.name) if exactly else PutBack()
                self._change(revived, self.timeline.fell_back(place))
                return Went(revived, undone, files=files)
            if state.name == ORIGIN:
                return None
            self.timeline = self.timeline.only(self.timeline.names - {state.name})
            place = self.timeline.back()
        return None

    async def _revived(self, kernel: Kernel, state: State, count: int, keep: str = "") -> Kernel:
        """A kernel in a state, in the place of another, which is kept. Unavailable, and KernelFault: there is none."""
        if state.name != ORIGIN:
            return await kernel.revived(state.name, count=count, keep=keep)
        fresh = await self.afresh(kernel)
        await silently(fresh, count=count)
        return fresh

    async def jump(self, kernel: Kernel, place: int, count: int) -> "Went":
        """Goes to the state at a place, and keeps the one there is for the way back. NoState when it is gone meanwhile: said
        by the Went where the kernel had lain down for it by then, and has stood up again."""
        state = self.timeline.state(place)
        if state is None:
            raise NoState("That state is not kept any more.")
        left = State(f"left-{uuid.uuid4().hex}", self.config.clock())
        if state.name != ORIGIN:
            await self._keep_files(left.name, None, spared=state.name)
        try:
            revived = await self._revived(kernel, state, count, keep=left.name)
        except Unavailable as problem:
            self._change(kernel, self.timeline.only(self.timeline.names - {state.name}))
            kernel.process.drop([left.name])
            raise NoState(f"That state is gone. {problem.message}") from None
        if revived.state == left.name:
            self.aside.forget([left.name])
            self._change(revived, self.timeline.only(self.timeline.names - {state.name}))
            return Went(revived, problem=NoState("That state is gone: it ended while the kernel made way."))
        files = await self._put_back(state.name)
        steps, at = self.timeline.steps, self.timeline.at
        if state.name == ORIGIN:
            self.forget()  # the sandbox of before has ended, and all states with it
        else:
            self.timeline = self.timeline.gone_to(place, left)
            self._drop(revived, time.too_many(self.timeline, most=self.config.snapshots + 1, spared={left.name}))
        return Went(revived, steps[place:at], steps[at:place], files)

    async def _put_back(self, state: str) -> PutBack:
        """The files as they were in a state."""
        try:
            return await asyncio.to_thread(self.aside.put_back, state)
        except CellblockError as problem:
            return PutBack((), (problem.message,))

    async def recall(self, kernel: Kernel, executions: Sequence[tuple[str, str | None]]) -> None:
        """Of a kernel that has outlived a server: the states before executions that are known, oldest first.

        What was undone cannot be redone, and which files there were is not known any more.
        """
        found = await kernel.process.snapshots() or {}
        states = [State(name, self.config.clock()) for name in found]
        self.timeline = time.in_order(executions, states)
        kernel.process.drop(sorted(found.keys() - self.timeline.names))

    # ends

    def forget(self) -> None:
        """The sandbox has ended, and its snapshots with it."""
        for task in (self._weighing, self._settling):
            if task:
                task.cancel()
        self.timeline, self.total, self._common, self._leaving = Timeline(), 0, None, []
        self.aside.forget()
        self._taken = float("-inf")

    def _change(self, kernel: Kernel, timeline: Timeline) -> None:
        """The states that are in no timeline any more are dropped."""
        before, self.timeline = self.timeline.names, timeline
        if gone := sorted(before - timeline.names):
            kernel.process.drop(gone)
            self.aside.forget(gone)

    def _drop(self, kernel: Kernel, names: list[str]) -> None:
        if names:
            self._change(kernel, self.timeline.only(self.timeline.names - set(names)))


def undoing(to: str | None) -> Callable[[Timeline], int]:
    """Where an undo leads. NoState."""

    def place(timeline: Timeline) -> int:
        found = timeline.back(to)
        if found is None:
            raise NoState("There is no state to go back to." if to is None else "The state before it is not kept.")
        return found

    return place


def redoing(timeline: Timeline) -> int:
    """Where a redo leads. NoState."""
    found = timeline.forth()
    if found is None:
        raise NoState("There is nothing to redo.")
    return found


def what_is_undone(steps: Sequence[Step], own: str | None = None) -> str:
    """A sentence on the state a kernel is back in; `own`: the execution that is told."""
    others = [step for step in steps if step.execution_id != own]
    if not others:
        return "The kernel is back as it was before this cell: the variables of before are there."
    which = "that is" if len(others) == 1 else f"{len(others)} executions are"
    return f"The kernel is back in an earlier state, the one before execution {others[0].execution_id}: {which} undone."


def busy() -> KernelBusy:
    return KernelBusy("Code runs in this kernel, or waits to.")


async def silently(kernel: Kernel, **asked: Any) -> None:
    """A message to the kernel outside of any cell; see `Connection.execute`. Unavailable when it does not answer."""
    try:
        async with asyncio.timeout(TAKE_SECONDS):
            id = uuid.uuid4().hex
            await kernel.connection.execute(
                "", msg_id=id, silent=True, store_history=False, on_message=_ignored, **asked
            )
    except (TimeoutError, KernelFault, Malformed):
        raise Unavailable("The kernel does not answer.", retry_after=1.0) from None


def _ignored(_: object) -> None:
    """Nothing that is said meanwhile belongs to anybody."""


async def _found(kernel: Kernel) -> Mapping[str, int] | None:
    """The snapshots there are, by name, and the pid of each: 0 of one that does not say in time where it is. None when init
    is silent."""
    found: Mapping[str, int] | None = None
    for pause in SOON:
        found = await kernel.process.snapshots()
        if found is None or all(found.values()):
            break
        await asyncio.sleep(pause)
    return found
