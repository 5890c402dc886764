"""The tool with which a language model takes cells back, `undo`: its schema, the call, and what the model is told.

A model names cells by the numbers it was told, `[3]`; a number is looked up among the states that are kept.
"""

from typing import Any

from cellblock.adapters.tool import plain
from cellblock.content import is_undone
from cellblock.errors import NoState
from cellblock.host.interpreter import Interpreter
from cellblock.host.views import TravelView
from cellblock.notebook import NotebookView

UNDO_NAME = "undo"

DESCRIPTION = """\
Take the kernel back to the state before a cell: its variables and imports, and the files of the workspace as far as they \
were kept. That cell and all later ones are undone; they stay in the notebook, marked. The last few states are kept. Use \
it when a step was wrong and spoilt data that is slow to make again, or when the person asks for it."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "before": {
            "type": "integer",
            "minimum": 1,
            "description": "The number of the cell to go back to before, as in `state: after [3]`; the last one without it.",
        },
    },
    "additionalProperties": False,
}

NAMED = 20
"""Cells or files that are named in one answer."""


async def undo(interpreter: Interpreter, owner: str, kernel_id: str, before: int | None = None) -> str:
    """What the model is told once the kernel is back. Raises what `Interpreter.undo` raises: KernelBusy, NoState."""
    to = None if before is None else await _execution(interpreter, owner, kernel_id, before)
    went = await interpreter.undo(owner, kernel_id, to=to)
    return told(went, await interpreter.notebook(owner, kernel_id))


async def _execution(interpreter: Interpreter, owner: str, kernel_id: str, number: int) -> str:
    """The execution with this number before which a state is kept. NoState names the numbers there are."""
    cells = (await interpreter.notebook(owner, kernel_id))["cells"]
    numbers = {cell["execution_id"]: cell["execution_count"] for cell in cells}
    states = await interpreter.snapshots(owner, kernel_id)
    kept = [state["execution_id"] for state in states if not state["undone"] and state["execution_id"]]
    found = next((execution for execution in kept if numbers.get(execution) == number), None)
    if found is None:
        there = bracketed([numbers.get(execution) for execution in kept])
        raise NoState(f"The state before [{number}] is not kept. {f'Kept: before {there}.' if there else 'None is.'}")
    return found


def told(went: TravelView, notebook: NotebookView) -> str:
    """Where the kernel stands now, which cells are undone by that, and which files are as they were."""
    numbers = {cell["execution_id"]: cell["execution_count"] for cell in notebook["cells"]}
    undone = [numbers.get(execution) for execution in went["undone"]]
    lines = [f"status: ok\n\nstate: before {bracketed(undone[:1]) or 'the last execution'}"]
    if cells := bracketed(undone):
        lines.append(f"undone: {cells}")
    for what, paths in (("put back", went["restored"]), ("NOT put back", went["not_restored"])):
        if paths:
            lines.append(f"files {what}: {named([plain(path)[:200] for path in paths])}")
    return "\n".join(lines)


def undone_cells(notebook: NotebookView) -> str:
    """The numbers of the cells that do not stand; empty when all do."""
    return bracketed([cell["execution_count"] for cell in notebook["cells"] if is_undone(cell)])


def bracketed(numbers: list[int | None]) -> str:
    """`[1], [2]`; what has no number was no cell of the notebook."""
    return named([f"[{number}]" for number in numbers if number is not None])


def named(names: list[str]) -> str:
    more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
