"""From a fork of the template to a kernel: the sandbox closes around it, in the order of its steps.

At level full the fork joins an init that was made in advance (nursery.py). Where there are no namespaces to join, the
fork becomes the init, and forks once more.
"""

import os
import signal
import socket
import subprocess
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

from cellblock.guest import foreign, init, nursery, sandbox, threads
from cellblock.guest.marks import milliseconds
from cellblock.guest.seat import House, Seat, keyed, tell
from cellblock.messages import MAX_PACKET, Launch, Refused


@dataclass
class Newborn:
    """In the fork that becomes the kernel."""

    kernel: ModuleType
    app: Any
    launch: Launch
    box: sandbox.Sandbox
    began: float

    @classmethod
    def ordered(cls, kernel: ModuleType, app: Any, nobodys: sandbox.Sandbox, link: socket.socket) -> "Newborn":
        """In a fork of the template, which knows of no kernel: what it is to be comes over its link."""
        order = nursery.Order.decode(link.recv(MAX_PACKET))
        return cls(kernel, app, order.launch, order.placed(nobodys, {link.fileno()}), order.began)

    def join(self, link: socket.socket, output: int) -> NoReturn:
        """Shares the namespaces of an init that has closed them; `link` leads there."""
        self.box.stages["fork"] = milliseconds(self.began)
        forget_signals()
        standard_streams(output)
        self.become_kernel(link, [*sandbox.JOIN, *sandbox.KERNEL], joins=True)

    def become_kernel(self, link: socket.socket, steps: Sequence[sandbox.Step], *, joins: bool = False) -> NoReturn:
        """Tells init what became of it, and is the kernel until that ends."""
        try:
            if joins:
                self.box.namespaces = nursery.namespaces_of(link)
            sandbox.close(self.box, steps)
            program = self._open(link)
        except sandbox.StepFailed as failed:
            init.report(link, step=failed.step, reason=failed.reason)
            os._exit(1)
        except foreign.NotStarted as problem:
            init.report(link, step="kernel", reason=str(problem))
            os._exit(1)
        except BaseException:
            init.report(link, step="kernel", reason=traceback.format_exc()[-2000:])
            os._exit(1)
        init.report(link, stages=self.box.stages, pid=os.getpid())
        if program:
            os._exit(foreign.outlived(program))
        try:
            self.app.run()
        except BaseException:
            self.app.log_failure(traceback.format_exc())
            os._exit(1)
        os._exit(0)

    def _open(self, link: socket.socket) -> "subprocess.Popen[bytes] | None":
        """Opens the kernel, or starts the program that is one."""
        began = time.perf_counter()
        kernel, box = self.kernel, self.box
        kernel.private_places(box.private)
        if self.launch.command:
            program = foreign.started(self.launch, box.sockets, box.private)
            box.stages["program"] = milliseconds(began)
            return program
        kernel.place_shell(self.app.shell, box.private)
        kernel.forget_package()
        threads.grant(threads.granted(box.policy))
        self.app.open(self.launch.key, box.sockets, link, terminals=box.full)
        box.stages["open"] = milliseconds(began)
        sandbox.close(box, sandbox.OPENED)
        return None


@dataclass
class Birth:
    """Without namespaces: in the forked child, which closes the sandbox around itself, forks the kernel and stays its init."""

    newborn: Newborn
    connection: socket.socket
    log: int
    group: str

    def enter(self) -> NoReturn:
        try:
            self._become_init()
        except sandbox.StepFailed as failed:
            tell(self.connection, Refused(failed.step, failed.reason))
        except BaseException:
            tell(self.connection, Refused("init", traceback.format_exc()[-2000:]))
        os._exit(1)

    def _become_init(self) -> NoReturn:
        forget_signals()
        self.newborn.launch = keyed(self.newborn.launch, self.connection)
        box = self.newborn.box
        box.stages["fork"] = milliseconds(self.newborn.began)
        output, output_end = os.pipe2(os.O_CLOEXEC)
        standard_streams(output_end)
        box.keep = {self.connection.fileno(), self.log, output}
        sandbox.close(box, sandbox.INIT)
        ours, theirs = sandbox.packet_pair()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        began = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            for fd in (ours.detach(), self.connection.detach(), output, self.log):
                os.close(fd)
            self._become_kernel(theirs, began)
        theirs.close()
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 1)
        os.dup2(null, 2)
        house, launch = House(box, self.group), self.newborn.launch
        first = Seat(house, launch.id, self.connection, ours, pid, launch.key)
        init.Init(house, output, self.log).run(first)

    def _become_kernel(self, link: socket.socket, began: float) -> NoReturn:
        self.newborn.box.stages["second fork"] = milliseconds(began)
        os.setpgid(0, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.newborn.become_kernel(link, sandbox.KERNEL)


def forget_signals() -> None:
    """The fork server's are none of a kernel's."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def standard_streams(output: int) -> None:
    """Nothing to read; what is written goes to init."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
