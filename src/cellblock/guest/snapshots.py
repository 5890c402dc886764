"""A snapshot: the kernel forked before a cell. The copy is a kernel that is not open, and sleeps until its init wakes it.

The fork goes on as a child of its own and ends, so that init is the parent. The snapshot waits on a private socket whose other
end init holds, and takes no processor time. Nothing it says is believed: init looks for itself whether the process is one of
its sandbox. A kernel that makes room for another state need not be forked: it can lie down itself.
"""

import contextlib
import fcntl
import json
import os
import random
import select
import signal
import socket
import stat
import traceback
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from cellblock.guest import descriptors, heir, leftovers, linux, mapped, moving, threads
from cellblock.guest.shelf import OOM_SCORE, Revival, score

WAIT_SECONDS = 1.0
OURS = 2  # threads: the one that runs cells, and that of the channels

Parking = Callable[[], AbstractContextManager[None]]


class Revived(SystemExit):
    """Unwinds the stack of a snapshot that is to live, down to where a kernel opens. No loop holds a SystemExit back."""

    def __init__(self, revival: Revival) -> None:
        super().__init__()
        self.revival = revival


@dataclass
class Keeper:
    """In the kernel: takes the snapshots.

    `taking`: this is no fork that a cell makes. `between`: processes that have forked a snapshot, and are to be reaped.
    `own`: descriptors that a snapshot keeps, besides those of files.
    """

    link: socket.socket | None = None
    taking: bool = False
    between: list[int] = field(default_factory=list)
    own: set[int] = field(default_factory=set)
    runtimes: threads.Runtimes = field(default_factory=threads.Runtimes)

    def take(self, name: str, parked: Parking) -> int:
        """Forks this process as it is now. In the kernel, the pid of the one between; in the snapshot it raises Revived.

        `parked` keeps the only other thread of ours from holding any lock meanwhile. To fail is no error here: init has no
        such snapshot then, and says so.
        """
        with deaf():
            self.reap()
            try:
                self.runtimes.rest()
                return self._take(self.link, name, parked) if self.link else 0
            except OSError:
                return 0

    def _take(self, link: socket.socket, name: str, parked: Parking) -> int:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            packet = json.dumps({"snapshot": name}).encode()
            socket.send_fds(link, [packet], [ours.fileno()], socket.MSG_DONTWAIT)
            ours.close()
            return self._fork(theirs, parked)

    def _fork(self, theirs: socket.socket, parked: Parking) -> int:
        kept = Kept.now()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a process with threads forks is what this is about
            self.taking = True
            try:
                with parked():
                    pid = os.fork()
                if pid == 0:
                    self._sleep(theirs, kept)
                self.between.append(pid)
            finally:
                self.taking = False
        return pid

    def _sleep(self, theirs: socket.socket, kept: "Kept") -> None:
        """In the copy, until it is woken, or nobody will ever do that."""

        def part() -> None:
            stand_alone()
            self.between = []

        self._dream(theirs, kept, part)

    def lie_down(self, theirs: socket.socket, parked: Parking, close: Callable[[], None]) -> None:
        """Init wants this state kept behind `theirs`, and another one for its kernel. What it costs does not depend on data.

        `close` ends our own thread, and channels. Where there are others, which would not sleep, the kernel is forked.
        """
        with deaf(), theirs:
            self.reap()
            try:
                self.runtimes.rest()
                if not threads.no_more_than(OURS):
                    self._fork(theirs, parked)
                    return
                kept = Kept.now()
            except OSError:
                return

            def lie() -> None:
                close()
                let_go_of_locks()
                stop_alarms()

            self.taking = True  # a twin that is forked of it is no child of a cell's
            try:
                self._dream(theirs, kept, lie)
            finally:
                self.taking = False

    def _dream(self, theirs: socket.socket, kept: "Kept", lie: Callable[[], None]) -> None:
        try:
            lie()
            let_go(self.own | {theirs.fileno()})
            theirs.send(str(os.getpid()).encode())
            revival = woken(theirs)
            while signal.sigtimedwait(signal.valid_signals(), 0):
                pass  # an interrupt that was meant for the kernel, before the copy was out of its process group
            if revival.move:
                moving.move(revival.move, kept.offsets, {each.address for each in kept.memory})
            kept.give_back(alone=revival.move is None)
            if revival.move and revival.move.fence is not None:
                moving.shut_out(revival.move.fence)
            linux.prctl(linux.PDEATHSIG, signal.SIGKILL)
        except BaseException:
            os.write(min(self.own, default=2), traceback.format_exc().encode())  # into the sandbox's log
            os._exit(1)
        if self.link:
            self.link.close()
        self.link = revival.link
        raise Revived(revival)

    def wait(self, pid: int) -> None:
        """Until the process between has ended, and the snapshot is on its own; not for long."""
        ended(pid)
        self.reap()

    def reap(self) -> None:
        """Those between that have ended."""
        self.between = [pid for pid in self.between if not _reaped(pid)]


@dataclass(frozen=True)
class Kept:
    """What forks share or change although it is part of a state: offsets of open files, Python's own random numbers, memory
    that is mapped to be shared. `polars`: it had threads."""

    offsets: dict[int, int]
    numbers: tuple[Any, ...]
    memory: tuple[mapped.Shared, ...]
    polars: bool

    @classmethod
    def now(cls) -> "Kept":
        offsets: dict[int, int] = {}
        for fd, kind in descriptors.opened():
            with contextlib.suppress(OSError):
                offsets |= {fd: os.lseek(fd, 0, os.SEEK_CUR)} if stat.S_ISREG(kind) else {}
        return cls(offsets, random.getstate(), mapped.shared(), leftovers.polars_has_threads())

    def give_back(self, *, alone: bool) -> None:
        """`alone`: the kernel has ended; else memory becomes the copy's own, and so its files have been by now."""
        random.setstate(self.numbers)
        for each in self.memory:
            each.give_back(alone=alone)
        if self.polars:
            leftovers.refuse_polars()
        for fd, offset in self.offsets.items() if alone else ():
            try:
                os.lseek(fd, offset, os.SEEK_SET)
            except OSError:
                pass


def stand_alone() -> None:
    """In the child of a fork: goes on as init's child, and in a session of its own, where no interrupt of the kernel's comes."""
    between = os.getpid()
    heir.go_on()
    ended(between)  # a death signal asked for before that would be for its death
    os.setsid()
    score(os.getpid(), OOM_SCORE)


def ended(pid: int) -> None:
    """Waits until a process has ended, and its children are init's; not for long."""
    with contextlib.suppress(OSError):
        fd = os.pidfd_open(pid)
        select.select([fd], [], [], WAIT_SECONDS)
        os.close(fd)


def woken(end: socket.socket) -> Revival:
    """Sleeps until it shall live. Whenever a twin is wanted it forks once more, and the copy sleeps in its place elsewhere."""
    while isinstance(said := Revival.receive(end), socket.socket):
        if pid := os.fork():
            said.close()
            os.waitpid(pid, 0)
            continue
        stand_alone()
        end.close()
        end = said
        end.send(str(os.getpid()).encode())
    if said is None:
        os._exit(0)
    return said


def let_go(kept: Iterable[int]) -> None:
    """Of pipes, sockets and the like: who reads from them would wait for us. Their numbers stay taken, by /dev/null."""
    own = set(kept)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd, kind in descriptors.opened():
        if fd not in own and fd != null and (stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or not stat.S_IFMT(kind)):
            os.dup2(null, fd, inheritable=False)
    os.close(null)


def let_go_of_locks() -> None:
    """On files, as a fork does: who lies down must not keep who lives from them."""
    for fd, kind in descriptors.opened():
        if stat.S_ISREG(kind):
            with contextlib.suppress(OSError):
                fcntl.lockf(fd, fcntl.LOCK_UN)


def stop_alarms() -> None:
    for which in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(which, 0)


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


class deaf:
    """No signal is handled in the block: this thread hears it at the end, a snapshot never, a thread begun in it never.

    No generator: one that has come before is raised by the call that blocks the rest, and what was blocked must be freed.
    """

    def __enter__(self) -> None:
        self.before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self.before)
