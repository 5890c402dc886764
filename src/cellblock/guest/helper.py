"""A process beside the fork server that does one kind of work for it, order by order, and tells how its children end.

What the two say to each other never leaves them: both are trusted.
"""

import json
import os
import select
import signal
import socket
import traceback
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from cellblock.guest import linux
from cellblock.guest.ending import Reaped, reap_all


class Ended(NamedTuple):
    """A child of a helper that has ended: its pid, and its exit status or minus the signal."""

    pid: int
    status: int


def serve(connection: socket.socket, obey: Callable[[], bool]) -> NoReturn:
    """Until the fork server has gone. `obey` takes one order, and is False when nobody gives any more."""
    try:
        _serve(connection, obey)
    except BaseException:
        traceback.print_exc()
    finally:  # the log may take no more
        os._exit(1)


def tell(connection: socket.socket, *fds: int, **said: int | str) -> None:
    """OSError when the fork server has gone."""
    socket.send_fds(connection, [json.dumps(said).encode()], list(fds))


def _serve(connection: socket.socket, obey: Callable[[], bool]) -> None:
    linux.prctl(linux.PDEATHSIG, signal.SIGKILL)
    wake, wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    poll.register(wake, select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if wake in ready:
            os.read(wake, 4096)
            _tell_ended(connection)
        if connection.fileno() in ready and not obey():
            return


def _tell_ended(connection: socket.socket) -> None:
    ended: Reaped = []
    reap_all(ended)
    for pid, status in ended:
        tell(connection, ended=pid, status=status)
