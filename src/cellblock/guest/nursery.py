"""A small process beside the template that makes inits in advance, each with its own namespaces.

So the template forks once for a kernel, straight into the PID namespace of an init that waits for it, and no init carries
the template's memory. What the two say to each other never leaves the fork server: both are trusted.
"""

import gc
import json
import os
import select
import signal
import socket
import traceback
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import NamedTuple, NoReturn

from cellblock.guest import helper, init, linux, sandbox
from cellblock.guest.helper import Ended
from cellblock.guest.seat import House, Seat, tell
from cellblock.messages import MAX_PACKET, Launch, Policy, Refused

SPARES = 2
JOINED = {  # what a kernel takes over from its init; the PID namespace it is born in, the cgroup namespace is its own
    "net": linux.NEWNET,
    "ipc": linux.NEWIPC,
    "uts": linux.NEWUTS,
    "mnt": linux.NEWNS,
    "user": linux.NEWUSER,
}


class Spare(NamedTuple):
    """An init that waits: its pid, the connection on which it is told for whom, and a descriptor of its PID namespace."""

    pid: int
    connection: socket.socket
    namespace: int

    def hire(self, order: "Order", *fds: int) -> None:
        """Tells it for whom it is; see Order. OSError."""
        socket.send_fds(self.connection, [order.encode()], list(fds))

    def close(self) -> None:
        """Our ends of it: one that has not been hired ends."""
        self.connection.close()
        os.close(self.namespace)


@dataclass(frozen=True)
class Order:
    """What an init and its kernel are for; `began`: when, by the performance counter.

    To init travel beside it the server's connection, the log, the kernel's output, the kernel's link; over that link it
    has come to the kernel before.
    """

    launch: Launch
    home: str
    uid: int
    root: bool
    grouped: bool
    group: str
    began: float

    def encode(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, packet: bytes) -> "Order":
        raw = json.loads(packet)
        launch = raw.pop("launch")
        policy = Policy(**launch.pop("policy"))
        return cls(Launch(policy=policy, **launch), **raw)

    def placed(self, box: sandbox.Sandbox, keep: set[int]) -> sandbox.Sandbox:
        """A sandbox of nobody's, for this kernel."""
        return replace(
            box,
            policy=self.launch.policy,
            home=self.home,
            uid=self.uid,
            root=self.root,
            grouped=self.grouped,
            keep=keep,
            stages=box.stages,
        )


@dataclass
class Nursery:
    """As the fork server sees it. Its end is the fork server's end.

    `coming`: inits that have been asked for. `refusal`: why the last one could not be made; the next kernel asks again.
    """

    pid: int
    connection: socket.socket
    spares: deque[Spare] = field(default_factory=deque)
    ended: deque[Ended] = field(default_factory=deque)
    coming: int = 0
    refusal: str = ""

    @classmethod
    def start(cls, filter_program: bytes, prefixes: Sequence[str], own_pid_namespace: int) -> "Nursery":
        """Forks it off, as long as this process is small."""
        ours, theirs = sandbox.packet_pair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            Maker(theirs, filter_program, prefixes, own_pid_namespace).run()
        theirs.close()
        made = cls(pid, ours)
        made._ask(SPARES)
        return made

    def take(self) -> Spare:
        """One that waits; has another one made. Waits for it only when all have been taken in a row. OSError."""
        self._ask(SPARES + 1)
        said = select.poll()
        said.register(self.connection, select.POLLIN)
        while said.poll(0):
            self.listen()  # one may have ended
        while not self.spares:
            if not self.coming:
                raise OSError(self.refusal)
            self.listen()
        return self.spares.popleft()

    def listen(self) -> None:
        """Hears one message: a spare, that there is none, or an end. OSError when the nursery has ended."""
        packet, fds, _, _ = socket.recv_fds(self.connection, MAX_PACKET, 2)
        if not packet:
            raise OSError("the nursery has ended")
        said = json.loads(packet)
        if "ended" in said:
            self._forget(said["ended"])
            self.ended.append(Ended(said["ended"], said["status"]))
            return
        self.coming -= 1
        if "spare" in said:
            self.spares.append(Spare(said["spare"], socket.socket(fileno=fds[0]), fds[1]))
        else:
            self.refusal = said["refused"]

    def _forget(self, pid: int) -> None:
        """One that has ended while it waited."""
        for dead in [each for each in self.spares if each.pid == pid]:
            self.spares.remove(dead)
            dead.close()

    def _ask(self, most: int) -> None:
        """Until so many wait or are on their way."""
        for _ in range(most - self.coming - len(self.spares)):
            self.connection.send(b"another")
            self.coming += 1


@dataclass
class Maker:
    """The nursery's own process: makes inits and reaps them."""

    connection: socket.socket
    filter: bytes
    prefixes: Sequence[str]
    own_pid_namespace: int

    def run(self) -> NoReturn:
        """Until the fork server has gone."""
        gc.disable()  # inits are short programs: a collection would only unshare their pages
        linux.forget_types()
        gc.freeze()
        helper.serve(self.connection, self._make)

    def _make(self) -> bool:
        """One init, or the word that there is none; False when nobody asks any more."""
        if not self.connection.recv(MAX_PACKET):
            return False
        try:
            self._make_one()
        except OSError as problem:  # no process, namespace or memory is to be had: kernels that live go on
            helper.tell(self.connection, refused=str(problem))
        linux.setns(self.own_pid_namespace, linux.NEWPID)
        return True

    def _make_one(self) -> None:
        ours, theirs = sandbox.packet_pair()
        with ours, theirs:
            linux.unshare(linux.NEWPID)
            pid = os.fork()
            if pid == 0:
                self._become_init(ours, theirs)
            namespace = os.open(f"/proc/{pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            try:
                helper.tell(self.connection, ours.fileno(), namespace, spare=pid)
            finally:
                os.close(namespace)

    def _become_init(self, ours: socket.socket, theirs: socket.socket) -> NoReturn:
        """In the fork: whatever happens in it, it does not go on as a second nursery."""
        try:
            ours.close()
            self.connection.close()
            Waiting(theirs, self.filter, self.prefixes).run()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)


@dataclass
class Waiting:
    """An init before it has a kernel."""

    orders: socket.socket
    filter: bytes
    prefixes: Sequence[str]

    def run(self) -> NoReturn:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        box = nobodys(self.prefixes, self.filter)
        failed: sandbox.StepFailed | None = None
        try:
            sandbox.close(box, sandbox.SPARE)
        except sandbox.StepFailed as problem:
            failed = problem  # told to the first who asks
        packet, fds, _, _ = socket.recv_fds(self.orders, MAX_PACKET, 4)
        if packet:
            self._serve(Order.decode(packet), fds, box, failed)
        os._exit(0)

    def _serve(self, order: Order, fds: list[int], box: sandbox.Sandbox, failed: sandbox.StepFailed | None) -> None:
        connection, log, output, link = fds
        server = socket.socket(fileno=connection)
        try:
            if failed:
                raise failed
            box = order.placed(box, set(fds))
            sandbox.close(box, sandbox.INIT)
            kernel = socket.socket(fileno=link)
            self._invite(kernel)
            house = House(box, order.group)
            first = Seat(house, order.launch.id, server, kernel, key=order.launch.key)
            init.Init(house, output, log).run(first)
        except sandbox.StepFailed as problem:
            tell(server, Refused(problem.step, problem.reason))
        except BaseException:
            tell(server, Refused("init", traceback.format_exc()[-2000:]))
        os._exit(1)

    def _invite(self, link: socket.socket) -> None:
        """The kernel may join."""
        null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        namespaces = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in JOINED]
        socket.send_fds(link, [b"closed"], namespaces)
        for fd in namespaces:
            os.close(fd)
        signal.signal(signal.SIGCHLD, lambda *_: None)


def nobodys(prefixes: Sequence[str], filter_program: bytes) -> sandbox.Sandbox:
    """A sandbox before it is known for whom."""
    return sandbox.Sandbox(Policy("full"), "", -1, False, prefixes, filter_program, grouped=False, keep=set())


def namespaces_of(link: socket.socket) -> dict[int, int]:
    """In the kernel to come: waits until its init is closed; the descriptors of its namespaces by kind. StepFailed."""
    packet, fds, _, _ = socket.recv_fds(link, MAX_PACKET, len(JOINED))
    if not packet or len(fds) != len(JOINED):
        raise sandbox.StepFailed("init", "it ended before its kernel could join it")
    return dict(zip(JOINED.values(), fds, strict=True))
