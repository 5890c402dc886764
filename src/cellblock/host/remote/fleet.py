"""All Jupyter servers: where a new kernel goes, and how they are."""

import asyncio
import random
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from cellblock.content import clean
from cellblock.errors import ServersUnavailable
from cellblock.host.exhaustion import told
from cellblock.host.remote.balance import choose
from cellblock.host.remote.contents import Contents
from cellblock.host.remote.process import RemoteProcess
from cellblock.host.remote.record import Record
from cellblock.host.remote.rest import Refused, Unanswered
from cellblock.host.remote.upstream import Upstream
from cellblock.host.servers import Remote

AGAIN = 5.0  # seconds after which it may be otherwise

log = structlog.get_logger("cellblock.remote")


class Fleet:
    """`start` it, `aclose` it. `draw` decides among equals: a number in [0, 1)."""

    def __init__(self, remote: Remote, draw: Callable[[], float] = random.random) -> None:
        self.remote = remote
        self.upstreams = {server.url: Upstream(server, remote) for server in remote.servers}
        self._draw = draw

    def start(self) -> None:
        for upstream in self.upstreams.values():
            upstream.start()

    async def looked(self) -> None:
        """Returns when every server has been asked once, or one has answered well."""
        all_asked = asyncio.gather(*(each.looked.wait() for each in self.upstreams.values()))
        well = [asyncio.create_task(each.until_sure()) for each in self.upstreams.values()]
        waits: list[asyncio.Future[Any]] = [all_asked, *well]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()
        await asyncio.gather(*waits, return_exceptions=True)

    async def aclose(self) -> None:
        await asyncio.gather(*(upstream.aclose() for upstream in self.upstreams.values()))

    async def launch(self, kernel: str, home: Path) -> RemoteProcess:
        """A new kernel at the least loaded server that takes one. ServersUnavailable, HostExhausted."""
        asked: list[str] = []
        while upstream := self._chosen(kernel, asked):
            asked.append(upstream.server.name)
            try:
                return await self._launched(upstream, kernel, home)
            except (Unanswered, Refused) as problem:
                log.warning("server_gave_no_kernel", server=upstream.server.name, error=clean(str(problem)))
        raise self._unavailable(kernel)

    def status(self) -> list[dict[str, Any]]:
        return [upstream.status() for upstream in self.upstreams.values()]

    def _chosen(self, kernel: str, asked: list[str]) -> Upstream | None:
        now = asyncio.get_running_loop().time()
        standings = [upstream.standing for upstream in self.upstreams.values()]
        name = choose(standings, kernel, now=now, draw=self._draw(), without=asked)
        return next((each for each in self.upstreams.values() if each.server.name == name), None)

    async def _launched(self, upstream: Upstream, kernel: str, home: Path) -> RemoteProcess:
        place, probe = await self._place(upstream)
        try:
            id = await upstream.begin(kernel, place)
        except BaseException:
            if place:
                upstream.soon(self._contents(upstream, place).abandon(probe))
            raise
        record = Record(upstream.server.url, id, secrets.token_hex(16), place=place, probe=probe)
        try:
            with told():
                record.save(home)
        except BaseException:
            upstream.end(id, "")
            raise
        return RemoteProcess(home, upstream, record)

    async def _place(self, upstream: Upstream) -> tuple[str, str]:
        """A directory for the kernel by /api/contents with a probe in it, or nothing."""
        if not upstream.contents:
            return "", ""
        place, probe = f"cellblock/cellblock-{secrets.token_hex(8)}", f"cellblock-probe-{secrets.token_hex(16)}"
        contents = self._contents(upstream, place)

        async def text() -> Any:
            yield probe.encode()

        try:
            await contents.make()
            await contents.write(probe, text())
        except Refused:  # it may be read-only
            return "", ""
        return place, probe

    def _contents(self, upstream: Upstream, place: str) -> Contents:
        return Contents(upstream.rest, place, self.remote.timeout)

    def _unavailable(self, kernel: str) -> ServersUnavailable:
        now = asyncio.get_running_loop().time()
        standings = [upstream.standing for upstream in self.upstreams.values()]
        silent = sum(not each.healthy for each in standings)
        lacking = sum(each.healthy and each.kernels is not None and kernel not in each.kernels for each in standings)
        draining = sum(each.healthy and each.draining for each in standings)
        resting = sum(each.healthy and now < each.rests for each in standings)
        counts = {
            "do not answer": silent,
            f"have no kernelspec {kernel}": lacking,
            "are drained": draining,
            "refuse": resting,
        }
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "none takes it"
        message = f"No Jupyter server takes another kernel (of {len(standings)}: {said})."
        return ServersUnavailable(message, retry_after=AGAIN)
