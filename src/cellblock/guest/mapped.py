"""Memory that a fork shares with its copy, as code may have mapped it: what it held is kept, and given back in the copy.

Anonymous memory, and files that lie in memory; up to a limit. Not known where /proc is closed to a kernel.
"""

import ctypes
import mmap
from collections.abc import Iterator
from dataclasses import dataclass

from cellblock.guest import linux

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
        """Anonymous memory becomes this process' own: who shared it has another life. So does all, unless it is `alone`."""
        if self.anonymous or not alone:
            how = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS | _FIXED
            linux.libc.mmap(self.address, len(self.content), mmap.PROT_READ | mmap.PROT_WRITE, how, -1, 0)
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


def _mappings() -> Iterator[tuple[int, int, str]]:
    try:
        if NONE in linux.read("/proc/self/status"):
            return  # in a tenth of the time
        lines = linux.read("/proc/self/maps").splitlines()
    except OSError:
        return
    for line in lines:
        if " rw-s " in line:
            span, _, _, _, _, path = line.split(maxsplit=5)
            start, end = (int(each, 16) for each in span.split("-"))
            if path == ANONYMOUS or path.startswith(IN_MEMORY):
                yield start, end - start, path
