"""What a sandbox takes of the disk beside its workspace: other places of its home, and files open without a name.

Processes are found and looked at through /proc; one that may not be looked at, or has gone, counts as nothing.
"""

import os
import re
import stat
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

from cellblock.host.tree import DIRECTORY, walk

CHILDREN = Path("/proc/self/task", str(os.getpid()), "children")
OTHERS = ("run", "tmp")  # beside `files` in a home; `tmp` only where a kernel has no /tmp of its own
NAMED = 4096  # bytes that an entry without blocks of its own counts for: each takes an inode
MAX_ENTRIES = 1_000_000  # of one place: 4 GB by then
_NAMELESS = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d+) .* \(deleted\)")


def beside(home: Path, kernel: int, init: int, *, branches: Collection[str] = ()) -> int:
    """Bytes, workspaces not included: its own, and those of `branches`, who are asked for themselves.

    `kernel` and `init` are pids, 0 when they have ended. Blocks.
    """
    others = [f"b/{name}" for name in _names(f"{home}/b") if name not in branches]
    return sum(_places(home, (*OTHERS, *others))) + nameless(family(kernel, init), os.stat(home).st_dev)


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


def nameless(pids: Iterable[int], device: int) -> int:
    """Bytes of deleted files on `device` that processes hold open or mapped."""
    held: dict[int, int] = {}
    mapped: dict[int, int] = {}
    for each in pids:
        held.update(_open_files(each, device))
        for inode, size in _mappings(each, device):
            mapped[inode] = max(size, mapped.get(inode, 0))
    return sum(held.values()) + sum(size for inode, size in mapped.items() if inode not in held)


def family(kernel: int, init: int) -> set[int]:
    """The kernel, its children, and what its init has besides: orphans, and at some levels the kernel itself."""
    if not kernel or not init:
        return set()
    children = _children if CHILDREN.exists() else _children_of_all()
    found, more = {kernel}, children(init) | children(kernel)
    while more:
        found |= more
        more = {child for each in more for child in children(each)} - found
    return found


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
    """(inode, bytes)"""
    for fd in _names(f"/proc/{pid}/fd"):
        try:
            found = os.stat(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        if found.st_nlink == 0 and found.st_dev == device and stat.S_ISREG(found.st_mode):
            yield found.st_ino, found.st_blocks * 512


def _mappings(pid: int, device: int) -> Iterator[tuple[int, int]]:
    """(inode, bytes)"""
    try:
        lines = Path(f"/proc/{pid}/maps").read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if line.endswith(" (deleted)") and (found := _NAMELESS.match(line)):
            begin, end, major, minor = (int(found[n], 16) for n in (1, 2, 3, 4))
            if os.makedev(major, minor) == device:
                yield int(found[5]), end - begin
