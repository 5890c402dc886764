"""The channels of a kernel on a Jupyter server: one WebSocket, made again when it breaks, until the kernel is known dead.

What a broken one may have lost is told by `missed`. A message is sent once or not at all: one that was being sent when the
WebSocket broke is not sent again, because code must not run twice.
"""

import asyncio
import socket as tcp
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from cellblock.errors import KernelDied, ProtocolError
from cellblock.host.pace import Pace
from cellblock.host.remote.frames import decode, encode_binary, encode_text
from cellblock.host.remote.numbers import Numbers
from cellblock.host.remote.rest import GONE, Refused, Unanswered
from cellblock.host.transport import MAX_UNREAD, SLICE, Receiver
from cellblock.host.wire import Channel, KernelMessage, Wire
from cellblock.zmtp import Violation

QUICKACK = getattr(tcp, "TCP_QUICKACK", None)  # Linux's
AGAIN = (0.0, 0.1, 0.3, 1.0, 2.0)  # seconds before each attempt; the last one over and over
MAX_BREAKS = 20  # in a row of one connection's WebSocket: a message too large breaks it each time
STEADY = 5.0  # seconds after which a break is no more of a row: servers and proxies end what lasts long
MISSED = "The connection to the kernel's server broke while this ran: output of that moment may be missing."


class Channels:
    """A Transport. `opened` makes a WebSocket (Unanswered, Refused); `wire` frames what we say.

    `died` is called when the server says that the kernel's process has ended: how, as the end of "its process …".
    """

    def __init__(
        self, wire: Wire, opened: Callable[[], Awaitable[ClientConnection]], died: Callable[[str], None]
    ) -> None:
        self._wire, self._opened, self._died = wire, opened, died
        self._numbers = Numbers()
        self._receiver: Receiver | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiting: deque[tuple[Channel, list[bytes]]] = deque()
        self._unsent = 0
        self._more = asyncio.Event()
        self._resumed = asyncio.Event()
        self._connected = asyncio.Event()
        self._breaks = 0

    async def connect(self, receiver: Receiver) -> None:
        try:
            socket = await self._opened()
        except (Unanswered, Refused) as problem:
            raise OSError(str(problem)) from None
        self._connected.set()
        self._receiver = receiver
        self._task = asyncio.create_task(self._live(socket, receiver), name="channels")

    # sending

    def send(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        *,
        msg_id: str,
        parent: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
    ) -> None:
        parts = self._wire.parts(msg_type, content, msg_id=msg_id, parent=parent, metadata=metadata) + list(buffers)
        self._unsent += sum(map(len, parts))
        self._waiting.append((channel, parts))
        if msg_type == "execute_request":
            self._numbers.begin()
        self._more.set()
        if self._unsent > MAX_UNREAD and self._receiver:
            self._receiver.lost(ProtocolError("The kernel's server does not read what it is sent."))

    def go_on(self) -> None:
        self._resumed.set()

    def leave(self, topic: str) -> bool:
        """A Jupyter server keeps messages for who comes back, but says nothing of how many."""
        return False

    async def until_connected(self) -> None:
        """Returns at once, or when a broken WebSocket has been made again; never, when it is not."""
        await self._connected.wait()

    def missed(self, last: str) -> str | None:
        self._breaks = 0
        return None if self._numbers.mend(last) else MISSED

    def abort(self) -> None:
        self._waiting.clear()
        self._unsent = 0
        if self._task:
            self._task.cancel()

    @property
    def closed(self) -> "asyncio.Future[Any]":
        return asyncio.gather(*([self._task] if self._task else []), return_exceptions=True)

    # living

    async def _live(self, socket: ClientConnection, receiver: Receiver) -> None:
        try:
            while True:
                begun = monotonic()
                await self._spoken(socket, receiver)
                self._connected.clear()
                self._numbers.cut()
                self._breaks = 1 if monotonic() > begun + STEADY else self._breaks + 1
                if self._breaks > MAX_BREAKS:
                    receiver.lost(ProtocolError("The connection to the kernel breaks again and again."))
                    return
                socket = await self._remade()
                receiver.reconnected()
        except Refused as refusal:
            how = (
                "was ended by its server" if refusal.status in GONE else f"is refused by its server ({refusal.status})"
            )
            self._died(how)
            receiver.lost(KernelDied(f"The kernel {how}."))
        finally:
            socket.transport.abort()

    async def _spoken(self, socket: ClientConnection, receiver: Receiver) -> None:
        """Reads and writes until the WebSocket is closed, by whomever."""
        writing = asyncio.create_task(self._write(socket), name="channels, writing")
        try:
            await self._read(socket, receiver)
        except ConnectionClosed:
            pass
        except Violation as problem:
            receiver.lost(ProtocolError(f"The kernel broke the protocol: {problem}."))
            await asyncio.sleep(0)  # `lost` has cancelled us
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _read(self, socket: ClientConnection, receiver: Receiver) -> None:
        """No faster than it is handled, a slice of time per turn of the loop, and at a pace."""
        binary, pace = socket.subprotocol is not None, Pace()
        turn = monotonic()
        while True:
            data = await socket.recv()
            at_once(socket)
            begun = monotonic()
            message = decode(data, binary=binary)
            self._numbers.heard(str(message.header.get("msg_id", "")))
            while not self._handed_on(message, receiver):
                await self._resumed.wait()
            ended = monotonic()
            rest = pace.spent(begun, ended)
            if rest or ended > turn + SLICE:
                await asyncio.sleep(rest)
                turn = monotonic()

    def _handed_on(self, message: KernelMessage, receiver: Receiver) -> bool:
        if message.msg_type == "status" and not message.parent_id:
            state = message.content.get("execution_state")
            if state in ("restarting", "autorestarting", "dead"):
                self._died("ended, says its server")
                receiver.lost(KernelDied("The kernel's process has ended."))
        return receiver.received(message.channel, message)

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            while self._waiting:
                channel, parts = self._next()
                try:
                    await socket.send((encode_binary if socket.subprotocol else encode_text)(channel, parts))
                except ConnectionClosed:
                    return
            self._more.clear()
            await self._more.wait()

    def _next(self) -> tuple[Channel, list[bytes]]:
        channel, parts = self._waiting.popleft()
        self._unsent -= sum(map(len, parts))
        return channel, parts

    async def _remade(self) -> ClientConnection:
        """Refused, when the server says that there is no such kernel any more, or that we may not have it."""
        attempt = 0
        while True:
            await asyncio.sleep(AGAIN[min(attempt, len(AGAIN) - 1)])
            attempt += 1
            try:
                socket = await self._opened()
            except Unanswered:
                continue
            except Refused as refusal:
                if refusal.status >= 500:
                    continue
                raise
            self._connected.set()
            return socket


def at_once(socket: ClientConnection) -> None:
    """Acknowledges what has come without delay, until the next time.

    A server that writes small frames waits for that with each of them: 40 ms for every answer.
    """
    end = socket.transport.get_extra_info("socket")
    if QUICKACK is not None and end is not None:
        try:
            end.setsockopt(tcp.IPPROTO_TCP, QUICKACK, 1)
        except OSError:
            pass  # it has just been closed
