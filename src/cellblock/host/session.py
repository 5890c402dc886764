"""One session: a notebook, a kernel, a workspace, and the queue of what wants to run there.

Turns are taken strictly in order, by one task that lives as long as something waits. When the kernel goes, what waits
is cancelled if somebody wanted that (release, restart, delete), and otherwise goes on in a fresh kernel; the first
execution that meets the fresh kernel says what was lost.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeAlias

import structlog

from cellblock.content import clean
from cellblock.errors import CellblockError, KernelNotFound, KernelStartFailed, QueueFull
from cellblock.execution import ErrorInfo, Event, KernelState, Status, timestamp
from cellblock.host import assist, looking
from cellblock.host.branching import Branching
from cellblock.host.config import Config, ExecuteRequest
from cellblock.host.edits import Edits
from cellblock.host.environments import AnyEngine
from cellblock.host.executions import Executions, Job
from cellblock.host.files import Files
from cellblock.host.kernels import Kernel, KernelProcess
from cellblock.host.patrolling import Patrol
from cellblock.host.peeking import Peek
from cellblock.host.policy import speaks_own_syntax
from cellblock.host.recovery import CRASHED, LEFT, SERVER_ENDED, UNANSWERED, WITHOUT_SERVER
from cellblock.host.running import LOST, Run
from cellblock.host.tape import Tape
from cellblock.host.travel import Jump, Travel, Went, busy, what_is_undone
from cellblock.host.views import Alias, KernelView
from cellblock.host.watching import Watchers
from cellblock.host.workspace import Scan, Workspace
from cellblock.notebook import Notebook

log = structlog.get_logger("cellblock.session")

Turn: TypeAlias = Job | Peek | Jump | Branching

ATTACH_SECONDS = 30.0


@dataclass(eq=False)
class Session:
    """Made and kept by `Sessions`. `lost` is why the variables of before are gone, as the end of "… because"."""

    id: str
    owner: str
    uid: int
    created: float
    last_used: float
    notebook: Notebook
    workspace: Workspace
    engine: AnyEngine
    config: Config
    executions: Executions
    changed: Callable[["Session", str | None], None]  # tells the store, which cell too if one
    execution_count: int = 0
    lost: str | None = None
    kernel: Kernel | None = None
    deleted: bool = False

    def __post_init__(self) -> None:
        self.waiting: deque[Turn] = deque()
        self.current: Turn | None = None
        self.watchers = Watchers(self.id, self.config.clock, self._snapshot)
        self.edits = Edits(self.notebook, self.watchers, partial(self.changed, self), self._touch)
        self.files = Files(self.workspace, self._file_changed)
        self.travel = Travel(self.config, self.workspace, self.engine.homes.path(self.id) / "kept", self._afresh)
        self.tape = Tape(self.id, time.monotonic)
        self.alias: Alias | None = None
        self.file: str | None = None  # what a Jupyter client has called its notebook in its folder
        self.changed_at = self.last_used  # by anybody but a Jupyter client: epoch seconds
        self._worker: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[Kernel] | None = None
        self._awaited = 0  # how many wait for it
        self._restarting = False
        self._former: Kernel | None = None  # lost, and perhaps still on its way out of the workspace
        self._scan: Scan | None = None
        self.own_syntax = False  # its kernel may have been taught another
        self._patrol = Patrol(self.workspace, self.config.workspace_limit)

    # how it looks

    @property
    def state(self) -> Literal["starting", "idle", "busy", "released"]:
        if self._starting or self._restarting:
            return "starting"
        if self.current or self.waiting or self.executions.judging[self.id]:
            return "busy"
        return "idle" if self.kernel else "released"

    @property
    def queued(self) -> int:
        """How many wait; the first of them is not waiting when nothing runs."""
        return len(self.waiting) - (1 if self.waiting and self.current is None else 0)

    @property
    def active(self) -> bool:
        """Has a kernel, will have one, or is looked at."""
        return self.state != "released" or bool(self.waiting) or self.watchers.present or self.tape.connections > 0

    def view(self) -> KernelView:
        return {
            "id": self.id,
            "title": self.notebook.title,
            "environment": self.engine.environment.name,
            "state": self.state,
            "sandbox": self.engine.level,
            "queue": self.queued,
            "execution_count": self.execution_count,
            "created": timestamp(self.created),
            "last_used": timestamp(self.last_used),
            "memory_bytes": self.kernel.process.usage().memory_bytes if self.kernel else 0,
        }

    def _snapshot(self) -> dict[str, Any]:
        running, *queue = [turn if isinstance(turn, Job) else None for turn in (self.current, *self.waiting)]
        line = {"running": running and running.id, "queue": [job.id for job in queue if job]}
        asked = running.execution.question if running and running.execution.waiting_for_input else None
        return {**self.notebook.picture(), "kernel": self.view(), **line, "input": asked}

    def _tell_state(self, notice: str | None = None) -> None:
        if self.watchers.present:
            self.watchers.tell("kernel_state", {"kernel": self.view(), "notice": notice})

    def _touch(self) -> None:
        self.last_used = self.changed_at = self.config.clock()

    # running code

    async def submit(self, request: ExecuteRequest) -> Job:
        """Accepts an execution. QueueFull, CellNotFound, NoMemory, and what `Executions.job` raises."""
        self._room_in_queue()
        if self.kernel is None and self._starting is None:
            self.engine.admit()
        job = self.executions.job(self.owner, request, kernel_id=self.id)
        self.tape.expect(job.id, request.asked, request.code)
        if request.store:
            changed = self.changed_at
            job.execution.cell_id = self.edits.cell_of(request)
            self.changed_at = changed if request.asked else self.changed_at
        self.own_syntax = self.own_syntax or speaks_own_syntax(request.code)
        self.executions.add(job)
        if request.title and not self.notebook.title:
            self.rename(request.title)
        judge_syntax = self.engine.same_python and not self.own_syntax and request.asked is None
        events = await self.executions.judged(job, same_python=judge_syntax)
        self.exists()
        if events:
            self.emit(job, events)
            return job
        job.cancel = lambda: self._cancel(job, None)
        at_once = self.state == "idle"
        self.emit(job, job.execution.start("running" if at_once else "queued"))
        self._enqueue(job)
        return job

    def exists(self) -> None:
        """KernelNotFound when it has been deleted."""
        if self.deleted:
            raise KernelNotFound(f"There is no kernel {self.id}.")

    def _room_in_queue(self) -> None:
        self.exists()
        if self.queued + self.executions.judging[self.id] >= self.config.queue_limit:
            raise QueueFull(f"{self.queued} executions are waiting for this kernel.", retry_after=1.0)

    def emit(self, job: Job, events: list[Event]) -> None:
        """An execution's events: to its own log, the notebook, the watchers, and behind the scenes the store."""
        for event in events:
            if self.notebook.apply(event) and event["event"] in ("execution_start", "execution_end"):
                self.changed(self, event["cell_id"])
                self.changed_at = self.changed_at if job.request.asked else self.config.clock()
        self.executions.emit(job, events)
        self.watchers.pass_on(events)
        if job.execution.ended:
            self.tape.ended(job.execution.result())

    def _enqueue(self, turn: Turn) -> None:
        self.last_used = self.config.clock()
        self.waiting.append(turn)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name=f"session {self.id}")

    async def _work(self) -> None:
        """Takes turns until none waits."""
        while self.waiting:
            self.current = turn = self.waiting.popleft()
            try:
                await self._take_turn(turn)
            except Exception as problem:
                log.exception("turn_failed", kernel=self.id)
                await self._failed(turn, problem)
            self.last_used = self.config.clock()
            self.current = None
        self._worker = None
        self._tell_state()

    async def _take_turn(self, turn: Turn) -> None:
        if self.kernel:
            await self.kernel.process.until_interrupted()  # by what was meant for the turn before
        if isinstance(turn, Job):
            await self._run(turn)
        elif isinstance(turn, Branching):
            await turn.make()
        else:
            await (self._peek(turn) if isinstance(turn, Peek) else self._jump(turn))

    async def _run(self, job: Job) -> None:
        if (kernel := await self._kernel_for(job)) is None or job.execution.ended:
            return
        self._tell_state()
        job.cancel = None
        job.run = Run(
            job.execution,
            kernel,
            self.workspace,
            self.config,
            job.timeout,
            emit=lambda events: self.emit(job, events),
            before=self._scan,
            beside=self._patrol.beside,
            fresh=self.lost,
            news=self.travel.told(),
            resumed=job.resumed,
            begun=partial(self.executions.begun, job),
            keep=partial(self.travel.before, kernel, job, blank=not self.execution_count),
            rollback=self.travel.rolls_back(job),
            bring_back=partial(self._bring_back, kernel, job),
            press=partial(self.travel.press, kernel),
            options=job.request.options,
            on_limit=partial(self.tape.note, job.id),
        )
        self.lost = None
        await job.run.run()
        self._scan = job.run.after
        self._patrol.ran(self._scan, job.run.beside)
        self.execution_count = job.execution.execution_count or self.execution_count
        if job.run.lost:
            self._kernel_lost(kernel, job.run.lost, wanted=job.run.abandoned)
        elif self.kernel:
            self.travel.settle(self.kernel)
        if job.request.stop_on_error and job.execution.status not in ("ok", "refused"):
            for behind in job.of_same_client(self.waiting):
                if not self.tape.replied_before(job.id, behind.id):
                    self._cancel(behind, None)
        for change in job.execution.result()["files"]:
            self.watchers.tell("file_changed", dict(change))
        self.changed(self, None)

    async def _kernel_for(self, job: Job) -> Kernel | None:
        """The kernel, started when there is none; when it cannot be, the job ends with why. None also for a job that was taken
        back while its turn or its kernel was waited for."""
        try:
            there = await self._there()
            return None if job.execution.ended else there or await self._started()
        except CellblockError as problem:
            self.emit(job, job.not_started(problem))
            return None

    async def _failed(self, turn: Turn, problem: Exception) -> None:
        """A fault of ours: nothing of that kernel is trusted any more."""
        if not isinstance(turn, Job):
            turn.fail("The server failed; see its log.")
        if kernel := self.kernel:
            self._kernel_lost(kernel, "the server failed; see its log")
            await kernel.stop()
        if isinstance(turn, Job):
            why: ErrorInfo = {"ename": "InternalError", "evalue": type(problem).__name__, "traceback": []}
            self.emit(turn, turn.execution.end("kernel_died", "lost", error=why))

    def _cancel(self, job: Job, notice: str | None) -> None:
        """Takes back what has not begun to run."""
        if job in self.waiting:
            self.waiting.remove(job)
        self.emit(job, job.execution.cancelled(notice))
        self._tell_state()

    # the kernel

    def adopt(self, kernel: Kernel) -> None:
        """Takes a live kernel for its own."""
        self.kernel = kernel
        self._patrol.begin(blank=not self.execution_count)
        kernel.process.death.add_done_callback(lambda _: self._died(kernel))
        kernel.connection.tap = self.tape.tapped("busy" if self.current else "idle")
        self._tell_state()

    def begin(self) -> None:
        """Starts a kernel in the background."""
        self._start().add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _started(self) -> Kernel:
        self._awaited += 1
        try:
            return await asyncio.shield(self._start())
        finally:
            self._awaited -= 1

    def _start(self) -> "asyncio.Task[Kernel]":
        self.exists()
        if self._starting is None:
            self._starting = asyncio.create_task(self._launch(), name=f"kernel {self.id}")
            self._tell_state()
        return self._starting

    def go_on(self, process: KernelProcess, jobs: list[Job]) -> None:
        """Takes the kernel back that a former server has had, with what runs or waits there."""
        self.own_syntax = True  # it may have taught its kernel another one
        for job in jobs:
            job.cancel = partial(self._stop_early, job, process)
            self.waiting.append(job)
        left = [job.timeout - job.resumed + self.config.grace for job in jobs if job.resumed is not None]
        patience, running = max([ATTACH_SECONDS, *left]), bool(left)
        self._starting = asyncio.create_task(self._attach(process, patience, running), name=f"kernel {self.id}")
        self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        if jobs:
            self._worker = asyncio.create_task(self._work(), name=f"session {self.id}")

    def _stop_early(self, job: Job, process: KernelProcess) -> None:
        """Before the kernel has been connected to: what runs there is interrupted, what waits is cancelled."""
        if job.execution.status == "queued":
            self._cancel(job, None)
        else:
            job.execution.interrupted()
            process.interrupt()

    async def _attach(self, process: KernelProcess, patience: float, running: bool) -> Kernel:
        made, id, uid = self.engine.environment, self.id, self.uid
        try:
            kernel = await Kernel.attach(process, id=id, uid=uid, environment=made, patience=patience, running=running)
            await self.travel.recall(kernel, self.notebook.executions())
            if not (kernel.alive or running):
                self.kernel = kernel  # it ended while no server was there
                return await self._launch(f"its process {kernel.process.death.result().how} {WITHOUT_SERVER}")
        except CellblockError:
            self._remember_loss(SERVER_ENDED if process.bound.exception() else UNANSWERED)
            await process.stop()
            raise
        finally:
            self._starting = None
        self.adopt(kernel)
        return kernel

    async def _launch(self, why: str | None = None) -> Kernel:
        """A kernel for the session; where there is one that has ended, and nobody has noted it: that one's last state."""
        try:
            if gone := self.kernel:
                if kernel := gone if gone.alive else await self._come_back(gone, why or gone.ended):
                    return kernel
                if not (self._awaited or self.waiting or self.current or self.tape.connections):
                    raise KernelStartFailed(f"The kernel is gone because {why or gone.ended}.")
            if self._former:
                await self._former.stop()
            self._former = None
            kernel = await self._fresh()
        finally:
            self._starting = None
        self.execution_count = 0
        self.adopt(kernel)
        return kernel

    def _died(self, kernel: Kernel) -> None:
        """The process ended; while something runs, its Run finds out more about it."""
        if self.kernel is kernel and self.current is None and self._starting is None:
            if kernel.process.death.result().snapshots:
                self.begin()
            else:
                self._kernel_lost(kernel, kernel.ended)

    async def _come_back(self, kernel: Kernel, why: str) -> Kernel | None:
        """After an end while nothing ran: in the last state there is. None when there is none: that is a loss."""
        await kernel.kill()
        left = kernel.process.death.result().snapshots
        if left and (went := await self.travel.back(kernel, self.execution_count, idle=True)):
            self._goes_on(went)
            self.travel.news = f"Since the last execution {why}. {what_is_undone(went.undone)}"
            return went.kernel
        await kernel.stop()
        self._kernel_lost(kernel, why)
        return None

    async def _bring_back(self, kernel: Kernel, job: Job, exactly: bool) -> str | None:
        """What is said of it when the kernel is back as it was before the cell, or before an earlier one."""
        count = job.execution.execution_count or self.execution_count + 1
        went = await self.travel.back(kernel, count, exactly=exactly)
        if went is None:
            return None
        self._goes_on(went)
        return f"{what_is_undone(went.undone, job.id)} {went.files.sentence()}".rstrip()

    async def _afresh(self, kernel: Kernel) -> Kernel:
        """A kernel in which nothing has run, in the place of one."""
        await kernel.stop()
        return await self._fresh()

    async def _fresh(self) -> Kernel:
        return await self.engine.kernel(id=self.id, uid=self.uid)

    def _goes_on(self, went: Went) -> None:
        """With another state of the kernel."""
        self.adopt(went.kernel)
        self.edits.mark(((step.cell_id, step.execution_id) for step in went.undone), undone=True)
        self.edits.mark(((step.cell_id, step.execution_id) for step in went.redone), undone=False)
        for change in went.files.changes:
            self._file_changed(dict(change))

    async def _jump(self, jump: Jump) -> None:
        kernel = self.kernel
        if went := await jump.go(self.travel, kernel, self.execution_count):
            self._goes_on(went)
            self.changed(self, None)
            jump.arrived(went)
        elif kernel and not kernel.alive:
            self._kernel_lost(kernel, "it did not come back from the state it was sent to")
            await kernel.stop()

    def at_rest(self, turn: Jump | Branching) -> None:
        """Takes a turn that nothing may run before. KernelBusy, QueueFull."""
        if any(isinstance(each, Job) for each in (self.current, *self.waiting)):
            raise busy()
        self._room_in_queue()
        self._enqueue(turn)

    async def patrol(self) -> None:
        """Ends a kernel that fills the disk while no execution runs."""
        kernel = self.kernel
        if kernel is None or kernel.courier or self.state != "idle":
            return
        if await self._patrol.finds_too_much(kernel, lambda: self.kernel is kernel and self.state == "idle"):
            self._scan = None
            self._kernel_lost(kernel, "what it did while no execution ran filled the workspace")
            await kernel.stop()

    def _kernel_lost(self, kernel: Kernel, why: str, *, wanted: bool = False) -> None:
        """Clients that listen get a fresh one at once, unless somebody wanted it to go."""
        if self.kernel is kernel:
            self.kernel, self._former = None, kernel
            self.travel.forget()
            self._remember_loss(why)
            self.own_syntax = False
            self._tell_state(LOST.format(why=why))
            self.changed(self, None)
            if not wanted and self.tape.connections and not self.deleted:
                self.tape.tell("restarting")
                self.begin()

    def _remember_loss(self, why: str) -> None:
        """A loss that nobody was told of yet stays the one to tell."""
        if self.execution_count:
            self.lost = self.lost or why
        self.execution_count = 0

    def interrupt(self) -> None:
        """Interrupts what runs; nothing else changes."""
        if isinstance(self.current, Job):
            self.current.interrupt()
        elif self.kernel:
            self.kernel.process.interrupt()

    async def release(self, why: str) -> None:
        """Ends the kernel process: what runs is interrupted, what waits is cancelled."""
        await self._end_kernel("interrupted", "released", why)
        self.tape.tell("dead")

    async def restart(self) -> None:
        """A fresh kernel process under the same id."""
        self._restarting = True
        try:
            await self._end_kernel("interrupted", "lost", "it was restarted on request")
        finally:
            self._restarting = False
        if self.kernel is None:
            self.begin()

    async def close(self, status: Status, why: str) -> None:
        """Ends everything; watchers too."""
        await self._end_kernel(status, "released" if self.deleted else "lost", why)
        self.tape.tell("dead")
        if self._worker:
            await asyncio.shield(self._worker)
        self.watchers.close()
        self.tape.close()

    async def leave(self) -> None:
        """Leaves the kernel to another server, with what runs there and what waits."""
        if self._starting:
            await asyncio.wait([self._starting])
        for turn in (self.current, *self.waiting):
            if isinstance(turn, Peek | Jump | Branching):
                turn.fail("The server was stopped.")
        self.waiting.clear()
        whole = await self.kernel.connection.part() if self.kernel else True
        current = self.current if isinstance(self.current, Job) else None
        if self._worker:
            if current is None or current.run is None or current.run.listening:
                self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        if current and not current.execution.ended:
            self.executions.leave(current, LEFT if whole else CRASHED)
        if self.kernel:
            await self.kernel.let_go()
        self.changed(self, None)
        self.watchers.close()
        self.tape.close()

    async def _end_kernel(self, status: Status, state: KernelState, why: str) -> None:
        """Ends the kernel there is now, and whatever wants it."""
        self._cancel_waiting(f"It did not run because {why}.")
        if isinstance(self.current, Job) and self.current.run is None:
            self._cancel(self.current, f"It did not run because {why}.")
        if self._starting:
            await asyncio.wait([self._starting])  # not gather: a caller that is cancelled must not cancel it
        kernel = self.kernel
        if isinstance(self.current, Job) and self.current.run:
            self.current.run.abandon(status, state, why)
            await self.current.done.wait()
        for each in (kernel, self.kernel, self._former):  # it may have come back, or be ending for another call
            if each:
                self._kernel_lost(each, why, wanted=True)
                await each.stop()

    def _cancel_waiting(self, notice: str) -> None:
        turns, self.waiting = list(self.waiting), deque()
        for turn in turns:
            if isinstance(turn, Job):
                self.emit(turn, turn.execution.cancelled(notice))
            else:
                turn.fail(notice)

    # questions to the kernel

    async def complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        return await assist.complete(self.kernel if self.state == "idle" else None, code, cursor_pos)

    async def inspect(self, code: str, cursor_pos: int, detail_level: int) -> dict[str, Any]:
        return await assist.inspect(self.kernel if self.state == "idle" else None, code, cursor_pos, detail_level)

    async def awake(self) -> Kernel:
        """The kernel, started when there is none. KernelStartFailed, NoMemory."""
        return await self._there() or await self._started()

    async def _there(self) -> Kernel | None:
        """The kernel there is, once it can be reached."""
        kernel = self.kernel
        return kernel if kernel and await kernel.reachable() and self.kernel is kernel else None

    async def variables(self) -> list[dict[str, Any]]:
        return [] if self.state in ("released", "starting") else await assist.variables(self.peek)

    async def variable(self, name: str, **look: Any) -> looking.VariableView | None:
        """`look`: what `looking.question` takes."""
        return None if self.state in ("released", "starting") else await assist.variable(self.peek, name, **look)

    async def peek(self, code: str, *, timeout: float) -> str:
        """See `Interpreter.peek`."""
        self._room_in_queue()
        loop = asyncio.get_running_loop()
        peek = Peek(code, loop.time() + timeout)
        self._enqueue(peek)
        expiry = loop.call_at(peek.deadline, self._expire, peek)
        try:
            return await peek.answer
        finally:
            expiry.cancel()

    def _expire(self, peek: Peek) -> None:
        if peek in self.waiting:
            self.waiting.remove(peek)
            peek.fail("The kernel is busy.")

    async def _peek(self, peek: Peek) -> None:
        try:
            kernel = await self.awake()
        except CellblockError as problem:
            return peek.fail(problem.message)
        if kernel.courier:
            await kernel.courier.there(self.workspace)
        if not await peek.run(kernel, self.config.max_timeout):  # whoever looks may not cost more than code does
            await kernel.stop()
            self._kernel_lost(kernel, "it did not answer any more")
        return None

    # the notebook

    def rename(self, title: str) -> None:
        self.notebook.rename(clean(title)[:500])
        self.changed(self, None)
        self._tell_state()

    def _file_changed(self, change: dict[str, Any]) -> None:
        self._scan = None
        self.last_used = self.config.clock()
        self.watchers.tell("file_changed", change)
