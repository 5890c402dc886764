"""Jupyter messages as frames: signed, checked, bounded. Pure; whatever is wrong with a frame is a Violation."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from cellblock.content import Malformed, plain
from cellblock.zmtp import Violation

Channel: TypeAlias = Literal["shell", "iopub", "control", "stdin"]

DELIMITER = b"<IDS|MSG>"
MAX_HEADER = 64 << 10
MAX_VALUES = 2_000_000  # JSON values in one message: small ones cost twenty times their bytes
DISPLAYS = frozenset({"display_data", "execute_result", "update_display_data"})
_PARTS = 5  # signature, header, parent, metadata, content


class TooDeep(Violation):
    """JSON with more levels than can be read."""


@dataclass(frozen=True, slots=True)
class KernelMessage:
    """One message from a kernel. Nothing in it is true only because the signature is: the code knows the key."""

    channel: Channel
    msg_type: str
    parent_id: str
    content: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    buffers: tuple[bytes, ...] = ()
    header: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Posted:
    """A message for a kernel that is no execution; `id` is what its answers name as their parent."""

    id: str
    channel: Literal["shell", "control"]
    msg_type: str
    content: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    buffers: tuple[bytes, ...] = ()


class Wire:
    """Signs and checks messages of one connection. `key` is the kernel's, `session` names us."""

    def __init__(self, key: str, session: str) -> None:
        self.session = session
        self._parent: tuple[bytes, str] = (b"{}", "")  # the last parent header, and whose it is: most come in rows
        self._auth = hmac.new(key.encode(), digestmod=hashlib.sha256)

    def encode(
        self,
        msg_type: str,
        content: dict[str, Any],
        *,
        msg_id: str,
        parent: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
    ) -> list[bytes]:
        """The frames of one message."""
        parts = self.parts(msg_type, content, msg_id=msg_id, parent=parent, metadata=metadata)
        return [DELIMITER, self._sign(parts), *parts, *buffers]

    def parts(
        self,
        msg_type: str,
        content: dict[str, Any],
        *,
        msg_id: str,
        parent: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> list[bytes]:
        """Header, parent header, metadata and content of one message."""
        header = {
            "msg_id": msg_id,
            "msg_type": msg_type,
            "session": self.session,
            "username": "",
            "date": datetime.now(UTC).isoformat(),
            "version": "5.4",
        }
        return [_dumps(header), _dumps(parent or {}), _dumps(metadata or {}), _dumps(content)]

    def decode(self, channel: Channel, frames: list[bytes]) -> KernelMessage:
        """The message of some frames. Violation: no delimiter, a wrong signature, bad JSON, a header that is none."""
        try:
            at = frames.index(DELIMITER, 0, 4) + 1
        except ValueError:
            raise Violation("a message without delimiter") from None
        parts = frames[at + 1 : at + _PARTS]
        if len(parts) < _PARTS - 1:
            raise Violation("a message with parts missing")
        if not hmac.compare_digest(self._sign(parts), frames[at]):
            raise Violation("a message with a wrong signature")
        header = json_object(parts[0], MAX_HEADER)
        msg_type, content = _readable(_text(header, "msg_type"), parts[3])
        return KernelMessage(
            channel,
            msg_type,
            self._parent_of(parts[1]),
            content,
            json_object(parts[2]) if parts[2] != b"{}" else {},
            tuple(frames[at + _PARTS :]),
            header,
        )

    def _parent_of(self, header: bytes) -> str:
        if header != self._parent[0]:
            parent = json_object(header, MAX_HEADER)
            self._parent = header, _text(parent, "msg_id") if parent else ""
        return self._parent[1]

    def _sign(self, parts: list[bytes]) -> bytes:
        auth = self._auth.copy()
        for part in parts:
            auth.update(part)
        return auth.hexdigest().encode()


def headed(
    channel: Channel,
    header: dict[str, Any],
    parent: dict[str, Any],
    content: dict[str, Any],
    metadata: dict[str, Any],
    buffers: tuple[bytes, ...],
) -> KernelMessage:
    """A message whose parts have come as JSON objects. Violation: a header that is none."""
    parent_id = _text(parent, "msg_id") if parent else ""
    return KernelMessage(channel, _text(header, "msg_type"), parent_id, content, metadata, buffers, header)


def checked(content: dict[str, Any]) -> dict[str, Any]:
    """A reply's content as strict JSON that is not too deep. Violation."""
    try:
        made: dict[str, Any] = plain(content)
    except Malformed as problem:
        raise Violation(str(problem)) from None
    return made


def _dumps(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode()


def _readable(msg_type: str, data: bytes) -> tuple[str, dict[str, Any]]:
    """Type and content of a message; a display that is nested too deeply to be read is an error instead. Violation."""
    try:
        return msg_type, json_object(data)
    except TooDeep:
        if msg_type not in DISPLAYS:
            raise
    says = f"{msg_type} is nested too deeply to be shown. Write it to a file."
    return "error", {"ename": "OutputTooDeep", "evalue": says, "traceback": [f"OutputTooDeep: {says}"]}


def json_object(data: bytes, limit: int | None = None) -> dict[str, Any]:
    """A JSON object of at most `limit` bytes and MAX_VALUES values. Violation."""
    if limit is not None and len(data) > limit:
        raise Violation("a header that is too long")
    if len(data) > MAX_VALUES and sum(map(data.count, (b",", b"[", b"{"))) > MAX_VALUES:
        raise Violation(f"more than {MAX_VALUES:,} values in one message")
    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"))
    except RecursionError:
        raise TooDeep("bad JSON: it is nested too deeply") from None
    except ValueError as problem:
        raise Violation(f"bad JSON: {type(problem).__name__}") from None
    if not isinstance(value, dict):
        raise Violation("JSON that is no object")
    return value


def _text(header: dict[str, Any], key: str) -> str:
    value = header.get(key)
    if not isinstance(value, str) or len(value) > 256:
        raise Violation(f"a header whose {key} is no short text")
    return value
