"""A workspace copied as it is now, into a directory that is empty. By descriptor on both sides, and no symlink followed.

Where the file system can, a copy shares the blocks of what it was made of. Files, directories and symlinks; what cannot be
read, and pipes and sockets, are not copied, but named.
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

from cellblock.errors import WorkspaceFull
from cellblock.host.aside import cloned
from cellblock.host.exhaustion import FAILING, told
from cellblock.host.names import MAX_DEPTH, shown
from cellblock.host.tree import DIRECTORY, TEMPORARY
from cellblock.host.workspace import CREATE, MAX_ENTRIES, READ, Workspace, write_all

BLOCK = 1 << 20


@dataclass
class Copier:
    """`own` gives a file to the kernel's user. `left_out`: paths that were not copied; `bytes`, `entries`: what was."""

    own: Callable[[int], None]
    limit: int
    left_out: list[str] = field(default_factory=list)
    bytes: int = 0
    entries: int = 0

    def directory(self, source: int, target: int, prefix: str = "", depth: int = 0) -> None:
        """All that a directory holds. WorkspaceFull, OSError."""
        with os.scandir(source) as listing:
            for item in listing:
                if item.name.startswith(TEMPORARY):
                    continue
                self.entries += 1
                if self.entries > MAX_ENTRIES:
                    raise WorkspaceFull(f"The workspace holds more than {MAX_ENTRIES:,} files: too many to copy.")
                path = prefix + shown(item.name)
                if not self._entry(item, source, target, path, depth):
                    self.left_out.append(path)

    def _entry(self, item: "os.DirEntry[str]", source: int, target: int, path: str, depth: int) -> bool:
        try:
            found = item.stat(follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                os.symlink(os.readlink(item.name, dir_fd=source), item.name, dir_fd=target)
                return True
            flags = DIRECTORY if stat.S_ISDIR(found.st_mode) else READ
            below = os.open(item.name, flags, dir_fd=source)
        except OSError as problem:
            if problem.errno in FAILING:
                raise  # ours to tell, and no fault of the file's
            return isinstance(problem, FileNotFoundError)  # it has just been deleted
        try:
            found = os.fstat(below)
            if stat.S_ISREG(found.st_mode):
                return self._file(item.name, below, target, found)
            return stat.S_ISDIR(found.st_mode) and self._below(item.name, below, target, found, path, depth)
        finally:
            os.close(below)

    def _below(self, name: str, source: int, target: int, found: os.stat_result, path: str, depth: int) -> bool:
        if depth >= MAX_DEPTH:
            return False
        os.mkdir(name, 0o700, dir_fd=target)
        made = os.open(name, DIRECTORY, dir_fd=target)
        try:
            self.directory(source, made, f"{path}/", depth + 1)
            self._finish(made, found)
        finally:
            os.close(made)
        return True

    def _file(self, name: str, source: int, target: int, found: os.stat_result) -> bool:
        self.bytes += found.st_blocks * 512
        if self.bytes > self.limit:
            raise WorkspaceFull(f"The workspace takes more than the {self.limit:,} bytes it may hold.")
        made = os.open(name, CREATE, 0o600, dir_fd=target)
        try:
            if found.st_size and not cloned(source, made):
                filled(source, made, found.st_size)
            self._finish(made, found)
        finally:
            os.close(made)
        return True

    def _finish(self, fd: int, found: os.stat_result) -> None:
        self.own(fd)
        os.fchmod(fd, stat.S_IMODE(found.st_mode) & 0o777)
        os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))


def filled(source: int, target: int, size: int) -> None:
    """The content, with its holes. OSError."""
    offset = 0
    while offset < size:
        try:
            begin = os.lseek(source, offset, os.SEEK_DATA)
            end = min(os.lseek(source, begin, os.SEEK_HOLE), size)
        except OSError as problem:
            if problem.errno != errno.ENXIO:
                raise
            break  # behind the last data
        os.lseek(target, begin, os.SEEK_SET)
        while begin < end and (block := os.pread(source, min(BLOCK, end - begin), begin)):
            write_all(target, block)
            begin += len(block)
        offset = max(end, offset + 1)
    os.ftruncate(target, size)


def copied(source: Workspace, target: Workspace) -> list[str]:
    """Paths of what was left out. WorkspaceFull when the copy would be larger than a workspace may be; HostExhausted. Blocks."""
    copier = Copier(target.own, target.limit)
    with told():
        there = os.open(source.root, DIRECTORY)
        try:
            here = os.open(target.root, DIRECTORY)
            try:
                copier.directory(there, here)
            finally:
                os.close(here)
        finally:
            os.close(there)
    return copier.left_out
