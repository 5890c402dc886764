"""Asks a fork server for kernel processes. One Launcher is one fork server; one Process is one sandbox's life."""

import asyncio
import hashlib
import json
import os
import resource
import socket
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias
from uuid import uuid4

from cellblock.errors import KernelStartFailed, SandboxUnavailable
from cellblock.host import tree
from cellblock.host.connection import Connection
from cellblock.host.death import Death
from cellblock.host.environment import Environment as Environment
from cellblock.host.environment import Spec as Spec
from cellblock.host.meter import Meter, NoMeter, ProcessUsage, meter_for
from cellblock.host.watched import Watched, spawned
from cellblock.messages import (
    MAX_DISPLAY,
    MAX_PACKET,
    MAX_SNAPSHOTS,
    Attach,
    Bound,
    Configure,
    Drop,
    End,
    Exit,
    Gone,
    Interrupt,
    Kill,
    Launch,
    Left,
    Level,
    Look,
    Message,
    Policy,
    Ready,
    Refused,
    Revive,
    Snapshots,
    Stop,
    decode,
    encode,
)

GUEST = Path(__file__).resolve().parent.parent / "guest" / "__main__.py"
PASSED_ON = ("PATH", "HOME", "LANG", "TZ")  # what the fork server is exec'd with stays readable in every kernel's /proc
START_SECONDS = 180.0  # the first start of an environment may have to look for fonts
LAUNCH_SECONDS = 30.0
STOP_SECONDS = 15.0
REVIVE_SECONDS = 10.0
LOOK_SECONDS = 5.0
DESCRIPTORS = 1 << 16
MAX_MESSAGE = 2 * MAX_DISPLAY  # bytes; no honest kernel sends as much

Channel: TypeAlias = Literal["shell", "iopub", "stdin", "control"]
SOCKETS: Mapping[Channel, str] = {"shell": "k-1", "iopub": "k-2", "stdin": "k-3", "control": "k-5"}


async def run_guest(python: str, room: str, *arguments: str) -> bytes:
    """What a room of the guest prints, run under an interpreter. OSError or KernelStartFailed when it cannot."""
    process = await asyncio.create_subprocess_exec(
        python,
        str(GUEST),
        room,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=allowed_environment(),
    )
    try:
        output, errors = await process.communicate()
    except BaseException:  # a start that is given up leaves no child behind
        process.kill()
        await process.communicate()
        raise
    if process.returncode:
        raise KernelStartFailed(f"{python} could not run the guest's {room}: {errors.decode(errors='replace')[-2000:]}")
    return output


async def probe(python: str = sys.executable) -> dict[str, Any]:
    """What this host gives: {level, layers: [{name, ok, detail, remedy}], …}; see guest/probe.py."""
    try:
        answer: dict[str, Any] = json.loads(await run_guest(python, "probe"))
    except OSError as problem:
        raise KernelStartFailed(f"{python} cannot be run: {problem.strerror}") from problem
    except ValueError:
        raise KernelStartFailed(f"{python} does not run Python") from None
    return answer


def allowed_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


@dataclass(frozen=True)
class Plan:
    """What a fork server is started with. `layers`: what the host gives, as `probe` tells it."""

    python: str
    config: Configure
    layers: list[dict[str, Any]]

    @classmethod
    async def make(
        cls, environment: Environment, *, data_dir: Path, level: Literal["auto"] | Level, wait: float
    ) -> "Plan":
        """SandboxUnavailable: no such level here; KernelStartFailed: all else."""
        host: dict[str, Any] = await probe() if level != "off" else {"level": "off", "layers": []}
        chosen = choose_level(level, host)
        raise_descriptors()
        programs = {} if chosen == "off" else json.loads(await run_guest(sys.executable, "filter"))
        data, program = str(data_dir.resolve()), programs.get(chosen, "")
        config = Configure(environment.name, data, chosen, environment.preload, program)
        made = replace(config, wait=wait, fingerprint=fingerprint(environment.python, config))
        return cls(environment.python, made, host["layers"])


def fingerprint(python: str, config: Configure) -> str:
    """Of all that makes a fork server's kernels what they are: interpreter, settings, and the guest's own code."""
    digest = hashlib.sha256("\0".join((python, os.path.realpath(python))).encode())
    digest.update(encode(config))
    for path in (*sorted(GUEST.parent.glob("*.py")), GUEST.parent.parent / "messages.py"):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Launcher:
    """The embedded engine: one fork server for one environment.

    `level` is the one in force; `facts`: what the fork server found, and `layers`; `closed` resolves at its end.
    """

    def __init__(
        self, process: Watched, control: socket.socket, ready: Ready, plan: Plan, data_dir: Path | None = None
    ) -> None:
        self.environment = plan.config.environment
        self.level: Level = ready.level
        self.facts = ready.facts | {"layers": plan.layers}
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._data_dir = data_dir or Path(plan.config.data)
        self._process = process
        self._control = control
        process.ended.add_done_callback(self._ended)

    @classmethod
    async def start(
        cls,
        environment: Environment,
        *,
        data_dir: Path,
        level: Literal["auto"] | Level = "auto",
        log: Path,
        wait: float = 0.0,
    ) -> "Launcher":
        """Returns when kernels can be launched. `wait`: seconds its kernels wait for another server when this one dies.

        SandboxUnavailable: no such level here; KernelStartFailed: all else.
        """
        plan = await Plan.make(environment, data_dir=data_dir, level=level, wait=wait)
        process, control = _spawn(environment.python, log)
        try:
            ready = await _configure(control, plan.config)
        except BaseException:
            control.close()
            process.kill()
            await process.ended
            raise
        return cls(process, control, ready, plan)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def launch(self, *, id: str, home: Path, uid: int, policy: Policy, spec: Spec | None = None) -> "Process":
        """A new kernel in `home`, below the data directory; returns once its sockets are bound. KernelStartFailed."""
        if self.closed.done():
            raise KernelStartFailed("The fork server has ended.")
        if not home.resolve().is_relative_to(self._data_dir):
            raise KernelStartFailed(f"{home} is not below the data directory {self._data_dir}.")
        tree.prepare_home(home)
        process = Process(home, uuid4().hex, self.facts["cgroups"])
        request = Launch(id, str(home.resolve().relative_to(self._data_dir)), uid, process.key, policy)
        if spec:
            request = replace(request, command=spec.command, variables=spec.variables)
        try:
            process.connect(self._control, request)
            await process.until_bound()
        except OSError as problem:
            process.close()
            raise KernelStartFailed(f"The fork server cannot be reached: {problem}") from problem
        except KernelStartFailed:
            process.close()  # an init that waits for its kernel ends with this connection
            raise
        return process

    def _ended(self, _: object) -> None:
        self._control.close()
        if not self.closed.done():
            self.closed.set_result(None)

    async def aclose(self) -> None:
        """Ends the fork server and every kernel of it."""
        try:
            self._control.send(encode(End()))
        except OSError:
            pass  # it has gone, or hears nothing and is ended below
        self._control.close()
        await self._process.until_ended(STOP_SECONDS)

    def let_go(self) -> None:
        """Leaves the fork server and its kernels to the next server."""
        self._process.let_go()
        self._control.close()


def raise_descriptors() -> None:
    """Our limit of descriptors, as high as it may be.

    Descriptors on their way through sockets count per user. A kernel of our own user could have so many that Linux would
    refuse to send ours, were our limit no higher than a kernel's: then no other kernel could start.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def choose_level(wanted: Literal["auto"] | Level, host: Mapping[str, Any]) -> Level:
    """The level to start at. SandboxUnavailable, with what is missing, when the host does not give what is wanted."""
    if wanted == "off":
        return "off"
    best: Level | None = host["level"]
    order = ("unprivileged", "full")
    if best is None or (wanted != "auto" and order.index(best) < order.index(wanted)):
        missing = [layer for layer in host["layers"] if not layer["ok"] and layer["needed_for"]]
        says = "; ".join(f"{layer['name']}: {layer['detail']}" for layer in missing)
        hint = " ".join(layer["remedy"] for layer in missing if layer["remedy"])
        level = "unprivileged" if wanted == "auto" else wanted
        raise SandboxUnavailable(f"Sandbox level {level} cannot be had here ({says}).", hint=hint or None)
    return best if wanted == "auto" else wanted


def _spawn(python: str, log: Path) -> tuple[Watched, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [python, str(GUEST), "forkserver"]
    try:
        with theirs, log.open("ab") as output:
            process = spawned(command, allowed_environment(), theirs.fileno(), output.fileno())
    except OSError as problem:
        ours.close()
        raise KernelStartFailed(
            f"{python} cannot be run: {problem.strerror}", hint="Check environments.toml."
        ) from problem
    return process, ours


async def _configure(control: socket.socket, config: Configure) -> Ready:
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(control, encode(config))
        packet = await asyncio.wait_for(loop.sock_recv(control, MAX_PACKET), START_SECONDS)
        answer = decode(packet)
    except TimeoutError:
        raise KernelStartFailed(f"Environment {config.environment} was not ready in {START_SECONDS:.0f} s.") from None
    except (OSError, ValueError) as problem:
        raise KernelStartFailed(f"The fork server of environment {config.environment} died at its start.") from problem
    if isinstance(answer, Refused):
        raise KernelStartFailed(f"Environment {config.environment}: step “{answer.step}” failed: {answer.reason}")
    if not isinstance(answer, Ready):
        raise KernelStartFailed(f"The fork server answered {answer.op}.")
    return answer


@dataclass(eq=False)
class Process:
    """One kernel process in its sandbox. `death` resolves when it has ended, and nothing is left of the sandbox but snapshots.

    A revived snapshot is a process of its own, which takes the sandbox over: see `revive`. `prefix` begins its sockets' names.
    """

    home: Path
    key: str
    cgroups: Mapping[str, Any]
    stages: dict[str, float] = field(default_factory=dict)
    prefix: str = ""

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.bound: asyncio.Future[None] = loop.create_future()
        self.death: asyncio.Future[Death] = loop.create_future()
        self._gone: asyncio.Future[Gone] = loop.create_future()
        self._connection: socket.socket | None = None
        self._status: int | None = None
        self._left: Left | None = None
        self._heir: Process | None = None
        self._looking: asyncio.Future[dict[str, int]] | None = None
        self._kills = 0  # by the memory limit, before this process
        self._owed = False  # the end of the process before is still to be told
        self._stopping = False
        self._pidfd = self._init_pidfd = -1
        self._endpoints: dict[Channel, int] = {}
        self._meter: Meter = NoMeter()

    @property
    def pid(self) -> int:
        """The kernel's pid as the server sees it; 0 when it is not known."""
        return pid_of(self._pidfd) if self._pidfd >= 0 else 0

    @property
    def init(self) -> int:
        """Its init's; 0 when it is not known."""
        return pid_of(self._init_pidfd) if self._init_pidfd >= 0 else 0

    def connect(self, control: socket.socket, request: Launch) -> None:
        """Hands the fork server one end of this sandbox's connection, and the other for safe keeping."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listen(ours)
        with theirs:
            socket.send_fds(control, [encode(request)], [theirs.fileno(), ours.fileno()])

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
        """Where to connect: the socket itself, whatever its name leads to later. KernelStartFailed when it is none."""
        if channel not in self._endpoints:
            path = self.home / "run" / f"{self.prefix}{SOCKETS[channel]}"
            try:
                fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
            except OSError as problem:
                raise KernelStartFailed(
                    f"The kernel's {channel} socket cannot be opened: {problem.strerror}"
                ) from problem
            if not stat.S_ISSOCK(os.fstat(fd).st_mode):
                os.close(fd)
                raise KernelStartFailed(f"The kernel's {channel} socket has been replaced.")
            self._endpoints[channel] = fd
        return f"ipc:///proc/self/fd/{self._endpoints[channel]}"

    async def reach(self, patience: float, *, following: bool = False) -> tuple[Connection, None]:
        """The connection to a kernel whose sockets are bound; its files are in our workspace. KernelFault, KernelStartFailed."""
        endpoints: dict[str, str] = {channel: self.endpoint(channel) for channel in SOCKETS}
        connection = await Connection.open(
            endpoints, self.key, max_message=MAX_MESSAGE, timeout=patience, following=following
        )
        return connection, None

    async def reachable(self) -> bool:
        """Whether it lives."""
        return not self.death.done()

    def interrupt(self) -> None:
        """SIGINT to the kernel and to the processes of its group."""
        self._send(Interrupt())

    async def stop(self) -> Gone:
        """Ends the sandbox and everything in it, unless it is another process's by now; may be called again."""
        self._stopping = True
        self._send(Stop())
        try:
            return await asyncio.wait_for(asyncio.shield(self._gone), STOP_SECONDS)
        except TimeoutError:
            self.close()
            return Gone()

    def usage(self) -> ProcessUsage:
        """Now."""
        return self._meter.read()

    # snapshots

    def kill(self) -> None:
        """Ends the kernel process; its snapshots stay."""
        self._send(Kill())

    def drop(self, names: Iterable[str]) -> None:
        """These snapshots are not needed any more."""
        if listed := tuple(names):
            self._send(Drop(listed))

    async def snapshots(self) -> dict[str, int]:
        """Those that there are, and the pid of each as the server sees it, 0 where it is not known yet; empty when init is
        silent."""
        if self._connection is None:
            return {}
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_future()
            self._send(Look())
        try:
            return await asyncio.wait_for(asyncio.shield(self._looking), LOOK_SECONDS)
        except TimeoutError:
            return {}

    async def revive(self, name: str, *, count: int, reseed: bool = False) -> "Process":
        """The snapshot as a kernel process that has taken this one's place; its sockets are bound.

        `count`: executions so far. KernelStartFailed: there is no such snapshot any more; a kernel that lives goes on.
        """
        heir = Process(self.home, uuid4().hex, self.cgroups, prefix=f"{uuid4().hex[:12]}-")
        if self._connection is None or self._heir is not None:
            raise KernelStartFailed("The sandbox has ended, and its snapshots with it.")
        self._heir = heir
        self._send(Revive(name, heir.key, heir.prefix, count, reseed))
        try:
            async with asyncio.timeout(REVIVE_SECONDS):
                await asyncio.shield(heir.bound)
        except TimeoutError:
            self.close()
            raise KernelStartFailed(f"The snapshot did not wake within {REVIVE_SECONDS:.0f} s.") from None
        finally:
            self._heir = None
        return heir

    def _inherit(self, predecessor: "Process", bound: Bound, fds: list[int]) -> None:
        """Takes a sandbox over from the process before."""
        connection, predecessor._connection = predecessor._connection, None
        self._kills, self._owed = predecessor._meter.oom_kills(), predecessor._status is None
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
        for fd in (*self._endpoints.values(), self._pidfd, self._init_pidfd):
            if fd >= 0:
                os.close(fd)
        self._endpoints.clear()
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
        elif isinstance(message, Exit):
            self._exited(message.status)
        elif isinstance(message, Left):
            self._left = message
            self._settled()
        elif isinstance(message, Snapshots):
            if self._looking:
                pids = dict(zip(message.names, map(pid_of, fds), strict=False))
                _settle(self._looking, dict.fromkeys(message.names, 0) | pids)
        elif isinstance(message, Refused):
            self._refused(message)
        else:
            if isinstance(message, Gone):
                self._resolve(message)
            self.close()
        for fd in fds:
            os.close(fd)

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
        self.stages = message.stages
        self.key, self.prefix = self.key or message.key, self.prefix or message.prefix
        self._meter = meter_for(self.cgroups, message.group, self.pid)
        _settle(self.bound, None)
        return []

    def _exited(self, status: int) -> None:
        if self._owed:
            self._owed = False
            return
        self._status = status
        self._settled()

    def _refused(self, message: Refused) -> None:
        if self._heir:
            self._heir._fail(message.reason)
        else:
            self._fail(f"Step “{message.step}” failed: {message.reason}")

    def _settled(self) -> None:
        """The kernel has ended, its sandbox has not."""
        left = self._left
        if left and self._heir:
            self._heir._fail("It ended before its sockets were bound.")
        if left is None or self._status is None or self.death.done():
            return
        self._fail("It ended before its sockets were bound.")
        killed = self._status == -9 and not self._stopping
        short = killed and (left.for_memory or self._meter.oom_kills() > self._kills)
        _settle(self.death, Death(self._status, short, self._meter.read().memory_peak_bytes, left.names))

    def _fail(self, why: str) -> None:
        if not self.bound.done():
            self.bound.set_exception(KernelStartFailed(f"The kernel was not started. {why}"))
            self.bound.exception()  # whoever waits sees it; nobody has to

    def _resolve(self, gone: Gone) -> None:
        self._fail("It ended before its sockets were bound.")
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
