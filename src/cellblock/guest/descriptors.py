"""The descriptors that a kernel has open, asked of poll(2): /proc may be closed to it."""

import ctypes
import os
import resource
import select
import struct

from cellblock.guest import linux

_POLLED = struct.Struct("=ihh")  # pollfd: descriptor, what is asked, what is answered


def opened() -> list[tuple[int, int]]:
    """All from 3 on, and the mode of each."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    asked = ctypes.create_string_buffer(b"".join(_POLLED.pack(fd, 0, 0) for fd in range(3, most)))
    linux.checked("poll", linux.libc.poll(asked, most - 3, 0))
    answered = _POLLED.iter_unpack(asked.raw[: (most - 3) * _POLLED.size])
    found = [(fd, _mode(fd)) for fd, _, said in answered if not said & select.POLLNVAL]
    return [(fd, mode) for fd, mode in found if mode is not None]


def _mode(fd: int) -> int | None:
    """None when it has just been closed: a collection of garbage may come at any time."""
    try:
        return os.fstat(fd).st_mode
    except OSError:
        return None
