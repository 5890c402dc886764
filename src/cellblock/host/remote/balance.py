"""Which server gets a new kernel. Pure."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one server.

    `counted`: kernels at its last answer, None when it does not tell; `since`: those we have begun there since then, less
    those we have ended; `ours`: all of ours. It wants no new ones before `rests` (of the clock of `now`). `kernels`: the
    kernelspecs it has, None when it is not known.
    """

    name: str
    healthy: bool
    draining: bool = False
    counted: int | None = 0
    since: int = 0
    ours: int = 0
    rests: float = float("-inf")
    kernels: frozenset[str] | None = None

    @property
    def load(self) -> int:
        """Kernels that run there, as well as it can be known: never fewer than ours."""
        return max(self.ours, (self.counted or 0) + self.since)


def takes(standing: Standing, kernel: str, now: float) -> bool:
    """Whether a server may be asked for a new kernel."""
    has = standing.kernels is None or kernel in standing.kernels
    return standing.healthy and not standing.draining and now >= standing.rests and has


def choose(
    standings: Collection[Standing], kernel: str, *, now: float, draw: float, without: Collection[str] = ()
) -> str | None:
    """The least loaded server that takes a kernel, by name; among equals `draw`, a number in [0, 1), decides.

    None when no server takes one. `without`: those that have been asked already.
    """
    able = [each for each in standings if takes(each, kernel, now) and each.name not in without]
    least = min((each.load for each in able), default=0)
    equals = sorted(each.name for each in able if each.load == least)
    return equals[int(draw * len(equals))] if equals else None
