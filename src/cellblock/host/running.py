"""One execution in one live kernel: its time, its input, its disk, its memory, and its kernel's death.

The order of ends: a limit is hit → interrupt → `grace` seconds → kill. An interrupt that comes before the kernel has
the code is held back until it has: a kernel that waits ignores SIGINT.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from cellblock.content import Malformed
from cellblock.errors import CellblockError, KernelDied, ProtocolError
from cellblock.execution import Event, Execution, FileChange, KernelState, Status, Usage
from cellblock.host.config import Config
from cellblock.host.connection import Keeping, KernelMessage
from cellblock.host.death import Death
from cellblock.host.kernels import Beside, Kernel
from cellblock.host.timeline import TIGHT
from cellblock.host.workspace import Scan, Workspace, changes

AFTER_DEATH = 2.0  # seconds for the connection to notice that the process has ended
DRAINS = 10  # times the grace may be had while output of code that has replied still comes in
SMALL = 200  # entries of a workspace that is walked at once; a larger one in a thread

log = structlog.get_logger("cellblock.running")


def spill_path(execution_id: str) -> str:
    """Where in the workspace the whole text of an execution goes when it is too much for the Result."""
    return f".cellblock/output-{execution_id[:8]}.txt"


@dataclass(eq=False)
class Run:
    """Runs `execution` in `kernel`; `emit` gets its events.

    `before` is the workspace as it was, and `beside` what the kernel took besides, where that is known; `fresh` is why the
    kernel is not the one of before, as the end of "… because"; `news`: what else is to be told; `resumed`: seconds it had run
    before this server took over.
    `keep` says which state is to be kept before it; `bring_back` makes the kernel what it was then (exactly, or earlier)
    and says so, None when it cannot; with `rollback` also after an error. `press` frees memory that only older states need.
    After `run`, `after` is the workspace as it is, `beside` what was last seen besides, and `lost` why the kernel is gone,
    if it is.
    """

    execution: Execution
    kernel: Kernel
    workspace: Workspace
    config: Config
    timeout: float
    emit: Callable[[list[Event]], None]
    before: Scan | None = None
    beside: Beside | None = None
    fresh: str | None = None
    resumed: float | None = None
    news: str | None = None
    one_shot: bool = False
    begun: Callable[[], Awaitable[None]] | None = None  # done when it counts as running, before the kernel has the code
    options: Mapping[str, Any] = field(default_factory=dict)  # of `Connection.execute`
    on_limit: Callable[[str], None] = lambda name: None
    keep: Callable[[Scan], Awaitable[Keeping | None]] | None = None
    rollback: bool = False
    bring_back: Callable[[bool], Awaitable[str | None]] | None = None
    press: Callable[[], None] | None = None
    after: Scan | None = None
    lost: str | None = None
    _verdict: Status | None = None
    _state: KernelState = "lost"
    _why: str | None = None
    _back: str | None = None  # what is said of the state the kernel is back in
    _keeping: Keeping | None = None
    _interrupt: bool = False
    _has_code: bool = False
    _busy: int = 0  # times it has said so
    _replied: bool = False
    _heard_more: bool = False  # whether anything was heard since the last look
    _draining: int = 0
    _listening: bool = False
    _spilling: bool = True
    _leaving: bool = False
    _spilled: int = 0
    _begun: float = 0.0
    _at_first: Beside = field(default_factory=Beside)
    _left: float = 0.0
    _timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    _cut: bool = False  # whether something it said may have got lost
    _unseen: str | None = None  # why the workspace could not be looked at
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _scope: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))

    def __post_init__(self) -> None:
        if self.kernel.courier:  # nobody can fork a kernel of another server
            self.keep = self.bring_back = None

    async def run(self) -> None:
        """From running to `execution_end`."""
        if self.before is None:
            self.before = await self._first_scan()
        self.beside = self._at_first = self.beside or await self.kernel.beside()
        if self.kernel.courier and self.resumed is None:
            self._say(await self.kernel.courier.there(self.workspace))
        if self.keep:
            self._keeping = await self.keep(self.before)
        await self._begin()
        used = self.kernel.process.usage().cpu_ms
        self._left = self.timeout - (self.resumed or 0.0)
        if self.execution.waiting_for_input:
            self._waits_for_input()
        else:
            self._resume()
        self._after("watch", self.config.watch_interval, self._watch)
        self.kernel.process.death.add_done_callback(self._dead)
        try:
            await self._listen()
        finally:
            self._listening = False
            self._stop_timers()
            self.kernel.process.death.remove_done_callback(self._dead)
        await self._end(used)

    async def _begin(self) -> None:
        waited = self.execution.status == "queued"
        self.emit(self.execution.running())
        if waited and self.begun:
            await self.begun()

    # what others may do to it

    def interrupt(self) -> None:
        """Somebody asks it to stop. A question it has asked is void: what it does from now on counts as running."""
        self.execution.interrupted()
        self._waits_no_longer()
        self._send_interrupt()

    def abandon(self, status: Status, state: KernelState, why: str) -> None:
        """Its kernel is being ended on purpose: how to end, and why, as the end of "… because"."""
        self._verdict, self._state, self._why = status, state, why
        self._spawn(self.kernel.stop())

    @property
    def abandoned(self) -> bool:
        return self._why is not None

    def answer(self, value: str) -> None:
        """NotWaitingForInput."""
        self.kernel.connection.answer(value)
        self.execution.answered()
        self._waits_no_longer()

    # listening

    async def _listen(self) -> None:
        execution = self.execution
        try:
            async with self._scope:
                self._listening = True
                await self._executed()
        except (TimeoutError, KernelDied):
            execution.died()
        except (ProtocolError, Malformed) as problem:
            execution.broke_protocol(str(problem))

    async def _executed(self) -> None:
        execution, connection = self.execution, self.kernel.connection
        if self.resumed is None:
            await connection.execute(
                execution.code,
                msg_id=execution.id,
                allow_stdin=execution.allow_stdin,
                keeping=self._keeping,
                on_message=self._heard,
                **self.options,
            )
        else:
            self._has_code = True
            asked = execution.waiting_for_input
            await connection.follow(execution.id, asked=asked, on_message=self._heard)

    @property
    def listening(self) -> bool:
        """Whether the kernel may still have something to say."""
        return self._listening

    def _heard(self, message: KernelMessage) -> None:
        execution = self.execution
        self._heard_more = True
        events = execution.receive(
            message.channel, message.msg_type, message.parent_id, message.content, message.metadata, message.buffers
        )
        if spill := execution.take_spill():
            self._spill(spill)
        if events:
            self.emit(events)
        if execution.violation is not None:
            raise ProtocolError(execution.violation)
        if message.msg_type == "execute_input" or self._begins_silently(message):
            self._gets_code()
        elif message.msg_type == "execute_reply":
            self._replied, self._leaving = True, self._leaving or asks_to_leave(message.content)
            self._heard_more = False
        elif message.msg_type == "input_request":
            self._waits_for_input()

    def _begins_silently(self, message: KernelMessage) -> bool:
        """Code that is run silently is not shown. A kernel of ours says once more that it is busy, when an interrupt will
        be heard; of others no more is known than that they begin."""
        if not self.options.get("silent") or message.content.get("execution_state") != "busy":
            return False
        self._busy += 1
        return self._busy == (2 if self.kernel.ours else 1)

    def _gets_code(self) -> None:
        self._has_code = True
        if self._interrupt:
            self.kernel.process.interrupt()

    def _waits_for_input(self) -> None:
        """The clock of the execution stands while a person types; another one runs, which no second question sets back."""
        if self.execution.waiting_for_input and "stdin" not in self._timers and self.execution.limit is None:
            self._pause()
            self._after("stdin", self.config.stdin_timeout, self._no_answer)

    def _waits_no_longer(self) -> None:
        if "stdin" in self._timers:
            self._cancel("stdin")
            self._resume()

    def _spill(self, data: bytes) -> None:
        """Into the workspace, as far as that has room: what we write there is never the code's fault."""
        room = self.config.workspace_limit - (self.before or Scan()).bytes - self._spilled
        if not self._spilling:
            return
        if len(data) > room:
            self._spilling, data = False, data[: max(0, room)] + NO_ROOM
        self._spilled += len(data)
        try:
            self.workspace.append(spill_path(self.execution.id), data)
        except (CellblockError, OSError) as problem:
            self._spilling = False
            self.execution.spill_lost()
            log.warning("spill_not_written", execution=self.execution.id, error=type(problem).__name__)

    # limits

    def _pause(self) -> None:
        if "time" in self._timers:
            self._left -= asyncio.get_running_loop().time() - self._begun
            self._cancel("time")

    def _resume(self) -> None:
        self._begun = asyncio.get_running_loop().time()
        self._after("time", max(0.0, self._left), self._out_of_time)

    def _out_of_time(self) -> None:
        if self._drains():
            self._after("time", self.config.grace, self._out_of_time)
        else:
            self._hit("timeout", self.timeout)

    def _drains(self) -> bool:
        """Whether code that has replied gets some more time, because the rest of its output still comes in."""
        news, self._heard_more = self._heard_more, False
        if not (self._replied and news) or self._draining == DRAINS:
            return False
        self._draining += 1
        return True

    def _no_answer(self) -> None:
        self._hit("stdin_timeout", self.config.stdin_timeout)

    def _hit(self, limit: str, value: float) -> None:
        """A limit: interrupt, once more at half of the grace, and kill at its end."""
        self.execution.limit_hit(limit, value)
        self.on_limit(STOPPED[limit].format(value))
        self._pause()
        self._send_interrupt()
        self._after("again", self.config.grace / 2, self._send_interrupt)
        self._after("kill", self.config.grace, self._kill)

    def _kill(self) -> None:
        """The grace is over."""
        if self._drains():
            self._after("kill", self.config.grace, self._kill)
        else:
            self._spawn(self.kernel.kill())

    def _send_interrupt(self) -> None:
        self._interrupt = True
        if self._has_code:
            self.kernel.process.interrupt()

    def _watch(self) -> None:
        """Now and then: what no quota and no cgroup may be there to stop."""
        used = self.kernel.process.usage().memory_bytes
        if self.press and used > TIGHT * self.config.memory_limit:
            self.press()
        if used > self.config.memory_limit:
            self.execution.limit_hit("memory", self.config.memory_limit)
            self._spawn(self.kernel.kill())
        elif self.execution.limit is None and not self.kernel.courier:
            self._spawn(self._watch_disk())

    async def _watch_disk(self) -> None:
        scan = Scan()
        try:
            self.beside = beside = await self.kernel.beside()  # first: what loses its name meanwhile counts once
            scan = await asyncio.to_thread(self.workspace.scan)
            if self._at_first.alone != beside.alone:
                self._at_first = beside  # other things count now than did
            full = self._overfull(scan, beside.bytes, self._at_first.bytes)
            if full and self._listening and self.execution.limit is None:  # else it has ended meanwhile
                self._hit("disk", self.config.workspace_limit)
        except (CellblockError, OSError) as problem:
            log.warning("disk_not_watched", execution=self.execution.id, error=str(problem))
        if "kill" not in self._timers and "watch" in self._timers:
            pace = max(self.config.watch_interval, scan.entries / 10_000)
            self._after("watch", pace, self._watch)

    def _overfull(self, scan: Scan, beside: int = 0, at_first: int = 0) -> bool:
        """Fuller than allowed, and fuller than before: code that only cleans up is let be."""
        before = self.before or Scan()
        theirs = scan.bytes - self._spilled + beside
        grown = theirs > before.bytes + at_first or scan.entries > before.entries
        return grown and (theirs > self.config.workspace_limit or not scan.complete)

    # the end

    def _dead(self, _: object) -> None:
        if self._listening:
            self._scope.reschedule(asyncio.get_running_loop().time() + AFTER_DEATH)

    async def _end(self, used: int) -> None:
        execution = self.execution
        missed = self.kernel.connection.missed()
        self._cut = missed is not None
        self._say(missed)
        await self._fetch()
        if execution.complete and self.kernel.alive and execution.violation is None and not self._leaving:
            cost = self._cost(used)
            await self._roll_back()
        else:
            cost = {"cpu_ms": None, "memory_peak_bytes": await self._gone_or_idle() or None}
        self.after = await self._scan()
        if self._overfull(self.after):
            execution.limit_hit("disk", self.config.workspace_limit)
        self.emit(self._last(self._verdict or self._guess(), cost))
        if self._unseen:
            self.after = None

    async def _fetch(self) -> None:
        """What it changed, where the kernel's directory is not the workspace."""
        if self.kernel.courier:
            whole = self.kernel.alive and self.execution.violation is None and not self._leaving
            self._say(await self.kernel.courier.back(self.workspace, whole=whole))

    def _say(self, sentence: str | None) -> None:
        """Something its Result has to tell besides."""
        if sentence:
            self.execution.notice = " ".join(filter(None, (self.execution.notice, sentence)))

    def _guess(self) -> Status | None:
        """The status of what ended without a word on how, in a kernel that lives."""
        execution = self.execution
        if execution.limit is not None:
            return None
        if self._interrupt and not execution.complete:
            return "interrupted"
        if self.lost is None and self._back is None and execution.verdict == "kernel_died":  # it had no reply
            unheard = self.resumed is not None or self._cut
            self._say(UNKNOWN_END if unheard else NO_WORD)
            return "error" if execution.result()["error"] else "interrupted"
        return None

    def _cost(self, used: int) -> Usage:
        usage = self.kernel.process.usage()
        if not usage.memory_bytes:
            return {"cpu_ms": None, "memory_peak_bytes": None}
        cpu = usage.cpu_ms - used if self.resumed is None else None
        return {"cpu_ms": cpu, "memory_peak_bytes": usage.memory_peak_bytes}

    def _last(self, verdict: Status | None, cost: Usage) -> list[Event]:
        execution = self.execution
        state: KernelState = "restored" if self._back else self._state if self.lost else "kept"
        state = "released" if self.one_shot else state
        files: list[FileChange] = [
            {"path": each["path"], "size": each["size"], "change": each["change"]}
            for each in ([] if self._unseen else changes(self.before or Scan(), self.after or Scan()))
        ]
        events = execution.end(verdict, state, files=files, usage=cost, notice=self._notice())
        if spill := execution.take_spill():
            self._spill(spill)
        return events

    def _notice(self) -> str | None:
        said = [FRESH.format(why=self.fresh)] if self.fresh else []
        said += [self.news] if self.news else []
        if self._back:
            said.append(self._back)
        elif self.lost and not self.one_shot:
            said.append(LOST.format(why=self.lost))
        if self._unseen:
            said.append(UNSEEN.format(why=self._unseen))
        return " ".join(said) or None

    async def _gone_or_idle(self) -> int:
        """The kernel died, broke the protocol, or let an interrupted execution go without a reply: its memory peak."""
        execution, process = self.execution, self.kernel.process
        if self.kernel.alive and execution.violation is None and not self._leaving:
            return process.usage().memory_peak_bytes
        if execution.violation is not None or self._leaving:
            await self.kernel.kill()
        death = await self.kernel.death()
        if death.out_of_memory:
            execution.limit_hit("memory", self.config.memory_limit)
        if not self._leaving:
            execution.died()
        why = self._why or self._cause(death)
        if self.bring_back and not self._leaving and self._why is None:
            back = await self.bring_back(False)
            self._back = back and RESTORED.format(why=why, what=back)
        if not self._back:
            await self.kernel.stop()
            self.lost = why
        return death.memory_peak

    async def _roll_back(self) -> None:
        """After an error, where that is wanted."""
        if not self.rollback or self.bring_back is None or self.execution.verdict not in ROLLED_BACK:
            return
        back = await self.bring_back(True)
        self._back = back and UNDONE.format(what=back)
        if not back:
            self._say(NOT_UNDONE)

    def _cause(self, death: Death) -> str:
        limit = self.execution.limit
        if limit:
            return CAUSES[limit["name"]]
        if self.execution.violation is not None:
            return "it broke the protocol and was ended"
        if self._leaving:
            return "the code asked it to exit"
        return f"its process {death.how}"

    async def _first_scan(self) -> Scan:
        """The workspace before the code ran; once it has, what has been written to since counts as modified."""
        scan = await self._scan()
        return scan if self.resumed is None else scan.without_changes_since(self.config.clock() - self.resumed)

    async def _scan(self) -> Scan:
        """The workspace as it is, or, where it cannot be looked at, as it was."""
        known = self.after or self.before
        try:
            if known and known.entries < SMALL:
                return self.workspace.scan()
            return await asyncio.to_thread(self.workspace.scan)
        except CellblockError as problem:
            self._unseen = problem.message
            log.warning("workspace_not_seen", execution=self.execution.id, error=problem.message)
            return known or Scan()

    # timers

    def _after(self, name: str, seconds: float, act: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = asyncio.get_running_loop().call_later(seconds, act)

    def _cancel(self, name: str) -> None:
        if timer := self._timers.pop(name, None):
            timer.cancel()

    def _stop_timers(self) -> None:
        for name in list(self._timers):
            self._cancel(name)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def asks_to_leave(reply: dict[str, Any]) -> bool:
    """Whether a reply says that the code called `exit`: the process ends a moment after its reply, so nothing may follow."""
    payload = reply.get("payload")
    entries = payload if isinstance(payload, list) else []
    return any(
        isinstance(one, dict) and one.get("source") == "ask_exit" and not one.get("keepkernel") for one in entries
    )


ROLLED_BACK = frozenset({"error", "timeout", "disk_full"})
NO_ROOM = b"\n[... the workspace is full: the rest of the text was not kept ...]\n"
UNKNOWN_END = "It ended while no server listened, and how it ended is not known."
NO_WORD = "The kernel let it go without a word on how it ended."
RESTORED = "The kernel could not go on because {why}. {what} The notebook and the files are kept."
UNDONE = "It failed, and has been undone. {what}"
NOT_UNDONE = "It failed, and could not be undone: the state before it was not kept."
LOST = "The kernel is gone because {why}: its variables are lost; the notebook and the files are kept."
FRESH = "This ran in a fresh kernel, because {why}: variables of before are lost; the notebook and the files are kept."
STOPPED = {
    "timeout": "It is stopped: it may run for {:g} s.",
    "stdin_timeout": "It is stopped: its question was not answered within {:g} s.",
    "disk": "It is stopped: the workspace may hold {:,} bytes.",
}
UNSEEN = "Which files changed is not known, because the workspace could not be looked at. {why}"
CAUSES = {
    "timeout": "it did not stop when its time was up",
    "stdin_timeout": "it did not stop when nobody answered its question",
    "memory": "it ran out of memory",
    "disk": "it did not stop when the workspace was full",
}
