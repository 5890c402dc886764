"""How much memory this machine, or the container around the server, can still give: measured, not a sum of limits."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cellblock.host.exhaustion import SPENT

KERNEL = 64 << 20  # bytes a new kernel is reckoned with: its own pages after a first plot, and its init's

FRESH = 0.05  # seconds that a measurement holds: one takes a millisecond, which a crowd of sessions would wait for

Read = Callable[[str], str]


def read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError as problem:
        if problem.errno in SPENT:
            raise
        return ""


def free(read: Read = read) -> int:
    """Bytes: what the kernel calls available, or less where a cgroup of the server's own has less room.

    OSError when the server cannot look.
    """
    return min([available(read("/proc/meminfo")), *rooms(read("/proc/self/cgroup"), read)])


def available(meminfo: str) -> int:
    fields = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    return int(fields.get("MemAvailable", "0").split()[0]) * 1024


def rooms(groups: str, read: Read) -> list[int]:
    """What is left in the memory cgroup of v1 or v2 that the server is in; nothing where it has no limit."""
    found: list[int | None] = []
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found.append(room(f"/sys/fs/cgroup{path}", "memory.max", "memory.current", "inactive_file", read))
        elif "memory" in controllers.split(","):
            base = f"/sys/fs/cgroup/memory{path}"
            found.append(room(base, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", read))
    return [each for each in found if each is not None]


def room(base: str, limit: str, usage: str, reclaimable: str, read: Read) -> int | None:
    most, used = read(f"{base}/{limit}").strip(), read(f"{base}/{usage}").strip()
    if not most.isdigit() or not used.isdigit() or int(most) >= 1 << 60:
        return None
    stat = dict(line.split() for line in read(f"{base}/memory.stat").splitlines() if len(line.split()) == 2)
    return int(most) - int(used) + int(stat.get(reclaimable, 0))


def kernels_that_fit(reserve: int, free: int, starting: int = 0) -> int:
    """How many more kernels may be started, when so many are that have not taken their memory yet; never negative."""
    return max(0, (free - reserve) // KERNEL - starting)


class Room:
    """How many more kernels may be started, with those in mind whose memory no measurement has seen yet."""

    def __init__(
        self, reserve: int, free: Callable[[], int] = free, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reserve, self._measure, self._clock = reserve, free, clock
        self._free, self._until = 0, float("-inf")
        self._starting = self._unseen = 0

    @contextmanager
    def starting(self) -> Iterator[None]:
        """A kernel is being started as long as the block lasts."""
        self._starting += 1
        self._unseen += 1
        try:
            yield
        finally:
            self._starting -= 1

    def kernels(self) -> int:
        if self._clock() >= self._until:
            self._free, self._until = self._measure(), self._clock() + FRESH
            self._unseen = self._starting
        return kernels_that_fit(self._reserve, self._free, self._unseen)
