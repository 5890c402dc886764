"""One kernel at a Jupyter server, as the rest of the host sees a kernel's process."""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from cellblock.errors import KernelDied, KernelStartFailed
from cellblock.host.connection import Connection
from cellblock.host.death import Death
from cellblock.host.meter import ProcessUsage
from cellblock.host.remote import record as records
from cellblock.host.remote.channels import Channels
from cellblock.host.remote.courier import Courier, courier_for
from cellblock.host.remote.record import Record
from cellblock.host.remote.upstream import Upstream
from cellblock.host.wire import Wire

MAX_MESSAGE = 16 << 20  # bytes, as of kernels here
AGAIN = 15.0  # seconds that a connection may take which is made again
PROMPT = 2.0  # seconds that an end of a kernel is waited for; it goes on behind

log = structlog.get_logger("cellblock.remote")


@dataclass(eq=False)
class RemoteProcess:
    """`death` resolves when the server says that it has ended, when that server is dead, or when we end it."""

    home: Path
    upstream: Upstream
    record: Record
    cgroups: Mapping[str, Any] = field(default_factory=dict)
    pid: int = 0
    init: int = 0

    def __post_init__(self) -> None:
        self.death: asyncio.Future[Death] = asyncio.get_running_loop().create_future()
        self.bound: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.bound.set_result(None)  # or its server would not have given it an id
        self._channels: Channels | None = None
        self._interrupting: set[asyncio.Task[Any]] = set()
        self.upstream.add(self.record.kernel, self.died)

    async def until_bound(self) -> None:
        """It is."""

    async def reach(self, patience: float, *, following: bool = False) -> tuple[Connection, Courier | None]:
        """A connection to it, and what carries its files. KernelFault, Unanswered; nothing is ended then."""
        wire = Wire("", hashlib.sha256(self.record.session.encode()).hexdigest()[:32])
        self._channels = Channels(wire, self._opened(wire.session, patience), self.died)
        connection = await Connection.over(self._channels, timeout=patience, following=following)
        self.death.add_done_callback(lambda death: connection.lost(KernelDied(f"Its process {death.result().how}.")))
        try:
            return connection, await courier_for(self.upstream, self.record, self.home, connection, patience)
        except BaseException:
            await connection.aclose()
            raise

    def _opened(self, session: str, patience: float) -> Any:
        """Opens its WebSocket. The first time has all the patience there is: a server may wait for the kernel to start."""
        first = iter([patience])

        async def opened() -> Any:
            path = f"api/kernels/{self.record.kernel}/channels"
            query, bound = {"session_id": session}, next(first, min(patience, AGAIN))
            return await self.upstream.rest.socket(path, query, max_message=MAX_MESSAGE, timeout=bound)

        return opened

    async def reachable(self) -> bool:
        """Whether it can be asked now: a way that is broken is waited for until it is there again, or the kernel dead.

        One that cannot be connected to for `start_timeout` seconds, although its server is well, is ended.
        """
        there = asyncio.create_task(self._until_there())
        waits: list[asyncio.Future[Any]] = [there, self.death]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            there.cancel()
        return not self.death.done()

    async def _until_there(self) -> None:
        await self.upstream.until_sure()
        if self._channels is None:
            return
        try:
            async with asyncio.timeout(self.upstream.start_timeout):
                await self._channels.until_connected()
        except TimeoutError:
            await self.upstream.until_sure()  # which learns sooner that all of it is out of reach
            self._end("could not be connected to any more")

    def died(self, how: str) -> None:
        """It has ended: how, as the end of "its process …"."""
        if not self.death.done():
            self.upstream.remove(self.record.kernel)
            self.death.set_result(Death(-9, False, 0, said=how))
            try:
                records.forget(self.home)
            except OSError as problem:  # the next server here will see that it has ended
                log.warning("record_not_removed", home=self.home.name, error=str(problem))

    def interrupt(self) -> None:
        asking = self.upstream.soon(self.upstream.interrupt(self.record.kernel))
        self._interrupting.add(asking)
        asking.add_done_callback(self._interrupting.discard)

    async def until_interrupted(self) -> None:
        """Returns when its server has answered to every interrupt, or cannot."""
        if self._interrupting:
            await asyncio.wait([*self._interrupting])

    def kill(self) -> None:
        self.close()

    async def revive(self, name: str, *, count: int, reseed: bool = False, keep: str = "") -> "RemoteProcess":
        """KernelStartFailed: nobody can fork it."""
        raise KernelStartFailed("A kernel of another server has no earlier states.")

    async def snapshots(self) -> Mapping[str, int]:
        """None."""
        return {}

    def drop(self, names: Iterable[str]) -> None:
        """There are none."""

    async def stop(self) -> None:
        """Ends it; may be called again. A server that does not answer is told when it does."""
        ending = self.upstream.end(self.record.kernel, self.record.base)
        self.died("was ended")
        await asyncio.wait([ending], timeout=PROMPT)

    def usage(self) -> ProcessUsage:
        """Not known."""
        return ProcessUsage(0, 0, 0)

    def close(self) -> None:
        """Ends it; nobody waits for it."""
        self._end("was ended")

    def _end(self, how: str) -> None:
        self.upstream.end(self.record.kernel, self.record.base)
        self.died(how)

    def let_go(self) -> None:
        """Leaves it to another server; its record tells of it."""
        self.upstream.remove(self.record.kernel)
