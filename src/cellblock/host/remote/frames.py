"""Jupyter messages as a WebSocket carries them: JSON text, and the binary `v1.kernel.websocket.jupyter.org`. Pure.

There is no signature: the server in between has checked it. All else is looked at as in `wire`.
"""

import struct
from itertools import pairwise
from typing import Any, cast

from cellblock.content import Malformed, plain
from cellblock.host.wire import MAX_HEADER, Channel, KernelMessage, headed, json_object
from cellblock.zmtp import Violation

CHANNELS = frozenset({"shell", "iopub", "control", "stdin"})
MAX_PARTS = 64


def encode_text(channel: Channel, parts: list[bytes]) -> str | bytes:
    """`parts`: header, parent, metadata and content as JSON, then buffers, which make it a binary frame."""
    header, parent, metadata, content = (part.decode() for part in parts[:4])
    text = (
        f'{{"channel":"{channel}","header":{header},"parent_header":{parent},'
        f'"metadata":{metadata},"content":{content},"buffers":[]}}'
    )
    if len(parts) == 4:
        return text
    pieces = [text.encode(), *parts[4:]]
    offsets = [4 * (len(pieces) + 1)]
    for piece in pieces[:-1]:
        offsets.append(offsets[-1] + len(piece))
    return struct.pack(f">{len(offsets) + 1}I", len(offsets), *offsets) + b"".join(pieces)


def encode_binary(channel: Channel, parts: list[bytes]) -> bytes:
    """The number of offsets, the offsets, and from each of them to the next: the channel, then the parts."""
    pieces = [channel.encode(), *parts]
    offsets = [8 * (len(pieces) + 2)]
    for piece in pieces:
        offsets.append(offsets[-1] + len(piece))
    return struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + b"".join(pieces)


def decode(data: str | bytes, *, binary: bool) -> KernelMessage:
    """One frame. `binary`: the v1 format was agreed on. Violation."""
    if isinstance(data, str):
        return _of_text(json_object(data.encode("utf-8", "surrogatepass")), ())
    return _of_v1(data) if binary else _of_legacy(data)


def _of_v1(data: bytes) -> KernelMessage:
    pieces = _pieces(data, "<", "Q")
    if len(pieces) < 5:
        raise Violation("a message with parts missing")
    channel = _channel(pieces[0].decode("ascii", "replace"))
    header, parent = json_object(pieces[1], MAX_HEADER), json_object(pieces[2], MAX_HEADER)
    return headed(channel, header, parent, json_object(pieces[4]), json_object(pieces[3]), tuple(pieces[5:]))


def _of_legacy(data: bytes) -> KernelMessage:
    """What a server sends in the text format when a message has buffers."""
    pieces = _pieces(data, ">", "I", last=len(data))
    if not pieces:
        raise Violation("a message with parts missing")
    return _of_text(json_object(pieces[0]), tuple(pieces[1:]))


def _of_text(message: dict[str, Any], buffers: tuple[bytes, ...]) -> KernelMessage:
    channel = message.get("channel", "shell")
    header, parent = message.get("header"), message.get("parent_header") or {}
    content, metadata = message.get("content"), message.get("metadata") or {}
    if not all(isinstance(part, dict) for part in (header, parent, content, metadata)):
        raise Violation("a message with parts missing")
    small = _plain(header), _plain(parent)
    return headed(_channel(channel), *small, cast(Any, content), cast(Any, metadata), buffers)


def _plain(header: Any) -> dict[str, Any]:
    try:
        return cast(dict[str, Any], plain(header, 8))
    except Malformed as problem:
        raise Violation(f"a header that is {problem}") from None


def _channel(name: object) -> Channel:
    if not isinstance(name, str) or name not in CHANNELS:
        raise Violation("a channel that there is not")
    return cast(Channel, name)


def _pieces(data: bytes, order: str, kind: str, *, last: int | None = None) -> list[bytes]:
    """What lies between the offsets at the beginning; `last`: the end, where it has no offset of its own."""
    width = struct.calcsize(order + kind)
    count = struct.unpack_from(order + kind, data)[0] if len(data) >= width else 0
    if not 1 <= count <= MAX_PARTS or len(data) < width * (count + 1):
        raise Violation("a frame that is none")
    offsets = [*struct.unpack_from(f"{order}{count}{kind}", data, width), *([last] if last is not None else [])]
    ends = [width * (count + 1), *offsets]
    if any(before > after for before, after in zip(ends, [*offsets, len(data)], strict=True)):
        raise Violation("a frame whose parts overlap")
    return [data[start:end] for start, end in pairwise(offsets)]
