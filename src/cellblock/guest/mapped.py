"""Memory that a fork shares with its copy, as code may have mapped it: what it held is kept, and given back in the copy.

Anonymous memory, and files that lie in memory; up to a limit. Not known where /proc is closed to a kernel.
"""

import ctypes
import mmap
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cellblock.guest import linux

MOST = 32 << 10  # of the text on mappings that is passed on
LIMIT = 64 << 20  # bytes in all; what is beyond stays as it is
ANONYMOUS = "/dev/zero (deleted)"
IN_MEMORY = ("/dev/shm/", "/memfd:", "/tmp/")  # noqa: S108  names in a table
NONE = "RssShmem:\t       0 kB"
_FIXED = 0x10

linux.libc.mmap.restype = ctypes.c_void_p
linux.libc.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)


@dataclass(frozen=True)
class Shared:
    """One mapping and what it held."""

    address: int
    content: bytes
    anonymous: bool

    def give_back(self, *, alone: bool) -> None:
        """Anonymous memory becomes this process' own: who shared it has another life. So does all, unless it is `alone`.

        OSError when it cannot: what it holds is still somebody else's then, and is left alone.
        """
        if self.anonymous or not alone:
            how = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
            _map(self.address, len(self.content), mmap.PROT_READ | mmap.PROT_WRITE, how, -1, 0)
        ctypes.memmove(self.address, self.content, len(self.content))


def shared() -> tuple[Shared, ...]:
    """What is mapped so now, and can be written."""
    room = LIMIT
    found = []
    for address, size, path in _mappings():
        if size <= room:
            room -= size
            found.append(Shared(address, ctypes.string_at(address, size), path == ANONYMOUS))
    return tuple(found)


def shared_by(pid: int) -> str:
    """What a process shares, in the words of /proc; nothing where it cannot be looked at."""
    try:
        lines = linux.read(f"/proc/{pid}/maps").splitlines()
    except OSError:
        return ""
    told = ""
    for line in lines:
        if line.split(maxsplit=2)[1].endswith("s") and len(told) + len(line) < MOST:
            told += f"{line}\n"
    return told


def move(was: str, place: str, maps: str, kept: Collection[int]) -> None:
    """In a branch: files of its workspace are mapped from the copy; other memory that it would share with the original becomes
    its own, but for that at the addresses `kept`, which is given back. `maps`: see `shared_by`."""
    for mapping in _all(maps):
        if mapping.path.startswith(f"{was}/"):
            _map_copy(mapping, place + mapping.path[len(was) :])
        elif mapping.address not in kept and "w" in mapping.rights and _is_memory(mapping.path):
            Shared(mapping.address, ctypes.string_at(mapping.address, mapping.size), anonymous=True).give_back(
                alone=False
            )


def _map_copy(mapping: "Mapping", path: str) -> None:
    """What cannot be mapped from the copy stays as it was at that moment."""
    writes = "w" in mapping.rights
    rights = (mmap.PROT_READ if "r" in mapping.rights else 0) | (mmap.PROT_WRITE if writes else 0)
    try:
        fd = os.open(path, os.O_RDWR if writes else os.O_RDONLY)
        try:
            _map(mapping.address, mapping.size, rights, mmap.MAP_SHARED, fd, mapping.offset)
        finally:
            os.close(fd)
    except OSError:
        content = ctypes.string_at(mapping.address, mapping.size)
        Shared(mapping.address, content, anonymous=True).give_back(alone=False)


def _map(address: int, size: int, rights: int, how: int, fd: int, offset: int) -> None:
    if linux.libc.mmap(address, size, rights, how | _FIXED, fd, offset) != address:
        raise OSError(ctypes.get_errno(), f"mmap: {os.strerror(ctypes.get_errno())}")


class Mapping(NamedTuple):
    """Memory that is shared. `offset`: of the file at `path`."""

    address: int
    size: int
    rights: str
    offset: int
    path: str


def _mappings() -> Iterator[tuple[int, int, str]]:
    try:
        if NONE in linux.read("/proc/self/status"):
            return  # in a tenth of the time
    except OSError:
        return
    for each in _all(linux.read("/proc/self/maps")):
        if each.rights == "rw-s" and _is_memory(each.path):
            yield each.address, each.size, each.path


def _all(maps: str) -> Iterator[Mapping]:
    for line in maps.splitlines():
        span, rights, offset, _, _, *path = line.split(maxsplit=5)
        if rights.endswith("s") and path:
            start, end = (int(each, 16) for each in span.split("-"))
            yield Mapping(start, end - start, rights, int(offset, 16), path[0])


def _is_memory(path: str) -> bool:
    return path == ANONYMOUS or path.startswith(IN_MEMORY)
