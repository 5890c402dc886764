"""How processes of a sandbox are ended: stopped first, so that none can start another, and then killed."""

import os
import select
import signal
import time
from collections.abc import Callable

from cellblock.guest import limits

Reaped = list[tuple[int, int]]  # pid and exit status, or minus the signal


def end_descendants() -> None:
    """A subreaper inherits every orphan."""
    end_all(lambda: limits.descendants(os.getpid()))


def end_all(found: Callable[[], set[int]], *, patience: float = float("inf"), reaped: Reaped | None = None) -> None:
    """Stops all, then kills all, until none is left, or `patience` seconds have passed. `reaped`: children that have ended."""
    until = time.monotonic() + patience
    while pids := {pid for pid in found() if not limits.is_zombie(pid)}:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        reap_all(reaped)
        if time.monotonic() > until:
            return
        select.select([], [], [], 0.001)
    reap_all(reaped)


def reap_all(reaped: Reaped | None = None) -> None:
    """Children that have ended, without waiting for any; told in `reaped`."""
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if reaped is not None:
                reaped.append((pid, os.waitstatus_to_exitcode(status)))
    except ChildProcessError:
        pass
