"""The environments in operation: each a fork server, started again when it dies, and its pool of warm kernels."""

import asyncio
import importlib.util
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import structlog

from cellblock.errors import CellblockError, EnvironmentNotFound, KernelFault, KernelStartFailed, NoMemory
from cellblock.host import memory
from cellblock.host.config import Config
from cellblock.host.connection import OPEN_TIMEOUT
from cellblock.host.exhaustion import told
from cellblock.host.homes import Homes
from cellblock.host.kernels import Kernel, connected
from cellblock.host.launcher import Environment, Launcher
from cellblock.host.policy import same_grammar, transformer
from cellblock.host.pool import Pool
from cellblock.host.process import Process
from cellblock.host.remote.engine import RemoteEngine
from cellblock.host.remote.fleet import Fleet
from cellblock.host.views import EnvironmentView
from cellblock.messages import Level, Policy

PACKAGE = importlib.util.find_spec("ipykernel")
AGAIN = (0.1, 1.0, 5.0, 30.0)  # seconds before a fork server that died is started again
STEADY = 60.0  # seconds it must have lived for its death not to count as one more in a row

# Where the pictures of Python's kernelspec are.
RESOURCES = (
    next((f"{place}/resources" for place in PACKAGE.submodule_search_locations or ()), None) if PACKAGE else None
)

log = structlog.get_logger("cellblock.environments")


class Engine:
    """One environment in operation."""

    def __init__(
        self,
        environment: Environment,
        config: Config,
        homes: Homes,
        pool_size: int,
        busy: Callable[[], int],
        launcher: Launcher | None,
    ) -> None:
        self.environment, self.config, self.homes = environment, config, homes
        self.launcher = launcher  # left by a former server
        self.error: CellblockError | None = None
        self.restarts = 0
        self.kernel_info: dict[str, Any] | None = None  # as its first kernel said before anybody's code ran in it
        self.level: Level = "off"  # in force; known from the first start on
        self._room = memory.Room(config.memory_reserve)
        most = max(pool_size, config.pool_max) if pool_size else 0
        self.pool = Pool(
            pool_size, most=most, launch=self._warm, discard=self.discard, room=self._room_for_warm, busy=busy
        )
        self._settled = asyncio.Event()  # started, or known not to
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=f"environment {self.environment.name}")

    async def ready(self) -> None:
        """Started, and the pool full as far as it can be. Raises why it could not be started."""
        await self._settled.wait()
        if self.error:
            raise self.error
        await self.pool.filled()

    @property
    def is_ready(self) -> bool:
        return self.launcher is not None and self.pool.was_full

    @property
    def same_python(self) -> bool:
        """Whether code for it can be parsed by the server's own Python."""
        return self.launcher is not None and same_grammar(str(self.launcher.facts.get("python", "")))

    async def settled(self) -> None:
        """Waits until kernels can be had. Raises why they cannot."""
        await self._settled.wait()
        if self.launcher is None:
            raise self.error or KernelStartFailed(f"The environment {self.environment.name} is being started again.")

    def admit(self) -> None:
        """NoMemory when this machine may not take another kernel; HostExhausted."""
        with told():
            room = self._room.kernels()
        if room < 1:
            raise NoMemory("This machine has no memory left for another kernel.", retry_after=5.0)

    async def kernel(self, *, id: str, uid: int) -> Kernel:
        """A fresh kernel in home `id`. NoMemory, HostExhausted, KernelStartFailed."""
        await self.settled()
        self.admit()
        if self.launcher is None:
            raise KernelStartFailed("The fork server has just ended.")
        with told(), self._room.starting():
            self.homes.prepare(id)
            home = await asyncio.to_thread(self.homes.settle, id, self.launcher.lives_in)
            kernel = await Kernel.start(
                self.launcher,
                id=id,
                home=home,
                uid=uid,
                environment=self.environment.name,
                policy=self._policy(self.launcher),
                spec=self.environment.spec,
            )
        await self._introduced(kernel)
        return kernel

    async def branch(self, kernel: Kernel, *, id: str, place: str, name: str, count: int, reseed: bool) -> Kernel:
        """A kernel of session `id` in the state that is a snapshot of another; see `Launcher.branch`. KernelStartFailed."""
        if self.launcher is None or not isinstance(kernel.process, Process):
            raise KernelStartFailed("The fork server has just ended.")
        with told(), self._room.starting():
            process = await self.launcher.branch(
                kernel.process, id=id, place=place, name=name, count=count, reseed=reseed
            )
            reached = await connected(process, OPEN_TIMEOUT)
        return Kernel(id, kernel.home, kernel.uid, kernel.environment, process, *reached)

    async def _introduced(self, kernel: Kernel) -> None:
        """What every kernel of this environment says of itself is asked once."""
        if self.kernel_info is None:
            try:
                self.kernel_info = await kernel.connection.request("kernel_info_request", {}, "control")
            except KernelFault as problem:
                await kernel.stop()
                raise KernelStartFailed(f"The kernel did not say what it is. {problem.message}") from None

    async def discard(self, kernel: Kernel) -> None:
        """Ends a kernel that belongs to nobody, and removes its home."""
        await kernel.stop()
        await asyncio.to_thread(self.homes.remove, kernel.id, kernel.uid)

    async def aclose(self, *, keep: bool = False) -> None:
        """`keep`: the fork server stays, with the kernels of sessions."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.pool.aclose()
        if self.launcher and keep:
            self.launcher.let_go()
        elif self.launcher:
            await self.launcher.aclose()

    def status(self) -> dict[str, Any]:
        facts = self.launcher.facts if self.launcher else {}
        return {
            "name": self.environment.name,
            "display_name": self.environment.display_name,
            "ready": self.is_ready,
            "python": facts.get("python"),
            "preload": list(self.environment.preload),
            "missing": facts.get("missing", []),
            "restarts": self.restarts,
            "error": self.error.message if self.error else None,
            "pool": self.pool.statistics(),
        }

    def view(self) -> EnvironmentView:
        name, title, spec = self.environment.name, self.environment.display_name, self.environment.spec
        return {
            "name": name,
            "display_name": title or name,
            "language": spec.language if spec else "python",
            "resources": spec.resources if spec else RESOURCES,
        }

    async def _warm(self) -> Kernel:
        id, uid = str(uuid.uuid4()), self.homes.new_uid()
        try:
            kernel = await self.kernel(id=id, uid=uid)
        except BaseException:
            await asyncio.to_thread(self.homes.remove, id, uid)
            raise
        try:
            await kernel.rehearse()
        except BaseException:
            await self.discard(kernel)
            raise
        return kernel

    def _room_for_warm(self) -> int:
        """The pool's measure of room."""
        try:
            return self._room.kernels()
        except OSError:  # without a descriptor to look with there is none for a kernel
            return 0

    def _policy(self, launcher: Launcher) -> Policy:
        config = self.config
        return Policy(
            level=launcher.level,
            memory=config.memory_limit,
            processes=config.processes,
            cpus=config.cpus,
            file=config.workspace_limit,
        )

    async def _keep(self) -> None:
        """Starts the fork server, and again whenever it dies; only the first start may fail for good."""
        in_a_row = 0
        loop = asyncio.get_running_loop()
        while True:
            born = loop.time()
            if not await self._start():
                return
            await self._lived()
            in_a_row = 0 if loop.time() - born > STEADY else in_a_row + 1
            self.restarts += 1
            log.error("fork_server_died", environment=self.environment.name, restarts=self.restarts)
            await asyncio.sleep(AGAIN[min(in_a_row, len(AGAIN) - 1)])

    async def _start(self) -> bool:
        try:
            self.launcher = self.launcher or await Launcher.start(
                self.environment,
                data_dir=self.config.data_dir,
                level=self.config.sandbox,
                log=self.config.data_dir / "logs" / f"{self.environment.name}.log",
                wait=self.config.reattach_timeout,
            )
        except CellblockError as problem:
            self.error = problem
            log.error("environment_not_started", environment=self.environment.name, error=problem.message)
            self._settled.set()
            return self.restarts > 0
        self.error = None
        self.level = self.launcher.level
        self.homes.let_in(self.level)
        self._settled.set()
        self.pool.open()
        return True

    async def _lived(self) -> None:
        """Returns when the fork server has died, or had not even started."""
        if self.launcher:
            await asyncio.shield(self.launcher.closed)
            launcher, self.launcher = self.launcher, None
            self._settled.clear()
            await launcher.aclose()


class Guest(Engine):
    """A kernelspec that is no environment: its sandboxes are those of another engine's fork server."""

    def __init__(self, environment: Environment, config: Config, homes: Homes, host: Engine) -> None:
        super().__init__(environment, config, homes, 0, lambda: 0, None)
        self._host = host

    def start(self) -> None:
        pass

    async def ready(self) -> None:
        await self._host.ready()

    async def settled(self) -> None:
        await self._host.settled()
        self.launcher, self.level = self._host.launcher, self._host.level
        if self.level != "full":
            why = "A kernelspec that is no environment runs at sandbox level full only."
            raise KernelStartFailed(why, hint="`cellblock check` says what is missing for it.")

    @property
    def is_ready(self) -> bool:
        return self._host.is_ready

    @property
    def same_python(self) -> bool:
        return False

    async def aclose(self, *, keep: bool = False) -> None:
        await self.pool.aclose()


AnyEngine: TypeAlias = Engine | RemoteEngine


class Environments:
    """All of them; the first is the default one, and the one with warm kernels."""

    def __init__(
        self,
        config: Config,
        *,
        uids: Sequence[int],
        busy: Callable[[], int],
        launchers: Mapping[str, Launcher],
        fleet: Fleet | None = None,
    ) -> None:
        """`uids`: those that files on disk belong to; `busy`: how many executions there are that have not ended.

        `launchers`: fork servers that are there already, by environment. `fleet`: Jupyter servers to use instead.
        """
        self.homes = Homes(config.data_dir, uids)
        self.fleet = fleet
        self._engines: dict[str, AnyEngine] = {}
        for environment in config.environments:
            size = 0 if self._engines else config.pool_size
            self._engines[environment.name] = (
                RemoteEngine(environment, config, self.homes, size, busy, fleet)
                if fleet
                else Engine(environment, config, self.homes, size, busy, launchers.get(environment.name))
            )
        self._default = host = next(iter(self._engines.values()))
        for found in config.kernelspecs:
            if isinstance(host, Engine):
                self._engines.setdefault(found.name, Guest(found, config, self.homes, host))
        self.names = frozenset(self._engines)
        self._imports: asyncio.Task[object] | None = None  # what the first execution would otherwise wait for

    def start(self) -> None:
        self._imports = asyncio.create_task(asyncio.to_thread(transformer), name="imports")
        if self.fleet:
            self.fleet.start()
        for engine in self._engines.values():
            engine.start()

    async def ready(self) -> None:
        """All have settled. Raises why the default one could not be started; the others' reasons are in `status`."""
        if self._imports:
            await asyncio.shield(self._imports)
        outcomes = await asyncio.gather(*(each.ready() for each in self._engines.values()), return_exceptions=True)
        if isinstance(outcomes[0], BaseException):
            raise outcomes[0]

    @property
    def is_ready(self) -> bool:
        return self._default.is_ready

    @property
    def level(self) -> str | None:
        if isinstance(self._default, RemoteEngine):
            return self._default.level
        return self._default.launcher.level if self._default.launcher else None

    def get(self, name: str | None = None) -> AnyEngine:
        """By name; None is the default. EnvironmentNotFound."""
        if name is None:
            return self._default
        if name not in self._engines:
            raise EnvironmentNotFound(f"There is no environment {name[:80]!r}.")
        return self._engines[name]

    def be_fair(self, now: float) -> None:
        """Who burns this machine's processors weighs less than the others. `now`: seconds."""
        for launcher in {engine.launcher for engine in self._engines.values()}:
            if launcher:
                launcher.be_fair(now)

    def views(self) -> list[EnvironmentView]:
        """The default one first."""
        return [engine.view() for engine in self._engines.values()]

    def status(self) -> dict[str, Any]:
        facts = self._default.launcher.facts if self._default.launcher else {}
        return {
            "sandbox": {"level": self.level, "layers": facts.get("layers", [])},
            "pool": self._default.pool.statistics(),
            "environments": [engine.status() for engine in self._engines.values()],
            **({"remote": self.fleet.status()} if self.fleet else {}),
        }

    async def aclose(self, *, keep: bool = False) -> None:
        if self._imports:
            await self._imports
        await asyncio.gather(*(engine.aclose(keep=keep) for engine in self._engines.values()))
        if self.fleet:
            await self.fleet.aclose()
