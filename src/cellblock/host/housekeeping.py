"""What happens by itself, now and then: idle kernels are released or looked after, old files, events and keys go, and memory."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from cellblock.host import allocator, schema
from cellblock.host.config import Config
from cellblock.host.environments import Environments
from cellblock.host.executions import Executions
from cellblock.host.one_shots import OneShots
from cellblock.host.sessions import Sessions
from cellblock.host.store import Store

MUCH = 1 << 20  # bytes said, after which memory is given back

log = structlog.get_logger("cellblock.housekeeping")


class Housekeeping:
    """`tidy` does all of it once, by the clock of the configuration; a task calls it at an interval."""

    def __init__(
        self,
        config: Config,
        store: Store,
        environments: Environments,
        sessions: Sessions,
        executions: Executions,
        one_shots: OneShots,
    ) -> None:
        self.config, self.store, self.environments = config, store, environments
        self.sessions, self.executions, self.one_shots = sessions, executions, one_shots
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = 0  # bytes said when memory was last given back

    def start(self) -> None:
        work = (
            (self.tidy, self.config.housekeeping_interval),
            (self.sessions.patrol, self.config.patrol_interval),
            (self.be_fair, self.config.patrol_interval),
            (self.give_back, self.config.patrol_interval),
        )
        self._tasks = [asyncio.create_task(self._keep(act, every), name=f"housekeeping {every}") for act, every in work]

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def sweep(self) -> None:
        """Once, before any kernel starts: homes of kernels that waited in the pool of a server that is gone."""
        await asyncio.to_thread(self.environments.homes.sweep, await self.store.homes())

    async def tidy(self) -> None:
        now = self.config.clock()
        await self.sessions.release_idle()
        await self._drop_one_shot_files(now - self.config.one_shot_files)
        await self._drop_one_shots(now - self.config.one_shot_results)
        await self.store.fold_events(now - self.config.events_kept)
        await self.store.forget_keys(now - self.config.events_kept)

    async def be_fair(self) -> None:
        self.environments.be_fair(asyncio.get_running_loop().time())

    async def give_back(self) -> None:
        """After much output: what it took is free once it is stored, but the C library keeps it for the next."""
        if self.executions.said - self._heard >= MUCH:
            self._heard = self.executions.said
            await self.store.flush()
            await asyncio.to_thread(allocator.give_back)

    async def _drop_one_shot_files(self, before: float) -> None:
        for row in await self.store.one_shots(before, with_home=True):
            await self.one_shots.remove_files(row)
            self.executions.files_gone(row["id"])
            self.store.put(schema.executions, {**row, "home": None, "uid": None})

    async def _drop_one_shots(self, before: float) -> None:
        for row in await self.store.one_shots(before, with_home=False):
            if row["home"]:
                await self.one_shots.remove_files(row)
            self.store.remove(schema.executions, "id", row["id"])
            self.store.remove(schema.events, "execution_id", row["id"])

    async def _keep(self, act: Callable[[], Awaitable[None]], interval: float) -> None:
        while True:
            await asyncio.sleep(interval)
            try:
                await act()
            except Exception:
                log.exception("housekeeping_failed")
