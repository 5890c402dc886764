"""What this host has run out of: the seam where the system's errors become errors a caller may see."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from cellblock.errors import HostExhausted

SPENT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # the fault is ours, and says nothing about what was asked for
FAILING = (*SPENT, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)


@contextmanager
def told() -> Iterator[None]:
    """HostExhausted in the place of an OSError."""
    try:
        yield
    except OSError as problem:
        raise exhausted(problem) from problem


def exhausted(problem: OSError) -> HostExhausted:
    """The error, with the system's own words."""
    reason = os.strerror(problem.errno) if problem.errno else type(problem).__name__
    return HostExhausted(f"The server's machine could not do its part: {reason}.", retry_after=5.0)
