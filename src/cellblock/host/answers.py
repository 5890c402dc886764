"""What a kernel answers to our own questions, read with suspicion: the shape that is promised, or Malformed. Pure."""

import json
from typing import Any

from cellblock.content import Content, Malformed, bundle, clean, plain

MAX_MATCHES = 2000
MAX_VARIABLES = 200
MAX_DIMENSIONS = 64


def completion(reply: dict[str, Any]) -> dict[str, Any]:
    """A `complete_reply`: {status, matches: [text], cursor_start, cursor_end, metadata}."""
    content = _successful(reply)
    return {
        "status": "ok",
        "matches": [_text(match) for match in content.items("matches")[:MAX_MATCHES]],
        "cursor_start": _count(content.raw.get("cursor_start")),
        "cursor_end": _count(content.raw.get("cursor_end")),
        "metadata": plain(content.mapping("metadata")),
    }


def inspection(reply: dict[str, Any]) -> dict[str, Any]:
    """An `inspect_reply`: {status, found, data: a MIME bundle, metadata}."""
    content = _successful(reply)
    data, metadata = bundle(content.mapping("data")), plain(content.mapping("metadata"))
    return {"status": "ok", "found": content.flag("found"), "data": data, "metadata": metadata}


def variables(text: str) -> list[dict[str, Any]]:
    """What `snippets.VARIABLES` prints: [{name, type, shape: [int] | None, size: bytes | None, preview}]."""
    try:
        rows = plain(json.loads(text))
    except (ValueError, RecursionError) as problem:
        raise Malformed(f"no list of variables: {type(problem).__name__}") from None
    if not isinstance(rows, list):
        raise Malformed("no list of variables")
    return [_variable(Content(row, None)) for row in rows[:MAX_VARIABLES]]


def _variable(row: Content) -> dict[str, Any]:
    shape, size = row.raw.get("shape"), row.raw.get("size")
    return {
        "name": row.text("name"),
        "type": row.text("type"),
        "shape": None if shape is None else [_count(each) for each in row.items("shape")[:MAX_DIMENSIONS]],
        "size": None if size is None else _count(size),
        "preview": row.text("preview"),
    }


def _successful(reply: dict[str, Any]) -> Content:
    content = Content(reply, None)
    if content.text("status") != "ok":
        raise Malformed("the kernel's own tools failed")
    return content


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Malformed("something that is not text")
    return clean(value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise Malformed("something that is no count")
    return value
