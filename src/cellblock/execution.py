"""One run of code as a pure machine: Jupyter messages in → events, state and outputs out. No I/O, no clock of its own.

Which message does what stands in `MESSAGES`, what may follow on which status in `TRANSITIONS`. Live events
carry raw `stream` text up to the output limit; after that a line says so, and at most every CONDENSED seconds one
`stream` event shows the line a terminal's cursor would be in. The Result has head and tail of everything.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

from typing_extensions import TypedDict

from cellblock.content import Content, Malformed, Output, clean, cut, error_output, first_bytes, size_of, syntax_lines
from cellblock.outputs import Outputs

__all__ = [
    "FINAL",
    "MESSAGES",
    "TRANSITIONS",
    "ErrorInfo",
    "Event",
    "Execution",
    "FileChange",
    "KernelState",
    "Limit",
    "Output",
    "Result",
    "Status",
    "Timing",
    "Usage",
    "timestamp",
]

Status: TypeAlias = Literal[
    "queued",
    "running",
    "ok",
    "error",
    "timeout",
    "interrupted",
    "out_of_memory",
    "disk_full",
    "kernel_died",
    "protocol_error",
    "cancelled",
    "refused",
]
KernelState: TypeAlias = Literal["kept", "restored", "lost", "released"]


class ErrorInfo(TypedDict):
    """What the code raised, or what ended it. `traceback` lines may hold ANSI colours."""

    ename: str
    evalue: str
    traceback: list[str]


class Timing(TypedDict):
    """Milliseconds, to a tenth. Waiting in the queue is not running."""

    queued_ms: float
    run_ms: float
    total_ms: float


class Usage(TypedDict):
    """What it cost; null where this host cannot tell."""

    cpu_ms: float | None
    memory_peak_bytes: int | None


class Limit(TypedDict):
    """The limit that was hit: seconds for `timeout` and `stdin_timeout`, bytes for `memory`, `disk` and `output`.

    `output` cuts the text and ends nothing; where another one ended the execution, that is told.
    """

    name: str
    value: float


class FileChange(TypedDict):
    """A file of the workspace that the execution touched; `size` in bytes."""

    path: str
    size: int
    change: Literal["created", "modified", "deleted"]


class Result(TypedDict):
    """What became of an execution, so far or for good."""

    id: str
    kernel_id: str | None
    cell_id: str | None
    status: Status
    kernel_state: KernelState
    execution_count: int | None
    outputs: list[Output]
    error: ErrorInfo | None
    truncated: bool
    spill: str | None
    files: list[FileChange]
    code_sha256: str
    timing: Timing
    usage: Usage
    limit: Limit | None
    notice: str | None


class Event(TypedDict):
    """Something that happened; `seq` counts from 1 in its log, `time` is ISO 8601 in UTC with milliseconds."""

    seq: int
    event: str
    execution_id: str | None
    kernel_id: str | None
    cell_id: str | None
    time: str
    content: dict[str, Any]


FINAL: frozenset[Status] = frozenset(get_args(Status)) - {"queued", "running"}
TRANSITIONS: Mapping[Status, frozenset[Status]] = MappingProxyType(
    {
        "queued": frozenset({"running", "error", "kernel_died", "cancelled", "refused"}),
        "running": FINAL - {"refused"},
        **{status: frozenset[Status]() for status in FINAL},
    }
)
# Of several reasons to end, the first of these that applies is the status.
LIMITS: Mapping[str, Status] = MappingProxyType(
    {"timeout": "timeout", "memory": "out_of_memory", "disk": "disk_full", "stdin_timeout": "interrupted"}
)
CONDENSED = 0.1  # seconds between two condensed stream events
MAX_PROMPT = 4096
MAX_COUNT = 2**53
_UNKNOWN: Usage = {"cpu_ms": None, "memory_peak_bytes": None}


def timestamp(seconds: float) -> str:
    """Epoch seconds as ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Execution:
    """One execution. Feed it what the kernel says with `receive()`, what the host knows with the other methods.

    Every method returns the events that follow. Nothing a kernel can send raises: what breaks the protocol sets
    `violation` (one sentence), after which `complete` is true and the verdict is `protocol_error`; a host should then
    end the kernel. Memory stays below about twice `output_limit`, besides the chunk that waits in `take_spill()`.
    """

    def __init__(
        self,
        id: str,
        kernel_id: str | None,
        cell_id: str | None,
        code: str,
        *,
        output_limit: int,
        clock: Callable[[], float],
        allow_stdin: bool = False,
        spill_path: str | None = None,
    ) -> None:
        """`clock` gives epoch seconds; `spill_path` is where the host will put `take_spill()`, as a workspace path."""
        self.id = id
        self.kernel_id = kernel_id
        self.cell_id = cell_id
        self.code = code
        self.allow_stdin = allow_stdin
        self.status: Status = "queued"
        self.kernel_state: KernelState = "kept"
        self.execution_count: int | None = None
        self.violation: str | None = None
        self.waiting_for_input = False
        self.question: Event | None = None  # the last input_request
        self.limit: Limit | None = None
        self.notice: str | None = None  # what its Result has to say besides, from now on
        self._clock = clock
        self._outputs = Outputs(output_limit, spill_path)
        self._live = 0  # bytes of stream text sent as events
        self._live_full = False
        self._condensed = 0.0  # when the last condensed event was sent
        self._shown = 0  # the length of the line it showed
        self._seq = 0
        self._accepted = clock()
        self._started: float | None = None
        self._ended: float | None = None
        self._busy_told = False
        self._reply: str | None = None
        self._idle = self._interrupted = self._died = False
        self._error: ErrorInfo | None = None
        self._final: Result | None = None

    # the host's side

    def start(self, status: Literal["queued", "running"] = "queued") -> list[Event]:
        """Accepted: the first event."""
        self._accepted = self._clock()
        self._started = self._accepted if status == "running" else None
        self.status = status
        return [self._event("execution_start", {"status": status, "code": self.code})]

    def running(self) -> list[Event]:
        """Its turn has come. Tells `busy` itself, so that the kernel's own is not told again."""
        if self.status != "queued":
            return []
        self.status = "running"
        self._started = self._clock()
        self._busy_told = True
        return [self._event("status", {"execution_state": "busy", "status": "running"})]

    def limit_hit(self, name: str, value: float) -> None:
        """A limit ended it (a key of LIMITS); the first one counts."""
        if self.limit is None and self.status == "running":
            self.limit = {"name": name, "value": value}
        self.waiting_for_input = False

    def interrupted(self) -> None:
        """Somebody has asked it to stop; whether it did is for `verdict` to say."""
        self._interrupted = True
        self.waiting_for_input = False

    def died(self) -> None:
        """The kernel's process has ended."""
        self._died = True

    def broke_protocol(self, why: str) -> None:
        """The connection found something no honest kernel sends."""
        self.violation = self.violation or why

    def answered(self) -> None:
        """The answer to `input_request` was sent."""
        self.waiting_for_input = False

    def refused(self, reason: str) -> list[Event]:
        """The operator's policy forbids it: start and end in one, without a kernel."""
        self._error = {"ename": "Refused", "evalue": reason, "traceback": [reason]}
        return self._never_ran("refused", reason)

    def syntax_error(self, problem: SyntaxError) -> list[Event]:
        """It cannot be compiled: start, error with line and caret, and end, without a kernel."""
        self._error = {
            "ename": type(problem).__name__,
            "evalue": clean(f"{problem.msg} (line {problem.lineno or 1})"),
            "traceback": syntax_lines(problem),
        }
        return self._never_ran("error", None)

    def cancelled(self, notice: str | None = None) -> list[Event]:
        """It will not run (any more): the kernel was deleted, the server goes down, its owner took it back."""
        return self.end("cancelled", self.kernel_state, notice=notice)

    def end(
        self,
        status: Status | None = None,
        kernel_state: KernelState = "kept",
        *,
        files: Sequence[FileChange] = (),
        usage: Usage | None = None,
        limit: Limit | None = None,
        notice: str | None = None,
        error: ErrorInfo | None = None,
    ) -> list[Event]:
        """The last event. Without a status, `verdict` decides; a status that may not follow is a ValueError.

        The first end counts: when it has ended, nothing happens.
        """
        if self._final is not None:
            return []
        status = status or self.verdict
        if status not in TRANSITIONS[self.status]:
            raise ValueError(f"{status} does not follow on {self.status}")
        events = self._late_error()
        self.status, self.kernel_state, self.limit = status, kernel_state, limit or self.limit
        self._error = error or self._explain() if status != "ok" else None
        self._ended = self._clock()
        self.waiting_for_input = False
        self._outputs.close()
        self._final = {**self._so_far(), "files": list(files), "usage": usage or _UNKNOWN}
        self._final["notice"] = " ".join(filter(None, (self.notice, notice))) or None
        self._outputs.clear(wait=False)  # the Result has them
        return [*events, self._event("execution_end", dict(self._final))]

    @property
    def complete(self) -> bool:
        """Reply and idle have both come, or nothing sensible will."""
        return self.violation is not None or self._died or (self._reply is not None and self._idle)

    @property
    def ended(self) -> bool:
        """Whether `end()` has been called."""
        return self._final is not None

    @property
    def verdict(self) -> Status:
        """The final status by what is known now."""
        if self.limit is not None:
            return LIMITS.get(self.limit["name"], "error")
        if self.violation is not None:
            return "protocol_error"
        if self._died or self._reply is None:
            return "kernel_died" if self.status == "running" else "cancelled"
        if self._reply == "ok":
            return "ok"
        if self._interrupted:
            return "interrupted"
        return "cancelled" if self._reply == "aborted" else "error"

    def result(self) -> Result:
        """So far, or final."""
        return self._final or self._so_far()

    @property
    def spill(self) -> str | None:
        """Where the whole text is, once some was cut and there is a place for it; cheap."""
        return self._outputs.spill.path if self._outputs.spill.begun else None

    def take_spill(self) -> bytes:
        """Text for the spill file that has not been taken yet. Take it after every `receive()` and after `end()`."""
        return self._outputs.spill.take()

    def spill_lost(self) -> None:
        """It could not be written: nobody is sent to a file that is not there, or not whole."""
        self._outputs.spill.path = None

    # the kernel's side

    def receive(
        self,
        channel: str,
        msg_type: str,
        parent_id: str,
        content: object,
        metadata: object = None,
        buffers: Sequence[object] = (),
    ) -> list[Event]:
        """One Jupyter message. Others' messages, unknown ones and late ones are ignored."""
        if parent_id != self.id or self.status != "running" or self.violation is not None:
            return []
        rule = MESSAGES.get((channel, msg_type))
        if rule is None or rule.handle is None:
            return []
        try:
            return rule.handle(self, Content(content, metadata))
        except Malformed as problem:
            self.violation = f"{channel} {msg_type}: {problem}"
            return []

    def _on_reply(self, message: Content) -> list[Event]:
        status = message.text("status")
        status = "aborted" if status == "abort" else status  # as many kernels beside ipykernel say it
        if status not in ("ok", "error", "aborted"):
            raise Malformed("the status of a reply is ok, error or aborted")
        if self._reply is not None:
            return []  # the first counts; an honest kernel sends no second one
        events = self._page(message) if status == "ok" else []
        self._count(message)
        if status == "error" and self._error is None:
            self._error = _error_info(*message.error())
        self._reply = status
        self.waiting_for_input = False
        return events

    def _page(self, message: Content) -> list[Event]:
        """`name?` asks for a pager: its text is an output here."""
        events: list[Event] = []
        for payload in message.items("payload")[:8]:
            if isinstance(payload, dict) and payload.get("source") == "page":
                shown = Content({"data": payload.get("data"), "metadata": {}}, None)
                events += self._show("display_data", shown.display("display_data"), None)
        return events

    def _on_input(self, message: Content) -> list[Event]:
        self._count(message)
        return []

    def _on_status(self, message: Content) -> list[Event]:
        state = message.text("execution_state")[:32]
        self._idle = self._idle or state == "idle"
        if state == "busy" and self._busy_told:
            return []
        self._busy_told = self._busy_told or state == "busy"
        return [self._event("status", {"execution_state": state})]

    def _on_stream(self, message: Content) -> list[Event]:
        name = message.stream_name()
        text = message.text("text")
        self._outputs.stream(name, text)
        if self._live_full:
            return self._condense(name)
        room = self._outputs.limit - self._live
        self._live += size_of(text)
        if self._live <= self._outputs.limit:
            return [self._event("stream", {"name": name, "text": text})] if text else []
        self._live_full = True
        notice = "\n[… more than is shown live; the result will have the end of it …]\n"
        return [self._event("stream", {"name": name, "text": first_bytes(text, room) + notice})]

    def _condense(self, name: str) -> list[Event]:
        """The limit is passed: from time to time the line the cursor is in, written over the one before."""
        now = self._clock()
        if 0 <= now - self._condensed < CONDENSED:
            return []
        self._condensed = now
        line = self._outputs.line[:400]
        text, self._shown = "\r" + line.ljust(self._shown), len(line)
        return [self._event("stream", {"name": name, "text": text})]

    def _on_display(self, message: Content) -> list[Event]:
        return self._show("display_data", message.display("display_data"), message.display_id())

    def _on_result(self, message: Content) -> list[Event]:
        self._count(message)
        output = {**message.display("execute_result"), "execution_count": self.execution_count}
        return self._show("execute_result", output, message.display_id())

    def _show(self, event: str, output: Output, display_id: str | None) -> list[Event]:
        kept = self._outputs.display(output, display_id)
        return [] if kept is None else [self._event(event, _shown(kept, display_id))]

    def _on_update(self, message: Content) -> list[Event]:
        display_id = message.display_id()
        if display_id is None:
            raise Malformed("an update without a display_id")
        output = message.display("display_data")
        kept = self._outputs.update(display_id, output["data"], output["metadata"])
        return [self._event("update_display_data", _shown(kept, display_id))]

    def _on_error(self, message: Content) -> list[Event]:
        self._error = _error_info(*message.error())
        self._outputs.error(**self._error)
        return [self._event("error", dict(self._error))]

    def _on_clear(self, message: Content) -> list[Event]:
        wait = message.flag("wait")
        self._outputs.clear(wait)
        return [self._event("clear_output", {"wait": wait})]

    def _on_input_request(self, message: Content) -> list[Event]:
        if not self.allow_stdin:
            return []  # an honest kernel does not ask then; whoever does waits until the timeout
        self.waiting_for_input = True
        question = {"prompt": cut(message.text("prompt", ""), MAX_PROMPT), "password": message.flag("password")}
        self.question = self._event("input_request", question)
        return [self.question]

    def _count(self, message: Content) -> None:
        count = message.raw.get("execution_count")
        if count is None:
            return
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count < MAX_COUNT:
            raise Malformed("an execution_count that is no count")
        self.execution_count = count

    # what is made of it

    def _event(self, event: str, content: dict[str, Any]) -> Event:
        self._seq += 1
        return {
            "seq": self._seq,
            "event": event,
            "execution_id": self.id,
            "kernel_id": self.kernel_id,
            "cell_id": self.cell_id,
            "time": timestamp(self._clock()),
            "content": content,
        }

    def _never_ran(self, status: Status, notice: str | None) -> list[Event]:
        events = self.start("queued") if self._seq == 0 else []
        self._reply = "error"
        return [*events, *self.end(status, self.kernel_state, notice=notice, error=self._error)]

    def _late_error(self) -> list[Event]:
        """An error that only the reply (or nobody but us) told is an output too."""
        if self._error is None or self._reply != "error" or self._has_error():
            return []
        self._outputs.error(**self._error)
        return [self._event("error", dict(self._error))]

    def _has_error(self) -> bool:
        return any(output["output_type"] == "error" for output in self._outputs.outputs())

    def _explain(self) -> ErrorInfo | None:
        """What ended it, where that is not what the code raised."""
        if self.limit and self.limit["name"] == "stdin_timeout":
            why = f"input() was not answered within {self.limit['value']:g} s"
            return {"ename": "stdin_timeout", "evalue": why, "traceback": []}
        if self.violation is not None and self._error is None:
            return {"ename": "protocol_error", "evalue": self.violation, "traceback": []}
        return self._error

    def _so_far(self) -> Result:
        return {
            "id": self.id,
            "kernel_id": self.kernel_id,
            "cell_id": self.cell_id,
            "status": self.status,
            "kernel_state": self.kernel_state,
            "execution_count": self.execution_count,
            "outputs": self._outputs.outputs(),
            "error": self._error,
            "truncated": self._outputs.truncated,
            "spill": self.spill,
            "files": [],
            "code_sha256": hashlib.sha256(self.code.encode("utf-8", "replace")).hexdigest(),
            "timing": self._timing(),
            "usage": _UNKNOWN,
            "limit": self.limit or self._cut(),
            "notice": self.notice,
        }

    def _cut(self) -> Limit | None:
        return {"name": "output", "value": self._outputs.limit} if self._outputs.truncated else None

    def _timing(self) -> Timing:
        now = self._ended if self._ended is not None else self._clock()
        started = now if self._started is None else self._started
        return {
            "queued_ms": _milliseconds(started - self._accepted),
            "run_ms": _milliseconds(now - started),
            "total_ms": _milliseconds(now - self._accepted),
        }


@dataclass(frozen=True, slots=True)
class Rule:
    """What a message does (`handle`), or that it is deliberately ignored; and why."""

    why: str
    handle: Callable[[Execution, Content], list[Event]] | None = None


_NOT_OURS = Rule("a request: what a client sends, never what a kernel sends it")
_ELSEWHERE = Rule("the answer to a request that is no execution: the connection hands it to whoever asked")
_COMM = Rule("widgets: there is no ipywidgets in the environment, and state behind outputs is not in the Result")

MESSAGES: Mapping[tuple[str, str], Rule] = MappingProxyType(
    {
        ("shell", "execute_reply"): Rule(
            "ends it together with idle; `page` payloads become outputs", Execution._on_reply
        ),
        ("iopub", "status"): Rule("busy once; idle ends it together with the reply", Execution._on_status),
        ("iopub", "execute_input"): Rule("the count is taken; the code is what we sent", Execution._on_input),
        ("iopub", "stream"): Rule("folded as a terminal shows it", Execution._on_stream),
        ("iopub", "display_data"): Rule("an output", Execution._on_display),
        ("iopub", "execute_result"): Rule("an output and the count", Execution._on_result),
        ("iopub", "update_display_data"): Rule("replaces displays with its display_id", Execution._on_update),
        ("iopub", "error"): Rule("an output and the Result's error", Execution._on_error),
        ("iopub", "clear_output"): Rule("clears now, or with the next output", Execution._on_clear),
        ("stdin", "input_request"): Rule("told to whoever may answer", Execution._on_input_request),
        ("iopub", "iopub_welcome"): Rule("the connection waits for it; it belongs to no execution"),
        ("iopub", "debug_event"): Rule("there is no debugger"),
        ("iopub", "shutdown_reply"): Rule("kernels are ended through their sandbox, not by message"),
        ("iopub", "comm_open"): _COMM,
        ("iopub", "comm_msg"): _COMM,
        ("iopub", "comm_close"): _COMM,
        ("shell", "comm_open"): _COMM,
        ("shell", "comm_msg"): _COMM,
        ("shell", "comm_close"): _COMM,
        ("shell", "execute_request"): _NOT_OURS,
        ("stdin", "input_reply"): _NOT_OURS,
    }
    | {
        ("shell", f"{name}_{end}"): rule
        for name in ("inspect", "complete", "history", "is_complete", "connect", "comm_info", "kernel_info", "apply")
        for end, rule in (("request", _NOT_OURS), ("reply", _ELSEWHERE))
    }
    | {
        ("control", f"{name}_{end}"): rule
        for name in (
            "kernel_info shutdown interrupt debug usage create_subshell delete_subshell list_subshell clear abort".split()
        )
        for end, rule in (("request", _NOT_OURS), ("reply", _ELSEWHERE))
    }
)


def _shown(kept: Output, display_id: str | None) -> dict[str, Any]:
    """An output as the content of Jupyter's message."""
    content = {key: value for key, value in kept.items() if key != "output_type"}
    return {**content, "transient": {"display_id": display_id} if display_id is not None else {}}


def _error_info(ename: str, evalue: str, traceback: list[str]) -> ErrorInfo:
    output = error_output(ename, evalue, traceback)
    return {"ename": output["ename"], "evalue": output["evalue"], "traceback": output["traceback"]}


def _milliseconds(seconds: float) -> float:
    return round(max(0.0, seconds) * 1000, 1)
