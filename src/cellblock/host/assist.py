"""What an editor asks of an idle kernel: completion, inspection, variables. One that cannot answer now knows nothing."""

from typing import Any, Protocol

from cellblock.content import Malformed
from cellblock.errors import KernelFault, Unavailable
from cellblock.host import answers, looking, snippets
from cellblock.host.answers import completion, inspection
from cellblock.host.kernels import Kernel

ASSIST_SECONDS = 5.0
VARIABLES_SECONDS = 5.0


class Peeking(Protocol):
    """See `Interpreter.peek`."""

    async def __call__(self, code: str, *, timeout: float) -> str: ...


async def complete(kernel: Kernel | None, code: str, cursor_pos: int) -> dict[str, Any]:
    nothing = {"status": "ok", "matches": [], "cursor_start": cursor_pos, "cursor_end": cursor_pos, "metadata": {}}
    if kernel is None:
        return nothing
    try:
        return completion(await kernel.connection.complete(code, cursor_pos, timeout=ASSIST_SECONDS))
    except (KernelFault, Malformed):
        return nothing


async def inspect(kernel: Kernel | None, code: str, cursor_pos: int, detail_level: int) -> dict[str, Any]:
    nothing = {"status": "ok", "found": False, "data": {}, "metadata": {}}
    if kernel is None:
        return nothing
    try:
        return inspection(await kernel.connection.inspect(code, cursor_pos, detail_level, timeout=ASSIST_SECONDS))
    except (KernelFault, Malformed):
        return nothing


async def variable(peek: Peeking, name: str, **look: Any) -> looking.VariableView | None:
    return looking.read(await peek(looking.question(name, **look), timeout=VARIABLES_SECONDS))


async def variables(peek: Peeking) -> list[dict[str, Any]]:
    text = await peek(snippets.silently(snippets.VARIABLES, "variables()"), timeout=VARIABLES_SECONDS)
    try:
        return answers.variables(text)
    except Malformed:
        raise Unavailable("The kernel's answer was no list of variables.") from None
