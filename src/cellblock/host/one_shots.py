"""Executions without a session: a kernel and a workspace of their own, gone afterwards, the files an hour later."""

import asyncio
from uuid import uuid4

import structlog

from cellblock.errors import CellblockError, FileNotFound
from cellblock.execution import Event
from cellblock.host.config import Config, ExecuteRequest
from cellblock.host.environments import AnyEngine, Environments
from cellblock.host.executions import Executions, Job
from cellblock.host.kernels import Kernel
from cellblock.host.patrolling import BLANK
from cellblock.host.running import Run
from cellblock.host.sessions import Sessions
from cellblock.host.store import Row
from cellblock.host.workspace import Workspace

log = structlog.get_logger("cellblock.one_shots")


class OneShots:
    """Runs one-shot executions in the default environment. Their kernels count as their owner's."""

    def __init__(self, config: Config, environments: Environments, sessions: Sessions, executions: Executions) -> None:
        self.config, self.environments, self.sessions, self.executions = config, environments, sessions, executions
        self._tasks: set[asyncio.Task[None]] = set()
        self._jobs: set[Job] = set()

    async def submit(self, owner: str, request: ExecuteRequest) -> Job:
        """Accepts one. KernelLimit, NoMemory, and what `Executions.job` and, for its files, `Workspace.write` raise."""
        engine = self.environments.get()
        await engine.settled()
        self.sessions.admit(owner)
        job = self.executions.job(owner, request, kernel_id=None)
        job.execution.kernel_state = "released"
        if events := await self.executions.judged(job, same_python=engine.same_python):
            self.executions.add(job)
            self.executions.emit(job, events)
            return job
        self._count(owner, +1)
        try:
            kernel = await self._home(job, engine)
        except BaseException:
            self._count(owner, -1)
            raise
        self._accept(job, engine, kernel)
        return job

    async def workspace(self, owner: str, id: str) -> Workspace:
        """Where an execution's files are: its session's, or its own as long as they are kept."""
        job = self.executions.get(owner, id)
        row: Row = job.row() if job else await self.executions.row(owner, id)
        if row["session_id"]:
            return (await self.sessions.get(owner, row["session_id"])).workspace
        if row["home"] is None:
            raise FileNotFound("The files of this execution are no longer kept.")
        return self._workspace(row["home"], row["uid"])

    async def remove_files(self, row: Row) -> None:
        """The files of one that ended long enough ago."""
        await asyncio.to_thread(self.environments.homes.remove, row["home"], row["uid"])

    async def aclose(self) -> None:
        for job in self._jobs:
            if job.run:
                job.run.abandon("interrupted", "released", "the server was stopped")
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # inside

    async def _home(self, job: Job, engine: AnyEngine) -> Kernel | None:
        """A workspace with the request's files in it, and its kernel if it came with one."""
        kernel = engine.pool.take()
        if kernel is None:
            engine.admit()
        homes = self.environments.homes
        job.home, job.uid = (kernel.id, kernel.uid) if kernel else (str(uuid4()), homes.new_uid())
        try:
            if kernel is None:
                await asyncio.to_thread(homes.make, job.home, job.uid)
            if job.request.files:
                await asyncio.to_thread(self._write_files, job)
        except BaseException:
            if kernel:
                await kernel.stop()
            await asyncio.to_thread(homes.remove, job.home, job.uid)
            raise
        return kernel

    def _write_files(self, job: Job) -> None:
        workspace = self._workspace(job.home or "", job.uid)
        for path, data in job.request.files:
            workspace.write_bytes(path, data)

    def _workspace(self, home: str, uid: int | None) -> Workspace:
        files, config = self.environments.homes.files(home), self.config
        return Workspace(files, uid=uid, limit=config.workspace_limit, upload_limit=config.upload_limit)

    def _accept(self, job: Job, engine: AnyEngine, kernel: Kernel | None) -> None:
        self.executions.add(job)
        job.cancel = lambda: self._emit(job, job.execution.cancelled())
        self._emit(job, job.execution.start("running" if kernel else "queued"))
        self._jobs.add(job)
        task = asyncio.create_task(self._live(job, engine, kernel), name=f"one-shot {job.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _live(self, job: Job, engine: AnyEngine, kernel: Kernel | None) -> None:
        """The whole life of one; its kernel ends after the answer is out."""
        try:
            kernel = kernel or await engine.kernel(id=job.home or "", uid=job.uid or 0)
            if not job.execution.ended:
                await self._run(job, kernel)
        except CellblockError as problem:
            self._fault(job, type(problem).__name__, problem.message)
        except Exception as problem:
            log.exception("one_shot_failed", execution=job.id)
            self._fault(job, "InternalError", type(problem).__name__)
        finally:
            if kernel:
                await kernel.stop()
            self._jobs.discard(job)
            self._count(job.owner, -1)

    async def _run(self, job: Job, kernel: Kernel) -> None:
        job.cancel = None
        job.run = Run(
            job.execution,
            kernel,
            self._workspace(kernel.id, kernel.uid),
            self.config,
            job.timeout,
            emit=lambda events: self._emit(job, events),
            beside=BLANK,
            one_shot=True,
        )
        await job.run.run()

    def _fault(self, job: Job, ename: str, evalue: str) -> None:
        self._emit(
            job,
            job.execution.end(
                "kernel_died", "released", error={"ename": ename, "evalue": evalue, "traceback": [evalue]}
            ),
        )

    def _emit(self, job: Job, events: list[Event]) -> None:
        self.executions.emit(job, events)

    def _count(self, owner: str, change: int) -> None:
        counts = self.sessions.one_shots
        counts[owner] = counts.get(owner, 0) + change
        if not counts[owner]:
            del counts[owner]
