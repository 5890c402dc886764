"""One Jupyter server: its health, its kernels and ours among them, and what it still has to be told.

One task asks it how it is, and nobody else waits for that. A server that has been silent for `patience` seconds is dead: so
are its kernels, as far as we are concerned. One that comes back is told to end those that we have given up.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import structlog

from cellblock.content import clean
from cellblock.host.remote.balance import Standing
from cellblock.host.remote.rest import GONE, Refused, Rest, Unanswered
from cellblock.host.servers import JupyterServer, Remote

REST = 10.0  # seconds without new kernels for a server that has refused one
ENDED = "was ended by its server"
MAX_SPECS = 1000  # kernelspecs of one server
MAX_STALE = 1000  # kernels to be ended, and directories to be removed, that are remembered

log = structlog.get_logger("cellblock.remote")


@dataclass(frozen=True, slots=True)
class Look:
    """What a server has answered: `kernels` that it has, None when it does not tell; `specs`: its kernelspecs."""

    kernels: frozenset[str] | None
    specs: frozenset[str]


class Upstream:
    """`start` it, `aclose` it. Kernels of ours are added and removed by who has them."""

    def __init__(self, server: JupyterServer, remote: Remote) -> None:
        self.server, self._remote = server, remote
        self.rest = Rest(server, remote)
        self.problem: str | None = "it has not answered yet"
        self.contents: bool | None = None  # whether it has /api/contents; None: not known
        self.litter: list[str] = []  # directories of kernels that have ended, for a next one to remove
        self.started = self.refused = self.lost = 0
        self.looked = asyncio.Event()  # it has answered, or failed to, once
        self._specs: frozenset[str] | None = None
        self._lists = True
        self._counted: int | None = None
        self._since = self._starting = 0
        self._rests = float("-inf")
        self._ours: dict[str, Callable[[str], None]] = {}
        self._to_end: dict[str, asyncio.Task[Any] | None] = {}  # and who is about it
        self._tasks: set[asyncio.Task[Any]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._sure = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._heard = self._clock()

    def start(self) -> None:
        self._watching = asyncio.create_task(self._watch(), name=f"watch {self.server.name}")

    async def aclose(self) -> None:
        """Waits a moment for what was begun."""
        if self._watching:
            self._watching.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *([self._watching] if self._watching else []), return_exceptions=True)
        await self.rest.aclose()

    # how it stands

    @property
    def standing(self) -> Standing:
        return Standing(
            self.server.name,
            healthy=self.problem is None,
            draining=self.server.draining,
            counted=self._counted,
            since=self._since,
            ours=len(self._ours) + self._starting,
            rests=self._rests,
            kernels=self._specs,
        )

    def status(self) -> dict[str, Any]:
        """For `/api/status`."""
        standing = self.standing
        state = "dead" if self._dead else "silent" if self.problem else "draining" if standing.draining else "healthy"
        return {
            "name": self.server.name,
            "state": "resting" if state == "healthy" and self._clock() < self._rests else state,
            "problem": self.problem,
            "kernels": standing.load,
            "ours": standing.ours,
            "kernelspecs": sorted(self._specs or ()),
            "contents": self.contents,
            "started": self.started,
            "refused": self.refused,
            "lost": self.lost,
        }

    @property
    def start_timeout(self) -> float:
        """Seconds that it may take until a kernel can be asked."""
        return self._remote.start_timeout

    async def until_sure(self) -> None:
        """Returns at once when its last answer was a good one, or else at the next good one."""
        await self._sure.wait()

    # kernels

    def add(self, kernel: str, died: Callable[[str], None]) -> None:
        """One of ours lives there; `died` is called when it does not any more, with how."""
        self._ours[kernel] = died

    def remove(self, kernel: str) -> None:
        self._ours.pop(kernel, None)

    async def begin(self, name: str, place: str) -> str:
        """Starts a kernel of kernelspec `name` in directory `place`: its id there. Unanswered, Refused.

        One that comes when nobody waits for it any more is ended.
        """
        self._since += 1
        self._starting += 1
        body: dict[str, Any] = {"name": name} | ({"path": place} if place else {})
        if self._remote.env:
            body["env"] = dict(self._remote.env)
        asking = self.soon(self.rest.ask("POST", "api/kernels", body, timeout=2 * self._remote.start_timeout))
        asking.add_done_callback(self._begun)
        try:
            async with asyncio.timeout(self._remote.start_timeout):
                answer = await asyncio.shield(asking)
            kernel = _id(answer.object())
        except TimeoutError:
            asking.add_done_callback(self._too_late)
            self._rests = self._clock() + REST
            raise Unanswered(f"it did not start a kernel within {self._remote.start_timeout:g} s") from None
        except asyncio.CancelledError:
            asking.add_done_callback(self._too_late)
            raise
        except Refused as refusal:
            self.refused += 1
            self._rests = self._clock() + (refusal.rest or REST)
            raise
        self.started += 1
        return kernel

    def _begun(self, asking: "asyncio.Task[Any]") -> None:
        self._starting -= 1
        if asking.cancelled() or asking.exception():
            self._since -= 1

    def _too_late(self, asking: "asyncio.Task[Any]") -> None:
        if not asking.cancelled() and asking.exception() is None:
            try:
                self.end(_id(asking.result().object()), "")
            except Unanswered:
                pass

    async def interrupt(self, kernel: str) -> None:
        await self.rest.ask("POST", f"api/kernels/{kernel}/interrupt", {}, timeout=self._remote.timeout)

    def end(self, kernel: str, base: str) -> "asyncio.Task[Any]":
        """Ends a kernel, now or when the server answers again; `base`: its directory there, for a next one to remove."""
        if base and base not in self.litter:
            self.litter = [*self.litter, base][-MAX_STALE:]
        if kernel not in self._to_end and len(self._to_end) >= MAX_STALE:
            return self.soon(asyncio.sleep(0))
        about = self._to_end.get(kernel)
        if about is None or about.done():
            about = self._to_end[kernel] = self.soon(self._ended(kernel))
        return about

    async def _ended(self, kernel: str) -> None:
        try:
            await self.rest.ask("DELETE", f"api/kernels/{kernel}", timeout=self._remote.start_timeout)
        except Refused as refusal:
            if refusal.status not in GONE:
                raise
        del self._to_end[kernel]
        self._since -= 1

    def soon(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Does it, whoever waits; what goes wrong is in the log."""
        task = asyncio.create_task(work, name=f"ask {self.server.name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()):
            log.warning("server_did_not", server=self.server.name, error=clean(str(problem)))

    # health

    @property
    def _dead(self) -> bool:
        return self.problem is not None and self._clock() - self._heard >= self._remote.patience

    async def _watch(self) -> None:
        while True:
            before, since = set(self._ours), self._since
            try:
                self._answered(await self.look(), before, since)
            except (Unanswered, Refused) as problem:
                self._failed(str(problem))
            except Exception as problem:
                log.exception("server_not_watched", server=self.server.name)
                self._failed(type(problem).__name__)
            self.looked.set()
            await asyncio.sleep(self._remote.interval)

    async def look(self) -> Look:
        """Asks it how it is. Unanswered, Refused."""
        kernels = await self._listed() if self._lists else None
        if self._specs is None or self.problem or kernels is None:
            specs = (await self._get("api/kernelspecs")).get("kernelspecs")
            named = (each for each in specs if len(each) <= 128) if isinstance(specs, dict) else ()
            self._specs = frozenset(islice(named, MAX_SPECS))
        self._lists = kernels is not None
        if kernels is None:
            await self._look_at_one()
        if self.contents is None:
            self.contents = await self._has_contents()
        return Look(kernels, self._specs)

    async def _listed(self) -> frozenset[str] | None:
        """All kernels there are; a Kernel Gateway lists them only when told to."""
        try:
            return _ids((await self.rest.ask("GET", "api/kernels", timeout=self._remote.timeout)).json())
        except Refused as refusal:
            if refusal.status not in (403, 404, 405):
                raise
            return None

    async def _look_at_one(self) -> None:
        """Of a server that does not list them, one of our kernels at a time, in turn."""
        if self._ours:
            kernel = next(iter(self._ours))
            self._ours[kernel] = self._ours.pop(kernel)
            try:
                await self._get(f"api/kernels/{kernel}")
            except Refused as refusal:
                if refusal.status not in GONE:
                    raise
                self._gone(kernel, ENDED)

    async def _get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        return (await self.rest.ask("GET", path, query=query, timeout=self._remote.timeout)).object()

    async def _has_contents(self) -> bool | None:
        try:
            found = await self._get("api/contents", {"content": "0"})
        except Refused:
            return False
        except Unanswered:
            return None  # asked again the next time
        return found.get("type") == "directory"

    def _answered(self, look: Look, before: set[str], since: int) -> None:
        if self.problem:
            log.info("server_answers", server=self.server.name)
        self.problem, self._heard = None, self._clock()
        self._sure.set()
        self._counted = None if look.kernels is None else len(look.kernels)
        self._since -= since
        if look.kernels is not None:
            for kernel in before - look.kernels:
                self._gone(kernel, ENDED)
        for kernel in list(self._to_end):
            self.end(kernel, "")

    def _failed(self, why: str) -> None:
        if self.problem is None or not self.looked.is_set():
            log.warning("server_silent", server=self.server.name, error=clean(why))
        self.problem = clean(why)
        self._sure.clear()
        if self._dead and self._ours:
            log.error("server_dead", server=self.server.name, kernels=len(self._ours))
            for kernel in list(self._ours):
                self.lost += 1
                self._to_end.setdefault(kernel, None)
                self._gone(kernel, "is out of reach (its server does not answer)")

    def _gone(self, kernel: str, how: str) -> None:
        if died := self._ours.pop(kernel, None):
            died(how)


def _id(model: dict[str, Any]) -> str:
    found = model.get("id")
    if not isinstance(found, str) or not found or len(found) > 128 or not all(c.isalnum() or c in "-_" for c in found):
        raise Unanswered("it answered with something that is no kernel")
    return found


def _ids(models: Any) -> frozenset[str]:
    if not isinstance(models, list):
        raise Unanswered("it answered with something that is no list")
    return frozenset(_id(model) if isinstance(model, dict) else _id({}) for model in models)
