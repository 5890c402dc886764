"""What a server before this one has left running: fork servers to take over, or to end; kernels to keep, or to end.

A fork server goes on if it is just what would be started now: same environment, interpreter, level, guest code. One of its
kernels goes on if its session is in the store. Warm ones and one-shots do not: nobody can tell them from used ones.
"""

import asyncio
import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog

from cellblock.errors import CellblockError, KernelStartFailed
from cellblock.host import schema
from cellblock.host.config import Config
from cellblock.host.launcher import STOP_SECONDS, Launcher, Plan, Process
from cellblock.host.store import Store
from cellblock.host.watched import Watched
from cellblock.messages import MAX_PACKET, End, Here, Launch, Message, Ready, Resume, decode, encode

PLACE = "forkservers"  # below the data directory: where fork servers can be met
ANSWER_SECONDS = 10.0

log = structlog.get_logger("cellblock.survivors")


@dataclass(frozen=True)
class Kept:
    """A kernel that lives: what was asked for when it was made, in which environment, and its process."""

    launch: Launch
    environment: str
    process: Process


@dataclass
class Survivors:
    """`launchers` by environment; `kernels` of theirs by session."""

    launchers: dict[str, Launcher]
    kernels: dict[str, Kept]

    @classmethod
    async def found(cls, config: Config, store: Store) -> "Survivors":
        """Takes over what can go on and ends the rest, waiting for its end."""
        found = await asyncio.gather(*(_met(path, config) for path in _places(config.data_dir)))
        launchers = {launcher.environment: launcher for launcher, _ in filter(None, found)}
        kernels = [kept for each in found if each for kept in each[1]]
        known = await _known(kernels, store)
        strays = [kept for kept in kernels if known.get(kept.launch.id) is not kept]
        await asyncio.gather(*(kept.process.stop() for kept in strays))
        if found:
            log.info("taken_over", fork_servers=len(launchers), kernels=len(known), ended=len(strays))
        return cls(launchers, known)

    def let_go(self) -> None:
        """Leaves all of them to another server."""
        for kept in self.kernels.values():
            kept.process.let_go()
        for launcher in self.launchers.values():
            launcher.let_go()


def _places(data_dir: Path) -> list[Path]:
    place = data_dir / PLACE
    return sorted(place.iterdir()) if place.is_dir() else []


async def _known(kernels: Iterable[Kept], store: Store) -> dict[str, Kept]:
    """Those that belong to a session; of several, the one that was made last."""
    columns = (schema.sessions.c.id, schema.sessions.c.uid, schema.sessions.c.environment)
    found = await store.rows(sa.select(*columns))
    sessions = {(row["id"], row["uid"], row["environment"]) for row in found}
    return {kept.launch.id: kept for kept in kernels if (kept.launch.id, kept.launch.uid, kept.environment) in sessions}


async def _met(path: Path, config: Config) -> tuple[Launcher, list[Kept]] | None:
    """The fork server behind a socket with its kernels, or None when it has ended, by itself or by us."""
    met = _connected(path)
    if met is None:
        path.unlink(missing_ok=True)
        return None
    connection, process = met
    try:
        return await _taken_over(connection, process, config)
    except (OSError, ValueError, TimeoutError, CellblockError) as problem:
        log.warning("fork_server_ended", pid=process.pid, reason=str(problem) or type(problem).__name__)
        _tell(connection, End())
        await process.until_ended(STOP_SECONDS)
        connection.close()
        return None


def _connected(path: Path) -> tuple[socket.socket, Watched] | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(f"/proc/self/fd/{directory}/{path.name}")
        # Of who began to listen: the process of the fork server that is outside of its own PID namespace.
        pid, uid, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.getuid():
            raise PermissionError(f"{path} belongs to user {uid}")
        connection.setblocking(False)
        return connection, Watched(pid)
    except OSError:
        connection.close()
        return None
    finally:
        os.close(directory)


async def _taken_over(connection: socket.socket, process: Watched, config: Config) -> tuple[Launcher, list[Kept]]:
    here, _ = await _heard(connection)
    if not isinstance(here, Here):
        raise ValueError(f"it said {here.op}")
    plan = await _plan(here, config)
    _tell(connection, Resume(config.reattach_timeout))
    kernels: list[tuple[Launch, socket.socket]] = []
    try:
        ready = await _handed_over(connection, kernels)
    except BaseException:
        for _, end in kernels:
            end.close()
        raise
    launcher = Launcher(process, connection, ready, plan)
    return launcher, [_kept(launch, end, launcher, config) for launch, end in kernels]


async def _handed_over(connection: socket.socket, kernels: list[tuple[Launch, socket.socket]]) -> Ready:
    while True:
        message, ends = await _heard(connection)
        if isinstance(message, Ready):
            return message
        if not isinstance(message, Launch) or len(ends) != 1:
            raise ValueError(f"it said {message.op}")
        kernels.append((message, ends[0]))


async def _plan(here: Here, config: Config) -> Plan:
    """What would be started now in its place. ValueError when that is something else."""
    environment = next((each for each in config.environments if each.name == here.environment), None)
    if environment is None:
        raise ValueError(f"there is no environment {here.environment} any more")
    wait = config.reattach_timeout
    plan = await Plan.make(environment, data_dir=config.data_dir, level=config.sandbox, wait=wait)
    if plan.config.fingerprint != here.fingerprint:
        raise ValueError(f"environment {here.environment} is not what it was")
    return plan


def _kept(launch: Launch, end: socket.socket, launcher: Launcher, config: Config) -> Kept:
    process = Process(config.data_dir / launch.home, "", launcher.facts["cgroups"])
    process.attach(end)
    return Kept(launch, launcher.environment, process)


def _tell(connection: socket.socket, message: Message) -> None:
    try:
        connection.send(encode(message))
    except OSError:
        pass  # it has gone, and its process tells


async def _heard(connection: socket.socket) -> tuple[Message, list[socket.socket]]:
    """A message and what came beside it. TimeoutError, OSError, ValueError."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(connection, ready.set)
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await ready.wait()
    finally:
        loop.remove_reader(connection)
    packet, fds, _, _ = socket.recv_fds(connection, MAX_PACKET, 1)
    ends = [socket.socket(fileno=fd) for fd in fds]
    if not packet:
        raise KernelStartFailed("It has ended.")
    return decode(packet), ends
