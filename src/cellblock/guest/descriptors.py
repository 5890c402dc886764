"""The descriptors that a kernel has open, asked of poll(2): /proc may be closed to it."""

import ctypes
import os
import resource
import select
from array import array

from cellblock.guest import linux

_CLOSED = select.POLLNVAL << 48  # in a pollfd read as one number


def opened() -> list[tuple[int, int]]:
    """All from 3 on, and the mode of each."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked = array(
        "q", range(3, most)
    )  # of struct pollfd: the descriptor below, then what is asked, above what is answered
    linux.checked("poll", linux.libc.poll(ctypes.c_void_p(asked.buffer_info()[0]), len(asked), 0))
    found = [(said & 0xFFFFFFFF, _mode(said & 0xFFFFFFFF)) for said in asked if not said & _CLOSED]
    return [(fd, mode) for fd, mode in found if mode is not None]


def _mode(fd: int) -> int | None:
    """None when it has just been closed: a collection of garbage may come at any time."""
    try:
        return os.fstat(fd).st_mode
    except OSError:
        return None
