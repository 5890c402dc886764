"""One session's seat in a sandbox: its connection to the server, its kernel, its snapshots. It forwards nothing of theirs.

A sandbox begins with one. A branch takes a seat of its own: nothing that happens to one session ends a process of another.
"""

import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from cellblock.guest import limits, linux, listeners, mapped, sandbox
from cellblock.guest.ending import Reaped, end_all
from cellblock.guest.fences import Fences
from cellblock.guest.shelf import Held, Move, Revival, Shelf, score
from cellblock.messages import (
    MAX_PACKET,
    Attach,
    Bound,
    Branch,
    Drop,
    Exit,
    Interrupt,
    Interrupted,
    Kill,
    Launch,
    Left,
    Look,
    Message,
    Parted,
    Refused,
    Revive,
    Snapshots,
    Stop,
    decode,
    encode,
)

END_SECONDS = 5.0  # for what cells have started to end; then the revived kernel has its company
MOST_SEATS = 8  # in one sandbox


def tell(connection: socket.socket, message: Message, *fds: int) -> None:
    """Sends a packet; a reader that has gone is noticed elsewhere."""
    try:
        socket.send_fds(connection, [encode(message)], list(fds))
    except OSError:
        pass


Asked = TypeVar("Asked", Launch, Branch)


def keyed(asked: Asked, connection: socket.socket) -> Asked:
    """What is asked for, with its key: the server says it first on the connection that the sandbox will have.

    What kernels are forked from never hears it, or a later one could find it in the memory that it was born with. OSError.
    """
    key = connection.recv(MAX_PACKET)
    if not key:
        raise OSError("the server has gone")
    return replace(asked, key=key.decode())


@dataclass(eq=False)
class House:
    """What the seats of a sandbox have in common. `readers`: by descriptor; one that answers False has heard its last.

    `reaped`: children that have ended, which no seat has been told of yet. `for_memory`: the last seat ended for that.
    """

    box: sandbox.Sandbox
    group: str
    seats: list["Seat"] = field(default_factory=list)
    readers: dict[int, Callable[[], bool | None]] = field(default_factory=dict)
    reaped: Reaped = field(default_factory=list)
    fences: Fences = field(default_factory=Fences)
    for_memory: bool = False

    def inmates(self) -> set[int]:
        """All processes of this sandbox but this one."""
        own = os.getpid()
        return {*limits.processes()} - {own} if self.box.full else limits.descendants(own)

    def wake_all(self) -> None:
        """Code may have stopped a snapshot before it could say a word."""
        for pid in self.inmates():
            try:
                os.kill(pid, signal.SIGCONT)
            except OSError:
                pass

    def may_be_snapshot(self, pid: int) -> bool:
        """Whether it is a process of this sandbox, with a session in the system's sense of its own as each snapshot has it,
        and neither a kernel nor another snapshot. What a kernel has started is no other seat's snapshot."""
        if pid == os.getpid() or any(pid in (seat.pid, *seat.shelf.pids) for seat in self.seats):
            return False
        if sid_of(pid) != pid:
            return False
        return not limits.is_zombie(pid) if self.box.full else limits.descends(pid, os.getpid())

    def seat(self, id: str) -> "Seat | None":
        return next((each for each in self.seats if each.id == id), None)

    def tell_ended(self) -> None:
        """The seats hear which of their kernels have ended."""
        while self.reaped:
            pid, status = self.reaped.pop(0)
            for seat in [each for each in self.seats if each.pid == pid]:
                tell(seat.connection, Exit(status))
                seat.ended()


@dataclass(eq=False)
class Seat:
    """`connection` leads to the server, `kernel` to the process `pid`, whose session in the system's sense is `sid`.

    `pid` is 0 until the kernel has told it, where that is the fork server's child: then that one tells the server of its end.
    `outside` is the pid of that one, also when it sleeps and another one is the kernel. `key` is the kernel's, for a server
    that takes over; `bound`: the kernel's stages, once its sockets are. `wish`: the revival that the server has asked for;
    `prefix`: how the names of the kernel's sockets begin, None before there were any; `state`: the snapshot that it was.
    `lineage`: of a branch, see messages.Branch; `move`: what its kernel has to do before it opens for the first time.
    """

    house: House
    id: str
    connection: socket.socket
    kernel: socket.socket | None = None
    pid: int = 0
    key: str = ""
    prefix: str | None = ""
    state: str = ""
    lineage: tuple[str, ...] = ()
    sid: int = 0
    outside: int = 0
    bound: dict[str, float] | None = None
    killed_for_memory: bool = False
    shelf: Shelf = field(default_factory=Shelf)
    wish: Revive | None = None
    wished: float = 0.0  # when
    move: Move | None = None
    over: bool = False

    def sit_down(self) -> None:
        """It hears the server, and its kernel if it has one."""
        self.house.seats.append(self)
        self.house.readers[self.connection.fileno()] = self.obey
        if self.kernel:
            self.kernel.setblocking(False)
            self.house.readers[self.kernel.fileno()] = self.listen

    @property
    def workspace(self) -> str:
        box = self.house.box
        return box.branch(self.lineage[-1]) if self.lineage else box.workspace

    def obey(self) -> bool:
        """One packet of the server's. The end of the connection, which the fork server keeps open, is a Stop."""
        packet, fds = b"", list[int]()
        try:
            packet, fds, _, _ = socket.recv_fds(self.connection, MAX_PACKET, 1)
            message = decode(packet)
        except BlockingIOError:
            return True
        except (OSError, ValueError):
            message = Stop()
        if isinstance(message, Branch) and fds:
            self.seat_branch(message, socket.socket(fileno=fds.pop()))
        elif self.over:
            tell(self.connection, Parted())
        else:
            self.do(message)
        for fd in fds:
            os.close(fd)
        return bool(packet) and self.connection.fileno() >= 0

    def do(self, message: Message) -> None:
        if isinstance(message, Interrupt):
            self.interrupt()
        elif isinstance(message, Attach):
            self.attach()
        elif isinstance(message, Kill):
            self.kill()
        elif isinstance(message, Look):
            self.show()
        elif isinstance(message, Drop):
            self.drop(message.names)
        elif isinstance(message, Revive):
            self.catch_up()
            for held in [*self.shelf.held.values()]:
                self.hear(held)  # one may just have ended: for it no kernel makes way
            self.wish, self.wished = message, time.monotonic()
            self.keep_kernel()
            self.fulfil()
        elif isinstance(message, Stop):
            self.part()

    def attach(self) -> None:
        """A new server hears where we are: with a kernel, or with what one has left."""
        if self.pid:
            self.say_bound()
        elif self.shelf.held:
            self.say_left()

    def interrupt(self) -> None:
        with suppress(ProcessLookupError):  # it has just ended, and whoever tells us is about to
            if self.pid:
                self.send_interrupt()
        tell(self.connection, Interrupted())

    def send_interrupt(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGINT)
        except ProcessLookupError:
            os.kill(self.pid, signal.SIGINT)

    def kill(self) -> None:
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    # the kernel

    def listen(self) -> bool:
        """What the kernel says: first that it has bound, or the step that failed; later that it takes a snapshot."""
        if self.kernel is None or self.kernel.fileno() < 0:
            return False  # of a kernel that has ended
        fds: list[int] = []
        try:
            packet, fds, _, _ = socket.recv_fds(self.kernel, MAX_PACKET, 1)
            said = json.loads(packet)
            if self.bound is None:
                self.pass_on(said)
            else:
                self.hold(str(said["snapshot"]), fds.pop())
        except BlockingIOError:
            pass  # heard already
        except (OSError, ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError):
            self.kernel.close()
            if self.bound is None and not self.pid:
                self.part()  # it died without a word; where it is our child, that tells
            return False
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def pass_on(self, said: dict[str, object]) -> None:
        if said.get("step"):
            tell(self.connection, Refused(str(said["step"])[:200], str(said.get("reason"))[:4000]))
            return
        stages = said.get("stages")
        measured = {str(k)[:40]: float(v) for k, v in stages.items()} if isinstance(stages, dict) else {}
        if not self.pid:
            pid = int(str(said["pid"]))
            self.house.readers[linux.pidfd_open(pid)] = partial(self.end, pid)
            self.pid = self.outside = pid
        self.bound = {**self.house.box.stages, **measured}
        self.sid = sid_of(self.pid)
        self.say_bound()

    def say_bound(self) -> None:
        """With its key: a server that takes over may be the one to hear it, before or after it has asked."""
        if self.bound is None:
            return
        try:
            pidfds = [linux.pidfd_open(pid) for pid in (self.pid, os.getpid())]
        except ProcessLookupError:
            return  # it has just ended: that is what there will be to say
        outside = self.pid == self.outside
        bound = Bound(self.bound, self.house.group, self.key, self.prefix or "", outside, self.state)
        tell(self.connection, bound, *pidfds)
        for fd in pidfds:
            os.close(fd)

    def say_left(self) -> None:
        left = Left(self.shelf.names, self.killed_for_memory, self.house.group, self.prefix or "")
        tell(self.connection, left)

    def end(self, pid: int) -> bool:
        """A kernel's pidfd says so, where it is not our child. By then it may sleep as a snapshot."""
        if pid == self.pid:
            self.ended()
        return False

    def ended(self) -> None:
        """There is no kernel any more. What it has left lives until the server has decided; without it the session parts."""
        self.catch_up()
        self.pid, self.bound = 0, None
        if self.kernel:
            self.house.readers.pop(self.kernel.fileno(), None)
            self.kernel.close()
        if self.wish:
            self.fulfil()
        elif self.shelf.held:
            self.say_left()
        else:
            self.part()

    # snapshots

    def catch_up(self) -> None:
        """What the kernel has said of snapshots before it ended, or before the server asked."""
        while self.bound is not None and self.kernel and self.kernel.fileno() >= 0:
            if not select.select([self.kernel], [], [], 0)[0] or not self.listen():
                return

    def hold(self, name: str, fd: int) -> None:
        """The kernel is about to fork it."""
        if held := self.shelf.put(name, fd):
            self.house.readers[held.connection.fileno()] = lambda: self.hear(held)

    def hear(self, held: Held) -> bool:
        """A snapshot has said where it is, or has ended. One may be the kernel itself, where that was asked for."""
        asked = self.wish is not None and self.wish.keep == held.name
        if not held.heard(lambda pid: (asked and pid == self.pid) or self.house.may_be_snapshot(pid)):
            self.drop([held.name])
            return False
        if held.pid and held.pid == self.pid:
            self.ended()
        for seat in list(self.house.seats):  # another one's revival may have waited for it
            seat.fulfil()
        return True

    def show(self) -> None:
        self.catch_up()
        ready, waiting = self.shelf.ready()
        names = tuple(each.name for each in (*ready, *waiting))
        tell(self.connection, Snapshots(names), *(each.pidfd for each in ready))

    def drop(self, names: Sequence[str]) -> None:
        for name in names:
            if held := self.shelf.held.get(name):
                self.house.readers.pop(held.connection.fileno(), None)
                self.shelf.drop([name])
        if self.wish:
            self.fulfil()
        elif not self.pid and not self.shelf.held:
            self.part()

    # a state becomes the kernel

    def keep_kernel(self) -> None:
        """Asks the kernel to become a snapshot, or to leave one, before another takes its place. If it does not, it ends."""
        if self.wish and self.wish.keep and self.wish.name in self.shelf.held and self.pid and self.kernel:
            ours, theirs = socket.socketpair()
            self.hold(self.wish.keep, ours.detach())
            with theirs:
                try:
                    socket.send_fds(self.kernel, [b"lie down"], [theirs.fileno()])
                except OSError:
                    pass  # it has closed the link, or does not listen: nobody will speak for that snapshot

    def fulfil(self) -> None:
        """Revives what the server wants, once every snapshot has said where it is and the kernel has ended."""
        if self.wish is None:
            return
        held = self.shelf.held.get(self.wish.name)
        if self.unheard():
            self.house.wake_all()  # what has not said yet where it is could not be spared
        elif held and held.ended():
            self.drop([held.name])  # this comes back here then
        elif held is None and (left := self.lain_down()):
            self.revive(self.wish, left)  # the kernel has lain down for nothing, and stands up as it was
        elif held is None:
            self.refuse("There is no such snapshot.")
        elif self.pid:
            self.kill()
        else:
            self.revive(self.wish, held)

    def unheard(self) -> bool:
        """Whether a snapshot has not said yet where it is: of its own, or one that another session had before the wish. That
        one may make new ones for ever."""
        return any(
            seat is self or each.since <= self.wished for seat in self.house.seats for each in seat.shelf.ready()[1]
        )

    def lain_down(self) -> Held | None:
        """The kernel, where it has become the snapshot that the server wants kept."""
        return self.shelf.held.get(self.wish.keep) if self.wish and self.wish.keep and not self.pid else None

    def wait_no_longer(self) -> None:
        """For snapshots that do not say where they are, while a revival waits."""
        late = [each.name for each in self.shelf.ready()[1] if each.late()]
        if late or self.wish:
            self.drop(late)

    def refuse(self, why: str) -> None:
        self.wish = None
        tell(self.connection, Refused("revive", why))
        if not self.pid and not self.shelf.held:
            self.part()

    def revive(self, wish: Revive, held: Held) -> None:
        """Nothing that cells have started outlives the kernel they ran in."""
        if self.sid:
            end_all(self.mine, patience=END_SECONDS, reaped=self.house.reaped)
        try:
            sockets = listeners.bound(self.house.box.sockets, wish.prefix)
        except OSError as problem:
            self.refuse(f"Its sockets could not be bound: {problem}")
            return
        if self.prefix is not None:
            listeners.removed(self.house.box.sockets, self.prefix)
        self.wish, self.prefix, self.key, self.killed_for_memory = None, wish.prefix, wish.key, False
        self.state = held.name
        self.shelf.take(held.name)
        self.pid, self.bound, self.kernel = held.pid, None, held.connection
        self.house.readers[held.connection.fileno()] = self.listen
        score(self.pid, sandbox.KERNEL_OOM_SCORE)
        move, self.move = self.move and replace(self.move, maps=mapped.shared_by(self.pid)), None
        try:
            Revival(wish.key, wish.count, wish.reseed, sockets, held.connection, move).send()
            signal.pidfd_send_signal(held.pidfd, signal.SIGCONT)
        except OSError:
            pass  # it has just ended, and init reaps it
        for each in sockets.values():
            each.close()
        os.close(held.pidfd)

    def mine(self) -> set[int]:
        """What ends with this session's kernel: all but its snapshots, and what is another session's.

        Orphans that have left their session, in the system's sense, belong to nobody, and so to whoever asks.
        """
        pids = self.house.inmates() - self.shelf.pids
        others = [each for each in self.house.seats if each is not self]
        for other in others:
            other.catch_up()
        if any(other.shelf.ready()[1] for other in others):
            return {
                pid for pid in pids if sid_of(pid) == self.sid
            }  # another may be a snapshot that has said nothing yet
        return pids.difference(*(other.household(pids) for other in others))

    def household(self, pids: set[int]) -> set[int]:
        """Which of these are of this session for certain: the kernel, what descends from it, what is of its `sid`; snapshots."""
        own = {self.pid, *self.shelf.pids} - {0}
        sids = {self.sid, *map(sid_of, own)} - {0}
        below = limits.descendants(self.pid) if self.pid else set()
        return own | below | {pid for pid in pids if sid_of(pid) in sids}

    # a branch

    def seat_branch(self, message: Branch, connection: socket.socket) -> None:
        """A session of its own, whose kernel is to be a twin of a snapshot that somebody here has."""
        connection.setblocking(False)
        seat = Seat(self.house, message.id, connection, prefix=None, lineage=message.lineage)
        seat.sit_down()
        parent = self.house.seat(message.parent)
        try:
            message = keyed(message, connection)
            if parent is None or parent.over:
                raise LookupError("The session it is of has no kernel here.")
            if len(self.house.seats) > MOST_SEATS or self.house.seat(message.id) is not seat:
                raise LookupError("There is no room for it in this sandbox.")
            parent.catch_up()
            twin = parent.shelf.held[message.name].twin()
            fence = self.house.fences.around(self.house.box, parent.workspace)
        except (KeyError, LookupError, OSError) as problem:
            gone = isinstance(problem, KeyError | ConnectionError)  # or just going
            why = "There is no such snapshot." if gone else str(problem)
            seat.refuse(f"It could not be branched. {why}")
            return
        seat.move = Move(parent.workspace, seat.workspace, fence)
        seat.hold(message.name, twin)
        seat.wish = Revive(message.name, message.key, message.prefix, message.count, message.reseed)
        seat.wished = time.monotonic()
        seat.fulfil()

    def part(self) -> None:
        """All of this session's ends. The last one leaves that to the end of the sandbox."""
        if self.over:
            return
        self.over = True
        others = [seat for seat in self.house.seats if not seat.over]
        if others:
            self.shelf.drop(self.shelf.names)
            self.end_own()
            tell(self.connection, Parted(self.killed_for_memory))
        else:
            self.house.for_memory = self.killed_for_memory
        self.leave_house(stay=not self.lineage)

    def end_own(self) -> None:
        """Its processes, and the names of its sockets."""
        if self.sid:
            end_all(self.mine, patience=END_SECONDS, reaped=self.house.reaped)
        if self.prefix is not None:
            listeners.removed(self.house.box.sockets, self.prefix)

    def leave_house(self, *, stay: bool) -> None:
        """`stay`: the connection that the sandbox began with goes on hearing of branches."""
        self.pid, self.bound, self.wish = 0, None, None
        if self.kernel:
            self.house.readers.pop(self.kernel.fileno(), None)
            self.kernel.close()
        self.house.seats.remove(self)
        if not stay:
            self.house.readers.pop(self.connection.fileno(), None)
            self.connection.close()


def sid_of(pid: int) -> int:
    """0 when it has ended."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0
