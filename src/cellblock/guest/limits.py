"""How much a kernel may take: rlimits, cgroup v2 or v1, and where neither can be written a watchdog on memory.

What to use is decided from text (`choose`); the writers only write below directories opened before the root is changed.
"""

import os
import resource
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cellblock.guest import linux
from cellblock.messages import Policy

V1_CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
V2_CONTROLLERS = ("memory", "pids", "cpu")
NEEDED = frozenset(("memory", "pids"))
PERIOD = 100_000  # microseconds
PARENT = "cellblock"
STALE_SECONDS = 60.0
TCP_BUFFERS = 64 << 20


@dataclass(frozen=True)
class Hierarchy:
    """Where groups can be made: one directory per controller (v1), or one for all under the name `all` (v2)."""

    version: Literal[1, 2]
    directories: Mapping[str, str]


def choose(own: str, mounts: str, v2_controllers: str) -> Hierarchy | None:
    """The hierarchy to use, from /proc/self/cgroup, /proc/self/mountinfo and the unified group's cgroup.controllers."""
    groups = {name: path for _, names, path in _fields(own) for name in names.split(",")}
    found: dict[str, str] = {}
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        root, point = left.split()[3:5]
        kind, _, options = right.split(maxsplit=2)
        if kind == "cgroup2" and "" in groups and set(v2_controllers.split()) >= NEEDED:
            return Hierarchy(2, {"all": _below(point, root, groups[""])})
        if kind == "cgroup":
            usable = {c for c in options.split(",") if c in V1_CONTROLLERS and c in groups}
            found |= {controller: _below(point, root, groups[controller]) for controller in usable}
    return Hierarchy(1, found) if found.keys() >= NEEDED else None


def _fields(own: str) -> list[list[str]]:
    return [line.split(":", 2) for line in own.splitlines() if line.count(":") >= 2]


def _below(point: str, root: str, own: str) -> str:
    inside = own[len(root) :] if root != "/" and own.startswith(root) else own
    return (point + "/" + inside.strip("/")).rstrip("/")


def available() -> Hierarchy | None:
    """The hierarchy of this process, read from /proc; None where there is none that fits."""
    try:
        own, mounts = linux.read("/proc/self/cgroup"), linux.read("/proc/self/mountinfo")
    except OSError:
        return None
    unified = next((path for _, names, path in _fields(own) if not names), None)
    controllers = ""
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 ") and unified is not None:
            root, point = left.split()[3:5]
            controllers = _read_or_empty(_below(point, root, unified) + "/cgroup.controllers")
    return choose(own, mounts, controllers)


def _read_or_empty(path: str) -> str:
    try:
        return linux.read(path)
    except OSError:
        return ""


class Groups:
    """One cgroup per kernel. Opened before the root is changed; sweeps what a killed fork server has left.

    Raises OSError when the hierarchy cannot be written: the caller goes on without cgroups.
    """

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.version = hierarchy.version
        self.given = frozenset(V2_CONTROLLERS)  # of version 2: a user's own groups may lack `cpu`
        self.top: dict[str, int] = {}
        self.paths: dict[str, str] = {}
        for controller, directory in hierarchy.directories.items():
            path = directory if self.version == 1 else delegated(directory)
            path = os.path.join(path, PARENT)
            os.makedirs(path, exist_ok=True)
            if self.version == 2:
                self.given = frozenset(linux.read(f"{path}/cgroup.controllers").split())
                linux.write(f"{path}/cgroup.subtree_control", _wanted(" ".join(self.given)))
            self.paths[controller] = path
            self.top[controller] = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            sweep(self.top[controller], older=STALE_SECONDS)
        self.token = os.urandom(4).hex()  # not our pid, which is 1
        self.probe()

    def probe(self) -> None:
        """Makes and removes one group: proves that the files are there and can be written."""
        name = f"{self.token}-probe"
        self.create(name)
        try:
            self.limit(name, Policy("full"))
        finally:
            self.remove(name)

    def create(self, name: str) -> None:
        for top in self.top.values():
            os.mkdir(name, dir_fd=top)

    def limit(self, name: str, policy: Policy) -> None:
        for controller, file, value in settings(self.version, policy, self.given):
            if controller in self.top:
                linux.write(f"{name}/{file}", value, dir_fd=self.top[controller])
        for file, value in extras(self.version, policy):
            try:
                linux.write(f"{name}/{file}", value, dir_fd=self._memory)
            except OSError:
                pass  # this kernel does not account for it

    @property
    def controllers(self) -> set[str]:
        return set(self.top) if self.version == 1 else set(V2_CONTROLLERS)

    @property
    def _memory(self) -> int:
        return self.top["memory" if self.version == 1 else "all"]

    def join(self, name: str, pid: int) -> None:
        for top in self.top.values():
            linux.write(f"{name}/cgroup.procs", str(pid), dir_fd=top)

    def oom_kills(self, name: str) -> int:
        """0 as well when the group is no longer there."""
        file = "memory.oom_control" if self.version == 1 else "memory.events"
        try:
            counts = dict(line.split() for line in linux.read(f"{name}/{file}", dir_fd=self._memory).splitlines())
        except OSError:
            return 0
        return int(counts.get("oom_kill", 0))

    def memory_peak(self, name: str) -> int:
        file = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        try:
            return int(linux.read(f"{name}/{file}", dir_fd=self._memory))
        except OSError:
            return 0  # v2 before Linux 5.19

    def remove(self, name: str) -> None:
        """OSError while the last process is still on its way out: try again a little later."""
        for top in self.top.values():
            try:
                os.rmdir(name, dir_fd=top)
            except FileNotFoundError:
                pass

    def facts(self) -> dict[str, object]:
        """What the server needs to read usage: version, parent directory of each controller, how the names begin."""
        return {"version": self.version, "paths": self.paths, "token": self.token}


def settings(version: int, policy: Policy, given: Collection[str] = V2_CONTROLLERS) -> list[tuple[str, str, str]]:
    """(controller, file, value) to write into a new group, in order; of version 2 for the controllers that are given."""
    quota = str(int(policy.cpus * PERIOD))
    if version == 1:
        return [
            ("memory", "memory.limit_in_bytes", str(policy.memory)),
            ("pids", "pids.max", str(policy.processes)),
            ("cpu", "cpu.cfs_period_us", str(PERIOD)),
            ("cpu", "cpu.cfs_quota_us", quota),
        ]
    files = (("memory.max", str(policy.memory)), ("pids.max", str(policy.processes)), ("cpu.max", f"{quota} {PERIOD}"))
    return [("all", file, value) for file, value in files if file.partition(".")[0] in given]


def extras(version: int, policy: Policy) -> list[tuple[str, str]]:
    """Memory files that some hosts lack: memory plus swap is memory; version 1 counts buffers of TCP apart."""
    if version == 2:
        return [("memory.swap.max", "0")]
    return [
        ("memory.memsw.limit_in_bytes", str(policy.memory)),
        ("memory.kmem.tcp.limit_in_bytes", str(min(policy.memory, TCP_BUFFERS))),
    ]


def open_groups() -> tuple[Groups | None, str]:
    """The groups of this host, or None and the reason why there are none."""
    hierarchy = available()
    if hierarchy is None:
        return None, "no memory and pids controllers for this process"
    try:
        return Groups(hierarchy), ""
    except OSError as problem:
        return None, str(problem)


def sweep(parent: int, *, prefix: str = "", older: float = 0) -> None:
    """Removes groups without processes below a directory descriptor; one that is in use refuses, and stays.

    `older`: seconds; younger ones may be another fork server's that has not joined them yet.
    """
    for name in os.listdir(parent):
        try:
            if name.startswith(prefix) and os.stat(name, dir_fd=parent).st_mtime <= time.time() - older:
                os.rmdir(name, dir_fd=parent)
        except OSError:
            pass


def delegated(own: str) -> str:
    """v2: the directory below which groups with controllers can be made, for a process in `own`.

    A group with processes cannot hand controllers on. So: `own` if it can; else its parent, where that may be written
    (a systemd user slice) and `own` was not delegated; else the processes of `own` move into a leaf of it.
    """
    try:
        return _hand_on(own)
    except OSError as problem:
        parent = os.path.dirname(own)
        if not _is_delegated(own) and os.access(f"{parent}/cgroup.procs", os.W_OK):
            return _hand_on(parent)
        if not os.access(f"{own}/cgroup.procs", os.W_OK):
            raise problem from None
        _move_into_leaf(own)
        return _hand_on(own)


def _is_delegated(group: str) -> bool:
    """Whether systemd has marked it so (Delegate=yes): then what happens below it is ours to decide."""
    try:
        return os.getxattr(group, "user.delegate") == b"1"
    except OSError:
        return False


def _hand_on(directory: str) -> str:
    linux.write(f"{directory}/cgroup.subtree_control", _wanted(linux.read(f"{directory}/cgroup.controllers")))
    return directory


def _wanted(controllers: str) -> str:
    return " ".join(f"+{name}" for name in V2_CONTROLLERS if name in controllers.split())


def _move_into_leaf(own: str) -> None:
    leaf = os.path.join(own, f"{PARENT}-server")
    os.makedirs(leaf, exist_ok=True)
    for pid in linux.read(f"{own}/cgroup.procs").split():
        linux.write(f"{leaf}/cgroup.procs", pid)


# --- rlimits ---------------------------------------------------------------------------------------------------------


def rlimits(policy: Policy, *, tasks_before: int, data_before: int | None) -> dict[str, int]:
    """Name of a limit → value. `data_before`: bytes of private memory already held, where no cgroup limits memory.

    Never RLIMIT_AS: it breaks numpy. RLIMIT_NPROC counts the user's tasks, those of other processes too.
    """
    limits = {
        "CORE": 1,  # too small for a file; and 0 would still start a host's crash handler, as root, on what code has made
        "NOFILE": policy.descriptors,
        "FSIZE": policy.file,
        "NPROC": policy.processes + tasks_before,
        "MEMLOCK": 1 << 16,
        "MSGQUEUE": 1 << 16,
        "SIGPENDING": 4096,
        "RTPRIO": 0,  # a user of the audio group may otherwise run before everybody else
        "NICE": 0,
    }
    return limits if data_before is None else limits | {"DATA": data_before + policy.memory}


def apply_rlimits(limits: Mapping[str, int]) -> None:
    """Sets soft and hard limits; a hard limit that is lower already stays."""
    for name, value in limits.items():
        which = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(which)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (allowed, allowed))


def tasks_of(uid: int) -> int:
    """Threads that a user has on this machine now."""
    total = 0
    for pid in processes():
        try:
            if os.stat(f"/proc/{pid}").st_uid == uid:
                total += len(os.listdir(f"/proc/{pid}/task"))
        except OSError:
            pass
    return total


def data_held() -> int:
    """Bytes that RLIMIT_DATA counts for this process now."""
    status = linux.read("/proc/self/status")
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmData:")))


# --- processes, and memory without cgroups ---------------------------------------------------------------------------


def processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def is_zombie(pid: int) -> bool:
    """Whether it has ended: only its parent has not noticed, or it is no more."""
    try:
        return linux.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] in "ZX"
    except (OSError, IndexError):
        return True


def descends(pid: int, of: int) -> bool:
    """Whether a process is a child of another, or a child's child. One between that ends meanwhile makes it begin again."""
    while (above := _parent(pid)) is not None:
        while above is not None and above > 1 and above != of:
            above = _parent(above)
        if above is not None:
            return above == of
    return False


def _parent(pid: int) -> int | None:
    """None when it has ended."""
    try:
        return int(linux.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def descendants(of: int) -> set[int]:
    """Pids of all children of a process, and theirs, as /proc shows them now."""
    parents: dict[int, int] = {}
    for pid in processes():
        try:
            parents[pid] = int(linux.read(f"/proc/{pid}/stat").rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            pass
    found: set[int] = set()
    more = {of}
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - found
        found |= more
    return found


@dataclass
class Watchdog:
    """Without a cgroup: says when the memory of a sandbox's processes is above its limit."""

    limit: int
    own_ipc: bool = False  # an IPC namespace of its own; else kernels have no such memory
    peak: int = field(default=0)

    def exceeded(self, pids: Iterable[int]) -> bool:
        pids = list(pids)
        aside = files_in_memory(pids) + (segments() if self.own_ipc else 0)
        if aside + sum(_resident(pid) for pid in pids) <= self.limit:  # cheap, and never less than what they hold
            return False
        held = aside + sum(held_memory(pid) for pid in pids)
        self.peak = max(self.peak, held)
        return held > self.limit


def _resident(pid: int) -> int:
    try:
        return int(linux.read(f"/proc/{pid}/statm").split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


def files_in_memory(pids: Iterable[int]) -> int:
    """Bytes of memfd files that processes hold open: memory that is nobody's until it is mapped."""
    held: dict[int, int] = {}
    for path in (path for pid in pids for path in _descriptors(pid)):
        try:
            if os.readlink(path).startswith("/memfd:"):
                found = os.stat(path)
                held[found.st_ino] = found.st_blocks * 512
        except OSError:
            continue  # closed meanwhile
    return sum(held.values())


def _descriptors(pid: int) -> list[str]:
    try:
        return [f"/proc/{pid}/fd/{fd}" for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []


def segments() -> int:
    """Bytes of System V shared memory in this IPC namespace, attached or not."""
    try:
        head, *rows = (line.split() for line in linux.read("/proc/sysvipc/shm").splitlines())
        return sum(int(row[head.index("rss")]) for row in rows)
    except (OSError, ValueError, IndexError):
        return 0


def held_memory(pid: int) -> int:
    """A process's share, in bytes, of memory without a file; all that it sees where it hides its share; 0 when it is gone."""
    return _kilobytes(pid, "smaps_rollup", SHARE) or _kilobytes(pid, "status", SEEN)


SHARE, SEEN = ("Pss_Anon:", "Pss_Shmem:", "SwapPss:"), ("RssAnon:", "RssShmem:", "VmSwap:")


def _kilobytes(pid: int, table: str, names: tuple[str, ...]) -> int:
    try:
        lines = linux.read(f"/proc/{pid}/{table}").splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith(names))
