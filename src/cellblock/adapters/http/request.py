"""What a request says besides its body: owner, wanted media type, revision, resume point, path, range."""

import re
from typing import Annotated, Any, NamedTuple, TypeAlias
from urllib.parse import unquote

from fastapi import Depends, Header
from starlette.requests import Request

from cellblock.adapters.stream import NDJSON, SSE
from cellblock.errors import InvalidPath, InvalidRequest, RangeNotSatisfiable

JSON = "application/json"
OFFERED = frozenset({JSON, SSE, NDJSON})
Responses: TypeAlias = dict[int | str, dict[str, Any]]


async def _owner(request: Request) -> str:
    owner: str = request.state.owner
    return owner


Owner = Annotated[str, Depends(_owner)]
"""Whoever the credentials name."""


def media(accept: str | None, default: str = JSON) -> str:
    """The offered type that an Accept header likes best; the default where it is silent or names others only."""
    best, best_quality = default, 0.0
    for part in (accept or "").split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        quality = _quality(parameters)
        if name in OFFERED and quality > best_quality:
            best, best_quality = name, quality
    return best


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
    return 1.0


def wants_async(prefer: str | None) -> bool:
    """Whether `Prefer` holds `respond-async`."""
    return any(part.split(";")[0].strip().lower() == "respond-async" for part in (prefer or "").split(","))


def revision(if_match: Annotated[str | None, Header(description="The notebook's revision.")] = None) -> int | None:
    """The revision in If-Match; None when any will do. InvalidRequest when it is none."""
    if if_match is None or if_match.strip() == "*":
        return None
    found = re.fullmatch(r'(?:W/)?"?([0-9]{1,18})"?', if_match.strip(), re.ASCII)
    if found is None:
        raise _bad_header("If-Match", "a revision is a number")
    return int(found[1])


Revision = Annotated[int | None, Depends(revision)]


def after(last_event_id: Annotated[str | None, Header(description="Go on after this event.")] = None) -> int:
    """The sequence number to go on after; 0 is the start. InvalidRequest when it is none."""
    if last_event_id is None or not last_event_id.strip():
        return 0
    if not re.fullmatch(r"[0-9]{1,18}", last_event_id.strip(), re.ASCII):
        raise _bad_header("Last-Event-ID", "a sequence number is a number")
    return int(last_event_id)


After = Annotated[int, Depends(after)]


def _bad_header(name: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{name}: {message}", fields=[{"path": f"header.{name.lower()}", "message": message}])


def inside(path: str) -> str:
    """A path as a workspace takes it. InvalidPath when it leaves the workspace in any encoding."""
    seen = path
    for _ in range(3):
        if seen.startswith(("/", "\\")) or "\0" in seen or ".." in re.split(r"[/\\]", seen):
            raise InvalidPath("The path leaves the workspace.")
        seen = unquote(seen)
    if not path.strip("/"):
        raise InvalidPath("The path is empty.")
    return path


class Span(NamedTuple):
    """Bytes `start` up to `end` (excluded)."""

    start: int
    end: int


def span(header: str | None, size: int) -> Span | None:
    """The part a Range header asks for; None is the whole, also where we need not honour it (parts, other units).

    RangeNotSatisfiable when nothing of it exists (RFC 9110 §14).
    """
    found = re.fullmatch(r"bytes=([0-9]{0,18})-([0-9]{0,18})", (header or "").replace(" ", ""), re.ASCII)
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
        if found[2] and int(found[2]) < start:
            return None
    if start >= size or start >= end:
        raise RangeNotSatisfiable(f"The file has {size} bytes.")
    return Span(start, end)
