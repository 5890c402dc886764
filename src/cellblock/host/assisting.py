"""Completion and inspection while nothing runs: the kernel's answer, or none. Nobody waits long for help with typing."""

from typing import Any

from cellblock.content import Malformed
from cellblock.errors import KernelFault
from cellblock.host.answers import completion, inspection
from cellblock.host.connection import Connection

SECONDS = 5.0


async def complete(idle: Connection | None, code: str, cursor_pos: int) -> dict[str, Any]:
    """Jupyter's `complete_reply` content; no matches from a kernel that is not idle, or does not know."""
    nothing = {"status": "ok", "matches": [], "cursor_start": cursor_pos, "cursor_end": cursor_pos, "metadata": {}}
    if idle is None:
        return nothing
    try:
        return completion(await idle.complete(code, cursor_pos, timeout=SECONDS))
    except (KernelFault, Malformed):
        return nothing


async def inspect(idle: Connection | None, code: str, cursor_pos: int, detail_level: int) -> dict[str, Any]:
    """Jupyter's `inspect_reply` content; nothing found by a kernel that is not idle, or does not know."""
    nothing = {"status": "ok", "found": False, "data": {}, "metadata": {}}
    if idle is None:
        return nothing
    try:
        return inspection(await idle.inspect(code, cursor_pos, detail_level, timeout=SECONDS))
    except (KernelFault, Malformed):
        return nothing
