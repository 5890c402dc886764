"""What a server before this one has left running: fork servers to take over, or to end; kernels to keep, or to end.

A fork server goes on if it is just what would be started now: same environment, interpreter, level, guest code. One of its
kernels goes on if its session is in the store. Warm ones and one-shots do not: nobody can tell them from used ones.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import structlog

from cellblock.errors import CellblockError
from cellblock.host import schema
from cellblock.host.config import Config
from cellblock.host.handover import Kept, Meeting, places
from cellblock.host.kernels import KernelProcess
from cellblock.host.launcher import Launcher, Plan
from cellblock.host.store import Store

log = structlog.get_logger("cellblock.survivors")


@dataclass
class Survivors:
    """`launchers` by environment; `kernels` of theirs by session."""

    launchers: dict[str, Launcher]
    kernels: dict[str, KernelProcess]

    @classmethod
    async def found(cls, config: Config, store: Store) -> "Survivors":
        """Takes over what can go on and ends the rest, waiting for its end."""
        met = [each for each in await asyncio.gather(*(_met(path, config) for path in places(config.data_dir))) if each]
        kernels = [kept for _, theirs in met for kept in theirs]
        known = await _known(kernels, store, config) if kernels else {}
        strays = [kept for kept in kernels if known.get(kept.launch.id) is not kept]
        await asyncio.gather(*(kept.process.stop() for kept in strays))
        if met:
            log.info("taken_over", fork_servers=len(met), kernels=len(known), ended=len(strays))
        launchers = {launcher.environment: launcher for launcher, _ in met}
        return cls(launchers, {id: kept.process for id, kept in known.items()})

    def let_go(self) -> None:
        """Leaves all of them to another server."""
        for process in self.kernels.values():
            process.let_go()
        for launcher in self.launchers.values():
            launcher.let_go()


async def _known(kernels: Iterable[Kept], store: Store, config: Config) -> dict[str, Kept]:
    """Those that belong to a session; of several, the one that was made last."""
    table = schema.sessions
    found = await store.rows(sa.select(table.c.id, table.c.uid, table.c.environment))
    taken = {each.name for each in config.environments}
    programs = {each.name: each.spec.command for each in config.kernelspecs if each.spec and each.name not in taken}

    def made_for(kept: Kept, environment: str) -> bool:
        """A kernelspec that is no environment has its kernels from the fork server of one: its program tells."""
        return (kept.launch.command or kept.environment) == programs.get(environment, environment)

    rows = {(row["id"], row["uid"]): row["environment"] for row in found}
    owned = [(kept, rows.get((kept.launch.id, kept.launch.uid))) for kept in kernels]
    return {kept.launch.id: kept for kept, environment in owned if environment and made_for(kept, environment)}


async def _met(path: Path, config: Config) -> tuple[Launcher, list[Kept]] | None:
    """The fork server behind a socket with its kernels, or None when it has ended, by itself or by us."""
    meeting = Meeting.at(path)
    if meeting is None:
        path.unlink(missing_ok=True)
        return None

    async def plan_for(name: str) -> Plan:
        environment = next((each for each in config.environments if each.name == name), None)
        if environment is None:
            raise ValueError(f"there is no environment {name} any more")
        wait = config.reattach_timeout
        return await Plan.make(environment, data_dir=config.data_dir, level=config.sandbox, wait=wait)

    try:
        return await meeting.taken_over(plan_for)
    except (OSError, ValueError, CellblockError) as problem:
        log.warning("fork_server_ended", pid=meeting.process.pid, reason=str(problem) or type(problem).__name__)
        await meeting.end()
        return None
