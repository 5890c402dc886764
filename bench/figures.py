"""What a section reports: figures, each beside its goal and its peer. Shown and kept, never judged."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter


@dataclass(frozen=True)
class Size:
    """How much is measured. `starts` is churn's; `kernels`, `busy` and `seconds` are scale's."""

    rounds: int = 15
    starts: int = 1000
    kernels: int = 300
    busy: int = 50
    seconds: float = 300.0


@dataclass(frozen=True)
class Figure:
    """`peer` is what `name` took for the same in the same run. The goal is `goal`, or `factor` times the peer."""

    what: str
    value: float
    unit: str
    goal: float | None = None
    name: str = ""
    peer: float | None = None
    factor: float | None = None
    at_least: bool = False
    samples: Sequence[float] = field(default=(), repr=False)

    @property
    def reached(self) -> bool | None:
        """Whether the goal is; None where there is none."""
        bound = self.goal if self.factor is None or self.peer is None else self.factor * self.peer
        if bound is None:
            return None
        return self.value >= bound if self.at_least else self.value <= bound

    def row(self) -> tuple[str, ...]:
        """As the table shows it."""
        theirs = "" if self.peer is None else f"{number(self.peer)} {self.unit} {self.name}"
        return self.what, f"{number(self.value)} {self.unit}", theirs, self._ratio(), self._goal(), self._mark()

    def _ratio(self) -> str:
        if not self.peer or not self.value:
            return ""
        more = self.value / self.peer
        return f"{number(more)} × as much" if more >= 1 else f"1/{number(1 / more)}"

    def _goal(self) -> str:
        sign = "≥" if self.at_least else "≤"
        if self.factor is not None:
            return f"{sign} {self.factor:g} × {self.name}"
        return "" if self.goal is None else f"{sign} {self.goal:g} {self.unit}"

    def _mark(self) -> str:
        return {True: "reached", False: "missed", None: ""}[self.reached]


def number(value: float) -> str:
    """Three digits where there are as many to tell."""
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def median(samples: Sequence[float], what: str, unit: str = "ms", **rest: object) -> Figure:
    return Figure(what, statistics.median(samples), unit, samples=samples, **rest)  # type: ignore[arg-type]


def percentile(samples: Sequence[float], share: float) -> float:
    """By rank: of 100 samples the 99th is the second largest."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    began = perf_counter()
    work()
    return (perf_counter() - began) * 1e3


def show(figures: Sequence[Figure]) -> None:
    """The table of one section."""
    rows = [("", "cellblock", "peer", "ratio", "goal", ""), *(figure.row() for figure in figures)]
    widths = [max(len(row[at]) for row in rows) for at in range(6)]
    for what, *rest in rows:
        print(
            what.ljust(widths[0]), *(text.rjust(width) for text, width in zip(rest, widths[1:], strict=True)), sep="  "
        )
