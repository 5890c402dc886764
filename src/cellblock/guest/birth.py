"""From a fork of the template to an init with its kernel: the sandbox closes around the child, in the order of its steps."""

import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn

from cellblock.guest import init, sandbox
from cellblock.guest.marks import milliseconds
from cellblock.messages import Launch, Refused


@dataclass
class Birth:
    """In the forked child: closes the sandbox around itself, forks the kernel, and stays as its init."""

    kernel: ModuleType
    app: Any
    connection: socket.socket
    launch: Launch
    box: sandbox.Sandbox
    log: int
    group: str

    def enter(self) -> NoReturn:
        try:
            self._become_init()
        except sandbox.StepFailed as failed:
            init.tell(self.connection, Refused(failed.step, failed.reason))
        except BaseException:
            init.tell(self.connection, Refused("init", traceback.format_exc()[-2000:]))
        os._exit(1)

    def _become_init(self) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output, output_end = os.pipe2(os.O_CLOEXEC)
        self._standard_streams(output_end)
        self.box.keep = {self.connection.fileno(), self.log, output}
        sandbox.close(self.box, sandbox.INIT)
        ours, theirs = sandbox.packet_pair()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        began = time.perf_counter()
        pid = os.fork()
        if pid == 0:
            for fd in (ours, self.connection):
                fd.close()
            os.close(output)
            os.close(self.log)
            self._become_kernel(theirs, began)
        theirs.close()
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 1)
        os.dup2(null, 2)
        init.Init(self.connection, ours, pid, output, self.log, self.box, self.group, self.launch.key).run()

    def _standard_streams(self, output: int) -> None:
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)

    def _become_kernel(self, report: socket.socket, began: float) -> NoReturn:
        self.box.stages["second fork"] = milliseconds(began)
        try:
            self._open_kernel(report)
        except sandbox.StepFailed as failed:
            init.report(report, step=failed.step, reason=failed.reason)
            os._exit(1)
        except BaseException:
            init.report(report, step="kernel", reason=traceback.format_exc()[-2000:])
            os._exit(1)
        report.close()
        try:
            self.app.run()
        except BaseException:
            traceback.print_exc(file=sys.__stderr__)
            os._exit(1)
        os._exit(0)

    def _open_kernel(self, report: socket.socket) -> None:
        os.setpgid(0, 0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        sandbox.close(self.box, sandbox.KERNEL)
        began = time.perf_counter()
        kernel, box = self.kernel, self.box
        kernel.private_places(box.private)
        kernel.forget_package()
        self.app.open(self.launch.key, box.sockets, terminals=box.full)
        box.stages["open"] = milliseconds(began)
        init.report(report, stages=box.stages)
