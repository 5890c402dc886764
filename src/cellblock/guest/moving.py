"""A branch's kernel goes on in a copy of the workspace: its directory, its open files, and what remembers paths.

It runs in the copy before that opens, in its only thread, while the kernel it was forked from goes on: what the two would
share by the fork, such as offsets of files, becomes the copy's own. The two workspaces have paths of the same length.
"""

import contextlib
import fcntl
import os
import stat
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from cellblock.guest import databases, descriptors, filesystem, mapped
from cellblock.guest.shelf import Move

MOST_FOUND = 100_000  # files that are looked through for those that are open
LIMIT = 64 << 20  # bytes of a file without a name that are copied
_KEPT_FLAGS = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK | os.O_DIRECTORY | os.O_SYNC | os.O_DSYNC


def move(to: Move, offsets: Mapping[int, int], kept: Collection[int]) -> None:
    """`offsets`: where open files were in the state that this is; `kept`: addresses of memory whose content is kept."""
    paths = Paths(to)
    files: dict[int, tuple[databases.Identity, databases.Identity]] = {}
    for fd, *others in _shared(fd for fd, mode in descriptors.opened() if stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        with contextlib.suppress(OSError):
            was = _identity(fd)
            _own(fd, others, paths, offsets.get(fd))
            files |= dict.fromkeys((fd, *others), (was, _identity(fd)))
    mapped.move(to.was, to.place, to.maps, kept)
    databases.move(to, files)
    _change_directory(to)
    _tell_python(to)


def shut_out(fence: int) -> None:
    """Of the workspace that this is a branch of, for good."""
    filesystem.shut_in(fence)
    os.close(fence)


class Paths:
    """Where open files lie: by /proc, or where that is closed by looking through the places a kernel can write to."""

    def __init__(self, to: Move) -> None:
        self.to = to
        self._found: dict[tuple[int, int], str] | None = None

    def of(self, fd: int) -> str | None:
        """The path of an open file, of what it is in the copy if it lies in the workspace; None when it has none."""
        found = os.fstat(fd)
        try:
            path = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            path = self._look_up(found)
        if not path or found.st_nlink == 0 or not path.startswith("/"):
            return None
        inside = path == self.to.was or path.startswith(f"{self.to.was}/")
        if not inside and not _same(path, found):
            return None
        return self.to.place + path[len(self.to.was) :] if inside else path

    def _look_up(self, found: os.stat_result) -> str:
        if self._found is None:
            self._found = dict(self._walk())
        return self._found.get((found.st_dev, found.st_ino), "")

    def _walk(self) -> Iterator[tuple[tuple[int, int], str]]:
        places = [self.to.was, os.environ.get("TMPDIR", self.to.was)]
        entries = (
            (f"{where}/{name}" for name in (*files, ".")) for place in places for where, _, files in os.walk(place)
        )
        for _, path in zip(range(MOST_FOUND), (path for names in entries for path in names), strict=False):
            with contextlib.suppress(OSError):
                found = os.stat(path, follow_symlinks=False)
                yield (found.st_dev, found.st_ino), path.removesuffix("/.")


def _same(path: str, found: os.stat_result) -> bool:
    try:
        other = os.stat(path)
    except OSError:
        return False
    return (other.st_dev, other.st_ino) == (found.st_dev, found.st_ino)


def _identity(fd: int) -> databases.Identity:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def _shared(fds: Iterable[int]) -> Iterator[list[int]]:
    """Descriptors by the open file that they are of: those of one share an offset."""
    alike: dict[tuple[int, ...], list[int]] = {}
    for fd in fds:
        with contextlib.suppress(OSError):
            found = os.fstat(fd)
            alike.setdefault((found.st_dev, found.st_ino, fcntl.fcntl(fd, fcntl.F_GETFL)), []).append(fd)
    for (_, _, flags), group in alike.items():
        while group:
            first = group.pop(0)
            same = _with_flags_of(first, group, flags) if group else []
            group[:] = [fd for fd in group if fd not in same]
            yield [first, *same]


def _with_flags_of(first: int, others: list[int], flags: int) -> list[int]:
    """A flag that means nothing to files is another for a moment: it is for all that are of the same open file."""
    try:
        fcntl.fcntl(first, fcntl.F_SETFL, flags ^ os.O_NONBLOCK)
        return [fd for fd in others if fcntl.fcntl(fd, fcntl.F_GETFL) != flags]
    except OSError:
        return []
    finally:
        with contextlib.suppress(OSError):
            fcntl.fcntl(first, fcntl.F_SETFL, flags)


def _own(fd: int, others: list[int], paths: Paths, offset: int | None) -> None:
    """The descriptors' numbers lead to a file that is open for this process alone."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    if flags & os.O_PATH:
        return
    path = paths.of(fd)
    new = _opened(path, flags) if path else -1
    if new < 0:
        new = _copied(fd)
    with contextlib.suppress(OSError):
        os.lseek(new, os.lseek(fd, 0, os.SEEK_CUR) if offset is None else offset, os.SEEK_SET)
    for each in (fd, *others):
        os.dup2(new, each, os.get_inheritable(each))
    os.close(new)


def _opened(path: str, flags: int) -> int:
    try:
        return os.open(path, flags & _KEPT_FLAGS | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return -1


def _copied(fd: int) -> int:
    """A file without a name, in memory. One that is too large, or cannot be read, becomes a descriptor that nothing can be
    done with."""
    found = os.fstat(fd)
    try:
        if found.st_size > LIMIT or not stat.S_ISREG(found.st_mode):
            raise OSError
        new = os.memfd_create("branch", os.MFD_CLOEXEC)
        offset = 0
        while block := os.pread(fd, 1 << 20, offset):
            os.pwrite(new, block, offset)
            offset += len(block)
    except OSError:
        return os.open("/", os.O_PATH | os.O_CLOEXEC)
    return new


def _change_directory(to: Move) -> None:
    """Where the cells were, or as near as there is."""
    try:
        here = os.getcwd()
    except OSError:
        here = to.was
    inside = here == to.was or here.startswith(f"{to.was}/")
    for place in [to.place + here[len(to.was) :], to.place] if inside else []:
        try:
            os.chdir(place)
            break
        except OSError:
            continue


def _tell_python(to: Move) -> None:
    """What says where to import from, or where a module came from."""
    sys.path[:] = [moved(place, to) for place in sys.path]
    for place, finder in list(sys.path_importer_cache.items()):
        path = getattr(finder, "path", place)  # of "." it is where that was
        if moved(path, to) != path:
            del sys.path_importer_cache[place]
    if "PWD" in os.environ:
        os.environ["PWD"] = moved(os.environ["PWD"], to)
    for module in list(sys.modules.values()):
        if moved(file := getattr(module, "__file__", None), to) != file:
            _tell_module(module, to)


def _tell_module(module: object, to: Move) -> None:
    spec = getattr(module, "__spec__", None)
    for thing, name in (
        (module, "__file__"),
        (module, "__cached__"),
        (spec, "origin"),
        (spec, "cached"),
        (getattr(spec, "loader", None), "path"),
    ):
        with contextlib.suppress(Exception):  # a module may be anything
            setattr(thing, name, moved(getattr(thing, name), to))


def moved(path: Any, to: Move) -> Any:
    """A path in the workspace that was, in the copy; anything else as it is."""
    if isinstance(path, str) and (path == to.was or path.startswith(f"{to.was}/")):
        return to.place + path[len(to.was) :]
    return path
