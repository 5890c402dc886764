"""Jupyter messages as WebSocket frames, in both of Jupyter's formats. Pure.

Without a subprotocol a message is JSON text, or, with buffers, binary: JSON, buffers. Under the v1 subprotocol it is
binary: the channel, then header, parent, metadata and content as JSON each, then buffers. `framing` has the pieces.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellblock.adapters.wire import dumps
from cellblock.content import Malformed, plain
from cellblock.framing import BadTable, cut, joined

CHANNELS = ("shell", "control", "stdin", "iopub")
MAX_OFFSETS = 256
MAX_HEADER = 4096  # bytes; an answer names it as its parent, for as long as there may be one
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
        parts = (dumps(getattr(message, part)) for part in PARTS)
        return joined([message.channel.encode(), *parts, *message.buffers], v1=True)
    body = {part: getattr(message, part) for part in PARTS}
    names = {"msg_id": message.header.get("msg_id"), "msg_type": message.header.get("msg_type")}
    if message.buffers:
        return joined([dumps({**body, **names, "channel": message.channel}), *message.buffers], v1=False)
    return dumps({**body, **names, "channel": message.channel, "buffers": []}).decode()


def decode(frame: str | bytes, *, v1: bool) -> Message:
    """The message of a frame. A missing channel is shell; BadFrame."""
    if isinstance(frame, str):
        return _message(_object(frame), ())
    try:
        pieces = cut(frame, v1=v1, most=MAX_OFFSETS)
    except BadTable as problem:
        raise BadFrame(str(problem)) from None
    return _from_v1(pieces) if v1 else _message(_object(pieces[0]), tuple(pieces[1:]))


def _from_v1(pieces: list[bytes]) -> Message:
    channel, *parts = pieces
    if len(parts) < len(PARTS):
        raise BadFrame("a frame with parts missing")
    body: dict[str, Any] = {part: _object(data) for part, data in zip(PARTS, parts, strict=False)}
    return _message({**body, "channel": channel.decode("utf-8", "replace")}, tuple(parts[len(PARTS) :]))


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
    if len(dumps(parts["header"])) > MAX_HEADER:
        raise BadFrame("a header that is too large")
    return Message(channel, **parts, buffers=buffers)


def _part(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadFrame(f"{name} that is no object")
    return value
