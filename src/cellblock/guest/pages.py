"""Small pages made into huge ones: of these a fork has a five-hundredth of the table to copy.

Only where a huge page is in use nearly whole, so that memory grows little, and by nobody else: what a snapshot shares
would be copied. Nothing is done where /proc is closed to a kernel, and where Linux is older than 6.1.
"""

import ctypes
import mmap
import os
import time
from array import array
from collections.abc import Iterator

from cellblock.guest import linux

ENTRIES = mmap.PAGESIZE // 8  # of a table of pages: one huge page
HUGE = ENTRIES * mmap.PAGESIZE
DENSE = ENTRIES * 15 // 16
SLICE = 0.004  # seconds until somebody else may have a turn
PATIENCE = 8  # failures in a row: memory is short, or in pieces
_COLLAPSE = 25
_PRESENT, _EXCLUSIVE = 1 << 63, 1 << 56

linux.libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def condensed() -> Iterator[int]:
    """Goes through this process' memory; how many huge pages there are so far, every SLICE seconds."""
    made = failed = 0
    since = time.monotonic()
    for address in _dense():
        if linux.libc.madvise(address, HUGE, _COLLAPSE):
            failed += 1
        else:
            made, failed = made + 1, 0
        if failed == PATIENCE:
            return
        if time.monotonic() > since + SLICE:
            yield made
            since = time.monotonic()
    yield made


def _dense() -> Iterator[int]:
    """Where huge pages could be."""
    try:
        maps = linux.read("/proc/self/maps")
        fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        for start, end in _anonymous(maps):
            for address in range(-(-start // HUGE) * HUGE, end - HUGE + 1, HUGE):
                if _is_dense(fd, address):
                    yield address
    finally:
        os.close(fd)


def _anonymous(maps: str) -> Iterator[tuple[int, int]]:
    """Memory without a file that may be written and is nobody else's."""
    for line in maps.splitlines():
        span, mode, _, _, inode, *_ = line.split(maxsplit=5)
        if mode.startswith("rw") and mode.endswith("p") and inode == "0":
            start, end = (int(each, 16) for each in span.split("-"))
            yield start, end


def _is_dense(pagemap: int, address: int) -> bool:
    """Whether its pages are there, and this process' alone. One that has been unmapped meanwhile is not there."""
    entries = array("Q", os.pread(pagemap, ENTRIES * 8, address // mmap.PAGESIZE * 8))
    there = [entry for entry in entries if entry & _PRESENT]
    return len(there) >= DENSE and all(entry & _EXCLUSIVE for entry in there)
