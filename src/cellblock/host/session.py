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
from typing import Any, Literal

import structlog

from cellblock.content import Malformed, clean
from cellblock.errors import CellblockError, KernelNotFound, QueueFull, Unavailable
from cellblock.execution import ErrorInfo, Event, KernelState, Status, timestamp
from cellblock.host import assisting, looking, snippets
from cellblock.host.answers import variables
from cellblock.host.config import Config, ExecuteRequest
from cellblock.host.connection import Connection
from cellblock.host.editing import Edits
from cellblock.host.environments import Engine
from cellblock.host.executions import Executions, Job
from cellblock.host.exporting import Export, Format, exported
from cellblock.host.files import Files
from cellblock.host.kernels import Kernel
from cellblock.host.launcher import Process
from cellblock.host.peeking import Peek
from cellblock.host.policy import speaks_own_syntax
from cellblock.host.recovery import CRASHED
from cellblock.host.running import LOST, Run
from cellblock.host.tape import Request, Tape
from cellblock.host.views import Alias, KernelView
from cellblock.host.watching import Watchers
from cellblock.host.wire import Posted
from cellblock.host.workspace import Scan, Workspace
from cellblock.notebook import Notebook, NotebookView

log = structlog.get_logger("cellblock.session")

ATTACH_SECONDS = 30.0
VARIABLES_SECONDS = 5.0

UNANSWERED = "it did not answer when the server was started again"
LEFT = "The server was restarted while this ran."


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
    engine: Engine
    config: Config
    executions: Executions
    changed: Callable[["Session", str | None], None]  # tells the store, which cell too if one
    execution_count: int = 0
    lost: str | None = None
    kernel: Kernel | None = None
    deleted: bool = False

    def __post_init__(self) -> None:
        self.waiting: deque[Job | Peek] = deque()
        self.current: Job | Peek | None = None
        self.watchers = Watchers(self.id, self.config.clock, self._snapshot)
        self.edits = Edits(self.notebook, self._tell_edit)
        self.files = Files(self.workspace, self._file_changed)
        self.tape = Tape(self.id, time.monotonic)
        self.alias: Alias | None = None
        self.changed_at = self.last_used  # by anybody but a Jupyter client: epoch seconds
        self._worker: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[Kernel] | None = None
        self._restarting = False
        self._former: Kernel | None = None  # lost, and perhaps still on its way out of the workspace
        self._scan: Scan | None = None
        self._own_syntax = False
        self._taken: int | None = None  # bytes of disk after the last execution, or when last looked at
        self._used = -1  # and its processor time, in milliseconds

    # how it looks

    @property
    def state(self) -> Literal["starting", "idle", "busy", "released"]:
        if self._starting or self._restarting:
            return "starting"
        if self.current or self.waiting:
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

    def notebook_view(self) -> NotebookView:
        return self.notebook.view()

    def _snapshot(self) -> dict[str, Any]:
        current = self.current.id if isinstance(self.current, Job) else None
        queue = [turn.id for turn in self.waiting if isinstance(turn, Job)]
        return {"notebook": self.notebook.view(), "kernel": self.view(), "running": current, "queue": queue}

    def _tell_state(self, notice: str | None = None) -> None:
        if self.watchers.present:
            self.watchers.tell("kernel_state", {"kernel": self.view(), "notice": notice})

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
            job.execution.cell_id = self._cell_for(request)
            self.changed_at = changed if request.asked else self.changed_at
        self._own_syntax = self._own_syntax or speaks_own_syntax(request.code)
        self.executions.add(job)
        if request.title and not self.notebook.title:
            self.rename(request.title)
        judge_syntax = self.engine.same_python and not self._own_syntax and request.asked is None
        if events := await self.executions.judged(job, same_python=judge_syntax):
            self.emit(job, events)
            return job
        job.cancel = lambda: self._cancel(job, None)
        at_once = self.state == "idle"
        self.emit(job, job.execution.start("running" if at_once else "queued"))
        self._enqueue(job)
        return job

    def _room_in_queue(self) -> None:
        if self.deleted:
            raise KernelNotFound(f"There is no kernel {self.id}.")
        if self.queued >= self.config.queue_limit:
            raise QueueFull(f"{self.queued} executions are waiting for this kernel.", retry_after=1.0)

    def _cell_for(self, request: ExecuteRequest) -> str:
        if request.cell_id is not None and (request.asked is None or self.notebook.has(request.cell_id)):
            return self._code_cell(request.cell_id)
        cell = self.notebook.add(request.code, id=request.cell_id)
        self.edits.added(cell)
        return cell["id"]

    def _code_cell(self, cell_id: str) -> str:
        """A text that is executed becomes code: only code has outputs and a count."""
        if self.notebook.cell(cell_id)["type"] != "code":
            self.edits.edit_cell(cell_id, type="code")
        return cell_id

    def emit(self, job: Job, events: list[Event]) -> None:
        """An execution's events: to its own log, the notebook, the watchers, and behind the scenes the store."""
        for event in events:
            if self.notebook.apply(event) and event["event"] in ("execution_start", "execution_end"):
                self._cell_changed(event["cell_id"])
                self.changed_at = self.changed_at if job.request.asked else self.config.clock()
        self.executions.emit(job, events)
        self.watchers.pass_on(events)
        if job.execution.ended:
            self.tape.ended(job.execution.result())

    def _enqueue(self, turn: Job | Peek) -> None:
        self.last_used = self.config.clock()
        self.waiting.append(turn)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name=f"session {self.id}")

    async def _work(self) -> None:
        """Takes turns until none waits."""
        while self.waiting:
            self.current = turn = self.waiting.popleft()
            try:
                await (self._run(turn) if isinstance(turn, Job) else self._peek(turn))
            except Exception as problem:
                log.exception("turn_failed", kernel=self.id)
                await self._failed(turn, problem)
            self.last_used = self.config.clock()
            self.current = None
        self._worker = None
        self._tell_state()

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
            fresh=self.lost,
            resumed=job.resumed,
            options=job.request.options,
            on_limit=partial(self.tape.note, job.id),
            begun=partial(self.executions.begun, job),
        )
        self.lost = None
        await job.run.run()
        self._scan = job.run.after
        self._taken = self._scan.bytes if self._scan else None
        self.execution_count = job.execution.execution_count or self.execution_count
        if job.run.lost:
            self._kernel_lost(kernel, job.run.lost)
        if job.request.stop_on_error and job.execution.status not in ("ok", "refused"):
            self._abort(job)
        for change in job.execution.result()["files"]:
            self.watchers.tell("file_changed", dict(change))
        self.changed(self, None)

    async def _kernel_for(self, job: Job) -> Kernel | None:
        """The kernel, started when there is none; when it cannot be, the job ends with why."""
        try:
            return await self.awake()
        except CellblockError as problem:
            self._not_started(job, problem)
            return None

    def _not_started(self, job: Job, problem: CellblockError) -> None:
        error: ErrorInfo = {"ename": type(problem).__name__, "evalue": problem.message, "traceback": [problem.message]}
        notice = f"No kernel could be started. {problem.message}"
        if job.resumed is not None:
            notice = LOST.format(why=UNANSWERED)
        self.emit(job, job.execution.end("kernel_died", "lost", error=error, notice=notice))

    async def _failed(self, turn: Job | Peek, problem: Exception) -> None:
        """A fault of ours: nothing of that kernel is trusted any more."""
        if isinstance(turn, Peek):
            turn.fail("The server failed; see its log.")
        if self.kernel:
            kernel = self.kernel
            self._kernel_lost(kernel, "the server failed; see its log")
            await kernel.stop()
        if isinstance(turn, Job):
            why: ErrorInfo = {"ename": "InternalError", "evalue": type(problem).__name__, "traceback": []}
            self.emit(turn, turn.execution.end("kernel_died", "lost", error=why))

    def _abort(self, failed: Job) -> None:
        """What waits of the same Jupyter client, which wants it to stop at an error."""
        asked = failed.request.asked
        for turn in list(self.waiting):
            if isinstance(turn, Job) and turn.request.asked and asked and turn.request.asked.listener == asked.listener:
                self._cancel(turn, None)

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
        self._taken, self._used = None, -1
        kernel.process.death.add_done_callback(lambda _: self._died(kernel))
        kernel.connection.tap = self.tape.hear
        for state in ("starting", "idle"):
            self.tape.tell(state)
        self._tell_state()

    def begin(self) -> None:
        """Starts a kernel in the background."""
        starting = self._start()
        starting.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _started(self) -> Kernel:
        return await asyncio.shield(self._start())

    def _start(self) -> "asyncio.Task[Kernel]":
        if self._starting is None:
            self._starting = asyncio.create_task(self._launch(), name=f"kernel {self.id}")
            self._tell_state()
        return self._starting

    def go_on(self, process: Process, jobs: list[Job]) -> None:
        """Takes the kernel back that a former server has had, with what runs or waits there."""
        self._own_syntax = True  # it may have taught its kernel another one
        for job in jobs:
            job.cancel = partial(self._stop_early, job, process)
            self.waiting.append(job)
        left = [job.timeout - job.resumed + self.config.grace for job in jobs if job.resumed is not None]
        patience, running = max([ATTACH_SECONDS, *left]), bool(left)
        self._starting = asyncio.create_task(self._attach(process, patience, running), name=f"kernel {self.id}")
        self._starting.add_done_callback(lambda task: task.cancelled() or task.exception())
        if jobs:
            self._worker = asyncio.create_task(self._work(), name=f"session {self.id}")

    def _stop_early(self, job: Job, process: Process) -> None:
        """Before the kernel has been connected to: what runs there is interrupted, what waits is cancelled."""
        if job.execution.status == "queued":
            self._cancel(job, None)
        else:
            job.execution.interrupted()
            process.interrupt()

    async def _attach(self, process: Process, patience: float, running: bool) -> Kernel:
        name = self.engine.environment.name
        try:
            kernel = await Kernel.attach(
                process, id=self.id, uid=self.uid, environment=name, patience=patience, running=running
            )
        except CellblockError:
            self._remember_loss(UNANSWERED)
            raise
        finally:
            self._starting = None
        self.adopt(kernel)
        return kernel

    async def _launch(self) -> Kernel:
        old, self.kernel = self.kernel or self._former, None
        try:
            if old:
                await old.stop()
            self._former = None
            kernel = await self.engine.kernel(id=self.id, uid=self.uid)
        finally:
            self._starting = None
        self.execution_count = 0
        self.adopt(kernel)
        return kernel

    def _died(self, kernel: Kernel) -> None:
        """The process ended; while something runs, its Run finds out more about it."""
        if self.kernel is kernel and self.current is None:
            status = kernel.process.death.result().status
            cause = f"was killed by signal {-status}" if status < 0 else f"exited with {status}"
            self._kernel_lost(kernel, f"its process {cause} while nothing ran")

    async def patrol(self) -> None:
        """Ends a kernel that fills the disk while no execution runs: with what code has left running, or keeps open."""
        kernel = self.kernel
        if kernel is None or self.state != "idle" or not self._stirred(kernel):
            return
        scan = await asyncio.to_thread(self.workspace.scan)
        taken = scan.bytes + await kernel.beside()
        before, self._taken = self._taken, taken
        full = taken > self.config.workspace_limit or not scan.complete
        if full and before is not None and taken > before and self.kernel is kernel and self.state == "idle":
            self._scan = None
            self._kernel_lost(kernel, "what it did while no execution ran filled the workspace")
            await kernel.stop()

    def _stirred(self, kernel: Kernel) -> bool:
        """Whether it may have done anything since it was last asked; only a cgroup knows of all its processes."""
        before, self._used = self._used, kernel.process.usage().cpu_ms
        return not kernel.process.cgroups.get("version") or self._used != before

    def _kernel_lost(self, kernel: Kernel, why: str, *, wanted: bool = False) -> None:
        """Clients that listen get a fresh one at once, unless somebody wanted it to go."""
        if self.kernel is kernel:
            self.kernel, self._former = None, kernel
            self._remember_loss(why)
            self._own_syntax = False
            self._tell_state(f"The kernel is gone because {why}.")
            self.changed(self, None)
            if not wanted and self.tape.connections:
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
            await asyncio.gather(self._starting, return_exceptions=True)
        for turn in (self.current, *self.waiting):
            if isinstance(turn, Peek):
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
            await asyncio.gather(self._starting, return_exceptions=True)
        kernel = self.kernel
        if isinstance(self.current, Job) and self.current.run:
            self.current.run.abandon(status, state, why)
            await self.current.done.wait()
        if kernel:
            self._kernel_lost(kernel, why, wanted=True)
            await kernel.stop()

    def _cancel_waiting(self, notice: str) -> None:
        turns, self.waiting = list(self.waiting), deque()
        for turn in turns:
            if isinstance(turn, Job):
                self.emit(turn, turn.execution.cancelled(notice))
            else:
                turn.fail(notice)

    # questions to the kernel

    @property
    def _idle(self) -> Connection | None:
        return self.kernel.connection if self.kernel and self.state == "idle" else None

    async def complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        return await assisting.complete(self._idle, code, cursor_pos)

    async def inspect(self, code: str, cursor_pos: int, detail_level: int) -> dict[str, Any]:
        return await assisting.inspect(self._idle, code, cursor_pos, detail_level)

    async def awake(self) -> Kernel:
        """The kernel, started when there is none. KernelStartFailed, NoMemory."""
        return self.kernel if self.kernel and self.kernel.alive else await self._started()

    async def post(self, request: Request, message: Posted) -> None:
        """A Jupyter client's message that is no execution. KernelStartFailed, KernelDied, ProtocolError."""
        kernel = await self.awake()
        self.last_used = self.config.clock()
        self.tape.expect(message.id, request)
        kernel.connection.post(message)

    async def variables(self) -> list[dict[str, Any]]:
        if self.state in ("released", "starting"):
            return []
        text = await self.peek(snippets.silently(snippets.VARIABLES, "variables()"), timeout=VARIABLES_SECONDS)
        try:
            return variables(text)
        except Malformed:
            raise Unavailable("The kernel's answer was no list of variables.") from None

    async def variable(
        self, name: str, *, offset: int, limit: int, sort: int | None, descending: bool
    ) -> looking.VariableView | None:
        if self.state in ("released", "starting"):
            return None
        code = looking.question(name, offset=offset, limit=limit, sort=sort, descending=descending)
        return looking.read(await self.peek(code, timeout=VARIABLES_SECONDS))

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
        if not await peek.run(kernel, self.config.grace):
            await kernel.stop()
            self._kernel_lost(kernel, "it did not answer any more")
        return None

    # the notebook

    def rename(self, title: str) -> None:
        self.notebook.rename(clean(title)[:500])
        self.changed(self, None)
        self._tell_state()

    async def import_notebook(self, ipynb: object, *, revision: int | None, keep: bool = False) -> NotebookView:
        """`keep`: what runs in a cell that stays goes on there, as when an editor saves."""
        self.notebook.require(revision)
        before = [cell["id"] for cell in self.notebook.cells]
        self.notebook.import_ipynb(ipynb, keep=keep)
        self.last_used = self.config.clock()
        self.changed_at = self.changed_at if keep else self.last_used
        for cell_id in {*before, *(cell["id"] for cell in self.notebook.cells)}:
            self._cell_changed(cell_id)
        self.watchers.picture_again()
        return self.notebook.view()

    async def export(self, format: Format) -> Export:
        return await exported(self.notebook, format)

    def _tell_edit(self, name: str, cell_id: str, content: dict[str, Any]) -> None:
        self._cell_changed(cell_id)
        self.last_used = self.changed_at = self.config.clock()
        self.watchers.tell(name, {**content, "revision": self.notebook.revision}, cell_id)

    def _cell_changed(self, cell_id: str | None) -> None:
        self.changed(self, cell_id)

    def _file_changed(self, change: dict[str, Any]) -> None:
        self._scan = None
        self.last_used = self.config.clock()
        self.watchers.tell("file_changed", change)
