"""Where a new server finds the fork server that its predecessor left: a socket in the data directory, bound before all else.

Kernels never see it: the directory is the server's alone, out of their mounts at level `full`, and no kernel's seccomp
filter at level `unprivileged` lets it connect. Whoever does connect must be the server's own user.
"""

import hashlib
import os
import socket
import struct
import time
from dataclasses import dataclass

from cellblock.messages import MAX_PACKET

PLACE = "forkservers"
SEND_SECONDS = 5  # a server that comes and does not listen keeps nobody waiting


def opened(data: str, name: str) -> socket.socket:
    """A listening socket `name` below the data directory; one of before, which nobody listens on any more, goes."""
    place = os.path.join(data, PLACE)
    os.makedirs(place, mode=0o700, exist_ok=True)
    directory = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if name in os.listdir(directory):
            os.unlink(name, dir_fd=directory)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(f"/proc/self/fd/{directory}/{name}")  # a socket's path has 107 bytes at most
        listener.listen(4)
    finally:
        os.close(directory)
    listener.setblocking(False)
    return listener


@dataclass
class Control:
    """The connection to whichever server there is. `wait`: seconds without one; `until`: when that is enough."""

    connection: socket.socket | None
    listener: socket.socket | None
    wait: float
    until: float | None = None

    def descriptors(self) -> list[int]:
        """What may have something to say: the server, or while there is none the next one."""
        return [each.fileno() for each in (self.connection or self.listener,) if each]

    def lost(self) -> None:
        """The server has gone without a word."""
        if self.connection:
            self.connection.close()
        self.connection, self.until = None, time.monotonic() + self.wait

    def met(self) -> socket.socket | None:
        """A new server; whoever comes while there is one has to wait."""
        if self.connection or self.listener is None or (come := accepted(self.listener)) is None:
            return None
        self.connection, self.until = come, None
        return come

    def received(self) -> tuple[bytes, list[int]] | None:
        """A packet of the server's and the descriptors beside it; None when there is none, empty when it has gone."""
        if self.connection is None:
            return None
        try:
            self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)  # recv_fds ignores its flags
            packet, fds, _, _ = socket.recv_fds(self.connection, MAX_PACKET, 2)
        except BlockingIOError:
            return None
        except OSError:
            return b"", []
        return packet, fds

    def patience(self) -> float | None:
        """Seconds until nobody is waited for any more; None while there is a server."""
        return None if self.until is None else max(0.0, self.until - time.monotonic())

    def close(self) -> None:
        for each in (self.connection, self.listener):
            if each:
                each.close()


def name_of(environment: str) -> str:
    """What the socket of an environment, which may be called anything, is called."""
    return hashlib.sha256(environment.encode()).hexdigest()[:16]


def removed(data: str, name: str, listener: socket.socket | None) -> None:
    """Takes the socket's name away; `data` as this process sees it now."""
    if listener is not None:
        try:
            os.unlink(os.path.join(data, PLACE, name))
        except OSError:
            pass  # nobody will be misled: a name that nobody listens on is removed by the next server


def accepted(listener: socket.socket) -> socket.socket | None:
    """A server's connection; None when there is none, or it is not one of our own user's."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return None
    if owner_of(connection) != os.getuid():
        connection.close()
        return None
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
    return connection


def owner_of(connection: socket.socket) -> int:
    """The user of the process at the other end."""
    _, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(uid)
