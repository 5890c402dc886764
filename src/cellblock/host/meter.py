"""What one sandbox uses now, from its cgroup where there is one, else from /proc; and what it weighs for that."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

BURNS = 0.5  # of one processor: who uses more weighs less
WEIGHTS = {
    1: ("cpu.shares", 1024, 256),
    2: ("cpu.weight", 100, 25),
}  # by version: the file, what is usual, and a quarter


@dataclass(frozen=True)
class ProcessUsage:
    """Bytes and milliseconds; zeros once the process has gone."""

    memory_bytes: int
    memory_peak_bytes: int
    cpu_ms: int


class NoMeter:
    def read(self) -> ProcessUsage:
        return ProcessUsage(0, 0, 0)

    def oom_kills(self) -> int:
        return 0

    def be_fair(self, now: float) -> None:
        pass

    def close(self) -> None:
        pass


class GroupMeter:
    """Reads a cgroup through files opened once. Zeros after the group is removed."""

    def __init__(self, version: int, memory: str, cpu: str | None, weight: str) -> None:
        self._version = version
        self._weight = weight
        self._light: bool | None = None  # nobody knows what the group was left with
        self._looked: tuple[float, int] | None = None  # when, and the milliseconds it had used
        now, peak = (
            ("memory.usage_in_bytes", "memory.max_usage_in_bytes")
            if version == 1
            else ("memory.current", "memory.peak")
        )
        self._kills = _open(f"{memory}/{'memory.oom_control' if version == 1 else 'memory.events'}")
        self._now = _open(f"{memory}/{now}")
        self._peak = _open(f"{memory}/{peak}")
        self._cpu = _open(f"{cpu}/{'cpuacct.usage' if version == 1 else 'cpu.stat'}") if cpu else -1

    def read(self) -> ProcessUsage:
        now, peak, cpu = (_contents(fd) for fd in (self._now, self._peak, self._cpu))
        used = int(now or 0)
        return ProcessUsage(used, max(used, int(peak or 0)), self._milliseconds(cpu))

    def oom_kills(self) -> int:
        """Processes of the group that its memory limit has cost so far."""
        lines = (line.split() for line in _contents(self._kills).splitlines())
        return next((int(fields[1]) for fields in lines if fields[0] == "oom_kill"), 0)

    def be_fair(self, now: float) -> None:
        """Who has burnt processors since the last look weighs a quarter of what is usual, until it rests. `now`: seconds.

        The others' cells are short and many of them: they answer then as when it is quiet. Who is alone loses nothing.
        """
        used, before = self._milliseconds(_contents(self._cpu)), self._looked
        self._looked = now, used
        if before and (burns := used - before[1] > 1000 * BURNS * (now - before[0])) != self._light:
            self._light = burns
            self._weigh(burns)

    def _weigh(self, light: bool) -> None:
        name, usual, quarter = WEIGHTS[self._version]
        try:
            Path(f"{self._weight}/{name}").write_text(str(quarter if light else usual))
        except OSError:
            pass  # a host that does not share processors by groups, or the group has gone

    def _milliseconds(self, text: str) -> int:
        if self._version == 1:
            return int(text or 0) // 1_000_000
        return next((int(line.split()[1]) // 1000 for line in text.splitlines() if line.startswith("usage_usec")), 0)

    def close(self) -> None:
        for fd in (self._now, self._peak, self._cpu, self._kills):
            if fd >= 0:
                os.close(fd)
        self._now = self._peak = self._cpu = self._kills = -1


class ProcessMeter:
    """Without cgroups: the kernel process alone, from /proc. What it shares with its template is not counted."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0

    def read(self) -> ProcessUsage:
        try:
            rollup = Path(f"/proc/{self._pid}/smaps_rollup").read_text().splitlines()
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ProcessUsage(0, self._peak, 0)
        held = 1024 * sum(int(line.split()[1]) for line in rollup if line.startswith(("Private_", "Swap:")))
        self._peak = max(self._peak, held)
        ticks = sum(int(value) for value in fields[11:15])  # user, system, and the same of children waited for
        return ProcessUsage(held, self._peak, ticks * 1000 // os.sysconf("SC_CLK_TCK"))

    def oom_kills(self) -> int:
        return 0

    def be_fair(self, now: float) -> None:
        pass  # processes have no weight that could be given back to them later

    def close(self) -> None:
        self._pid = 0


Meter: TypeAlias = NoMeter | GroupMeter | ProcessMeter


def meter_for(cgroups: Mapping[str, Any], group: str, pid: int) -> Meter:
    """By cgroup where there is one, else by /proc."""
    if not cgroups.get("version") or not group:
        return ProcessMeter(pid)
    paths: Mapping[str, str] = cgroups["paths"]
    memory = paths.get("memory", paths.get("all", ""))
    cpu = paths.get("cpuacct", paths.get("all"))
    weight = f"{paths.get('cpu', paths.get('all', ''))}/{group}"
    return GroupMeter(cgroups["version"], f"{memory}/{group}", f"{cpu}/{group}" if cpu else None, weight)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _contents(fd: int) -> str:
    try:
        return os.pread(fd, 4096, 0).decode() if fd >= 0 else ""
    except OSError:
        return ""
