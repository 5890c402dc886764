"""Kernels at Jupyter servers that a server before this one has left: those of sessions go on, the others are ended.

One whose server does not answer now is given up: it is ended when that server answers again.
"""

import asyncio
from pathlib import Path

import sqlalchemy as sa
import structlog

from cellblock.host import schema
from cellblock.host.config import Config
from cellblock.host.kernels import KernelProcess
from cellblock.host.remote import record as records
from cellblock.host.remote.fleet import Fleet
from cellblock.host.remote.process import RemoteProcess
from cellblock.host.remote.record import Record
from cellblock.host.remote.rest import Refused, Unanswered
from cellblock.host.store import Store
from cellblock.host.survivors import Survivors

log = structlog.get_logger("cellblock.remote")


async def remaining(config: Config, store: Store, fleet: Fleet) -> Survivors:
    """Looks at every kernel there is a record of."""
    kept = await asyncio.to_thread(_recorded, config.data_dir / "kernels")
    sessions = {row["id"] for row in await store.rows(sa.select(schema.sessions.c.id))} if kept else set()
    alive = await asyncio.gather(*(_lives(record, fleet, home.name in sessions) for home, record in kept))
    kernels: dict[str, KernelProcess] = {}
    for (home, record), lives in zip(kept, alive, strict=True):
        if lives:
            kernels[home.name] = RemoteProcess(home, fleet.upstreams[record.server], record)
        else:
            records.forget(home)
    if kept:
        log.info("remote_kernels_found", going_on=len(kernels), given_up=len(kept) - len(kernels))
    return Survivors({}, kernels)


def _recorded(directory: Path) -> list[tuple[Path, Record]]:
    homes = sorted(directory.iterdir()) if directory.is_dir() else []
    found = [(home, records.load(home)) for home in homes]
    return [(home, record) for home, record in found if record is not None]


async def _lives(record: Record, fleet: Fleet, wanted: bool) -> bool:
    """Whether a kernel is there and goes on; one that is not wanted, or not known to be there, is ended."""
    upstream = fleet.upstreams.get(record.server)
    if upstream is None:
        return False
    if wanted:
        try:
            await upstream.rest.ask("GET", f"api/kernels/{record.kernel}", timeout=fleet.remote.timeout)
            return True
        except (Unanswered, Refused):
            pass
    upstream.end(record.kernel, record.base)
    return False
