"""Brings a session's files to its kernel before an execution, and what that changed back after it.

Our workspace is the truth and has the limits: a path is walked there as any other, and no more comes back than it may hold.
What could not travel is told in a sentence; it is never silently missing.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog

from cellblock.content import clean
from cellblock.errors import CellblockError, KernelFault
from cellblock.host.connection import Connection
from cellblock.host.remote.contents import Contents
from cellblock.host.remote.errands import Errands
from cellblock.host.remote.journey import Plan, There, to_fetch, to_send
from cellblock.host.remote.record import Known, Record
from cellblock.host.remote.rest import Refused, Unanswered
from cellblock.host.remote.upstream import Upstream
from cellblock.host.workspace import Scan, Stamp, Workspace, unnoticed

MOST = 10_000  # files of one workspace that travel
LONGEST = 120.0  # seconds for one journey
STEP = 30.0  # seconds for one question

log = structlog.get_logger("cellblock.remote")


class Way(Protocol):
    """How files travel. Unanswered, Refused."""

    async def listed(self, most: int) -> tuple[dict[str, There], bool]: ...
    def chunks(self, path: str, size: int) -> AsyncIterator[bytes]: ...
    async def write(self, path: str, chunks: AsyncIterator[bytes]) -> str: ...
    async def remove(self, paths: list[str]) -> None: ...


@dataclass
class Trouble:
    """What went wrong on a journey: the first reason, and how many files it touched."""

    said: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, path: str, why: object) -> None:
        self.count += 1
        if not self.said:
            self.said.append(f"{clean(path[:200])}: {clean(str(why))}".rstrip("."))

    def sentence(self, text: str) -> str | None:
        return text.format(count=self.count, first=self.said[0]) if self.said else None


class Courier:
    """Of one kernel. `way` None: its files cannot travel, and `record.language` says why."""

    def __init__(self, record: Record, home: Path, way: Way | None) -> None:
        self._record, self._home, self._way = record, home, way

    @property
    def language(self) -> str:
        """Of the kernel, as it says."""
        return self._record.language

    async def there(self, workspace: Workspace) -> str | None:
        """What has changed here goes to the kernel; a sentence on what did not."""
        known = dict(self._record.known)
        try:
            here = await asyncio.to_thread(workspace.scan, ours=True)
            if self._way is None:
                return NOT_PYTHON.format(language=self._record.language or "not known") if here.files else None
            plan = to_send(self._record.known, here.files)
            if not (plan.copy or plan.remove):
                return None
            async with asyncio.timeout(LONGEST):
                return await self._sent(workspace, plan, here, self._way)
        except (Unanswered, Refused, CellblockError, OSError) as problem:
            return UNSENT.format(why=_why(problem))
        finally:
            self._save(known)

    async def back(self, workspace: Workspace, *, whole: bool) -> str | None:
        """What has changed at the kernel comes here; a sentence on what did not. `whole`: the kernel lives and is at rest.

        Only then is a file that is not there any more removed here.
        """
        if self._way is None:
            return None
        if not whole and self._record.route == "kernel":
            return GONE
        known = dict(self._record.known)
        try:
            async with asyncio.timeout(LONGEST):
                return await self._fetched(workspace, self._way, whole=whole)
        except (Unanswered, Refused, CellblockError, OSError) as problem:
            return UNFETCHED.format(why=_why(problem))
        finally:
            self._save(known)

    # there

    async def _sent(self, workspace: Workspace, plan: Plan, here: Scan, way: Way) -> str | None:
        known, trouble = self._record.known, Trouble()
        if plan.remove:
            await way.remove(plan.remove)
            for path in plan.remove:
                del known[path]
        for path in plan.copy[:MOST]:
            try:
                mark = await self._copied(workspace, path, way)
                known[path] = Known(here.files[path], mark)
            except (CellblockError, Refused) as problem:
                trouble.add(path, problem)
        for path in plan.copy[MOST:]:
            trouble.add(path, f"a workspace of more than {MOST:,} files does not travel whole")
        return trouble.sentence(SOME_UNSENT)

    async def _copied(self, workspace: Workspace, path: str, way: Way) -> str:
        with await asyncio.to_thread(workspace.open, path) as file:
            return await way.write(path, file.aiter())

    # back

    async def _fetched(self, workspace: Workspace, way: Way, *, whole: bool) -> str | None:
        found, more = await way.listed(MOST)
        there = {path: each for path, each in found.items() if not unnoticed(path, ours=True)}
        here = await asyncio.to_thread(workspace.scan, ours=True)
        plan = to_fetch(self._record.known, here.files, there)
        if whole and not more:
            await self._removed(workspace, plan)
        trouble = Trouble()
        if more:
            trouble.add("…", f"there are more than {MOST:,} files")
        await self._taken_in(workspace, plan, here, there, way, trouble)
        for path in plan.kept:
            trouble.add(path, "it was changed here meanwhile, and stays as it is here")
        return trouble.sentence(SOME_UNFETCHED)

    async def _removed(self, workspace: Workspace, plan: Plan) -> None:
        for path in plan.remove:
            with suppress(CellblockError):
                await asyncio.to_thread(workspace.delete, path)
            self._record.known.pop(path, None)

    async def _taken_in(
        self, workspace: Workspace, plan: Plan, here: Scan, there: dict[str, There], way: Way, trouble: Trouble
    ) -> None:
        room = workspace.limit - here.bytes
        for path in plan.copy:
            each = there[path]
            room += here.files.get(path, Stamp(0, 0, 0)).size
            if each.size > room:
                trouble.add(path, "the workspace has no room for it")
                continue
            try:
                stamp = await workspace.take_in(path, way.chunks(path, each.size), size=each.size)
            except (CellblockError, Refused, Unanswered) as problem:
                trouble.add(path, problem)
                continue
            room -= each.size
            self._record.known[path] = Known(stamp, each.mark)

    def _save(self, before: dict[str, Known]) -> None:
        if self._record.known == before:
            return
        try:
            self._record.save(self._home)
        except OSError as problem:  # the next server will not know what has travelled
            log.warning("record_not_written", home=self._home.name, error=str(problem))


async def courier_for(
    upstream: Upstream, record: Record, home: Path, connection: Connection, patience: float
) -> Courier:
    """The one for a kernel that is connected to; a new one is asked for its language and its directory. KernelFault."""
    if not record.language:
        await _introduced(upstream, record, connection, patience)
        record.save(home)
    way: Way | None = None
    if record.route == "contents":
        way = Contents(upstream.rest, record.place, STEP)
    elif record.route == "kernel":
        way = Errands(connection, record.base, STEP)
    return Courier(record, home, way)


async def _introduced(upstream: Upstream, record: Record, connection: Connection, patience: float) -> None:
    info = await connection.request("kernel_info_request", {}, "shell", timeout=patience)
    language = info.get("language_info")
    found = language if isinstance(language, dict) else {}
    record.language, record.version = (clean(str(found.get(key, "?")))[:40] for key in ("name", "version"))
    if record.language != "python":
        return
    errands = Errands(connection, "", patience)
    litter, upstream.litter = upstream.litter, []
    name = f"cellblock-{secrets.token_hex(8)}"
    try:
        shown = await errands.settle(name, record.probe or "cellblock-probe", litter)
    except BaseException:
        upstream.litter = litter + upstream.litter  # for a next one
        raise
    record.base = errands.base
    record.route = "contents" if record.probe and shown == record.probe else "kernel"


def _why(problem: Exception) -> str:
    if isinstance(problem, CellblockError | KernelFault):
        return problem.message.rstrip(".")
    return "it took too long" if isinstance(problem, TimeoutError) else clean(str(problem)).rstrip(".")


NOT_PYTHON = (
    "The files of this session are not there for the code: its language is {language}, and files travel to Python only."
)
UNSENT = "Files of this session may not be there for the code, because they could not be brought to the kernel ({why})."
SOME_UNSENT = "{count} files could not be brought to the kernel ({first})."
UNFETCHED = "Files that it changed may be missing here, because they could not be fetched from the kernel ({why})."
SOME_UNFETCHED = "{count} files that it changed could not be fetched from the kernel ({first})."
GONE = "Files that it changed, if any, are lost: they went with the kernel, before they could be fetched."
