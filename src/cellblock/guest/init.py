"""Init of one sandbox: reaps, watches, keeps what is written, and hears for each of its seats. It ends with the last of them."""

import json
import os
import select
import shutil
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from cellblock.guest import limits, sandbox
from cellblock.guest.ending import end_descendants, reap_all
from cellblock.guest.fences import Fences
from cellblock.guest.seat import House, Seat

LOG_LIMIT = 256 * 1024  # bytes of the kernel's own descriptors 1 and 2 that are kept on disk
WATCH_SECONDS = 0.25
KILLED_FOR_MEMORY = 86  # init's exit status, for the fork server
_CHUNK = 64 * 1024


def report(kernel: socket.socket, **fields: object) -> None:
    """A kernel's first word to its init, before any of the user's code runs."""
    kernel.send(json.dumps(fields).encode())


@dataclass
class Init:
    """`output` is the read end of the kernels' 1 and 2, `log` where the first of it goes."""

    house: House
    output: int
    log: int
    logged: int = 0
    watchdog: limits.Watchdog | None = None

    def run(self, first: Seat) -> NoReturn:
        """Until the last session has parted, the server says so, or the fork server has gone."""
        box = self.house.box
        os.set_blocking(self.output, False)
        wake, wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, lambda *_: self.leave())
        if not box.grouped:
            self.watchdog = limits.Watchdog(box.policy.memory, own_ipc=box.full)
        self.house.fences = Fences.made(box)
        sandbox.shut_init(box.filter, box.policy.level)
        first.sit_down()
        self.house.readers |= {self.output: self.drain, wake: lambda: self.reap(wake)}
        self.loop()

    def loop(self) -> NoReturn:
        """A reader that answers False has heard its last."""
        house = self.house
        while house.seats:
            poll = select.poll()
            for fd in house.readers:
                poll.register(fd, select.POLLIN)
            wishes = any(seat.wish for seat in house.seats)
            for fd, _ in poll.poll(WATCH_SECONDS * 1e3 if self.watchdog or wishes else None):
                if (read := house.readers.get(fd)) and read() is False:
                    house.readers.pop(fd, None)
            self.watch()
            if any(seat.wish for seat in house.seats):
                for seat in list(house.seats):
                    seat.wait_no_longer()
        self.leave()

    def drain(self) -> bool:
        """Keeps the first LOG_LIMIT bytes and throws the rest away, so that no writer waits and no disk fills."""
        try:
            data = os.read(self.output, _CHUNK)
        except BlockingIOError:
            return True
        if data and self.logged < LOG_LIMIT:
            with suppress(OSError):  # the disk is full: that ends no sandbox
                self.logged += os.write(self.log, data[: LOG_LIMIT - self.logged])
        return bool(data)

    def reap(self, wake: int) -> None:
        os.read(wake, 4096)
        reap_all(self.house.reaped)
        self.house.tell_ended()

    def watch(self) -> None:
        """Where no cgroup does: too much memory costs the older snapshots first, and then the largest kernel."""
        kernels = [seat for seat in self.house.seats if seat.pid]
        while kernels and self.watchdog and self.watchdog.exceeded(self.house.inmates()):
            rich = max(kernels, key=lambda seat: len(seat.shelf.held))
            if len(rich.shelf.held) < 2:
                largest = max(kernels, key=lambda seat: limits.held_memory(seat.pid))
                largest.killed_for_memory = True
                largest.kill()
                return
            rich.drop([rich.shelf.names[0]])

    def leave(self) -> NoReturn:
        """With a PID namespace everything in it dies with us; without one it is ended here."""
        if not self.house.box.full:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            end_descendants()
            shutil.rmtree(self.house.box.private, ignore_errors=True)
        os._exit(KILLED_FOR_MEMORY if self.house.for_memory else 0)
