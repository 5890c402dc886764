"""Asks a fork server for kernel processes. One Launcher is one fork server; one Process is one sandbox's life."""

import asyncio
import hashlib
import json
import os
import resource
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from cellblock.errors import KernelStartFailed, SandboxUnavailable
from cellblock.host import tree
from cellblock.host.environment import Environment as Environment
from cellblock.host.environment import Spec as Spec
from cellblock.host.process import STOP_SECONDS, Box
from cellblock.host.process import Process as Process
from cellblock.host.watched import Watched, spawned
from cellblock.messages import (
    MAX_PACKET,
    Branch,
    Configure,
    End,
    Launch,
    Level,
    Policy,
    Ready,
    Refused,
    decode,
    encode,
)

GUEST = Path(__file__).resolve().parent.parent / "guest" / "__main__.py"
PASSED_ON = ("PATH", "HOME", "LANG", "TZ")  # what the fork server is exec'd with stays readable in every kernel's /proc
START_SECONDS = 180.0  # the first start of an environment may have to look for fonts
DESCRIPTORS = 1 << 16


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
        self._boxes: dict[Path, Box] = {}
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
        await asyncio.to_thread(tree.prepare_home, home)  # code may have left any number of files there
        process = Process(home, uuid4().hex, self.facts["cgroups"], id=id)
        self.house(process)
        request = Launch(id, self._named(home), uid, process.key, policy)
        if spec:
            request = replace(request, command=spec.command, variables=spec.variables)
        return await self._started(process, request)

    async def branch(
        self, parent: "Process", *, id: str, place: str, name: str, count: int = 0, reseed: bool = False
    ) -> "Process":
        """A kernel in the state that is the parent's snapshot `name`, in the parent's sandbox, for session `id`.

        Its workspace lies at `place` of BRANCHES in the sandbox's home, already filled; its sockets are bound. KernelStartFailed.
        """
        process = parent.branch(id, place)
        prefix, lineage = process.prefix, process.lineage
        home = self._named(process.home)
        request = Branch(id, home, parent.id, name, process.key, prefix, lineage, count, reseed)
        return await self._started(process, request)

    def house(self, process: "Process") -> None:
        """It lives in its home from now on."""
        home, box = process.home, process.box
        self._boxes[home] = box
        box.gone.add_done_callback(lambda _: self._boxes.pop(home) if self._boxes.get(home) is box else None)

    def lives_in(self, home: Path) -> Box | None:
        """The sandbox that is there."""
        return self._boxes.get(home)

    def be_fair(self, now: float) -> None:
        """Looks at what each sandbox has used since the last time, and weighs it. `now`: seconds."""
        for box in self._boxes.values():
            for process in box.kernels.values():
                process.be_fair(now)

    def _named(self, home: Path) -> str:
        """As the fork server knows it."""
        return str(home.resolve().relative_to(self._data_dir))

    async def _started(self, process: "Process", request: Launch | Branch) -> "Process":
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
