"""One live kernel seen from outside. A thin shell: a transport carries messages, and they go to who runs their parent.

A kernel is hostile: what no honest one sends breaks the connection with ProtocolError, what belongs to nobody is
dropped, and a flood is read no faster than it is handled, a slice per turn of the loop.
"""

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cellblock.errors import KernelDied, KernelFault, KernelTimeout, NotWaitingForInput
from cellblock.host.sockets import Sockets
from cellblock.host.transport import Transport
from cellblock.host.wire import Channel, KernelMessage, Posted, Wire, checked

__all__ = ["Connection", "KernelMessage"]

OPEN_TIMEOUT = 10.0  # seconds for the kernel to answer at all
WELCOME = 0.05  # seconds for `iopub_welcome`; ipykernel before 7 sends none, others none to a second subscriber
QUIET = 1.0  # seconds of silence between reply and idle, whichever is missing, until the kernel is asked
PARTING = 1.0  # seconds for a kernel that hears us to note that we leave
LAST_WORDS = 0.5  # seconds for the rest of iopub once another channel has been closed
MOST_DROPPED = 1 << 50  # bytes; only a liar has dropped more
UNHEARD = "What it said while no server was there is lost with the kernel."
DROPPED = "While no server was there the code said more than a kernel keeps: {:,} bytes of it are missing."


@dataclass(frozen=True, slots=True)
class Keeping:
    """A snapshot to take. `patient`: the code waits until it stands on its own, because memory may be short before that."""

    name: str
    patient: bool = False


@dataclass(eq=False, slots=True)
class _Run:
    """An execution on its way: over when reply and idle are both in."""

    id: str
    on_message: Callable[[KernelMessage], None]
    done: asyncio.Future[None]
    replied: bool = False
    idle: bool = False
    messages: int = 0


class Connection:
    """Open with `open()`, close with `aclose()`. One event loop; any number of requests at once.

    Every method raises what broke the connection once it is broken: ProtocolError (a hostile kernel) or KernelDied (its
    end was closed).
    """

    def __init__(self, transport: Transport, *, following: bool = False) -> None:
        self.broken: KernelFault | None = None
        self._waits = following
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._runs: dict[str, _Run] = {}
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._probes: dict[str, _Run] = {}
        self._heard: asyncio.Future[None] = self._loop.create_future()  # something came over iopub
        self.tap: Callable[[KernelMessage], None] | None = None  # hears all that is said
        self._asked: dict[str, Any] | None = None  # the header of an unanswered input_request
        self._parted: tuple[str, asyncio.Future[None]] | None = (
            None  # the last subscription, and whether it is in force
        )
        self._last_idle = ""
        self._lacking: str | None = None  # what is known to be missing of what was said before we came

    @classmethod
    async def open(
        cls,
        endpoints: Mapping[str, str],
        key: str,
        *,
        max_message: int,
        timeout: float = OPEN_TIMEOUT,
        following: bool = False,
    ) -> "Connection":
        """`over` sockets: all four channels are `ipc://PATH` or `tcp://HOST:PORT`; `max_message`: bytes."""
        # The same name after a restart of the server: what a kernel still has for us finds us by it.
        wire = Wire(key, hashlib.sha256(b"client of " + key.encode()).hexdigest()[:32])
        return await cls.over(Sockets(endpoints, wire, max_message=max_message), timeout=timeout, following=following)

    @classmethod
    async def over(cls, transport: Transport, *, timeout: float, following: bool = False) -> "Connection":
        """Connects; returns once outputs can be heard.

        `following`: what the kernel has kept for us is read only when `follow` is called. KernelTimeout when the kernel
        does not answer within `timeout` seconds.
        """
        made = cls(transport, following=following)
        try:
            async with asyncio.timeout(timeout):
                await transport.connect(made)
                await made._until_heard()
        except TimeoutError:
            await made.aclose()
            raise KernelTimeout(f"The kernel did not answer within {timeout:g} s.") from None
        except OSError as problem:
            await made.aclose()
            raise KernelDied(f"The kernel cannot be connected to: {problem.strerror or problem}.") from None
        except BaseException:
            await made.aclose()
            raise
        return made

    @classmethod
    def of_the_ended(cls) -> "Connection":
        """To a kernel that ended while no server was there: broken from the beginning."""
        made = cls(Sockets({}, Wire("", ""), max_message=0))
        made._lacking = UNHEARD
        made.lost(KernelDied("The kernel ended while no server was there."))
        return made

    async def _until_heard(self) -> None:
        """`iopub_welcome` says that the subscription is in force; without it, any message that comes over iopub."""
        patience = WELCOME
        while True:
            self._check()
            await asyncio.wait([self._heard], timeout=patience)
            patience = min(2 * patience, 1.0)
            if self._heard.done():
                return self._heard.result()
            for channel in ("shell", "control"):  # a busy kernel answers on the second, if on any
                self._send(channel, "kernel_info_request", {}, uuid.uuid4().hex)

    async def execute(
        self,
        code: str,
        *,
        msg_id: str,
        silent: bool = False,
        store_history: bool = True,
        allow_stdin: bool = False,
        stop_on_error: bool = False,
        user_expressions: Mapping[str, str] | None = None,
        keeping: "Keeping | None" = None,
        count: int | None = None,
        on_message: Callable[[KernelMessage], None],
    ) -> None:
        """Runs code; returns when reply and idle are in. Its messages go to `on_message`, in each channel's order.

        What `on_message` raises is raised here. Cancelling it stops listening, not the code. A reply or an idle that got
        lost is noticed by asking the kernel after QUIET seconds. `keeping`: the copy of itself that the kernel makes before;
        `count`: how many executions it shall reckon with before this one.
        """
        self._lacking = None  # it was said before
        content = {
            "code": code,
            "silent": silent,
            "store_history": store_history,
            "user_expressions": dict(user_expressions or {}),
            "allow_stdin": allow_stdin,
            "stop_on_error": stop_on_error,
        }
        metadata: dict[str, Any] = {"count": count} if count else {}
        if keeping:
            metadata |= {"snapshot": keeping.name, "patient": keeping.patient}
        await self._until_done(msg_id, on_message, "execute_request", content, msg_id, metadata)

    async def follow(self, msg_id: str, *, asked: bool = False, on_message: Callable[[KernelMessage], None]) -> None:
        """Goes on with what a former connection has sent for execution; `asked`: it waits for the answer to a question.

        Returns like `execute`, and also without reply or idle when they got lost: a later request has been answered.
        """
        if asked:
            self._asked = {}
        self._loop.call_soon(self._go_on)
        await self._until_done(msg_id, on_message, "kernel_info_request", {}, uuid.uuid4().hex)

    def _go_on(self) -> None:
        self._waits = False
        self._transport.go_on()

    async def part(self) -> bool:
        """From its return on the kernel keeps what it says for the next connection; False: something may get lost."""
        if self.broken is not None:
            return False
        topic = uuid.uuid4().hex
        self._parted = topic, self._loop.create_future()
        if not self._transport.leave(topic):
            return False
        await asyncio.wait([self._parted[1]], timeout=PARTING)
        for _ in range(2):
            await asyncio.sleep(0)  # a reply that was sent before has come in, too
        return self._parted[1].done() and self.broken is None

    async def _until_done(
        self,
        msg_id: str,
        on_message: Callable[[KernelMessage], None],
        request: str,
        content: dict[str, Any],
        request_id: str,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Sends a request over the shell channel; an answer to it ends the execution, or to what it asked itself."""
        self._check()
        run = self._runs[msg_id] = _Run(msg_id, on_message, self._loop.create_future())
        self._last_idle = ""  # an earlier one's proves nothing of this one
        if request_id != msg_id:
            self._probes[request_id] = run
        try:
            self._send("shell", request, content, request_id, metadata)
            await run.done
        finally:
            self._runs.pop(msg_id, None)
            self._probes = {probe: asker for probe, asker in self._probes.items() if asker is not run}

    def answer(self, value: str) -> None:
        """Answers the last `input_request`. NotWaitingForInput."""
        self._check()
        asked, self._asked = self._asked, None
        if asked is None:
            raise NotWaitingForInput("The code is not waiting for input.")
        content = {"status": "ok", "value": value}
        self._transport.send("stdin", "input_reply", content, msg_id=uuid.uuid4().hex, parent=asked)

    async def complete(self, code: str, cursor_pos: int, *, timeout: float = 10.0) -> dict[str, Any]:
        """The content of a `complete_reply`; `cursor_pos` in characters. KernelTimeout while a cell runs."""
        return await self.request("complete_request", {"code": code, "cursor_pos": cursor_pos}, timeout=timeout)

    async def inspect(
        self, code: str, cursor_pos: int, detail_level: int = 0, *, timeout: float = 10.0
    ) -> dict[str, Any]:
        """The content of an `inspect_reply`; `cursor_pos` in characters. KernelTimeout while a cell runs."""
        content = {"code": code, "cursor_pos": cursor_pos, "detail_level": detail_level}
        return await self.request("inspect_request", content, timeout=timeout)

    async def request(
        self,
        msg_type: str,
        content: dict[str, Any],
        channel: Literal["shell", "control"] = "shell",
        timeout: float = 10.0,
    ) -> dict[str, Any]:
        """Any request with a reply; its content. KernelTimeout after `timeout` seconds."""
        self._check()
        msg_id = uuid.uuid4().hex
        reply: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._replies[msg_id] = reply
        try:
            self._send(channel, msg_type, content, msg_id)
            async with asyncio.timeout(timeout):
                await asyncio.wait([reply])
            return reply.result()
        except TimeoutError:
            raise KernelTimeout(f"The kernel did not answer {msg_type} within {timeout:g} s.") from None
        finally:
            self._replies.pop(msg_id, None)

    def post(self, message: Posted) -> None:
        """Any message over shell or control; what the kernel says to it, `tap` hears."""
        self._check()
        self._transport.send(
            message.channel,
            message.msg_type,
            message.content,
            msg_id=message.id,
            metadata=message.metadata,
            buffers=message.buffers,
        )

    async def aclose(self) -> None:
        """Closes all channels; whoever waits gets KernelDied."""
        self.lost(KernelDied("The connection was closed."))
        await self._transport.closed

    def missed(self) -> str | None:
        """Why output of what has run may be missing although the kernel lives, a sentence; None when nothing is."""
        lacking, self._lacking = self._lacking, None
        return lacking or self._transport.missed(self._last_idle)

    # within

    def _check(self) -> None:
        if self.broken is not None:
            raise type(self.broken)(self.broken.message)

    def _send(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        msg_id: str,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._transport.send(channel, msg_type, content, msg_id=msg_id, metadata=metadata)

    # the transport's side

    def lost(self, why: KernelFault) -> None:
        """The first reason counts; everybody who waits learns it."""
        if self.broken is None:
            self.broken = why
        self._transport.abort()
        for waiting in (self._heard, *(run.done for run in self._runs.values())):
            self._fail(waiting)
        for reply in self._replies.values():
            self._fail(reply)

    def _fail(self, future: asyncio.Future[Any]) -> None:
        if self.broken is not None and not future.done():
            future.set_exception(type(self.broken)(self.broken.message))
            future.exception()  # whoever waits raises it; if nobody does, it is in `broken`

    def ended(self, channel: Channel) -> None:
        """A process that died closes all channels: what it had still said over iopub is heard first."""
        why = KernelDied(f"The kernel closed its {channel} channel.")
        if channel == "iopub" or self.broken is not None:
            self.lost(why)
        else:
            self._loop.call_later(LAST_WORDS, self.lost, why)

    def reconnected(self) -> None:
        """What runs may have ended unheard: a later request that is answered ends it then."""
        for run in self._runs.values():
            self._probe(run, "shell")

    def received(self, channel: Channel, message: KernelMessage) -> bool:
        """Hands a message on; False when it has to wait until somebody follows."""
        if channel == "iopub" and not self._heard.done():
            self._heard.set_result(None)
        if message.msg_type == "iopub_welcome":
            self._welcomed(message)
        elif self._waits and channel != "control":
            return False
        else:
            self._handed_on(channel, message)
        return True

    def _welcomed(self, message: KernelMessage) -> None:
        dropped = message.content.get("dropped")
        if isinstance(dropped, int) and 0 < dropped < MOST_DROPPED:
            self._lacking = DROPPED.format(dropped)
        topic, parted = self._parted or (None, None)
        if parted and message.content.get("subscription") == topic and not parted.done():
            parted.set_result(None)

    def _handed_on(self, channel: Channel, message: KernelMessage) -> None:
        if self.tap is not None:
            self.tap(message)
        if run := self._runs.get(message.parent_id):
            self._deliver(run, message)
        elif channel in ("shell", "control") and (reply := self._replies.get(message.parent_id)):
            if not reply.done():
                reply.set_result(checked(message.content))
        elif run := self._probes.get(message.parent_id):
            self._heard_of(run, replied=channel == "shell", idle=_is_idle(message))

    def _deliver(self, run: _Run, message: KernelMessage) -> None:
        if run.done.done():
            return
        run.messages += 1
        if message.channel == "stdin" and message.msg_type == "input_request":
            self._asked = message.header
        try:
            run.on_message(message)
        except Exception as problem:
            run.done.set_exception(problem)
            return
        replied = message.channel == "shell" and message.msg_type == "execute_reply"
        if idle := _is_idle(message):
            self._last_idle = str(message.header.get("msg_id", ""))
        elif message.channel == "iopub":
            run.idle = False  # that was not the end: code has said so
        self._heard_of(run, replied=replied, idle=idle)

    def _heard_of(self, run: _Run, *, replied: bool, idle: bool) -> None:
        """Reply and idle of the execution, or of a later request: channels keep their order, so its own are past then."""
        begins = (replied or idle) and not (run.replied or run.idle)
        run.replied, run.idle = run.replied or replied, run.idle or idle
        if begins:
            self._loop.call_later(QUIET, self._look_for_rest, run, run.messages)
        if run.replied and run.idle and not run.done.done():
            run.done.set_result(None)

    def _look_for_rest(self, run: _Run, messages: int) -> None:
        """iopub may drop messages of a flood, idle among them, and a kernel that is interrupted between the code and its
        reply sends none: silence, then an answer to a later request, ends it."""
        if run.done.done() or self.broken is not None:
            return
        if run.messages == messages:
            self._probe(run, "control" if run.replied else "shell")
        if run.replied or run.messages != messages:  # no reply gets lost, and who fakes an idle is asked once
            self._loop.call_later(QUIET, self._look_for_rest, run, run.messages)

    def _probe(self, run: _Run, channel: Channel) -> None:
        probe = uuid.uuid4().hex
        self._probes[probe] = run
        self._send(channel, "kernel_info_request", {}, probe)


def _is_idle(message: KernelMessage) -> bool:
    return message.msg_type == "status" and message.content.get("execution_state") == "idle"
