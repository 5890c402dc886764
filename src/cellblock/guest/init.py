"""Init of one sandbox: reaps, signals, watches. It rebuilds what the kernel says and forwards nothing."""

import json
import os
import select
import shutil
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from cellblock.guest import limits, linux, listeners, sandbox
from cellblock.guest.shelf import Held, Revival, Shelf, score
from cellblock.messages import (
    MAX_PACKET,
    Attach,
    Bound,
    Drop,
    Exit,
    Interrupt,
    Kill,
    Left,
    Look,
    Message,
    Refused,
    Revive,
    Snapshots,
    Stop,
    decode,
    encode,
)

LOG_LIMIT = 256 * 1024  # bytes of the kernel's own descriptors 1 and 2 that are kept on disk
WATCH_SECONDS = 0.25
END_SECONDS = 5.0  # for what cells have started to end; then the revived kernel has its company
KILLED_FOR_MEMORY = 86  # init's exit status, for the fork server
_CHUNK = 64 * 1024


def tell(connection: socket.socket, message: Message, *fds: int) -> None:
    """Sends a packet; a reader that has gone is noticed elsewhere."""
    try:
        socket.send_fds(connection, [encode(message)], list(fds))
    except OSError:
        pass


def report(kernel: socket.socket, **fields: object) -> None:
    """A kernel's first word to its init, before any of the user's code runs."""
    kernel.send(json.dumps(fields).encode())


@dataclass
class Init:
    """`connection` leads to the server, `kernel` to the process `pid`; `output` is the read end of its 1 and 2.

    `pid` is 0 until the kernel has told it, where that is the fork server's child: then that one tells the server of its end.
    `key` is the kernel's, for a server that takes over; `bound`: the kernel's stages, once its sockets are. `wish`: the
    revival that the server has asked for; `prefix`: how the names of the kernel's sockets begin.
    """

    connection: socket.socket
    kernel: socket.socket
    pid: int
    output: int
    log: int
    box: sandbox.Sandbox
    group: str
    key: str = ""
    bound: dict[str, float] | None = None
    logged: int = 0
    alive: bool = True
    killed_for_memory: bool = False
    shelf: Shelf = field(default_factory=Shelf)
    wish: Revive | None = None
    prefix: str = ""
    watchdog: limits.Watchdog | None = field(default=None)
    readers: dict[int, Callable[[], bool | None]] = field(default_factory=dict)

    def run(self) -> NoReturn:
        """Until the kernel has ended, the server says so, or the fork server has gone."""
        os.set_blocking(self.output, False)
        self.kernel.setblocking(False)
        wake, wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: self.leave())
        if not self.box.grouped:
            self.watchdog = limits.Watchdog(self.box.policy.memory, own_ipc=self.box.full)
        sandbox.shut_init(self.box.filter, self.box.policy.level)
        self.readers = {
            self.connection.fileno(): self.obey,
            self.kernel.fileno(): self.listen,
            self.output: self.drain,
            wake: lambda: self.reap(wake),
        }
        self.loop()

    def loop(self) -> NoReturn:
        """A reader that answers False has heard its last."""
        while self.alive:
            poll = select.poll()
            for fd in self.readers:
                poll.register(fd, select.POLLIN)
            for fd, _ in poll.poll(WATCH_SECONDS * 1e3 if self.watchdog or self.wish else None):
                if (read := self.readers.get(fd)) and read() is False:
                    self.readers.pop(fd, None)
            self.watch()
            self.wait_no_longer()
        self.leave()

    def obey(self) -> None:
        """One packet of the server's. The end of the connection, which the fork server keeps open, is a Stop."""
        try:
            message = decode(self.connection.recv(MAX_PACKET))
        except (OSError, ValueError):
            message = Stop()
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
            self.wish = message
            self.fulfil()
        elif isinstance(message, Stop):
            self.leave()

    def attach(self) -> None:
        """A new server hears where we are: with a kernel, or with what one has left."""
        if self.pid:
            self.say_bound(self.key)
        elif self.shelf.held:
            tell(self.connection, Left(self.shelf.names, self.killed_for_memory))

    def interrupt(self) -> None:
        if not self.pid:
            return
        try:
            os.killpg(self.pid, signal.SIGINT)
        except ProcessLookupError:
            os.kill(self.pid, signal.SIGINT)

    def kill(self) -> None:
        if self.pid:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def listen(self) -> bool:
        """What the kernel says: first that it has bound, or the step that failed; later that it takes a snapshot."""
        if self.kernel.fileno() < 0:
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
        except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError):
            if self.bound is None:
                self.alive = self.pid > 0  # it died without a word: reap() tells, where it is our child
            self.kernel.close()
            return False
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def end(self) -> bool:
        """The kernel's pidfd says so, where it is not our child."""
        self.ended()
        return False

    def ended(self) -> None:
        """There is no kernel any more. What it has left lives until the server has decided; without it we leave."""
        self.catch_up()
        self.pid, self.bound = 0, None
        self.readers.pop(self.kernel.fileno(), None)
        self.kernel.close()
        if self.wish:
            self.fulfil()
        elif self.shelf.held:
            tell(self.connection, Left(self.shelf.names, self.killed_for_memory))
        else:
            self.alive = False

    def pass_on(self, said: dict[str, object]) -> None:
        if said.get("step"):
            tell(self.connection, Refused(str(said["step"])[:200], str(said.get("reason"))[:4000]))
            return
        stages = said.get("stages")
        measured = {str(k)[:40]: float(v) for k, v in stages.items()} if isinstance(stages, dict) else {}
        self.bound = {**self.box.stages, **measured}
        if not self.pid:
            self.pid = int(str(said["pid"]))
            self.readers[linux.pidfd_open(self.pid)] = self.end
        self.say_bound()

    def say_bound(self, key: str = "") -> None:
        """A server that takes over before the kernel has bound hears it when it has."""
        if self.bound is None:
            return
        pidfds = [linux.pidfd_open(pid) for pid in (self.pid, os.getpid())]
        tell(self.connection, Bound(self.bound, self.group, key, self.prefix), *pidfds)
        for fd in pidfds:
            os.close(fd)

    # snapshots

    def catch_up(self) -> None:
        """What the kernel has said of snapshots before it ended, or before the server asked."""
        while self.bound is not None and self.kernel.fileno() >= 0 and select.select([self.kernel], [], [], 0)[0]:
            if not self.listen():
                return

    def hold(self, name: str, fd: int) -> None:
        """The kernel is about to fork it."""
        if held := self.shelf.put(name, fd):
            self.readers[held.connection.fileno()] = lambda: self.hear(held)

    def hear(self, held: Held) -> bool:
        """A snapshot has said where it is, or has ended."""
        if held.heard(self.may_be_snapshot):
            self.fulfil()
            return True
        self.drop([held.name])
        return False

    def may_be_snapshot(self, pid: int) -> bool:
        """Whether it is a process of this sandbox that is neither its kernel nor another snapshot."""
        if pid in (os.getpid(), self.pid, *self.shelf.pids):
            return False
        return not limits.is_zombie(pid) if self.box.full else limits.descends(pid, os.getpid())

    def show(self) -> None:
        self.catch_up()
        ready, waiting = self.shelf.ready()
        names = tuple(each.name for each in (*ready, *waiting))
        tell(self.connection, Snapshots(names), *(each.pidfd for each in ready))

    def drop(self, names: Sequence[str]) -> None:
        for name in names:
            if held := self.shelf.held.get(name):
                self.readers.pop(held.connection.fileno(), None)
                self.shelf.drop([name])
        if self.wish:
            self.fulfil()
        elif not self.pid and not self.shelf.held and not self.wish:
            self.alive = False

    def fulfil(self) -> None:
        """Revives what the server wants, once every snapshot has said where it is and the kernel has ended."""
        if self.wish is None:
            return
        held = self.shelf.held.get(self.wish.name)
        if held is None:
            self.refuse("There is no such snapshot.")
        elif self.shelf.ready()[1]:
            self.wake_all()  # what has not said yet where it is could not be spared
        elif self.pid:
            self.kill()
        else:
            self.revive(self.wish, held)

    def wake_all(self) -> None:
        """Code may have stopped a snapshot before it could say a word."""
        for pid in self.inmates():
            try:
                os.kill(pid, signal.SIGCONT)
            except OSError:
                pass

    def wait_no_longer(self) -> None:
        """For snapshots that do not say where they are, while a revival waits."""
        if self.wish:
            self.drop([each.name for each in self.shelf.ready()[1] if each.late()])

    def refuse(self, why: str) -> None:
        self.wish = None
        tell(self.connection, Refused("revive", why))
        if not self.pid and not self.shelf.held:
            self.alive = False

    def revive(self, wish: Revive, held: Held) -> None:
        """Nothing that cells have started outlives the kernel they ran in."""
        end_all(lambda: self.inmates() - self.shelf.pids, patience=END_SECONDS)
        try:
            sockets = listeners.bound(self.box.sockets, wish.prefix)
        except OSError as problem:
            self.refuse(f"Its sockets could not be bound: {problem}")
            return
        listeners.removed(self.box.sockets, self.prefix)
        self.wish, self.prefix, self.key, self.killed_for_memory = None, wish.prefix, wish.key, False
        self.shelf.take(held.name)
        self.pid, self.bound, self.kernel = held.pid, None, held.connection
        self.readers[self.kernel.fileno()] = self.listen
        score(self.pid, sandbox.KERNEL_OOM_SCORE)
        try:
            Revival(wish.key, wish.count, wish.reseed, sockets, held.connection).send()
            signal.pidfd_send_signal(held.pidfd, signal.SIGCONT)
        except OSError:
            pass  # it has just ended, and reap() tells
        for each in sockets.values():
            each.close()
        os.close(held.pidfd)

    def drain(self) -> bool:
        """Keeps the first LOG_LIMIT bytes and throws the rest away, so that no writer waits and no disk fills."""
        try:
            data = os.read(self.output, _CHUNK)
        except BlockingIOError:
            return True
        if data and self.logged < LOG_LIMIT:
            self.logged += os.write(self.log, data[: LOG_LIMIT - self.logged])
        return bool(data)

    def reap(self, wake: int) -> None:
        os.read(wake, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                tell(self.connection, Exit(os.waitstatus_to_exitcode(status)))
                self.ended()

    def watch(self) -> None:
        """Where no cgroup does: too much memory costs the older snapshots first, and then the kernel."""
        if not self.watchdog or not self.pid or not self.alive:
            return
        while self.watchdog.exceeded(self.inmates()):
            if len(self.shelf.held) < 2:
                self.killed_for_memory = True
                self.kill()
                return
            self.drop([self.shelf.names[0]])

    def inmates(self) -> set[int]:
        """All processes of this sandbox but this one."""
        own = os.getpid()
        return {*limits.processes()} - {own} if self.box.full else limits.descendants(own)

    def leave(self) -> NoReturn:
        """With a PID namespace everything in it dies with us; without one it is ended here."""
        if not self.box.full:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            end_descendants()
            shutil.rmtree(self.box.private, ignore_errors=True)
        os._exit(KILLED_FOR_MEMORY if self.killed_for_memory else 0)


def end_descendants() -> None:
    """A subreaper inherits every orphan."""
    end_all(lambda: limits.descendants(os.getpid()))


def end_all(found: Callable[[], set[int]], *, patience: float = float("inf")) -> None:
    """Stops all, then kills all, until none is left, or `patience` seconds have passed."""
    until = time.monotonic() + patience
    while pids := {pid for pid in found() if not limits.is_zombie(pid)}:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        reap_all()
        if time.monotonic() > until:
            return
        select.select([], [], [], 0.001)
    reap_all()


def reap_all() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
