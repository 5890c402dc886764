"""Init of one sandbox: reaps, signals, watches. It rebuilds what the kernel says and forwards nothing."""

import json
import os
import select
import shutil
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from cellblock.guest import limits, linux, sandbox
from cellblock.messages import MAX_PACKET, Attach, Bound, Exit, Interrupt, Message, Refused, Stop, decode, encode

LOG_LIMIT = 256 * 1024  # bytes of the kernel's own descriptors 1 and 2 that are kept on disk
WATCH_SECONDS = 0.25
KILLED_FOR_MEMORY = 86  # init's exit status, for the fork server
_CHUNK = 64 * 1024


def tell(connection: socket.socket, message: Message, *fds: int) -> None:
    """Sends a packet; a reader that has gone is noticed elsewhere."""
    try:
        socket.send_fds(connection, [encode(message)], list(fds))
    except OSError:
        pass


def report(kernel: socket.socket, **fields: object) -> None:
    """The kernel's only word to its init, before any of the user's code runs."""
    kernel.send(json.dumps(fields).encode())


@dataclass
class Init:
    """`connection` leads to the server, `kernel` to the process `pid`; `output` is the read end of its 1 and 2.

    `pid` is 0 until the kernel has told it, where that is the fork server's child: then that one tells the server of its end.
    `key` is the kernel's, for a server that takes over; `bound`: the kernel's stages, once its sockets are.
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
    watchdog: limits.Watchdog | None = field(default=None)
    readers: dict[int, Callable[[], bool | None]] = field(default_factory=dict)

    def run(self) -> NoReturn:
        """Until the kernel has ended, the server says so, or the fork server has gone."""
        os.set_blocking(self.output, False)
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
            for fd, _ in poll.poll(WATCH_SECONDS * 1e3 if self.watchdog else None):
                if self.readers[fd]() is False:
                    del self.readers[fd]
            self.watch()
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
            self.say_bound(self.key)
        elif isinstance(message, Stop):
            self.leave()

    def interrupt(self) -> None:
        if not self.pid:
            return
        try:
            os.killpg(self.pid, signal.SIGINT)
        except ProcessLookupError:
            os.kill(self.pid, signal.SIGINT)

    def listen(self) -> bool:
        """The kernel's only word, heard once: bound, or the step that failed."""
        try:
            said = json.loads(self.kernel.recv(MAX_PACKET))
            self.pass_on(said)
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            self.alive = self.pid > 0  # it died without a word: reap() tells, where it is our child
        self.kernel.close()
        return False

    def end(self) -> bool:
        """The kernel's pidfd says so, where it is not our child."""
        self.alive = False
        return False

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
        tell(self.connection, Bound(self.bound, self.group, key), *pidfds)
        for fd in pidfds:
            os.close(fd)

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
                self.alive = False
                tell(self.connection, Exit(os.waitstatus_to_exitcode(status)))

    def watch(self) -> None:
        if self.watchdog and self.pid and self.alive and self.watchdog.exceeded(self.inmates()):
            self.killed_for_memory = True
            os.kill(self.pid, signal.SIGKILL)

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
    """A subreaper inherits every orphan, so: stop all, then kill all, until none is left."""
    while True:
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in limits.descendants(os.getpid()):
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        select.select([], [], [], 0.001)
