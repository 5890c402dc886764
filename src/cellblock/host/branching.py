"""A branch: a session of its own that goes on from a state of another, beside it in its sandbox, with a copy of its files.

It is made in its turn in the queue of what it is a branch of, so that nothing runs there meanwhile.
"""

import asyncio
import copy
import uuid
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from cellblock.content import is_undone
from cellblock.errors import BranchLimit, CellblockError, KernelStartFailed, NoState, Unavailable
from cellblock.execution import FINAL, Result
from cellblock.host import copying
from cellblock.host.aside import PutBack
from cellblock.host.connection import Keeping
from cellblock.host.environments import Engine
from cellblock.host.kernels import Kernel
from cellblock.host.process import Process
from cellblock.host.timeline import ORIGIN, Step, Timeline
from cellblock.host.travel import Travel, silently
from cellblock.host.views import BranchView, KernelView
from cellblock.host.workspace import Workspace
from cellblock.notebook import Cell

Lookup = Callable[[str], Awaitable[tuple[str, Result]]]  # of an execution: its code and its Result


@dataclass(frozen=True)
class Wish:
    """`at`: the execution behind which it begins, None: where the kernel stands. `reseed`: it draws other random numbers."""

    at: str | None = None
    reseed: bool = False


@dataclass(frozen=True)
class Made:
    """What a branch begins with. `left_out`: files that are not as they were in the state, or are not there."""

    id: str
    kernel: Kernel
    cells: list[Cell]
    count: int
    left_out: tuple[str, ...]

    def view(self, kernel: KernelView, trunk: str, at: str | None) -> BranchView:
        named = PutBack((), self.left_out).sentence().replace("put back", "copied as they were")
        return {
            **kernel,
            "branched_from": {"kernel_id": trunk, "execution_id": at},
            "not_restored": list(self.left_out),
            "notice": named or None,
        }


@dataclass(eq=False)
class Branching:
    """A branch that waits for its turn; `work` makes it, `undo` takes it back when nobody waits for it any more."""

    work: Callable[[], Awaitable[Made]]
    undo: Callable[[Made], Awaitable[None]]
    made: "asyncio.Future[Made]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def make(self) -> None:
        try:
            made = await self.work()
        except Exception as problem:
            self.fail(problem)
            return
        if self.made.done():  # who asked has gone away
            await self.undo(made)
        else:
            self.made.set_result(made)

    @property
    def is_made(self) -> bool:
        return self.made.done() and not self.made.cancelled() and self.made.exception() is None

    def fail(self, problem: str | Exception) -> None:
        if not self.made.done():
            self.made.set_exception(Unavailable(problem, retry_after=1.0) if isinstance(problem, str) else problem)
            self.made.exception()  # nobody may be waiting any more


@dataclass(frozen=True)
class Trunk:
    """What a branch is made of: a session's parts. `stands`: whether that is its kernel still."""

    id: str
    uid: int
    engine: Engine
    kernel: Kernel | None
    stands: Callable[[], bool]
    travel: Travel
    workspace: Workspace
    cells: list[Cell]
    count: int
    lookup: Lookup

    async def branch(self, wish: Wish) -> Made:
        """NoState, BranchLimit, KernelStartFailed, NoMemory, WorkspaceFull, HostExhausted, Unavailable."""
        kernel = self.kernel
        if kernel is None or not kernel.alive:
            raise NoState("There is no live kernel, and so no state of it.")
        if not kernel.ours or not isinstance(kernel.process, Process):
            raise NoState("A kernel of this kind has no states.", hint="Kernels of an environment of this server have.")
        place = point(self.travel.timeline, wish.at)
        self.engine.admit()
        with kernel.process.box.place(self.id) as slot:
            if slot is None:
                raise BranchLimit("The sandbox of this kernel has no room for another branch.", retry_after=10.0)
            state = None if place is None else self.travel.timeline.state(place)
            name = state.name if state else f"branch-{uuid.uuid4().hex}"
            try:
                if state is None:
                    await silently(kernel, keeping=Keeping(name))
                return await self._made(kernel, wish, slot, name, place)
            except (CellblockError, OSError) as problem:
                if not (kernel.alive and self.stands()):
                    raise NoState("The kernel, and its states with it, ended while the branch was made.") from problem
                there = await kernel.process.snapshots() if state and isinstance(problem, KernelStartFailed) else None
                if there is not None and name not in there:
                    raise NoState("The state behind that execution is gone.") from None
                raise
            finally:
                if state is None:
                    kernel.process.drop([name])

    async def _made(self, kernel: Kernel, wish: Wish, slot: str, name: str, place: int | None) -> Made:
        id, homes = str(uuid.uuid4()), self.engine.homes
        try:
            left_out = await asyncio.to_thread(self._files, id, kernel, slot, name if place is not None else None)
            cells, count = await self._notebook(wish.at, place)
            made = await self.engine.branch(kernel, id=id, place=slot, name=name, count=count, reseed=wish.reseed)
        except BaseException:
            await asyncio.to_thread(homes.leave, id, self.uid, lambda _: None)
            raise
        return Made(id, made, cells, count, left_out)

    def _files(self, id: str, kernel: Kernel, slot: str, state: str | None) -> tuple[str, ...]:
        """The copy of the workspace, as it was in a state or as it is. Blocks."""
        root = self.engine.homes.lodge(id, kernel.home, slot, self.uid)
        target = Workspace(root, uid=self.workspace.uid, limit=self.workspace.limit)
        left_out = copying.copied(self.workspace, target)
        if state is not None:
            left_out += self.travel.aside.put_back(state, into=target).not_restored
        return tuple(dict.fromkeys(left_out))

    async def _notebook(self, at: str | None, place: int | None) -> tuple[list[Cell], int]:
        """Its cells up to there, and how many executions there have been."""
        steps = self.travel.timeline.steps
        if place is None or at is None:
            stands = steps[: self.travel.timeline.at]
            return await cells_of(self.cells, stands, steps[len(stands) :], self.lookup, whole=True), self.count
        cells = await cells_of(self.cells, steps[:place], steps[place:], self.lookup, whole=False)
        _, result = await self.lookup(at)
        return cells, result["execution_count"] or self.count


def point(timeline: Timeline, at: str | None) -> int | None:
    """The place in the line behind execution `at`; None: where the kernel stands. NoState."""
    if at is None:
        return None
    place = next((number for number, step in enumerate(timeline.steps, 1) if step.execution_id == at), None)
    if place == timeline.at:
        return None
    state = timeline.state(place) if place is not None else None
    if state is None or state.name == ORIGIN:
        raise NoState("The state behind that execution is not kept.")
    return place


async def cells_of(
    cells: Collection[Cell], stand: Collection[Step], later: Collection[Step], lookup: Lookup, *, whole: bool
) -> list[Cell]:
    """The cells of a notebook as they were when the executions of `later` had not been. `whole`: texts at its end too."""
    last = {step.cell_id: step.execution_id for step in stand}
    not_yet = {step.execution_id for step in later}
    kept: list[Cell] = []
    end = 0
    for cell in map(copy.deepcopy, cells):
        execution = cell["execution_id"]
        waits = cell["status"] not in (None, *FINAL)  # for the branch to be made
        if execution in not_yet or waits:
            if before := last.get(cell["id"]):
                cell = _as_it_was(cell, before, *await lookup(before))
            elif waits:
                cell = _not_run(cell)
            else:
                continue
        elif execution not in last.values() and is_undone(cell):
            continue
        _stands(cell)
        kept.append(cell)
        end = len(kept) if cell["execution_id"] else end
    return kept if whole else kept[:end]


def _as_it_was(cell: Cell, execution: str, code: str, result: Result) -> Cell:
    """A cell that has run again since."""
    cell["source"], cell["outputs"], cell["execution_count"] = code, result["outputs"], result["execution_count"]
    cell["status"], cell["execution_id"] = result["status"], execution
    return cell


def _not_run(cell: Cell) -> Cell:
    """A cell whose code has been asked for, and is another's to run."""
    cell["outputs"], cell["execution_count"], cell["status"], cell["execution_id"] = [], None, None, None
    return cell


def _stands(cell: Cell) -> None:
    """It is not undone here."""
    noted = cell["metadata"].get("cellblock")
    if isinstance(noted, dict):
        noted.pop("undone", None)
