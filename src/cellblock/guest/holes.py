"""Fills the holes in the template's memory, so that what a kernel allocates lies together on pages of its own.

CPython serves small objects from pools of one size each, and takes free places in old pools first: after a fork, each
lies on another page that must be copied for it. Measured: 0.7 MB less in a fresh kernel, 1.3 MB less after a plot.
"""

from collections.abc import Callable

POOL = (
    1 << 14
)  # bytes; Objects/obmalloc.c, since Python 3.10. With another size less is filled, and nothing else happens.
SIZES = range(16, 513, 16)
_HEAD = 48
_BYTES = 33  # what an empty bytes object takes
_OTHERS = 6  # places in a pool that objects of our own bookkeeping may take
_ENOUGH = 50_000  # objects of one size, whatever the pools look like


def fill() -> list[object]:
    """What must stay alive for the holes to stay filled."""
    return [each for size in SIZES for each in _filling(size)]


def _filling(size: int) -> list[object]:
    """Objects of one size, until a whole new pool of them has been needed; that one is left free."""
    make, room = _maker(size), (POOL - _HEAD) // size
    kept: list[object] = []
    run: list[object] = []
    pool = -1
    while len(run) < room - _OTHERS and len(kept) < _ENOUGH:
        made = make()
        if id(made) // POOL != pool:
            pool = id(made) // POOL
            kept += run
            run = []
        run.append(made)
    return kept


def _maker(size: int) -> Callable[[], object]:
    if size == 16:
        return object
    if size == 32:
        return lambda: complex(1.5, 2.5)
    return lambda: bytes(size - _BYTES)
