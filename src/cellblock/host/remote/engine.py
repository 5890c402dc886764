"""One kernelspec of the Jupyter servers in operation: an environment whose kernels run elsewhere."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

from cellblock.errors import CellblockError, KernelFault, KernelStartFailed
from cellblock.host.config import Config
from cellblock.host.exhaustion import told
from cellblock.host.homes import Homes
from cellblock.host.kernels import Kernel
from cellblock.host.launcher import Environment
from cellblock.host.policy import same_grammar
from cellblock.host.pool import Pool
from cellblock.host.remote.fleet import Fleet
from cellblock.host.remote.rest import Unanswered
from cellblock.host.views import EnvironmentView, Shown

ROOM = 2  # kernels that the pool may think of at a time: their servers have the say


class RemoteEngine:
    """What `environments.Engine` is for kernels of our own."""

    launcher = None

    def __init__(
        self,
        environment: Environment,
        config: Config,
        homes: Homes,
        pool_size: int,
        busy: Callable[[], int],
        fleet: Fleet,
    ) -> None:
        self.environment, self.config, self.homes, self.fleet = environment, config, homes, fleet
        self.error: CellblockError | None = None
        self.kernel_info: dict[str, Any] | None = None  # as its first kernel said before anybody's code ran in it
        self.level: Shown = "remote"
        self._versions: dict[str, str] = {}
        most = max(pool_size, config.pool_max) if pool_size else 0
        self.pool = Pool(pool_size, most=most, launch=self._warm, discard=self.discard, room=lambda: ROOM, busy=busy)
        self._settled = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._open(), name=f"environment {self.environment.name}")

    async def _open(self) -> None:
        await self.fleet.looked()
        self._settled.set()
        self.pool.open()

    async def ready(self) -> None:
        """The servers have been asked once. Kernels may still not be had: that is told where one is wanted."""
        await self._settled.wait()
        await self.pool.filled()

    @property
    def is_ready(self) -> bool:
        return self._settled.is_set()

    @property
    def same_python(self) -> bool:
        """Whether code can be parsed by the server's own Python, as far as kernels have been seen."""
        return bool(self._versions) and all(map(same_grammar, self._versions.values()))

    async def settled(self) -> None:
        await self._settled.wait()

    def admit(self) -> None:
        """The servers' memory is theirs to count."""

    async def kernel(self, *, id: str, uid: int) -> Kernel:
        """A fresh kernel, with home `id` for its files here. ServersUnavailable, HostExhausted, KernelStartFailed."""
        await self.settled()
        with told():
            self.homes.prepare(id)
        process = await self.fleet.launch(self.environment.name, self.homes.path(id))
        try:
            kernel = await Kernel.attach(
                process,
                id=id,
                uid=uid,
                environment=self.environment,
                patience=self.fleet.remote.start_timeout,
                running=False,
            )
            self.kernel_info = self.kernel_info or await kernel.connection.request("kernel_info_request", {}, "control")
        except (KernelFault, Unanswered) as problem:
            await process.stop()
            raise KernelStartFailed(f"The kernel did not come up. {_sentence(problem)}") from None
        except BaseException:
            process.close()
            raise
        self._versions[process.upstream.server.name] = process.record.version
        return kernel

    async def discard(self, kernel: Kernel) -> None:
        """Ends a kernel that belongs to nobody, and removes its home."""
        await kernel.stop()
        await asyncio.to_thread(self.homes.remove, kernel.id, kernel.uid)

    async def aclose(self, *, keep: bool = False) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.pool.aclose()

    def status(self) -> dict[str, Any]:
        return {
            "name": self.environment.name,
            "display_name": self.environment.display_name,
            "ready": self.is_ready,
            "python": ", ".join(sorted(set(self._versions.values()))) or None,
            "preload": [],
            "missing": [],
            "restarts": 0,
            "error": None,
            "pool": self.pool.statistics(),
        }

    def view(self) -> EnvironmentView:
        info = (self.kernel_info or {}).get("language_info")
        language = info.get("name") if isinstance(info, dict) else None
        name, title = self.environment.name, self.environment.display_name
        return {"name": name, "display_name": title or name, "language": str(language or "python"), "resources": None}

    async def _warm(self) -> Kernel:
        id, uid = str(uuid.uuid4()), self.homes.new_uid()
        try:
            await asyncio.to_thread(self.homes.make, id, uid)
            return await self.kernel(id=id, uid=uid)
        except BaseException:
            await asyncio.to_thread(self.homes.remove, id, uid)
            raise


def _sentence(problem: KernelFault | Unanswered) -> str:
    return problem.message if isinstance(problem, KernelFault) else f"It could not be asked about files: {problem}."
