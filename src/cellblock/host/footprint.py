"""What a sandbox takes of the disk beside its workspace: other places of its home, and files open without a name.

Processes are found and looked at through /proc; one that may not be looked at, or has gone, counts as nothing.
"""

import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from cellblock.host.tree import DIRECTORY, walk

OTHERS = ("run", "tmp")  # beside `files` in a home; `tmp` only where a kernel has no /tmp of its own
NAMED = 4096  # bytes that an entry without blocks of its own counts for: each takes an inode
MAX_ENTRIES = 1_000_000  # of one place: 4 GB by then
_NAMELESS = re.compile(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d+) .* \(deleted\)")


def beside(home: Path, pid: int) -> int:
    """Bytes, workspace not included. `pid`: the kernel's; 0 when it has ended. Blocks."""
    return sum(_places(home)) + nameless(pid, os.stat(home).st_dev)


def _places(home: Path) -> Iterator[int]:
    for place in OTHERS:
        try:
            root = os.open(home / place, DIRECTORY)
        except OSError:
            continue
        try:
            yield from (max(NAMED, found.stat.st_blocks * 512) for found in islice(walk(root), MAX_ENTRIES))
        finally:
            os.close(root)


def nameless(pid: int, device: int) -> int:
    """Bytes of deleted files on `device` that the processes of a kernel's sandbox hold open or mapped."""
    held: dict[int, int] = {}
    mapped: dict[int, int] = {}
    for each in family(pid):
        held.update(_open_files(each, device))
        for inode, size in _mappings(each, device):
            mapped[inode] = max(size, mapped.get(inode, 0))
    return sum(held.values()) + sum(size for inode, size in mapped.items() if inode not in held)


def family(pid: int) -> set[int]:
    """The kernel and all that its init has besides; empty when it has gone."""
    parents = dict(_parents())
    if pid not in parents:
        return set()
    init = parents[pid]
    found, more = {pid}, {pid}
    while more:
        more = {child for child, parent in parents.items() if parent in more or parent == init} - found
        found |= more
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
                yield int(name), int(fields[1])
            except (OSError, IndexError, ValueError):
                continue


def _open_files(pid: int, device: int) -> Iterator[tuple[int, int]]:
    """(inode, bytes)"""
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return
    for fd in descriptors:
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
