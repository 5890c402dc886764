"""How much of a conversation goes into a branch of it: what was said up to a message or a cell, and behind which execution
the kernel stands there. Pure.

Answers that were put aside stay behind, with their cells.
"""

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelResponse, ToolCallPart, ToolReturnPart

from cellblock.adapters.chat import history
from cellblock.adapters.chat.history import CellRef, Transcript, Turn
from cellblock.adapters.chat.standing import NEVER_RAN
from cellblock.content import is_undone
from cellblock.errors import AnswerNotFound
from cellblock.notebook import Cell, NotebookView

_BRANCH = re.compile(r"(.*) \(branch(?: (\d{1,6}))?\)", re.DOTALL)


@dataclass(frozen=True)
class Fork:
    """What a branch begins with. `at`: the execution behind which its kernel stands, None: where it stands now.

    `ran`: whether anything has run up to there; else a fresh kernel is as good as that state.
    """

    transcript: Transcript
    at: str | None = None
    ran: bool = True


def now(transcript: Transcript) -> Fork:
    """All of it, where the kernel stands."""
    return Fork(_without_others(_kept(transcript, len(transcript.turns))))


def at_message(transcript: Transcript, message_id: str) -> Fork:
    """Up to a question with its answer, or to one of the answers it has. AnswerNotFound."""
    for count, turn in enumerate(transcript.turns, 1):
        if message_id in (turn.id, *turn.answers):
            kept = _kept(transcript, count)
            if message_id in turn.answers:
                history.choose(kept, message_id)
            last = _last_run(kept.turns)
            return Fork(_without_others(kept), last, ran=last is not None)
    raise AnswerNotFound("There is no such message in this conversation.")


def at_execution(transcript: Transcript, notebook: NotebookView, execution: str) -> Fork:
    """Up to the cell that ran as this execution; what was said behind it, until something else ran, is in it too."""
    for count, turn in enumerate(transcript.turns, 1):
        for answer_id, cells in answers_of(turn):
            if (ref := next((ref for ref in cells if ref["executionId"] == execution), None)) is not None:
                kept = _kept(transcript, count)
                history.choose(kept, answer_id)
                kept = _without_others(kept)
                if ref is not cells[-1]:
                    kept.turns[-1] = _cut(kept.turns[-1], ref)
                return Fork(kept, execution)
    return Fork(_without_others(_kept(transcript, _said_until(transcript, notebook, execution))), execution)


def answers_of(turn: Turn) -> Iterator[tuple[str, Sequence[CellRef]]]:
    """(id, cells) of all answers of a turn, the one that is shown first."""
    yield turn.answer_id, turn.cells
    for other in turn.others:
        yield other.answer_id, other.cells


def _kept(transcript: Transcript, count: int) -> Transcript:
    return deepcopy(replace(transcript, turns=transcript.turns[:count]))


def _without_others(transcript: Transcript) -> Transcript:
    for turn in transcript.turns:
        turn.others, turn.aside, turn.kernel = [], [], None
    return transcript


def _last_run(turns: Sequence[Turn]) -> str | None:
    ran = (
        ref["executionId"] for turn in reversed(turns) for ref in reversed(turn.cells) if ref["status"] not in NEVER_RAN
    )
    return next(ran, None)


def _said_until(transcript: Transcript, notebook: NotebookView, execution: str) -> int:
    """How many turns had begun before a cell of a person's own ran, as far as the counts of executions tell."""
    counts = {cell["execution_id"]: cell["execution_count"] or 0 for cell in notebook["cells"] if cell["execution_id"]}
    until = counts.get(execution, 0)
    for number, turn in enumerate(transcript.turns):
        ran = [counts[ref["executionId"]] for ref in turn.cells if ref["executionId"] in counts]
        if ran and min(ran) > until:
            return number
    return len(transcript.turns)


def _cut(turn: Turn, last: CellRef) -> Turn:
    """An answer that ends with the call of this cell."""
    cells = turn.cells[: next(n for n, ref in enumerate(turn.cells) if ref["executionId"] == last["executionId"]) + 1]
    return replace(
        turn, cells=cells, messages=list(_until(turn.messages, last["toolCallId"])), state="complete", error=None
    )


def _until(messages: Sequence[ModelMessage], call: str) -> Iterator[ModelMessage]:
    made: set[str] = set()
    for message in messages:
        if isinstance(message, ModelResponse):
            parts = list(_parts_until(message.parts, call))
            made |= {part.tool_call_id for part in parts if isinstance(part, ToolCallPart)}
            yield replace(message, parts=parts)
        elif call in made:
            yield replace(message, parts=[part for part in message.parts if _answers(part, made)])
            return
        else:
            yield message


def _parts_until(parts: Sequence[Any], call: str) -> Iterator[Any]:
    for part in parts:
        yield part
        if isinstance(part, ToolCallPart) and part.tool_call_id == call:
            return


def _answers(part: object, calls: set[str]) -> bool:
    return isinstance(part, ToolReturnPart) and part.tool_call_id in calls


def cells_for(fork: Fork, notebook: NotebookView) -> list[Cell]:
    """The cells of a branch with a fresh kernel: what stands up to there, and what the conversation shows; none is undone."""
    counts = {cell["execution_id"]: cell["execution_count"] or 0 for cell in notebook["cells"] if cell["execution_id"]}
    whole = fork.at is None and fork.ran
    until = max(counts.values(), default=0) if whole else counts.get(fork.at or "", 0)
    told = {ref["executionId"] for turn in fork.transcript.turns for ref in turn.cells}
    kept, end = [], 0
    for cell in deepcopy(notebook["cells"]):
        execution, count = cell["execution_id"], cell["execution_count"] or 0
        if execution in told or (execution and count <= until and not is_undone(cell)) or not execution:
            kept.append(_standing(cell))
            end = len(kept) if execution else end
    return kept if whole else kept[:end]


def _standing(cell: Cell) -> Cell:
    noted = cell["metadata"].get("cellblock")
    if isinstance(noted, dict):
        noted.pop("undone", None)
    return cell


def stands_behind(count: int, notebook: NotebookView, execution: str | None) -> bool:
    """Whether nothing has run since this execution in a kernel that has counted so many: a branch knows its own runs only."""
    cell = next((cell for cell in notebook["cells"] if cell["execution_id"] == execution), None)
    return cell is not None and cell["execution_count"] == count and not is_undone(cell)


def branch_title(title: str | None) -> str:
    """`Sales` → `Sales (branch)` → `Sales (branch 2)`."""
    found = _BRANCH.fullmatch(title or "")
    if found is None:
        return f"{title or 'Untitled'} (branch)"
    return f"{found[1]} (branch {int(found[2] or 1) + 1})"
