"""The snapshots of a sandbox as its init holds them: registered by the kernel, and believed only in what init can see.

A snapshot is known by a name that the server gave, a private socket, and, once it has said it there, its pid. Whatever code
does to its snapshots, or says in their place, it has fewer of them, and never anything that is not of its own sandbox.
"""

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cellblock.guest import linux
from cellblock.messages import MAX_PACKET, MAX_SNAPSHOTS

OOM_SCORE = 500  # below the kernel's: what is left when memory runs out is the state before
MAX_NAME = 80
SPEAK_SECONDS = 3.0
MOST_ENDS = 8  # descriptors that come with a revival


TWIN = b"twin"  # init's word to a snapshot that is to be forked once more; the copy's socket travels beside it


@dataclass(frozen=True)
class Move:
    """A branch leaves the workspace `was` for `place`, a copy of it. `fence`: a Landlock ruleset that leaves `was` out.

    `maps`: what init knows of memory that it shares, as /proc has it: that may be closed to a kernel.
    """

    was: str
    place: str
    fence: int | None
    maps: str = ""


@dataclass(frozen=True)
class Revival:
    """What init gives a snapshot that is to live: a key, and the sockets its channels listen on.

    `link` is where it came from, and leads to init from now on. `count`: executions so far, the undone ones too; `reseed`:
    it shall draw other numbers than its twin. `move`: what it has to do before, if it is a branch.
    """

    key: str
    count: int
    reseed: bool
    listeners: dict[str, socket.socket]
    link: socket.socket
    move: Move | None = None

    def send(self) -> None:
        """OSError when the snapshot has gone."""
        fields = {"key": self.key, "count": self.count, "reseed": self.reseed, "channels": list(self.listeners)}
        fds = [each.fileno() for each in self.listeners.values()]
        if self.move:
            fields |= {"was": self.move.was, "place": self.move.place, "maps": self.move.maps}
            fds += [self.move.fence] if self.move.fence is not None else []
        socket.send_fds(self.link, [json.dumps(fields).encode()], fds)

    @classmethod
    def receive(cls, connection: socket.socket) -> "Revival | socket.socket | None":
        """Waits for it, or for the socket of a twin to be; None when nobody will send one any more."""
        packet, fds, _, _ = socket.recv_fds(connection, MAX_PACKET, MOST_ENDS)
        if not packet:
            return None
        if packet == TWIN:
            return socket.socket(fileno=fds[0])
        said = json.loads(packet)
        ends = [socket.socket(fileno=fd) for fd in fds[: len(said["channels"])]]
        channels = dict(zip(said["channels"], ends, strict=True))
        fence = next(iter(fds[len(ends) :]), None)
        move = Move(said["was"], said["place"], fence, said["maps"]) if "place" in said else None
        return cls(said["key"], said["count"], said["reseed"], channels, connection.dup(), move)


@dataclass(eq=False)
class Held:
    """One snapshot. `pid` is 0, and `pidfd` -1, until it has said where it is."""

    name: str
    connection: socket.socket
    pid: int = 0
    pidfd: int = -1
    since: float = field(default_factory=time.monotonic)

    def late(self) -> bool:
        """Whether it should have said long ago where it is."""
        return self.pidfd < 0 and time.monotonic() > self.since + SPEAK_SECONDS

    def ended(self) -> bool:
        """Whether its end has closed its socket, or a second word on it is one too many."""
        return self.pidfd >= 0 and bool(select.select([self.connection], [], [], 0)[0])

    def heard(self, may_be: Callable[[int], bool]) -> bool:
        """Its only word, its pid. False: it has ended, or has said something else, or a pid that it may not have."""
        try:
            said = self.connection.recv(16)
            if self.pid or not said.isdigit() or not may_be(int(said)):
                return False
            self.pid = int(said)
            self.pidfd = linux.pidfd_open(self.pid)
        except BlockingIOError:
            return True  # heard already
        except OSError:
            return False
        score(self.pid, OOM_SCORE)
        return True

    def twin(self) -> int:
        """Asks it for a copy of itself; where that will say where it is. OSError."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(self.connection, [TWIN], [theirs.fileno()])
            return ours.detach()

    def close(self) -> None:
        """It ends."""
        self.connection.close()
        if self.pidfd >= 0:
            try:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            except OSError:
                pass
            os.close(self.pidfd)
            self.pidfd = -1


@dataclass
class Shelf:
    """By name, the oldest first."""

    held: dict[str, Held] = field(default_factory=dict)

    def put(self, name: str, fd: int) -> Held | None:
        """Takes a registration; None when there are too many, or one of that name."""
        if len(self.held) >= MAX_SNAPSHOTS or name in self.held or len(name) > MAX_NAME:
            os.close(fd)
            return None
        connection = socket.socket(fileno=fd)
        connection.setblocking(False)
        made = self.held[name] = Held(name, connection)
        return made

    def take(self, name: str) -> Held:
        """It is no longer a snapshot: it is the kernel."""
        return self.held.pop(name)

    def drop(self, names: Iterable[str]) -> None:
        for name in names:
            if found := self.held.pop(name, None):
                found.close()

    def drop_oldest(self) -> None:
        self.drop([next(iter(self.held))])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.held)

    @property
    def pids(self) -> set[int]:
        return {each.pid for each in self.held.values()}

    def ready(self) -> tuple[list[Held], list[Held]]:
        """Those that have said where they are, and the others."""
        ready = [each for each in self.held.values() if each.pidfd >= 0]
        return ready, [each for each in self.held.values() if each.pidfd < 0]


def score(pid: int, value: int) -> None:
    """Whom the host should end first when memory runs out; not a restriction."""
    try:
        linux.write(f"/proc/{pid}/oom_score_adj", str(value))
    except OSError:
        pass
