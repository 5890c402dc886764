"""Chat and state go together: a question that is asked or answered again takes the kernel back to before its first cell."""

from collections.abc import Iterator, Sequence

from cellblock.adapters.chat.history import CellRef, Turn
from cellblock.adapters.undo_tool import undone_cells
from cellblock.content import is_undone
from cellblock.errors import CellblockError, NoState
from cellblock.host.interpreter import Interpreter
from cellblock.notebook import NotebookView

WENT = "The kernel is back where it stood before this question."
STAYED = "The kernel goes on as it is: {why}"
NOT_KEPT = "the state before this question is not kept."
NEVER_RAN = frozenset({"cancelled", "refused"})


async def go_back(interpreter: Interpreter, owner: str, session: str, replaced: Sequence[Turn]) -> str | None:
    """What is said of the kernel's state when these turns are replaced; None when none of their cells stands."""
    if not any(cells_of(replaced)):
        return None
    first = first_standing(replaced, await interpreter.notebook(owner, session))
    if first is None:
        return None
    try:
        went = await interpreter.undo(owner, session, to=first)
    except NoState:
        return STAYED.format(why=NOT_KEPT)
    except CellblockError as problem:
        return STAYED.format(why=problem.message)
    return " ".join(filter(None, (WENT, went["notice"])))


def first_standing(turns: Sequence[Turn], notebook: NotebookView) -> str | None:
    """The first execution of these turns that the notebook does not know to be undone."""
    gone = {cell["execution_id"] for cell in notebook["cells"] if is_undone(cell)}
    ran = (ref["executionId"] for ref in cells_of(turns) if ref["status"] not in NEVER_RAN)
    return next((execution for execution in ran if execution not in gone), None)


def cells_of(turns: Sequence[Turn]) -> Iterator[CellRef]:
    """What all their answers ran, in that order."""
    for turn in turns:
        answers = [(other.created, other.cells) for other in turn.others] + [(turn.created, turn.cells)]
        for _, cells in sorted(answers, key=lambda answer: answer[0]):
            yield from cells


def told(note: str | None, notebook: NotebookView) -> str:
    """For a model, before it begins: what the kernel does not stand on any more. Empty when there is nothing to say."""
    undone = undone_cells(notebook)
    also = undone and f"Undone cells: {undone}. What they assigned or imported is not there."
    return " ".join(filter(None, (note, also)))
