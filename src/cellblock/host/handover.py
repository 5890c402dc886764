"""One fork server that another server has left: met through its socket in the data directory, taken over or ended."""

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from cellblock.host.launcher import Launcher, Plan
from cellblock.host.process import STOP_SECONDS, Box, Process
from cellblock.host.watched import Watched
from cellblock.messages import MAX_PACKET, End, Here, Launch, Message, Ready, Resume, decode, encode

PLACE = "forkservers"  # below the data directory: where fork servers can be met
ANSWER_SECONDS = 30.0  # on a machine that is busy


@dataclass(frozen=True)
class Kept:
    """A kernel that lives: what was asked for when it was made, in which environment, and its process."""

    launch: Launch
    environment: str
    process: Process


@dataclass
class Meeting:
    """A fork server that has been met and waits for what we decide. `process` is the one outside of its PID namespace."""

    connection: socket.socket
    process: Watched

    @classmethod
    def at(cls, path: Path) -> "Meeting | None":
        """None when nobody listens there any more, and when it is not our own user who does."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(f"/proc/self/fd/{directory}/{path.name}")
            pid, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if uid != os.getuid():
                raise PermissionError(f"{path} belongs to user {uid}")
            connection.setblocking(False)
            return cls(connection, Watched(pid))
        except OSError:
            connection.close()
            return None
        finally:
            os.close(directory)

    async def taken_over(self, plan_for: Callable[[str], Awaitable[Plan]]) -> tuple[Launcher, list[Kept]]:
        """The fork server and its kernels, ours from now on. ValueError when it is not what `plan_for` its environment says.

        TimeoutError, OSError, ValueError when it does not answer as it should.
        """
        here, _ = await self._heard()
        if not isinstance(here, Here):
            raise ValueError(f"it said {here.op}")
        plan = await plan_for(here.environment)
        if plan.config.fingerprint != here.fingerprint:
            raise ValueError(f"environment {here.environment} is not what it was")
        self._tell(Resume(plan.config.wait))
        kernels: list[tuple[Launch, socket.socket]] = []
        try:
            ready = await self._handed_over(kernels)
        except BaseException:
            for _, end in kernels:
                end.close()
            raise
        launcher = Launcher(self.process, self.connection, ready, plan)
        boxes: dict[str, Box] = {}
        for launch, _ in kernels:
            boxes.setdefault(launch.home, Box())
        return launcher, [_kept(launch, end, launcher, plan, boxes[launch.home]) for launch, end in kernels]

    async def end(self) -> None:
        """It ends with all its kernels."""
        self._tell(End())
        await self.process.until_ended(STOP_SECONDS)
        self.connection.close()

    async def _handed_over(self, kernels: list[tuple[Launch, socket.socket]]) -> Ready:
        while True:
            message, ends = await self._heard()
            if isinstance(message, Ready):
                return message
            if not isinstance(message, Launch) or len(ends) != 1:
                raise ValueError(f"it said {message.op}")
            kernels.append((message, ends[0]))

    async def _heard(self) -> tuple[Message, list[socket.socket]]:
        """A message and what came beside it."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self.connection, ready.set)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await ready.wait()
        finally:
            loop.remove_reader(self.connection)
        packet, fds, _, _ = socket.recv_fds(self.connection, MAX_PACKET, 1)
        ends = [socket.socket(fileno=fd) for fd in fds]
        return decode(packet), ends

    def _tell(self, message: Message) -> None:
        try:
            self.connection.send(encode(message))
        except OSError:
            pass  # it has gone, and its process tells


def places(data_dir: Path) -> list[Path]:
    """Sockets at which fork servers may be met."""
    place = data_dir / PLACE
    return sorted(place.iterdir()) if place.is_dir() else []


def _kept(launch: Launch, end: socket.socket, launcher: Launcher, plan: Plan, box: Box) -> Kept:
    home, cgroups = Path(plan.config.data) / launch.home, launcher.facts["cgroups"]
    process = Process(home, "", cgroups, id=launch.id, lineage=launch.lineage, box=box)
    launcher.house(process)
    process.attach(end)
    return Kept(launch, launcher.environment, process)
