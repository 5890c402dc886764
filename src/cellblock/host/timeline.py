"""The states of a session: which stand, which are undone, which have to go. Pure: names and numbers only.

A step is an execution; before it there may be a snapshot, the state it ran from. The first `at` steps stand, those behind
them are undone and can be redone. The state behind the last step is `head`: kept when somebody goes back from there. A
snapshot that is revived is the kernel from then on, and no snapshot any more.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

ORIGIN = "origin"  # the state of a kernel in which nothing has run: a fresh one serves, and no snapshot is needed
MOST_STEPS = 1000
ROOM = 0.5  # of the memory limit: what a kernel may use for a snapshot that nobody has asked for
TIGHT = 0.85  # of it: above that, older states go
PACE = 1.0  # seconds between snapshots of cells that a person runs

Mode: TypeAlias = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class State:
    """A snapshot. `created`: epoch seconds; `bytes`: what is its own, as far as it is known."""

    name: str
    created: float
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """An execution, the cell it ran in, and the state before it, if that is kept."""

    execution_id: str
    cell_id: str | None
    before: State | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Values; every method answers another one. `at`: how many steps stand."""

    steps: tuple[Step, ...] = ()
    at: int = 0
    head: State | None = None

    @property
    def states(self) -> list[State]:
        """All that are kept, in the order of what they have seen."""
        return [*(step.before for step in self.steps if step.before), *([self.head] if self.head else [])]

    @property
    def names(self) -> set[str]:
        return {state.name for state in self.states}

    def state(self, place: int) -> State | None:
        """The one before step `place`, or behind all of them."""
        return self.head if place == len(self.steps) else self.steps[place].before

    def ran(self, execution_id: str, cell_id: str | None, before: State | None) -> "Timeline":
        """An execution begins: what was undone cannot be redone any more."""
        steps = [*self.steps[: self.at], Step(execution_id, cell_id, before)][-MOST_STEPS:]
        return Timeline(tuple(steps), len(steps))

    def back(self, to: str | None = None) -> int | None:
        """The place to go back to: before execution `to`, or the nearest one below; None when there is no state."""
        if to is None:
            places = (place for place in reversed(range(self.at)) if self.steps[place].before)
        else:
            places = (p for p in range(self.at) if self.steps[p].execution_id == to and self.steps[p].before)
        return next(iter(places), None)

    def forth(self) -> int | None:
        """The place to go forth to."""
        return next((place for place in range(self.at + 1, len(self.steps) + 1) if self.state(place)), None)

    def gone_to(self, place: int, left: State | None) -> "Timeline":
        """The state at `place` is the kernel; what the kernel was until then is kept as `left`."""
        return replace(self._with(self.at, left)._with(place, None), at=place)

    def fell_back(self, place: int) -> "Timeline":
        """As `gone_to`, after a kernel has ended: there is nothing to redo."""
        return Timeline(self.steps[:place], place)

    def only(self, names: Collection[str]) -> "Timeline":
        """Without the states that are not there any more."""
        return self._each(lambda state: state if state.name in names or state.name == ORIGIN else None)

    def weighed(self, sizes: Mapping[str, int]) -> "Timeline":
        """With what is known of their sizes."""
        return self._each(lambda state: replace(state, bytes=sizes.get(state.name, state.bytes)))

    def undone(self) -> list[Step]:
        """Steps that do not stand."""
        return list(self.steps[self.at :])

    def _each(self, change: Callable[[State], State | None]) -> "Timeline":
        steps = (replace(step, before=step.before and change(step.before)) for step in self.steps)
        return replace(self, steps=tuple(steps), head=self.head and change(self.head))

    def _with(self, place: int, state: State | None) -> "Timeline":
        if place == len(self.steps):
            return replace(self, head=state)
        steps = [*self.steps]
        steps[place] = replace(steps[place], before=state)
        return replace(self, steps=tuple(steps))


def snapshots(timeline: Timeline) -> list[State]:
    """The states that are processes."""
    return [state for state in timeline.states if state.name != ORIGIN]


def too_many(timeline: Timeline, *, most: int, spared: Collection[str] = ()) -> list[str]:
    """Names of the states that have to go so that no more than `most` are left: the oldest first."""
    states = snapshots(timeline)
    names = [state.name for state in states if state.name not in spared]
    return names[: max(0, len(states) - most)]


def too_large(timeline: Timeline, *, limit: int, total: int) -> list[str]:
    """The name of the oldest state, when all of them together take `total` bytes and may take `limit`.

    What it shares with later ones stays, so what is left has to be weighed again.
    """
    return [state.name for state in snapshots(timeline)[:1]] if total > limit else []


@dataclass(frozen=True, slots=True)
class Wish:
    """What is known when a cell is about to run. Sizes are bytes, times seconds of one clock.

    `model`: a language model runs it. `blank`: nothing has run in this kernel yet. `used` of `limit` bytes of the sandbox's
    memory are taken.
    """

    mode: Mode
    model: bool
    blank: bool
    used: int
    limit: int
    since: float  # the last snapshot


def wanted(wish: Wish) -> bool:
    """Whether to take a snapshot. `auto`: before what a model runs, where it cannot break the memory limit by itself; before
    what a person runs where it may be copied whole, not so often that it is felt, and not of a kernel as good as a fresh one."""
    if wish.mode != "auto":
        return wish.mode == "always"
    if wish.model:
        return wish.used <= TIGHT * wish.limit
    return not wish.blank and wish.used <= ROOM * wish.limit and wish.since >= PACE


def in_order(executions: Iterable[tuple[str, str | None]], states: Sequence[State]) -> Timeline:
    """Of a kernel that has outlived a server: steps by the executions that are known, with the states named after them."""
    by_name = {state.name: state for state in states}
    steps = [Step(execution, cell, by_name.get(execution)) for execution, cell in executions]
    return Timeline(tuple(steps), len(steps))


def marks(timeline: Timeline) -> Iterator[tuple[str, bool]]:
    """(cell, whether it is undone), the last word on a cell last."""
    for place, step in enumerate(timeline.steps):
        if step.cell_id is not None:
            yield step.cell_id, place >= timeline.at
