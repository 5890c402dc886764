"""Memory that is free, but still held by the C library for the next time, goes back to the system."""

import ctypes

_libc = ctypes.CDLL(None)


def give_back() -> None:
    """A few milliseconds, best in a thread. Nothing happens where the library is not glibc."""
    if hasattr(_libc, "malloc_trim"):
        _libc.malloc_trim(0)
