"""The process that kernels are forked from at level full. It does nothing else: a page that it writes to between two forks
is a page more for each kernel it has forked.

A fork of the fork server, once that has prepared all; the fork server does the rest of the work. Both are trusted.
"""

import json
import os
import socket
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from cellblock.guest import helper, linux, sandbox
from cellblock.guest.helper import Ended
from cellblock.messages import MAX_PACKET

Born = Callable[[socket.socket, int], NoReturn]


@dataclass
class Template:
    """As the fork server sees it. Its end is the fork server's end."""

    pid: int
    connection: socket.socket
    ended: deque[Ended] = field(default_factory=deque)

    @classmethod
    def start(cls, born: Born, own_pid_namespace: int) -> "Template":
        """`born` is called in each fork, with its link to init and the descriptor for what it prints."""
        ours, theirs = sandbox.packet_pair()
        pid = os.fork()
        if pid == 0:
            linux.close_all_but({0, 1, 2, theirs.fileno(), own_pid_namespace})
            ours.detach()
            Forking(theirs, born, own_pid_namespace).run()
        theirs.close()
        return cls(pid, ours)

    def fork(self, link: int, output: int, namespace: int) -> int:
        """The pid of a kernel to be, born in a PID namespace. OSError when it could not be forked."""
        socket.send_fds(self.connection, [b"fork"], [link, output, namespace])
        while (said := self._heard()) is None:
            pass
        if "refused" in said:
            raise OSError(said["refused"])
        return int(said["forked"])

    def listen(self) -> None:
        """Hears that a kernel has ended. OSError when the template has."""
        self._heard()

    def _heard(self) -> dict[str, int | str] | None:
        """One message; None when it was of an end."""
        packet = self.connection.recv(MAX_PACKET)
        if not packet:
            raise OSError("the template has ended")
        said: dict[str, int | str] = json.loads(packet)
        if "ended" not in said:
            return said
        self.ended.append(Ended(int(said["ended"]), int(said["status"])))
        return None


@dataclass
class Forking:
    """The template's own process. What it does for a kernel is as little as can be."""

    connection: socket.socket
    born: Born
    own_pid_namespace: int

    def run(self) -> NoReturn:
        """Until the fork server has gone."""
        helper.serve(self.connection, self._fork)

    def _fork(self) -> bool:
        """One kernel; False when nobody asks any more."""
        packet, fds, _, _ = socket.recv_fds(self.connection, MAX_PACKET, 3)
        if not packet:
            return False
        link, output, namespace = fds
        try:
            linux.setns(namespace, linux.NEWPID)
            pid = os.fork()
            if pid == 0:
                self._bear(link, output)
        except OSError as problem:
            helper.tell(self.connection, refused=str(problem))
        else:
            helper.tell(self.connection, forked=pid)
        finally:
            for fd in fds:
                os.close(fd)
        linux.setns(self.own_pid_namespace, linux.NEWPID)  # lost in a kernel's, we end: the next would be born in there
        return True

    def _bear(self, link: int, output: int) -> NoReturn:
        """In the fork: whatever happens in it, it does not go on as a second template."""
        try:
            self.born(socket.socket(fileno=link), output)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
