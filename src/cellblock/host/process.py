"""One session's kernel process in a sandbox, as the server sees it: bound, revived, and at last gone."""

import asyncio
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from cellblock.errors import KernelStartFailed
from cellblock.host.connection import Connection
from cellblock.host.death import Death
from cellblock.host.endpoints import SOCKETS, Endpoints
from cellblock.host.meter import Meter, NoMeter, ProcessUsage, meter_for
from cellblock.host.wire import Channel
from cellblock.messages import (
    BRANCHES,
    MAX_DISPLAY,
    MAX_PACKET,
    MAX_SNAPSHOTS,
    Attach,
    Bound,
    Branch,
    Drop,
    Exit,
    Gone,
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

LAUNCH_SECONDS = 30.0
STOP_SECONDS = 15.0
REVIVE_SECONDS = 10.0
LOOK_SECONDS = 5.0
SIGNAL_SECONDS = 5.0
MOST_SEATS = 8  # sessions with a kernel in one sandbox
UNBOUND = "It ended before its sockets were bound."
MAX_MESSAGE = 2 * MAX_DISPLAY  # bytes; no honest kernel sends as much


@dataclass(eq=False)
class Box:
    """A sandbox, and the sessions that have kernels in it: of each the names of the workspaces that it came through.

    `leaving`: what happens when one of them has nothing here any more. `gone` resolves when nothing of it is left; `heard`:
    its end will be told on the connection it began with. `kernels`: the processes that have bound, by session. `coming`: names
    of workspaces that are being filled for branches.
    """

    seats: dict[str, tuple[str, ...]] = field(default_factory=dict)
    leaving: dict[str, Callable[[], object]] = field(default_factory=dict)
    heard: bool = True
    kernels: dict[str, "Process"] = field(default_factory=dict)
    coming: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def taken(self) -> frozenset[str]:
        """Names of workspaces that branches have here, or will have."""
        return frozenset({lineage[-1] for lineage in self.seats.values() if lineage} | self.coming)

    @contextmanager
    def place(self, parent: str) -> Iterator[str | None]:
        """A name for another branch of a session, nobody else's as long as the block lasts: none that is in use, or closed
        to what it comes from. None when there is no room."""
        closed = {*self.taken, *self.seats.get(parent, ())}
        room = len(self.seats) + len(self.coming) < MOST_SEATS
        name = next((name for name in BRANCHES if name not in closed), None) if room else None
        coming = {name} if name else set[str]()
        self.coming |= coming
        try:
            yield name
        finally:
            self.coming -= coming

    def left(self, id: str) -> None:
        """A session has nothing here any more."""
        self.seats.pop(id, None)
        self.kernels.pop(id, None)
        if leave := self.leaving.pop(id, None):
            leave()
        if not self.seats and not self.heard:
            _settle(self.gone, None)

    def ended(self, *, surely: bool) -> None:
        """The connection it began with has said so, or `surely` nothing more."""
        self.heard = False
        if surely or not self.seats:
            for id in list(self.seats):
                self.left(id)
            _settle(self.gone, None)


@dataclass(eq=False)
class Process:
    """One kernel process in its sandbox. `death` resolves when it has ended, and nothing is left of the session there but
    snapshots.

    A revived snapshot is a process of its own, which takes the place over: see `revive`. `prefix` begins its sockets' names.
    `lineage`: of a branch, as in messages.Branch; a sandbox's first process has none.
    """

    home: Path
    key: str
    cgroups: Mapping[str, Any]
    stages: dict[str, float] = field(default_factory=dict)
    prefix: str = ""
    id: str = ""
    lineage: tuple[str, ...] = ()
    box: Box = field(default_factory=Box)

    def __post_init__(self) -> None:
        self.box.seats[self.id] = self.lineage
        loop = asyncio.get_running_loop()
        self.bound: asyncio.Future[None] = loop.create_future()
        self.death: asyncio.Future[Death] = loop.create_future()
        self._gone: asyncio.Future[Gone] = loop.create_future()
        self._connection: socket.socket | None = None
        self._status: int | None = None
        self._left: Left | None = None
        self._heir: Process | None = None
        self._looks: deque[asyncio.Future[dict[str, int]]] = deque()  # not answered yet; init answers in their order
        self._signals = 0  # that init has been asked for and has not yet sent
        self._all_sent: asyncio.Future[None] = loop.create_future()  # renewed with the first of them
        self._kills = 0  # by the memory limit, before this process
        self.state = ""  # the snapshot that it was
        self._outside: bool | None = None  # the fork server tells of its end, and init does not; not known yet
        self._stopping = False
        self._pidfd = self._init_pidfd = -1
        self._endpoints = Endpoints(self.home / "run")
        self._meter: Meter = NoMeter()

    @property
    def pid(self) -> int:
        """The kernel's pid as the server sees it; 0 when it is not known."""
        return pid_of(self._pidfd) if self._pidfd >= 0 else 0

    @property
    def init(self) -> int:
        """Its init's; 0 when it is not known."""
        return pid_of(self._init_pidfd) if self._init_pidfd >= 0 else 0

    def connect(self, control: socket.socket, request: Launch | Branch) -> None:
        """Hands the fork server one end of this session's connection, and the other for safe keeping. OSError.

        The key is said on that connection: what kernels are forked from shall not have heard of it.
        """
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:
            self._resolve(Gone())  # nobody else will say so
            raise
        self._listen(ours)
        with theirs:
            ours.send(request.key.encode())
            socket.send_fds(control, [encode(replace(request, key=""))], [theirs.fileno(), ours.fileno()])

    def attach(self, connection: socket.socket) -> None:
        """Goes on with the connection of a sandbox that a former server has had."""
        self._listen(connection)
        self._send(Attach())

    def _listen(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        asyncio.get_running_loop().add_reader(connection, self._readable)

    async def until_bound(self) -> None:
        """Returns when the kernel's sockets are bound. KernelStartFailed; the sandbox is ended then."""
        try:
            await asyncio.wait_for(asyncio.shield(self.bound), LAUNCH_SECONDS)
        except TimeoutError:
            await self.stop()
            raise KernelStartFailed(f"The kernel did not start within {LAUNCH_SECONDS:.0f} s.") from None
        except asyncio.CancelledError:
            self.close()
            raise

    def endpoint(self, channel: Channel) -> str:
        """Where to connect, as a whole name. KernelStartFailed when no socket is there."""
        return self._endpoints.of(channel, self.prefix)

    async def reach(self, patience: float, *, following: bool = False) -> tuple[Connection, None]:
        """The connection to a kernel whose sockets are bound; its files are in our workspace. KernelFault, KernelStartFailed."""
        try:
            endpoints: dict[str, str] = {channel: self.endpoint(channel) for channel in SOCKETS}
            connection = await Connection.open(
                endpoints, self.key, max_message=MAX_MESSAGE, timeout=patience, following=following
            )
        finally:
            self._endpoints.forget()
        return connection, None

    async def reachable(self) -> bool:
        """Whether it lives."""
        return not self.death.done()

    def interrupt(self) -> None:
        """SIGINT to the kernel and to the processes of its group."""
        if self._connection is None:
            return
        if not self._signals:
            self._all_sent = asyncio.get_running_loop().create_future()
        self._signals += 1
        self._send(Interrupt())

    async def until_interrupted(self) -> None:
        """Returns when every interrupt is with the kernel, or init silent: none will hit what begins then."""
        if self._signals:
            either: list[asyncio.Future[Any]] = [self._all_sent, self._gone]
            await asyncio.wait(either, timeout=SIGNAL_SECONDS, return_when=asyncio.FIRST_COMPLETED)

    def _signal_sent(self) -> None:
        self._signals = max(0, self._signals - 1)
        if not self._signals:
            _settle(self._all_sent, None)

    async def stop(self) -> Gone:
        """Ends all that the session has in the sandbox, unless it is another process's by now; may be called again.

        The last one to do so waits for the end of the sandbox.
        """
        self._stopping = True
        self._send(Stop())
        try:
            async with asyncio.timeout(STOP_SECONDS):
                gone = await asyncio.shield(self._gone)
                if not self.box.seats:
                    await asyncio.shield(self.box.gone)
            return gone
        except TimeoutError:
            self._end_init()
            self.close()
            return Gone()

    def _end_init(self) -> None:
        """One that hears nothing: all of its sandbox ends with it, so not where others live."""
        if self.alone and self._init_pidfd >= 0:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init_pidfd, signal.SIGKILL)

    def usage(self) -> ProcessUsage:
        """Now."""
        return self._meter.read()

    def be_fair(self, now: float) -> None:
        """To the other sandboxes. `now`: seconds of any clock, the same each time."""
        self._meter.be_fair(now)

    # snapshots

    def kill(self) -> None:
        """Ends the kernel process; its snapshots stay."""
        self._send(Kill())

    def drop(self, names: Iterable[str]) -> None:
        """These snapshots are not needed any more."""
        if listed := tuple(names):
            self._send(Drop(listed))

    async def snapshots(self) -> dict[str, int] | None:
        """Those that there are now, and the pid of each as the server sees it, 0 where it is not known yet; None when init is
        silent."""
        if self._connection is None:
            return {}
        answer: asyncio.Future[dict[str, int]] = asyncio.get_running_loop().create_future()
        self._looks.append(answer)
        self._send(Look())
        try:
            return await asyncio.wait_for(asyncio.shield(answer), LOOK_SECONDS)
        except TimeoutError:
            return None

    async def household(self) -> set[int]:
        """Pids of it and of its snapshots, as far as they are known."""
        return {self.pid, *(await self.snapshots() or {}).values()} - {0}

    async def neighbours(self) -> set[int]:
        """The same of all other sessions in its sandbox."""
        others = [each for each in self.box.kernels.values() if each.id != self.id]
        return set[int]().union(*await asyncio.gather(*(each.household() for each in others)))

    @property
    def alone(self) -> bool:
        """Whether its sandbox is its session's only."""
        return self.box.seats.keys() <= {self.id}

    async def revive(self, name: str, *, count: int, reseed: bool = False, keep: str = "") -> "Process":
        """The snapshot as a kernel process that has taken this one's place; its sockets are bound.

        `count`: executions so far; `keep`: under that name this one is kept, if it can be. Where the snapshot ends
        meanwhile it is this one that has stood up again: its `state` is `keep` then.

        KernelStartFailed: there is no such snapshot any more; a kernel that lives goes on.
        """
        if self._connection is None or self._heir is not None:
            raise KernelStartFailed("The sandbox has ended, and its snapshots with it.")
        heir = self._heir = self.successor()
        self._send(Revive(name, heir.key, heir.prefix, count, reseed, keep))
        try:
            async with asyncio.timeout(REVIVE_SECONDS):
                await asyncio.shield(heir.bound)
        except TimeoutError:
            self.close()
            raise KernelStartFailed(f"The snapshot did not wake within {REVIVE_SECONDS:.0f} s.") from None
        finally:
            self._heir = None
        return heir

    def successor(self) -> "Process":
        """One that is to be in this one's place, with a key and sockets of its own."""
        prefix = f"{uuid4().hex[:12]}-"
        return Process(self.home, uuid4().hex, self.cgroups, {}, prefix, self.id, self.lineage, self.box)

    def branch(self, id: str, place: str) -> "Process":
        """One that is to be beside it, for another session, whose workspace is at `place` of BRANCHES."""
        prefix = f"{uuid4().hex[:12]}-"
        return Process(self.home, uuid4().hex, self.cgroups, {}, prefix, id, (*self.lineage, place), self.box)

    def _inherit(self, predecessor: "Process", bound: Bound, fds: list[int]) -> None:
        """Takes a sandbox over from the process before."""
        connection, predecessor._connection = predecessor._connection, None
        self._looks = predecessor._looks  # their answers come to us
        _settle(predecessor._gone, Gone())
        _settle(predecessor.death, Death(-9, False, predecessor._meter.read().memory_peak_bytes))
        predecessor._release()
        if connection is not None:
            asyncio.get_running_loop().remove_reader(connection)
            self._listen(connection)
        self._heard(bound, fds)

    def close(self) -> None:
        """Ends the sandbox; nobody waits for it."""
        if self._connection is None:
            return
        if not self._gone.done():
            self._send(Stop())
        self.let_go()
        self._resolve(Gone())

    def let_go(self) -> None:
        """Leaves the sandbox as it is, for another server to attach to."""
        if self._connection is None:
            return
        asyncio.get_running_loop().remove_reader(self._connection)
        self._connection.close()
        self._connection = None
        self._release()

    def _release(self) -> None:
        self._meter.close()
        self._endpoints.forget()
        for fd in (self._pidfd, self._init_pidfd):
            if fd >= 0:
                os.close(fd)
        self._pidfd = self._init_pidfd = -1

    def _send(self, message: Message) -> None:
        if self._connection is not None:
            try:
                self._connection.send(encode(message))
            except OSError:
                pass  # it has gone; the end of the connection tells

    def _readable(self) -> None:
        if self._connection is None:
            return
        try:
            packet, fds, _, _ = socket.recv_fds(self._connection, MAX_PACKET, MAX_SNAPSHOTS)
            message = decode(packet) if packet else None
        except BlockingIOError:
            return
        except (OSError, ValueError):
            message, fds = None, []
        self._heard(message, fds)

    def _heard(self, message: Message | None, fds: list[int]) -> None:
        if isinstance(message, Bound):
            fds = self._is_bound(message, fds)
        elif isinstance(message, Snapshots):
            if self._looks:
                pids = dict(zip(message.names, map(pid_of, fds), strict=False))
                _settle(self._looks.popleft(), dict.fromkeys(message.names, 0) | pids)
        else:
            self._told(message)
        for fd in fds:
            os.close(fd)

    def _told(self, message: Message | None) -> None:
        if isinstance(message, Exit):
            self._exited(message)
        elif isinstance(message, Left):
            self._has_left(message)
        elif isinstance(message, Interrupted):
            self._signal_sent()
        elif isinstance(message, Refused):
            self._refused(message)
        elif isinstance(message, Parted):
            self._parted(message)
        else:
            if isinstance(message, Gone):
                self.box.ended(surely=True)
                self._resolve(message)
            self.close()

    def _is_bound(self, message: Bound, fds: list[int]) -> list[int]:
        """The descriptors that are not wanted."""
        if self._heir:
            self._heir._inherit(self, message, fds)
            return []
        if self._pidfd >= 0:
            return fds
        if len(fds) != 2:
            self._fail("The server has no descriptor left for it.")
            self.close()
            return fds
        for fd in fds:
            os.set_inheritable(fd, False)
        self._pidfd, self._init_pidfd = fds
        self.stages, self._outside, self.state = message.stages, message.outside, message.state
        self.key, self.prefix = self.key or message.key, self.prefix or message.prefix
        self._meter = meter_for(self.cgroups, message.group, self.pid)
        self._kills = self._meter.oom_kills()
        self.box.kernels[self.id] = self
        _settle(self.bound, None)
        return []

    def _exited(self, message: Exit) -> None:
        """It, or a kernel before it that the fork server has started: of that one's end nobody wants to know any more."""
        if self._outside in (None, message.outside):
            self._status = message.status
            self._settled()

    def _has_left(self, message: Left) -> None:
        self._left = message
        if isinstance(self._meter, NoMeter):  # it ended before this server heard that it had begun
            self._meter = meter_for(self.cgroups, message.group, 0)
        if self._heir and self._heir.prefix == message.prefix:
            self._heir._fail(UNBOUND)
        self._settled()

    def _refused(self, message: Refused) -> None:
        if self._heir:
            self._heir._fail(message.reason)
        else:
            self._fail(f"Step “{message.step}” failed: {message.reason}")

    def _parted(self, message: Parted) -> None:
        """Nothing of the session is left, but others have something in the sandbox."""
        started = self.bound.done() and not self.bound.exception()
        self._left = Left((), message.for_memory)
        if self._heir:
            self._heir._fail(UNBOUND)
        _settle(self._gone, Gone())
        self.box.left(self.id)
        if self._stopping or not started:  # else the word on how the kernel ended comes by another way
            self._fail(UNBOUND)
            self._status = -9 if self._status is None else self._status
        self._settled()

    def _settled(self) -> None:
        """The kernel has ended, its sandbox has not."""
        left = self._left
        if left is None or self._status is None or self.death.done():
            return
        self._fail(UNBOUND)
        killed = self._status == -9 and not self._stopping
        short = killed and (left.for_memory or self._meter.oom_kills() > self._kills)
        _settle(self.death, Death(self._status, short, self._meter.read().memory_peak_bytes, left.names))

    def _fail(self, why: str) -> None:
        if not self.bound.done():
            self.bound.set_exception(KernelStartFailed(f"The kernel was not started. {why}"))
            self.bound.exception()  # whoever waits sees it; nobody has to

    def _resolve(self, gone: Gone) -> None:
        if not self.lineage:
            self.box.ended(surely=False)
        self.box.left(self.id)
        self._fail(UNBOUND)
        if self._heir:
            self._heir._fail("The sandbox has ended, and its snapshots with it.")
        killed = self._status == -9
        out_of_memory = killed and gone.oom_kills > self._kills and not self._stopping
        status = -9 if self._status is None else self._status
        _settle(self._gone, gone)
        _settle(self.death, Death(status, out_of_memory, gone.memory_peak))


def _settle(future: "asyncio.Future[Any]", value: Any) -> None:
    if not future.done():
        future.set_result(value)


def pid_of(pidfd: int) -> int:
    """The pid behind a pidfd in this process's own PID namespace; 0 when it has ended, or cannot be asked for."""
    try:
        lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    except OSError:
        return 0
    return max(0, int(next(line.split()[1] for line in lines if line.startswith("Pid:"))))
