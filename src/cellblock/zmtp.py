"""ZeroMQ's wire protocol (ZMTP 3.0, NULL) for one peer, as a pure machine: bytes in, messages out. Standard library only.

Both ends of a kernel's channels speak it. libzmq is not used on the server's side because it cannot bound a hostile
peer: parts of one endless multipart message are queued without limit, whatever ZMQ_MAXMSGSIZE and ZMQ_RCVHWM say. Here a
message that passes a limit is a Violation before its bytes are kept, and a reader that is not read from stops the peer.
In a kernel it is not used because it needs threads of its own, and keeps there what the kernel believes to have said.
"""

from typing import Literal

MAX_FRAMES = 256
MAX_COMMAND = 4096
GREETING = b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32
SUBSCRIPTION = [b"\x01"]  # to everything
_MORE, _LONG, _COMMAND = 1, 2, 4


class Violation(ValueError):
    """Bytes that no honest peer sends."""


def opening(socket_type: Literal["DEALER", "SUB", "ROUTER", "XPUB"], identity: bytes = b"") -> bytes:
    """What either end may send at once: greeting and READY. Everything else waits until the peer's READY has come."""
    ready = b"\x05READY" + _property(b"Socket-Type", socket_type.encode()) + _property(b"Identity", identity)
    return GREETING + bytes((_COMMAND, len(ready))) + ready


def _property(name: bytes, value: bytes) -> bytes:
    return bytes((len(name),)) + name + len(value).to_bytes(4, "big") + value


def message(frames: list[bytes]) -> bytes:
    """One multipart message."""
    parts: list[bytes] = []
    for n, frame in enumerate(frames, 1):
        flags = _MORE if n < len(frames) else 0
        if len(frame) < 256:
            parts += [bytes((flags, len(frame))), frame]
        else:
            parts += [bytes((flags | _LONG,)), len(frame).to_bytes(8, "big"), frame]
    return b"".join(parts)


class Decoder:
    """Feed it bytes, then take messages until there is none. `max_message`: bytes of all frames of one message.

    Once it is `ready`, `properties` holds what the peer said of itself: Socket-Type, Identity.
    """

    def __init__(self, max_message: int) -> None:
        self.ready = False
        self.properties: dict[bytes, bytes] = {}
        self._max = max_message
        self._buffer = bytearray()
        self._greeted = False
        self._frames: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Takes what has arrived."""
        self._buffer += data

    def next(self) -> list[bytes] | None:
        """The next whole message, an empty one for a command, None when more bytes are needed. Violation.

        A command is an answer of its own, so that a flood of them is handled as slowly as one of messages.
        """
        if not self._greeted and not self._greeting():
            return None
        buffer, at = self._buffer, 0
        try:
            while (head := self._head(at)) is not None:
                flags, start, end = head
                if end > len(buffer):
                    return None
                body, at = bytes(memoryview(buffer)[start:end]), end
                if flags & _COMMAND:
                    self._command(body)
                    return []
                if not self.ready:
                    raise Violation("a message before READY")
                self._frames.append(body)
                self._size += end - start
                if not flags & _MORE:
                    frames, self._frames, self._size = self._frames, [], 0
                    return frames
            return None
        finally:
            del buffer[:at]  # once for all frames of a message

    def _greeting(self) -> bool:
        got = bytes(self._buffer[: len(GREETING)])
        if got[:1] not in (b"", b"\xff") or got[9:10] not in (b"", b"\x7f"):
            raise Violation("not ZMTP")
        if len(got) < len(GREETING):
            return False
        if got[10] < 3 or got[12:32].rstrip(b"\0") != b"NULL":
            raise Violation("not ZMTP 3 with the NULL mechanism")
        del self._buffer[: len(GREETING)]
        self._greeted = True
        return True

    def _head(self, at: int) -> tuple[int, int, int] | None:
        """Flags of the frame that begins there, and where its body does and ends. Its size is judged before the body is here."""
        buffer = self._buffer
        have = len(buffer) - at
        if have < 2:
            return None
        flags = buffer[at]
        if flags & ~(_MORE | _LONG | _COMMAND):
            raise Violation("reserved flags")
        start = at + (9 if flags & _LONG else 2)
        if start > len(buffer):
            return None
        size = int.from_bytes(buffer[at + 1 : start], "big") if flags & _LONG else buffer[at + 1]
        self._judge(flags, size)
        return flags, start, start + size

    def _judge(self, flags: int, size: int) -> None:
        if flags & _COMMAND:
            if flags & _MORE or size > MAX_COMMAND or self._frames:
                raise Violation("a command that is too long or inside a message")
        elif self._size + size > self._max:
            raise Violation(f"a message of more than {self._max:,} bytes")
        elif len(self._frames) >= MAX_FRAMES:
            raise Violation(f"a message of more than {MAX_FRAMES} frames")

    def _command(self, body: bytes) -> None:
        name = body[1 : 1 + body[0]] if body else b""
        if name == b"READY":
            self.properties = _properties(body[6:])
            self.ready = True
        elif name == b"ERROR":
            raise Violation("the peer refused the connection")


def _properties(data: bytes) -> dict[bytes, bytes]:
    """Of a READY: names with a length of one byte, values with a length of four. Violation."""
    found = {}
    while data:
        name_end = 1 + data[0]
        value_at = name_end + 4
        value_end = value_at + int.from_bytes(data[name_end:value_at], "big")
        if value_end > len(data):
            raise Violation("a READY that ends too soon")
        found[data[1:name_end]] = data[value_at:value_end]
        data = data[value_end:]
    return found
