"""Jupyter messages as a WebSocket carries them: JSON text, and the binary `v1.kernel.websocket.jupyter.org`. Pure.

There is no signature: the server in between has checked it. All else is looked at as in `wire`.
"""

from typing import Any, cast

from cellblock.content import Malformed, plain
from cellblock.framing import BadTable, cut, joined
from cellblock.host.wire import MAX_HEADER, Channel, KernelMessage, headed, json_object
from cellblock.zmtp import Violation

CHANNELS = frozenset({"shell", "iopub", "control", "stdin"})
MAX_OFFSETS = 64


def encode_text(channel: Channel, parts: list[bytes]) -> str | bytes:
    """`parts`: header, parent, metadata and content as JSON, then buffers, which make it a binary frame."""
    header, parent, metadata, content = (part.decode() for part in parts[:4])
    text = (
        f'{{"channel":"{channel}","header":{header},"parent_header":{parent},'
        f'"metadata":{metadata},"content":{content},"buffers":[]}}'
    )
    if len(parts) == 4:
        return text
    return joined([text.encode(), *parts[4:]], v1=False)


def encode_binary(channel: Channel, parts: list[bytes]) -> bytes:
    """The channel, then the parts."""
    return joined([channel.encode(), *parts], v1=True)


def decode(data: str | bytes, *, binary: bool) -> KernelMessage:
    """One frame. `binary`: the v1 format was agreed on. Violation."""
    if isinstance(data, str):
        return _of_text(json_object(data.encode("utf-8", "surrogatepass")), ())
    try:
        pieces = cut(data, v1=binary, most=MAX_OFFSETS)
    except BadTable as problem:
        raise Violation(str(problem)) from None
    return _of_v1(pieces) if binary else _of_text(json_object(pieces[0]), tuple(pieces[1:]))


def _of_v1(pieces: list[bytes]) -> KernelMessage:
    if len(pieces) < 5:
        raise Violation("a message with parts missing")
    channel = _channel(pieces[0].decode("ascii", "replace"))
    header, parent = json_object(pieces[1], MAX_HEADER), json_object(pieces[2], MAX_HEADER)
    return headed(channel, header, parent, json_object(pieces[4]), json_object(pieces[3]), tuple(pieces[5:]))


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
