"""The four channels of a kernel on this machine or its network, as ZMTP over sockets. Bytes in, messages out.

A flood is read no faster than it is handled, a slice per turn of the loop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, Literal, cast

from cellblock import zmtp
from cellblock.errors import ProtocolError
from cellblock.host.pace import Pace
from cellblock.host.transport import MAX_UNREAD, SLICE, Receiver
from cellblock.host.wire import Channel, Wire

CHANNELS: tuple[Channel, ...] = ("shell", "iopub", "control", "stdin")
REFUSED_SECONDS = (
    2.0  # that a socket may be there before anybody listens: a kernel that is another program binds it first
)
REFUSED_STEP = 0.02


class _Socket(asyncio.Protocol):
    """One channel's bytes. Reading stops while messages wait to be handled, and when they have taken too much time."""

    def __init__(self, channel: Channel, max_message: int, opening: bytes, wire: Wire, receiver: Receiver) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._channel = channel
        self._decoder = zmtp.Decoder(max_message)
        self._opening = opening
        self._wire = wire
        self._receiver = receiver
        self._transport: asyncio.Transport | None = None
        self._again: asyncio.Handle | None = None
        self._pace = Pace()
        self._kept: list[bytes] | None = None  # a message that has to wait, and all behind it with it
        self._ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        self._decoder.feed(data)
        if self._again is None and self._kept is None:
            self._handle()

    def go_on(self) -> None:
        """What waited is handled."""
        if self._kept is not None:
            self._handle()

    def send(self, frames: list[bytes]) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(zmtp.message(frames))
        if transport.get_write_buffer_size() > MAX_UNREAD:
            self._receiver.lost(ProtocolError(f"The kernel does not read its {self._channel} channel."))

    def connection_lost(self, problem: Exception | None) -> None:
        self._ended = True
        if not self.closed.done():
            self.closed.set_result(None)
        if self._again is None and self._kept is None:
            self._receiver.ended(self._channel)

    def abort(self) -> None:
        if self._again is not None:
            self._again.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _handle(self) -> None:
        """Messages for a slice of time; the rest in the loop's next turn or after a rest, and no more is read until then."""
        self._again = None
        begun = monotonic()  # not the loop's time: that of uvloop stands still within a turn
        try:
            over = self._handled_until(begun + SLICE)
        except zmtp.Violation as problem:
            self._receiver.lost(ProtocolError(f"The kernel broke the protocol on {self._channel}: {problem}."))
            return
        rest = self._pace.spent(begun, monotonic())
        if self._kept is not None:
            self._read(False)
        elif over and not rest:
            self._caught_up()
        else:
            self._read(False)
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(rest, self._handle) if rest else loop.call_soon(self._handle)

    def _handled_until(self, until: float) -> bool:
        """Whether that was all there is for now; a message that has to wait ends it too."""
        while True:
            frames, self._kept = self._kept or self._decoder.next(), None
            self._greet()
            if frames is None:
                return True
            if frames and not self._receiver.received(self._channel, self._wire.decode(self._channel, frames)):
                self._kept = frames
                return False
            if monotonic() > until:
                return False

    def _greet(self) -> None:
        if self._decoder.ready and not self.ready.done():
            self.ready.set_result(None)
            if self._channel == "iopub":
                self.send(zmtp.SUBSCRIPTION)

    def _caught_up(self) -> None:
        self._read(True)
        if self._ended:
            self._receiver.ended(self._channel)

    def _read(self, on: bool) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or transport.is_reading() == on:
            return
        transport.resume_reading() if on else transport.pause_reading()


class Sockets:
    """A Transport. `endpoints` by channel: `ipc://PATH` or `tcp://HOST:PORT`; `key` is the kernel's, `max_message` bytes."""

    def __init__(self, endpoints: Mapping[str, str], wire: Wire, *, max_message: int) -> None:
        self._endpoints, self._wire, self._max_message = endpoints, wire, max_message
        self._sockets: dict[Channel, _Socket] = {}

    async def connect(self, receiver: Receiver) -> None:
        """One channel after the other; stdin is routed by the identity of the shell channel that asked."""
        for channel in CHANNELS:
            await self._connect(channel, receiver)

    async def _connect(self, channel: Channel, receiver: Receiver) -> None:
        kind: Literal["SUB", "DEALER"] = "SUB" if channel == "iopub" else "DEALER"
        opening = zmtp.opening(kind, b"" if kind == "SUB" else self._wire.session.encode())
        factory = partial(_Socket, channel, self._max_message, opening, self._wire, receiver)
        scheme, _, address = self._endpoints[channel].partition("://")
        loop = asyncio.get_running_loop()
        if scheme == "ipc":
            _, protocol = await _listened_to(lambda: loop.create_unix_connection(factory, address))
        else:
            host, _, port = address.rpartition(":")
            _, protocol = await loop.create_connection(factory, host, int(port))
        self._sockets[channel] = protocol
        await asyncio.wait([protocol.ready, protocol.closed], return_when=asyncio.FIRST_COMPLETED)

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
        self._sockets[channel].send(
            self._wire.encode(msg_type, content, msg_id=msg_id, parent=parent, metadata=metadata, buffers=buffers)
        )

    def go_on(self) -> None:
        for socket in self._sockets.values():
            socket.go_on()

    def leave(self, topic: str) -> bool:
        """The last subscription's welcome comes behind all that was said before the first one ended."""
        for wish in (b"\0", b"\1" + topic.encode()):
            self._sockets["iopub"].send([wish])
        return True

    def missed(self, last: str) -> None:
        """A socket that breaks is the kernel's end."""

    def abort(self) -> None:
        for socket in self._sockets.values():
            socket.abort()

    @property
    def closed(self) -> "asyncio.Future[Any]":
        return asyncio.gather(*(socket.closed for socket in self._sockets.values()))


async def _listened_to(connect: Callable[[], Awaitable[tuple[Any, _Socket]]]) -> tuple[Any, _Socket]:
    """What comes of connecting once somebody listens. ConnectionRefusedError when nobody does for too long."""
    until = monotonic() + REFUSED_SECONDS
    while True:
        try:
            return await connect()
        except ConnectionRefusedError:
            if monotonic() > until:
                raise
        await asyncio.sleep(REFUSED_STEP)
