"""One live kernel: a process and the connection to it, started together and ended together."""

import asyncio
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cellblock.errors import KernelFault, KernelStartFailed, KernelTimeout
from cellblock.host import footprint
from cellblock.host.connection import OPEN_TIMEOUT, Connection
from cellblock.host.death import Death
from cellblock.host.environment import Environment, Spec
from cellblock.host.launcher import Launcher
from cellblock.host.meter import ProcessUsage
from cellblock.host.process import Process
from cellblock.host.workspace import Workspace
from cellblock.messages import Policy

REHEARSAL = "None"
LAST_BREATH = 5.0  # seconds between a closed connection and the news of the process's death


class FileCourier(Protocol):
    """Carries files between a workspace and a kernel that lives elsewhere; each way a sentence on what did not travel."""

    @property
    def language(self) -> str: ...
    async def there(self, workspace: Workspace) -> str | None: ...
    async def back(self, workspace: Workspace, *, whole: bool) -> str | None: ...


class KernelProcess(Protocol):
    """A kernel's process: in a sandbox of ours, or at a Jupyter server. What each call promises stands at those two."""

    home: Path
    cgroups: Mapping[str, Any]
    death: asyncio.Future[Death]
    bound: asyncio.Future[None]

    @property
    def pid(self) -> int: ...
    @property
    def init(self) -> int: ...
    async def until_bound(self) -> None: ...
    async def reach(self, patience: float, *, following: bool = False) -> tuple[Connection, FileCourier | None]: ...
    async def reachable(self) -> bool: ...
    def interrupt(self) -> None: ...
    async def until_interrupted(self) -> None: ...
    def kill(self) -> None: ...
    async def revive(self, name: str, *, count: int, reseed: bool = False, keep: str = "") -> "KernelProcess": ...
    async def snapshots(self) -> Mapping[str, int] | None: ...
    def drop(self, names: Iterable[str]) -> None: ...
    async def stop(self) -> object: ...
    def usage(self) -> ProcessUsage: ...
    def close(self) -> None: ...
    def let_go(self) -> None: ...


@dataclass(frozen=True)
class Beside:
    """Bytes of disk; `alone`: counted as of one that nobody else shared a sandbox with."""

    bytes: int = 0
    alone: bool = True


@dataclass(eq=False)
class Kernel:
    """`id` and `home` stay with the session that takes it; `uid` owns the files in it. `courier`: None where its
    directory is the session's workspace."""

    id: str
    home: Path
    uid: int
    environment: str
    process: KernelProcess
    connection: Connection
    courier: FileCourier | None = None
    ours: bool = True  # a fork of the template, which can be asked what only such a kernel knows
    _mappings: footprint.Mappings = field(default_factory=footprint.Mappings)

    @classmethod
    async def start(
        cls,
        launcher: Launcher,
        *,
        id: str,
        home: Path,
        uid: int,
        environment: str,
        policy: Policy,
        spec: Spec | None = None,
    ) -> "Kernel":
        """Returns when it takes requests. KernelStartFailed."""
        process = await launcher.launch(id=id, home=home, uid=uid, policy=policy, spec=spec)
        return cls(id, home, uid, environment, process, *await connected(process, OPEN_TIMEOUT), ours=spec is None)

    @classmethod
    async def attach(
        cls, process: KernelProcess, *, id: str, uid: int, environment: Environment, patience: float, running: bool
    ) -> "Kernel":
        """One that a former server has started; `patience`: seconds it may take to answer. KernelStartFailed.

        `running`: an execution is to be followed, and nothing it has said may be missed. One that ended while no server was
        there is not `alive`, and may have left snapshots.
        """
        try:
            await process.until_bound()
        except KernelStartFailed:
            if not process.death.done():
                raise
            return cls(id, process.home, uid, environment.name, process, Connection.of_the_ended())
        connection, courier = await connected(process, patience, following=running)
        ours = courier is None and environment.spec is None
        return cls(id, process.home, uid, environment.name, process, connection, courier, ours)

    @property
    def alive(self) -> bool:
        return not self.process.death.done() and self.connection.broken is None

    @property
    def ended(self) -> str:
        """Why it is not alive any more, as the end of "… because"; nothing ran in it."""
        death = self.process.death
        return f"its process {death.result().how} while nothing ran" if death.done() else "it closed its channels"

    @property
    def state(self) -> str:
        """The snapshot that it was before, as init says; empty when it was none."""
        return self.process.state if isinstance(self.process, Process) else ""

    @property
    def python(self) -> bool:
        """Whether it can be asked in Python."""
        return self.ours or (self.courier is not None and self.courier.language == "python")

    async def reachable(self) -> bool:
        """Whether it lives; one that cannot be reached for the moment is waited for."""
        return self.alive and await self.process.reachable() and self.alive

    async def rehearse(self) -> None:
        """Runs a statement that leaves no trace: what it writes to of the template's pages is copied before anybody waits
        for it. KernelFault."""
        if not self.ours:
            return
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                await self.connection.execute(
                    REHEARSAL, msg_id=uuid.uuid4().hex, store_history=False, on_message=lambda message: None
                )
        except TimeoutError:
            raise KernelTimeout(f"The kernel did not run a statement within {OPEN_TIMEOUT:g} s.") from None

    async def death(self) -> Death:
        """How the process ended, once its connection is gone; one that will not end is ended."""
        for end in (self.process.kill, self.process.close):
            try:
                return await asyncio.wait_for(asyncio.shield(self.process.death), LAST_BREATH)
            except TimeoutError:
                end()
        return await self.process.death

    async def kill(self) -> None:
        """Ends the process, whatever it is doing; its snapshots stay."""
        self.process.kill()
        await self.death()

    async def revived(self, snapshot: str, *, count: int, reseed: bool = False, keep: str = "") -> "Kernel":
        """A snapshot of it in its place, which takes requests; `count`: executions so far. This one has ended then, or is
        the snapshot `keep`.

        KernelStartFailed: there is no such snapshot any more, and a kernel that lives goes on; or it did not come up.
        """
        process = await self.process.revive(snapshot, count=count, reseed=reseed, keep=keep)
        await self.connection.aclose()
        return Kernel(self.id, self.home, self.uid, self.environment, process, *await connected(process, OPEN_TIMEOUT))

    async def beside(self) -> Beside:
        """What of the disk it takes beside the workspace: files without a name, and other places of its home.

        What is no session's in particular of those that share a sandbox counts for the branches among them.
        """
        if self.courier:
            return Beside()  # it has no place here
        pids = (self.process.pid, self.process.init) if self.alive else (0, 0)
        sandbox = footprint.Sandbox(self.home, *pids, self._mappings)
        if not isinstance(self.process, Process):
            return Beside(await asyncio.to_thread(sandbox.beside))
        if self.process.alone:
            return Beside(await asyncio.to_thread(sandbox.beside, branches=self.process.box.taken))
        if not self.process.lineage:
            return Beside(await asyncio.to_thread(sandbox.own, await self.process.household()), alone=False)
        others, branches = await self.process.neighbours(), self.process.box.taken
        return Beside(await asyncio.to_thread(sandbox.beside, others=others, branches=branches), alone=False)

    async def let_go(self) -> None:
        """Leaves it to another server; see also `Connection.part`."""
        await self.connection.aclose()
        self.process.let_go()

    async def stop(self) -> None:
        """Ends it, whatever it is doing. May be called again."""
        await self.process.stop()
        await self.connection.aclose()


async def connected(
    process: KernelProcess, patience: float, *, following: bool = False
) -> tuple[Connection, FileCourier | None]:
    """The connection to a kernel whose sockets are bound, and what carries its files. KernelStartFailed; it is ended then."""
    try:
        return await process.reach(patience, following=following)
    except KernelFault as problem:
        await process.stop()
        raise KernelStartFailed(f"The kernel did not come up. {problem.message}") from None
    except BaseException:
        process.close()
        raise
