"""What a sandbox takes of the disk beside its workspace: other places of its home, and files open without a name.

Processes are found and looked at through /proc; one that may not be looked at, or has gone, counts as nothing.
"""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TypeAlias

from cellblock.host.tree import DIRECTORY, walk

Ran: TypeAlias = tuple[bytes, ...]

CHILDREN = Path("/proc/self/task", str(os.getpid()), "children")
OTHERS = ("run", "tmp")  # beside `files` in a home; `tmp` only where a kernel has no /tmp of its own
NAMED = 4096  # bytes that an entry without blocks of its own counts for: each takes an inode
MAX_ENTRIES = 1_000_000  # of one place: 4 GB by then


@dataclass(frozen=True)
class Looked:
    """At what a process had mapped when it had run for so long: bytes of deleted files by inode, and the paths of others."""

    ran: Ran = ()
    nameless: dict[int, int] = field(default_factory=dict)
    named: dict[int, bytes] = field(default_factory=dict)


@dataclass(eq=False)
class Mappings:
    """What the processes of a sandbox have mapped. The system takes a millisecond and more to write that down for each.

    So it is asked again only of those that have run since, or whose files do not surely have their names still.
    """

    known: dict[int, Looked] = field(default_factory=dict)

    def nameless(self, pids: Collection[int], device: int) -> dict[int, int]:
        """Bytes by inode, of deleted files on `device`."""
        known = {pid: each for pid, each in self.known.items() if pid in pids}
        names = {inode: path for each in known.values() for inode, path in each.named.items()}
        sure = {inode for inode, path in names.items() if _is(path, device, inode)}
        found: dict[int, int] = {}
        for pid in pids:
            ran, each = _ran(pid), known.get(pid)
            if each is None or not ran or ran != each.ran or not each.named.keys() <= sure:
                each = known[pid] = Looked(ran, *_mapped(pid, device))
            for inode, size in each.nameless.items():
                found[inode] = max(size, found.get(inode, 0))
        self.known = known
        return found


@dataclass(frozen=True)
class Sandbox:
    """`home` of the sandbox; `kernel` and `init` are pids, 0 when they have ended. All it is asked blocks."""

    home: Path
    kernel: int
    init: int
    mappings: Mappings

    def beside(self, *, others: Collection[int] = (), branches: Collection[str] = ()) -> int:
        """Bytes, workspaces not included: its own, and those of `branches`, who are asked for themselves.

        `others`: pids of other sessions' kernels and snapshots.
        """
        places = [f"b/{name}" for name in _names(f"{self.home}/b") if name not in branches]
        pids = family(self.kernel, self.init)
        return sum(_places(self.home, (*OTHERS, *places))) + self._nameless(pids - below(others, pids))

    def own(self, household: Collection[int]) -> int:
        """Bytes of what is for certain a session's that shares it; `household`: pids of its kernel and snapshots."""
        return self._nameless(below(household, family(self.kernel, self.init)))

    def _nameless(self, pids: Collection[int]) -> int:
        return nameless(pids, os.stat(self.home).st_dev, self.mappings)


def _places(home: Path, places: Iterable[str]) -> Iterator[int]:
    for place in places:
        try:
            root = os.open(home / place, DIRECTORY)
        except OSError:
            continue
        try:
            yield from (max(NAMED, found.stat.st_blocks * 512) for found in islice(walk(root), MAX_ENTRIES))
        finally:
            os.close(root)


def nameless(pids: Collection[int], device: int, mappings: Mappings) -> int:
    """Bytes of deleted files on `device` that processes hold open or mapped."""
    held: dict[int, int] = {}
    for each in pids:
        held.update(_open_files(each, device))
    mapped = mappings.nameless(pids, device)
    return sum(held.values()) + sum(size for inode, size in mapped.items() if inode not in held)


def family(kernel: int, init: int) -> set[int]:
    """The kernel, its children, and what its init has besides: orphans, and at some levels the kernel itself."""
    if not kernel or not init:
        return set()
    children = _lists()
    return _with_descendants({kernel} | children(init), children)


def _with_descendants(pids: set[int], children: Callable[[int], set[int]]) -> set[int]:
    found, more = set[int](), pids
    while more:
        found |= more
        more = {child for each in more for child in children(each)} - found
    return found


def _lists() -> Callable[[int], set[int]]:
    return _children if CHILDREN.exists() else _children_of_all()


def _sid(pid: int) -> int:
    """0 when it has ended."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def below(roots: Collection[int], among: Collection[int] = ()) -> set[int]:
    """`roots`, what descends from them, and those of `among` that are in the same session in the system's sense."""
    found = _with_descendants(set(roots), _lists())
    sids = {_sid(each) for each in roots} - {0}
    return found | {each for each in among if _sid(each) in sids}


def _children(pid: int) -> set[int]:
    """As the process itself knows them: with many kernels, to look at all processes for each would take seconds.

    A child that ends at that very moment may hide a sibling from one look; the next is soon.
    """
    found: set[int] = set()
    for task in _names(f"/proc/{pid}/task"):
        try:
            found.update(map(int, Path(f"/proc/{pid}/task/{task}/children").read_bytes().split()))
        except OSError:
            continue
    return found


def _children_of_all() -> Callable[[int], set[int]]:
    """The same by everybody's parents, where the kernel was built without such lists."""
    found: dict[int | None, set[int]] = {}
    for name in _names("/proc"):
        if name.isdigit():
            found.setdefault(_parent(int(name)), set()).add(int(name))
    return lambda pid: found.get(pid, set())


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _open_files(pid: int, device: int) -> Iterator[tuple[int, int]]:
    """(inode, bytes); of each thread, for one may have descriptors of its own, and the first one may have ended."""
    for path in (f"/proc/{pid}/task/{task}/fd" for task in _names(f"/proc/{pid}/task")):
        yield from _deleted(path, device)


def _deleted(directory: str, device: int) -> Iterator[tuple[int, int]]:
    for fd in _names(directory):
        try:
            found = os.stat(f"{directory}/{fd}")
        except OSError:
            continue
        if found.st_nlink == 0 and found.st_dev == device and stat.S_ISREG(found.st_mode):
            yield found.st_ino, found.st_blocks * 512


def _mapped(pid: int, device: int) -> tuple[dict[int, int], dict[int, bytes]]:
    """Of files on `device`, by inode: the bytes of deleted ones, the paths of others."""
    nameless, named = dict[int, int](), dict[int, bytes]()
    tasks = (str(pid), *_names(f"/proc/{pid}/task"))  # nothing is said of a first one that has ended
    listed = next(filter(None, map(_maps, tasks)), b"")
    for begin, end, inode, path in _mappings_on(device).findall(listed):
        if path.endswith(b" (deleted)"):
            nameless[int(inode)] = max(int(end, 16) - int(begin, 16), nameless.get(int(inode), 0))
        else:
            named[int(inode)] = path
    return nameless, named


def _maps(task: str) -> bytes:
    try:
        return Path(f"/proc/{task}/maps").read_bytes()
    except OSError:
        return b""


def _is(path: bytes, device: int, inode: int) -> bool:
    """Whether that file is to be found there; of one in a sandbox's own places that is not known."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return False
    return (found.st_dev, found.st_ino) == (device, inode)


@cache
def _mappings_on(device: int) -> re.Pattern[bytes]:
    numbers = f"{os.major(device):02x}:{os.minor(device):02x}".encode()
    return re.compile(rb"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ " + numbers + rb" (\d+) +(.*)$", re.MULTILINE)


def _ran(pid: int) -> Ran:
    """How long each of its threads has run, and how often; empty where that is not known."""
    tasks = sorted(_names(f"/proc/{pid}/task"))
    try:
        found = tuple(Path(f"/proc/{pid}/task/{task}/schedstat").read_bytes() for task in tasks)
    except OSError:
        return ()
    return () if b"0 0 0\n" in found else found
