"""What a Jupyter client puts into the body of a request: JSON, or nothing, which is legal."""

import asyncio
import json
from typing import Any

from starlette.requests import Request

from cellblock.adapters.gateway.shapes import ALIASES
from cellblock.content import Malformed, plain
from cellblock.errors import EnvironmentNotFound, InvalidRequest
from cellblock.host.interpreter import Interpreter

LARGE = 64 << 10  # bytes of a body that is read beside the event loop, so that others are answered meanwhile


async def json_body(request: Request) -> dict[str, Any]:
    """The object in the body, an empty one where there is none. InvalidRequest."""
    data = await request.body()
    if not data.strip():
        return {}
    body = _parsed(data) if len(data) < LARGE else await asyncio.to_thread(_parsed, data)
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise InvalidRequest("The body is no JSON object.")
    return body


def _parsed(data: bytes) -> Any:
    try:
        return plain(json.loads(data))
    except (ValueError, RecursionError, Malformed):
        raise InvalidRequest("The body is not JSON.") from None


def text(body: dict[str, Any], name: str) -> str | None:
    """A field that is text, null or absent. InvalidRequest."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidRequest(f"{name} must be text.")
    return value


def part(body: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that is an object, null or absent. InvalidRequest."""
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise InvalidRequest(f"{name} must be an object.")
    return value or {}


def environment_of(interpreter: Interpreter, name: str | None) -> str:
    """The environment that a kernelspec's name stands for; none is the default one. EnvironmentNotFound."""
    known = [each["name"] for each in interpreter.environments_known()]
    if not name:
        return known[0]
    for wanted in (name, ALIASES.get(name)):
        if wanted in known:
            return wanted
    raise EnvironmentNotFound(f"There is no kernelspec {name[:80]!r}.")
