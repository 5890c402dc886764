"""What a session's kernel says, in Jupyter's own messages: recorded once, in bounded memory, and read by every listener.

A listener is one connection of a Jupyter client. A client keeps its place when its last connection drops, and hears what
it has missed when it comes back, or that some of it is gone. Of an execution everybody hears the same, from `busy` to
`idle`, also of one that never reached the kernel. Whoever asked for it besides gets the reply, and no gap swallows that,
nor the last `idle`.
"""

import uuid
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from cellblock.content import Malformed, clean, shortened
from cellblock.errors import CellblockError
from cellblock.execution import Result
from cellblock.host.log import EventLog, Gap, weight
from cellblock.host.wire import Channel, KernelMessage

MAX_BYTES = 8 << 20
MAX_MESSAGES = 8192
MAX_ASKED = 1024  # requests whose late messages still find their way
MAX_ABSENT = 32  # clients of one session whose places are kept
AWAY_SECONDS = 600.0  # and for how long
LATE_REPLY = 64 << 10  # bytes of a reply, or a question, that is kept for a listener that falls behind
MAX_LATE = 1 << 20  # bytes of all such replies; of what is beyond, a few fields stay
SHORT = 512  # characters of each of them

Header: TypeAlias = Mapping[str, Any]
Content: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A listener's own request: whose it is, and the header that its answers name as their parent."""

    listener: str
    header: Header


@dataclass(frozen=True, slots=True)
class Spoken:
    """One message as a Jupyter client gets it; `listener` None: every one does."""

    channel: Channel
    header: Header
    parent: Header
    content: Content
    metadata: Content = field(default_factory=dict)
    buffers: tuple[bytes, ...] = ()
    listener: str | None = None


@dataclass(eq=False, slots=True)
class _Asked:
    """One request on its way, and where on the tape its ends are."""

    id: str
    parent: Header
    listener: str | None
    code: str | None = None
    asked_at: int = 0
    busy: bool = False
    failed: bool = False
    reply_at: int = 0
    idle_at: int = 0
    reply: Spoken | None = None
    question: Spoken | None = None


class Listener:
    """One connection's place on a tape. `name` is its client's, which may have several."""

    def __init__(self, name: str, tape: "Tape", position: int) -> None:
        self.name = name
        self.tape = tape
        self.position = position

    async def messages(self) -> AsyncIterator[Spoken]:
        """What it has not heard yet, live until the session is over."""
        async for entry in self.tape.log.tail(self.position):
            for message in self.tape.instead(self.name, entry) if isinstance(entry, Gap) else [entry[1]]:
                if message.listener in (None, self.name):
                    yield message
            self.position = entry.last if isinstance(entry, Gap) else entry[0]
            self.tape.heard()


@dataclass(frozen=True, slots=True)
class _Absent:
    """How far a client had heard when the last of its connections went away, and when that was."""

    position: int
    since: float


class Tape:
    """Of one session. `clock` is any that is never set back."""

    def __init__(self, session: str, clock: Callable[[], float]) -> None:
        self.session, self._clock = session, clock
        self.log: EventLog[Spoken] = EventLog(max_items=MAX_MESSAGES, max_bytes=MAX_BYTES, size=_weight)
        self._asked: OrderedDict[str, _Asked] = OrderedDict()
        self._listeners: set[Listener] = set()
        self._absent: OrderedDict[str, _Absent] = OrderedDict()  # those away longest first
        self._late: deque[tuple[_Asked, Spoken, int]] = deque()  # replies that are kept whole, and their bytes
        self._late_bytes = 0
        self._asking: _Asked | None = None  # whose code waits for an answer: a kernel asks for one at a time

    # listeners

    @property
    def connections(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    @property
    def _wanted(self) -> bool:
        """Whether anybody listens, or will come back to hear."""
        return bool(self._listeners or self._absent)

    def enter(self, name: str) -> Listener:
        """A connection of that client. Where it was away, it goes on from there."""
        self.tidy()
        absent = self._absent.pop(name, None)
        made = Listener(name, self, absent.position if absent else self.log.last)
        self._listeners.add(made)
        return made

    def leave(self, listener: Listener) -> None:
        """A connection is gone. Its client's place is kept for a while, unless it has another connection."""
        self._listeners.discard(listener)
        if all(other.name != listener.name for other in self._listeners):
            self._absent[listener.name] = _Absent(listener.position, self._clock())
        self.tidy()

    def tidy(self) -> None:
        """Forgets who is away for long, and the longest away where there are too many; with the last one, all that was said."""
        long_ago = self._clock() - AWAY_SECONDS
        while self._absent:
            first = next(iter(self._absent.values()))
            if len(self._absent) <= MAX_ABSENT and first.since >= long_ago:
                break
            self._absent.popitem(last=False)
        if not self._wanted and self.log.bytes:
            self.log.skip()

    def heard(self) -> None:
        """Forgets what everybody has heard who listens or may come back: a newcomer begins with what is said then."""
        places = [listener.position for listener in self._listeners]
        places += [absent.position for absent in self._absent.values()]
        place = min(places, default=self.log.last)
        self.log.drop(place)
        while self._late and self._late[0][0].reply_at <= place:
            self._let_go(None)

    # what is asked

    def expect(self, id: str, request: Request | None, code: str | None = None) -> None:
        """A request goes to the kernel under the message id `id`; None: another door's, which has no header."""
        header = request.header if request else _header("execute_request", self.session, id)
        self._asked[id] = _Asked(id, header, request.listener if request else None, code, self.log.last)
        if len(self._asked) > MAX_ASKED:
            over = (key for key, asked in self._asked.items() if asked.idle_at)
            del self._asked[next(over, next(iter(self._asked)))]

    def replied_before(self, id: str, later: str) -> bool:
        """Whether one request had its reply when another came: who made that one knew what had become of the first."""
        first, second = self._asked.get(id), self._asked.get(later)
        return bool(first and second and 0 < first.reply_at <= second.asked_at)

    def take_question(self, listener: str) -> str | None:
        """The execution whose question a listener is answering now."""
        asked = self._asking
        if asked is None or asked.listener != listener:
            return None
        self._no_question(asked)
        return asked.id

    # what is heard

    def tapped(self, state: Literal["idle", "busy"]) -> Callable[[KernelMessage], None]:
        """There is another kernel, in that state: what hears its messages."""
        self.tell("starting")
        self.tell(state)
        return self.hear

    def hear(self, message: KernelMessage) -> None:
        """A message of the kernel's. What belongs to a question of our own is nobody's business."""
        asked = self._asked.get(message.parent_id)
        if not self._wanted or (asked is None and (message.parent_id or message.channel != "iopub")):
            return
        if asked and asked.busy and message.content.get("execution_state") == "busy":
            return  # what a kernel of ours says once more of silent code is meant for us
        try:
            content, metadata = shortened(message.content), shortened(message.metadata)
        except Malformed:
            return  # an execution that says so ends with it
        header = _short(message.header)
        self._say(asked, message.channel, header, content, metadata, message.buffers)

    def tell(self, state: Literal["starting", "idle", "busy", "restarting", "dead"]) -> None:
        """A state of the kernel that belongs to no request."""
        if self._wanted:
            self._say(None, "iopub", _header("status", self.session), {"execution_state": state})

    def note(self, id: str, text: str) -> None:
        """A sentence of ours among the output of a request."""
        if self._wanted and (asked := self._asked.get(id)):
            self._say(asked, "iopub", _header("stream", self.session), {"name": "stderr", "text": f"{text}\n"})

    def answer(self, id: str, kind: str, content: Content, channel: Channel = "shell") -> None:
        """Busy, a reply of ours, and idle: for what need not be asked of the kernel."""
        if self._wanted and (asked := self._asked.get(id)):
            self._began(asked)
            self._say(asked, channel, _header(kind, self.session), content)
            self._say(asked, "iopub", _header("status", self.session), {"execution_state": "idle"})

    def refused(self, id: str, problem: CellblockError) -> None:
        """An execution that was not accepted."""
        error = {"ename": type(problem).__name__, "evalue": problem.message, "traceback": [problem.message]}
        self._end(id, "error", error, None)

    def ended(self, result: Result) -> None:
        """An execution is over: what its kernel did not come to say is said for it."""
        if result["status"] == "ok":
            self._end(result["id"], "ok", None, result["execution_count"])
        elif result["status"] == "cancelled":
            self._end(result["id"], "aborted", None, None, result["notice"])
        else:
            error = result["error"] or {"ename": result["status"], "evalue": result["notice"] or "", "traceback": []}
            self._end(result["id"], "error", dict(error), result["execution_count"], result["notice"])
        if asked := self._asked.get(result["id"]):
            asked.code = None  # nobody has to be told any more what it was

    def close(self) -> None:
        """The session is over."""
        self.log.close()

    def _end(self, id: str, status: str, error: Content | None, count: int | None, notice: str | None = None) -> None:
        asked = self._asked.get(id)
        if asked is None or not self._wanted or (asked.idle_at and (asked.reply_at or asked.listener is None)):
            return
        self._began(asked)
        if notice and notice != (error or {}).get("evalue"):
            self.note(id, notice)
        if error and not asked.failed:
            self._say(asked, "iopub", _header("error", self.session), error)
        if not asked.reply_at:
            reply = {"status": status, "execution_count": count, "user_expressions": {}, "payload": [], **(error or {})}
            self._say(asked, "shell", _header("execute_reply", self.session), reply)
        if not asked.idle_at:
            self._say(asked, "iopub", _header("status", self.session), {"execution_state": "idle"})

    def _began(self, asked: _Asked) -> None:
        if asked.busy:
            return
        self._say(asked, "iopub", _header("status", self.session), {"execution_state": "busy"})
        if asked.code is not None:
            content = {"code": asked.code, "execution_count": 0}
            self._say(asked, "iopub", _header("execute_input", self.session), content)

    def _say(
        self,
        asked: _Asked | None,
        channel: Channel,
        header: Header,
        content: Content,
        metadata: Content | None = None,
        buffers: tuple[bytes, ...] = (),
    ) -> None:
        listener = asked.listener if asked and channel != "iopub" else None
        if channel != "iopub" and listener is None:
            return  # the reply to another door's request
        said = Spoken(channel, header, asked.parent if asked else {}, content, metadata or {}, buffers, listener)
        self.log.append(said)
        if asked:
            self._noted(asked, said)

    def _noted(self, asked: _Asked, said: Spoken) -> None:
        kind, state = said.header["msg_type"], said.content.get("execution_state")
        if said.channel == "stdin":
            self._no_question(self._asking)
            asked.question = said if _weight(said) <= LATE_REPLY else _short_of(said)
            self._asking = asked
        elif said.channel != "iopub":
            asked.reply_at = self.log.last
            self._no_question(asked)
            self._keep(asked, said)
        elif kind == "status" and state == "idle":
            asked.idle_at = self.log.last
        elif kind == "status":
            asked.busy = True
        elif kind == "error":
            asked.failed = True

    def _no_question(self, asked: _Asked | None) -> None:
        if asked is not None and asked is self._asking:
            self._asking = asked.question = None

    def _keep(self, asked: _Asked, reply: Spoken) -> None:
        """A reply, for those who fall behind; the oldest ones become short when they are too many."""
        size = _weight(reply)
        if size > LATE_REPLY:
            asked.reply = _short_of(reply)
            return
        asked.reply = reply
        self._late.append((asked, reply, size))
        self._late_bytes += size
        while self._late_bytes > MAX_LATE:
            self._let_go(_short_of(self._late[0][1]))

    def _let_go(self, instead: Spoken | None) -> None:
        """The oldest whole reply is not kept any more, unless there is another in its place already."""
        asked, reply, size = self._late.popleft()
        self._late_bytes -= size
        if asked.reply is reply:
            asked.reply = instead

    # what a listener has missed

    def instead(self, listener: str, gap: Gap) -> list[Spoken]:
        """What stands in the place of messages that are gone: a line that says so, and the ends of its own requests."""
        own = [asked for asked in self._asked.values() if asked.listener == listener]
        lost = f"[… {gap.last - gap.first + 1:,} messages left out: they were not read in time …]\n"
        affected = [asked for asked in own if not asked.idle_at or asked.idle_at >= gap.first]
        parent = affected[0].parent if affected else {}
        told = [
            Spoken("iopub", _header("stream", self.session), parent, {"name": "stderr", "text": lost}, {}, (), listener)
        ]
        for asked in own:
            told += self._ends(asked, gap)
        return told

    def _ends(self, asked: _Asked, gap: Gap) -> list[Spoken]:
        ends = [asked.question] if asked.question else []
        if asked.reply and gap.first <= asked.reply_at <= gap.last:
            ends.append(asked.reply)
        if gap.first <= asked.idle_at <= gap.last:
            idle = {"execution_state": "idle"}
            ends.append(Spoken("iopub", _header("status", self.session), asked.parent, idle, {}, (), asked.listener))
        return ends


def _header(kind: str, session: str, id: str | None = None) -> Header:
    """The header of a message of ours."""
    return {
        "msg_id": id or uuid.uuid4().hex,
        "msg_type": kind,
        "session": session,
        "username": "cellblock",
        "date": datetime.now(UTC).isoformat(),
        "version": "5.4",
    }


def _short(header: Header) -> Header:
    """A kernel's header, as far as Jupyter knows it."""
    names = ("msg_id", "msg_type", "session", "username", "date", "version")
    return {name: clean(str(header.get(name, ""))[:256]) for name in names}


def _short_of(said: Spoken) -> Spoken:
    """A reply or a question that is too large to be kept, as far as all of them have it."""
    names = ("status", "execution_count", "ename", "evalue", "prompt", "password")
    found = {name: said.content[name] for name in names if name in said.content}
    content = {name: each[:SHORT] if isinstance(each, str) else each for name, each in found.items() if _plain(each)}
    if said.channel != "stdin":
        content |= {"payload": [], "user_expressions": {}, "traceback": []}
    return Spoken(said.channel, said.header, said.parent, content, {}, (), said.listener)


def _plain(value: object) -> bool:
    return isinstance(value, str | bool) or (isinstance(value, int) and value.bit_length() < 64)


def _weight(said: Spoken) -> int:
    return 512 + weight(said.content) + weight(said.metadata) + sum(map(len, said.buffers))
