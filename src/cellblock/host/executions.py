"""Everything that runs or has run: accepted once, followed, answered, found again."""

import asyncio
import hashlib
import json
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, cast
from uuid import uuid4
from weakref import WeakValueDictionary

import structlog

from cellblock.content import clean
from cellblock.errors import (
    CellblockError,
    CodeTooLarge,
    ExecutionNotFound,
    IdempotencyConflict,
    InvalidRequest,
    NotWaitingForInput,
    StoreUnavailable,
)
from cellblock.execution import ErrorInfo, Event, Execution, Result, timestamp
from cellblock.host import schema
from cellblock.host.config import Config, ExecuteRequest
from cellblock.host.log import EventLog, Gap, weight
from cellblock.host.policy import INLINE, Refusal, judge
from cellblock.host.recovery import CRASHED, UNANSWERED, Unfinished
from cellblock.host.running import LOST, Run, spill_path
from cellblock.host.store import Row, Store

KEPT_ENDED = 256  # ended executions that are answered from memory
KEPT_BYTES = 4 << 20  # of their events; the store has them all
LEAP = 100_000  # numbers of events left out after a crash
STORED_EVENTS = 4  # times the output limit: bytes of one execution's events that are stored

log = structlog.get_logger("cellblock.execution")


@dataclass(eq=False)
class Job:
    """One accepted execution with all that hangs on it. `session_id` None: one-shot, with its files in `home`."""

    owner: str
    request: ExecuteRequest
    execution: Execution
    timeout: float
    events: EventLog[Event]
    accepted: float
    session_id: str | None = None
    home: str | None = None
    uid: int | None = None
    run: Run | None = None
    ended: float | None = None
    stored: int = 0  # the last event that is in the store
    stored_bytes: int = 0
    row_stored: bool = False  # once at the beginning and once at the end: between them the events tell
    done: asyncio.Event = field(default_factory=asyncio.Event)
    cancel: Callable[[], None] | None = None
    resumed: float | None = None  # seconds it had run when the server before this one went away

    @property
    def id(self) -> str:
        return self.execution.id

    def interrupt(self) -> None:
        """Interrupts it when it runs, cancels it while it waits."""
        if self.run:
            self.run.interrupt()
        elif self.cancel:
            self.cancel()

    def not_started(self, problem: CellblockError) -> list[Event]:
        """Its end without a kernel."""
        error: ErrorInfo = {"ename": type(problem).__name__, "evalue": problem.message, "traceback": [problem.message]}
        plain = f"No kernel could be started. {problem.message}"
        notice = plain if self.resumed is None else LOST.format(why=UNANSWERED)
        return self.execution.end("kernel_died", "lost", error=error, notice=notice)

    def of_same_client(self, waiting: Iterable[object]) -> "list[Job]":
        """Those of them that the same Jupyter client has asked for."""
        asked = self.request.asked
        jobs = [turn for turn in waiting if isinstance(turn, Job) and turn.request.asked]
        return [job for job in jobs if asked and job.request.asked and job.request.asked.listener == asked.listener]

    def row(self) -> Row:
        result = self.execution.result()
        return {
            "id": self.id,
            "owner": self.owner,
            "session_id": self.session_id,
            "home": self.home,
            "uid": self.uid,
            "door": self.request.door,
            "code": self.request.code,
            "code_sha256": result["code_sha256"],
            "stored": self.request.store,
            "timeout": self.timeout,
            "allow_stdin": self.request.allow_stdin,
            "status": result["status"],
            "accepted": self.accepted,
            "ended": self.ended,
            "events": self.events.last,
            "result": dict(result),
        }


class Executions:
    """The executions of this process by id, and through the store those of processes before it."""

    def __init__(self, config: Config, store: Store) -> None:
        self.config, self.store = config, store
        self._live: dict[str, Job] = {}
        self._ended: OrderedDict[str, Job] = OrderedDict()
        self._ended_bytes = 0
        self.said = 0  # bytes of the events of all that have ended
        self._changed: dict[str, Job] = {}
        self.judging: Counter[str | None] = (
            Counter()
        )  # executions by session that are accepted, and not yet in its queue
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        store.sources.append(self._note_changed)

    # accepting

    @asynccontextmanager
    async def once(self, owner: str, request: ExecuteRequest) -> AsyncIterator[str | None]:
        """Inside, nobody else accepts a request with this one's key; the execution it stands for already, or None.

        IdempotencyConflict when the key was used for another request.
        """
        key = request.idempotency_key
        if key is None:
            yield None
            return
        lock = self._locks.setdefault((owner, key), asyncio.Lock())
        async with lock:
            row = await self.store.idempotent(owner, key)
            if row and row["digest"] != digest_of(request):
                raise IdempotencyConflict("This Idempotency-Key was used for another request.")
            yield row["execution_id"] if row else None

    def job(self, owner: str, request: ExecuteRequest, *, kernel_id: str | None) -> Job:
        """A job that nobody knows of yet. CodeTooLarge, InvalidRequest."""
        timeout = self._checked(request)
        request = replace(request, code=clean(request.code))
        id = str(uuid4())
        execution = Execution(
            id,
            kernel_id,
            None,
            request.code,
            output_limit=self.config.output_limit,
            clock=self.config.clock,
            allow_stdin=request.allow_stdin,
            spill_path=spill_path(id),
        )
        events: EventLog[Event] = EventLog(max_bytes=max(4 << 20, 2 * self.config.output_limit))
        return Job(owner, request, execution, timeout, events, self.config.clock(), session_id=kernel_id)

    def add(self, job: Job) -> None:
        """Accepted: from now on it can be found, and its key stands for it."""
        self._live[job.id] = job
        self._changed[job.id] = job
        if key := job.request.idempotency_key:
            row = {"owner": job.owner, "key": key, "digest": digest_of(job.request), "execution_id": job.id}
            self.store.put(schema.idempotency, {**row, "created": job.accepted})

    def go_on(self, unfinished: Unfinished) -> Job:
        """A job of the server before this one, which is found from now on."""
        row, execution = unfinished.row, unfinished.execution
        request = ExecuteRequest(
            row["code"],
            row["session_id"],
            execution.cell_id,
            store=row["stored"],
            timeout=row["timeout"],
            allow_stdin=execution.allow_stdin,
            door=row["door"],
        )
        events = self._log(unfinished)
        job = Job(row["owner"], request, execution, row["timeout"], events, row["accepted"], row["session_id"])
        job.resumed, job.row_stored = unfinished.ran, True
        job.stored, job.stored_bytes = events.last, weight(unfinished.events)
        self._live[job.id] = job
        return job

    def _log(self, unfinished: Unfinished) -> EventLog[Event]:
        """Its events so far. After a crash none, and the next numbers are new: of those sent, some may not be stored."""
        most = max(4 << 20, 2 * self.config.output_limit)
        told = unbroken(unfinished.events)
        if unfinished.crashed or not told:
            return EventLog(max_bytes=most, last=unfinished.last + LEAP)
        log: EventLog[Event] = EventLog(max_bytes=most, last=told[0]["seq"] - 1)
        for event in told:
            log.append(event)
        return log

    def leave(self, job: Job, notice: str) -> None:
        """The server goes away while it runs: its row says so, and what its Result will have to say about it."""
        if job.execution.notice != CRASHED:
            job.execution.notice = notice
        job.row_stored = False
        self._changed[job.id] = job
        self.store.wake()

    async def judged(self, job: Job, *, same_python: bool) -> list[Event]:
        """The events of an execution that ends before it begins: no Python, or refused. Empty when it may run."""
        code, rules = job.request.code, self.config.forbidden
        if len(code) <= INLINE:
            verdict = judge(code, rules, same_python=same_python)
        else:
            with self._judging(job):
                verdict = await asyncio.to_thread(judge, code, rules, same_python=same_python)
        if verdict is None:
            return []
        if isinstance(verdict, Refusal):
            return job.execution.refused(verdict.reason)
        return job.execution.syntax_error(verdict)

    @contextmanager
    def _judging(self, job: Job) -> Iterator[None]:
        self.judging[job.session_id] += 1
        try:
            yield
        except asyncio.CancelledError:  # who asked for it has gone away
            if job.id in self._live:
                self.emit(job, [*job.execution.start(), *job.execution.cancelled()])
            raise
        finally:
            self.judging[job.session_id] -= 1
            self.judging += Counter()  # without those that have none

    def _checked(self, request: ExecuteRequest) -> float:
        if request.kernel_id is None and request.cell_id is not None:
            field = {"path": "cell_id", "message": "needs the kernel_id of the session it is in"}
            raise InvalidRequest("A cell is part of a session's notebook.", fields=[field])
        if request.kernel_id is not None and request.files:
            field = {"path": "files", "message": "only without kernel_id"}
            hint = "Put files into a session with PUT /api/jupyter/kernel/{id}/files/{path}."
            raise InvalidRequest("Files come with a one-shot only.", hint=hint, fields=[field])
        size = len(request.code.encode("utf-8", "replace"))
        if size > self.config.code_limit:
            raise CodeTooLarge(f"Code may have at most {self.config.code_limit:,} bytes; this has {size:,}.")
        timeout = self.config.max_timeout if request.timeout is None else request.timeout
        if not 0 < timeout <= self.config.max_timeout:
            most = f"{self.config.max_timeout:g}"
            field = {"path": "timeout", "message": f"must be greater than 0 and at most {most}"}
            raise InvalidRequest(f"A timeout is more than 0 and at most {most} seconds.", fields=[field])
        return timeout

    # while it runs

    def emit(self, job: Job, events: list[Event]) -> None:
        """New events of a job; with `execution_end` among them it is over."""
        for event in events:
            event["seq"] = job.events.last + 1
            job.events.append(event)
        self._changed[job.id] = job
        self.store.wake()
        if job.execution.ended:
            self._finish(job)

    async def begun(self, job: Job) -> None:
        """Writes that it no longer waits, where the store has it waiting: after a crash it would be run a second time."""
        if job.stored and self.store.error is None:
            with suppress(StoreUnavailable):
                await self.store.flush()

    def _finish(self, job: Job) -> None:
        if job.done.is_set():
            return  # taken back while its kernel was started, which failed
        job.ended = self.config.clock()
        job.events.close()
        job.cancel = None
        job.done.set()
        self._live.pop(job.id, None)
        self._ended[job.id] = job
        self._ended_bytes += job.events.bytes
        self.said += job.events.bytes
        while len(self._ended) > KEPT_ENDED or (self._ended_bytes > KEPT_BYTES and len(self._ended) > 1):
            self._ended_bytes -= self._ended.popitem(last=False)[1].events.bytes
        log.info("execution", **line(job))

    def _note_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for job in changed.values():
            self._note_events(job)
            if job.execution.ended or not job.row_stored:
                job.row_stored = True
                self.store.put(schema.executions, job.row())

    def _note_events(self, job: Job) -> None:
        """Up to a bound, past which a replay shows a gap; the end is always stored."""
        while events := job.events.after(job.stored, limit=1024):
            kept = [event for _, event in events]
            if job.stored_bytes > STORED_EVENTS * self.config.output_limit:
                kept = [event for event in kept if event["event"] == "execution_end"]
            job.stored = events[-1][0]
            if kept:
                job.stored_bytes += self.store.put_events(job.id, kept)

    # finding

    def unfinished(self) -> int:
        """How many run or wait."""
        return len(self._live)

    def get(self, owner: str, id: str) -> Job | None:
        """One of this process's, as long as it is in memory."""
        job = self._live.get(id) or self._ended.get(id)
        return job if job and job.owner == owner else None

    def forget(self, session_id: str) -> None:
        """Nobody finds a deleted session's executions any more, and nothing of them is written again."""
        for jobs in (self._live, self._ended, self._changed):
            for id in [id for id, job in jobs.items() if job.session_id == session_id]:
                del jobs[id]
        self._ended_bytes = sum(job.events.bytes for job in self._ended.values())

    def files_gone(self, id: str) -> None:
        """The files of a one-shot have been removed."""
        if job := self._ended.get(id):
            job.home = job.uid = None

    async def result(self, owner: str, id: str) -> Result:
        """ExecutionNotFound."""
        job = self.get(owner, id)
        if job:
            return job.execution.result()
        stored: Result = (await self.row(owner, id))["result"]
        return stored

    async def row(self, owner: str, id: str) -> Row:
        """ExecutionNotFound."""
        found = await self.store.execution(id)
        if found is None or found["owner"] != owner:
            raise ExecutionNotFound(f"There is no execution {clean(id[:80])!r}.")
        return found

    async def wait(self, owner: str, id: str) -> Result:
        job = self.get(owner, id)
        if job:
            await job.done.wait()
            return job.execution.result()
        return await self.result(owner, id)

    async def interrupt(self, owner: str, id: str) -> Result:
        job = self.get(owner, id)
        if job and not job.execution.ended:
            job.interrupt()
        return await self.result(owner, id)

    async def answer(self, owner: str, id: str, value: str) -> None:
        job = self.get(owner, id)
        if job is None:
            await self.row(owner, id)
        if job is None or job.run is None or not job.execution.waiting_for_input:
            raise NotWaitingForInput("The execution is not waiting for input.")
        job.run.answer(clean(value))

    async def events(self, owner: str, id: str, *, after: int = 0) -> AsyncIterator[Event]:
        job = self.get(owner, id)
        log = job.events if job else await self._replay(owner, id, after)
        async for entry in log.tail(after):
            if not isinstance(entry, Gap):
                yield entry[1]
                continue
            question = job.execution.question if job and job.execution.waiting_for_input else None
            for event in self._instead(entry, await self.result(owner, id), question):
                yield event

    async def _replay(self, owner: str, id: str, after: int) -> EventLog[Event]:
        """What the store has of an ended execution's events, as a closed log: the last stretch without a hole."""
        row = await self.row(owner, id)
        events = [cast(Event, event) for event in await self.store.events(id, after)]
        if row["events"] > after and (not events or events[-1]["event"] != "execution_end"):
            events.append(ending(row))
        told = unbroken(events) if events and events[-1]["seq"] == row["events"] else []
        log: EventLog[Event] = EventLog(max_items=1 << 30, max_bytes=1 << 40, last=row["events"] - len(told))
        for event in told:
            log.append(event)
        log.close()
        return log

    def _instead(self, gap: Gap, result: Result, question: Event | None) -> list[Event]:
        """What stands in the place of lost events: the Result so far, and the question that waits for an answer."""
        shape: Event = {
            "seq": gap.last,
            "event": "gap",
            "execution_id": result["id"],
            "kernel_id": result["kernel_id"],
            "cell_id": result["cell_id"],
            "time": timestamp(self.config.clock()),
            "content": {"from": gap.first, "to": gap.last},
        }
        asked: list[Event] = [] if question is None else [{**question, "seq": gap.last}]
        return [shape, {**shape, "event": "snapshot", "content": dict(result)}, *asked]


def unbroken(events: Sequence[Any]) -> list[Event]:
    """The last of some stored events, as far back as no number is missing."""
    start = len(events)
    while start and events[start - 1]["seq"] == events[-1]["seq"] - (len(events) - start):
        start -= 1
    return list(events[start:])


def ending(row: Row) -> Event:
    """`execution_end` of a stored execution whose events were folded."""
    result: Result = row["result"]
    return {
        "seq": row["events"],
        "event": "execution_end",
        "execution_id": result["id"],
        "kernel_id": result["kernel_id"],
        "cell_id": result["cell_id"],
        "time": timestamp(row["ended"] or row["accepted"]),
        "content": dict(result),
    }


def digest_of(request: ExecuteRequest) -> str:
    """What makes two requests the same: what is to run and where, not how the caller listens."""
    files = [(path, hashlib.sha256(data).hexdigest()) for path, data in request.files]
    asked = [request.code, request.kernel_id, request.cell_id, request.store, request.timeout]
    return hashlib.sha256(json.dumps([asked, files]).encode()).hexdigest()


def line(job: Job) -> dict[str, Any]:
    """The log line of an execution: never code, output or names."""
    result = job.execution.result()
    return {
        "execution": job.id,
        "kernel": job.session_id,
        "owner": job.owner,
        "door": job.request.door,
        "status": result["status"],
        "kernel_state": result["kernel_state"],
        **result["timing"],
        **result["usage"],
        "code_bytes": len(job.request.code),
        "code_sha256": result["code_sha256"],
        "output_bytes": weight(result["outputs"]),
        "truncated": result["truncated"],
        "files": len(result["files"]),
        "limit": result["limit"] and result["limit"]["name"],
    }
