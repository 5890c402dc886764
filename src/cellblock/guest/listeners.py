"""The sockets that a kernel's channels listen on. A kernel binds its first ones itself; those of a revived one its init does.

For that one may not: at level `unprivileged` a kernel that has opened can bind nothing more.
"""

import os
import socket
from collections.abc import Mapping

NAMES: Mapping[str, str] = {"shell": "k-1", "iopub": "k-2", "stdin": "k-3", "control": "k-5"}
WAITING = 16  # clients that may wait to be accepted


def bound(directory: str, prefix: str = "") -> dict[str, socket.socket]:
    """Listening sockets by channel, in `directory`. OSError: all of them or none."""
    here = os.getcwd()
    os.chdir(directory)  # bound by relative name: a socket's whole path has 107 bytes at most
    made: dict[str, socket.socket] = {}
    try:
        for channel, name in NAMES.items():
            made[channel] = listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(prefix + name)
            listener.listen(WAITING)
    except OSError:
        for listener in made.values():
            listener.close()
        raise
    finally:
        os.chdir(here)
    return made


def removed(directory: str, prefix: str = "") -> None:
    """Takes their names away; what is not there any more is no matter."""
    for name in NAMES.values():
        try:
            os.unlink(f"{directory}/{prefix}{name}")
        except OSError:
            pass
