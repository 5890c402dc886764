"""Jupyter messages as WebSocket frames, in both of Jupyter's formats. Pure.

Without a subprotocol a message is JSON text, or, with buffers, binary: a count, as many offsets (big-endian, four bytes
each), JSON, buffers. Under `v1.kernel.websocket.jupyter.org` it is binary: a count, as many offsets (little-endian, eight
bytes each), the channel, then header, parent, metadata and content as JSON each, then buffers.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from cellblock.adapters.wire import dumps
from cellblock.content import Malformed, plain

V1 = "v1.kernel.websocket.jupyter.org"
CHANNELS = ("shell", "control", "stdin", "iopub")
MAX_BUFFERS = 256
PARTS = ("header", "parent_header", "metadata", "content")


class BadFrame(ValueError):
    """A frame that is no Jupyter message."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message in either direction."""

    channel: str
    header: Mapping[str, Any]
    parent_header: Mapping[str, Any]
    metadata: Mapping[str, Any]
    content: Mapping[str, Any]
    buffers: tuple[bytes, ...] = ()


def encode(message: Message, *, v1: bool) -> str | bytes:
    """A frame: text where that is the format."""
    if v1:
        return _v1(message)
    body = {part: getattr(message, part) for part in PARTS}
    names = {"msg_id": message.header.get("msg_id"), "msg_type": message.header.get("msg_type")}
    if message.buffers:
        return _joined([dumps({**body, **names, "channel": message.channel}), *message.buffers])
    return dumps({**body, **names, "channel": message.channel, "buffers": []}).decode()


def _joined(parts: Sequence[bytes]) -> bytes:
    """Parts behind a table of their offsets."""
    offsets = [4 * (len(parts) + 1)]
    for part in parts[:-1]:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"!{len(parts) + 1}I", len(parts), *offsets) + b"".join(parts)


def _v1(message: Message) -> bytes:
    parts = [message.channel.encode(), *(dumps(getattr(message, part)) for part in PARTS), *message.buffers]
    offsets = [8 * (len(parts) + 2)]
    for part in parts:
        offsets.append(offsets[-1] + len(part))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(parts)


def decode(frame: str | bytes, *, v1: bool) -> Message:
    """The message of a frame. A missing channel is shell; BadFrame."""
    if isinstance(frame, str):
        return _message(_object(frame), ())
    return _from_v1(frame) if v1 else _from_joined(frame)


def _from_joined(frame: bytes) -> Message:
    count = _number(frame, 0, 4, "big")
    if not 1 <= count <= MAX_BUFFERS:
        raise BadFrame("a frame without parts, or with too many")
    offsets = [_number(frame, 4 * (index + 1), 4, "big") for index in range(count)]
    head, *buffers = _cut(frame, [*offsets, len(frame)], 4 * (count + 1))
    return _message(_object(head), tuple(buffers))


def _from_v1(frame: bytes) -> Message:
    count = _number(frame, 0, 8, "little")
    if not len(PARTS) + 2 <= count <= MAX_BUFFERS:
        raise BadFrame("a frame with parts missing, or with too many")
    offsets = [_number(frame, 8 * (index + 1), 8, "little") for index in range(count)]
    channel, *parts = _cut(frame, offsets, 8 * (count + 1))
    body: dict[str, Any] = {part: _object(data) for part, data in zip(PARTS, parts, strict=False)}
    return _message({**body, "channel": channel.decode("utf-8", "replace")}, tuple(parts[len(PARTS) :]))


def _cut(frame: bytes, offsets: Sequence[int], start: int) -> list[bytes]:
    """The pieces between offsets, which rise from `start` and end in the frame."""
    if offsets[0] != start or offsets[-1] > len(frame):
        raise BadFrame("offsets that lead out of the frame")
    if any(left > right for left, right in pairwise(offsets)):
        raise BadFrame("offsets that fall")
    return [frame[left:right] for left, right in pairwise(offsets)]


def _number(frame: bytes, at: int, size: int, order: Any) -> int:
    if at + size > len(frame):
        raise BadFrame("a frame that ends too soon")
    return int.from_bytes(frame[at : at + size], order)


def _object(data: str | bytes) -> dict[str, Any]:
    try:
        made = plain(json.loads(data))
    except (ValueError, RecursionError) as problem:
        why = str(problem) if isinstance(problem, Malformed) else type(problem).__name__
        raise BadFrame(f"bad JSON: {why}") from None
    if not isinstance(made, dict):
        raise BadFrame("JSON that is no object")
    return made


def _message(body: Mapping[str, Any], buffers: tuple[bytes, ...]) -> Message:
    """Clients are read with patience: parts may be missing or null, but not be anything else."""
    channel = body.get("channel") or "shell"
    if channel not in CHANNELS:
        raise BadFrame(f"no channel {str(channel)[:40]!r}")
    parts = {part: _part(body, part) for part in PARTS}
    for name in ("msg_id", "msg_type"):
        value = parts["header"].get(name)
        if not isinstance(value, str) or not 0 < len(value) <= 256:
            raise BadFrame(f"a header without {name}")
    return Message(channel, **parts, buffers=buffers)


def _part(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadFrame(f"{name} that is no object")
    return value
