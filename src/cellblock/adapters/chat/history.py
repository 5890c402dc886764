"""A conversation as the server keeps it: turns of a question and its answer. Pure: what to keep, to show, to send.

The messages of a model are the truth about an answer; the notebook is the truth about outputs. A page gets both put
together as the AI SDK's UI messages.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter
from pydantic_ai.messages import (
    BinaryContent,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
    repair_messages,
)
from pydantic_core import from_json
from typing_extensions import TypedDict

from cellblock.adapters.chat.context import Context
from cellblock.adapters.chat.spending import spent
from cellblock.adapters.tool import TOOL_NAME
from cellblock.adapters.undo_tool import UNDO_NAME
from cellblock.content import clean
from cellblock.errors import AnswerNotFound, InvalidRequest
from cellblock.notebook import Cell, NotebookView

State: TypeAlias = Literal["running", "complete", "stopped", "error", "interrupted"]
Trigger: TypeAlias = Literal["submit-message", "regenerate-message"]

TITLE = 60
RECENT = 6
"""Turns whose tool results go to a model in full."""
OTHERS = 20
"""Answers kept beside the one that is shown."""
OLD_RESULT = 800
"""Characters of a tool result of an older turn."""


class CellRef(TypedDict):
    """Which cell a tool call became."""

    toolCallId: str
    cellId: str
    executionId: str
    title: str | None
    status: str


@dataclass
class Other:
    """An answer that was made again, or put aside for another one to the same question."""

    answer_id: str
    created: str
    model: str
    state: State
    messages: list[ModelMessage]
    cells: list[CellRef]
    error: dict[str, Any] | None = None


@dataclass
class Turn:
    """One question and its answer. `id` is the user message's, `answer_id` the assistant's, `files` came with it.

    `others` are the answers it has besides; the one in the turn itself is what a person sees and a model is told.
    `aside` is what else was asked of a model, a title, and counts in the price. `kernel` says where the kernel stood when
    the answer took the place of another one.
    """

    id: str
    text: str
    answer_id: str
    created: str
    model: str = ""
    state: State = "running"
    messages: list[ModelMessage] = field(default_factory=list)
    cells: list[CellRef] = field(default_factory=list)
    error: dict[str, Any] | None = None
    files: list[str] = field(default_factory=list)
    others: list[Other] = field(default_factory=list)
    aside: list[ModelMessage] = field(default_factory=list)
    kernel: str | None = None

    @property
    def answers(self) -> list[str]:
        """The ids of all its answers, in the order they were made."""
        made = [(other.created, other.answer_id) for other in self.others] + [(self.created, self.answer_id)]
        return [id for _, id in sorted(made, key=lambda each: each[0])]


@dataclass
class Transcript:
    """All turns, and what is known of the files."""

    turns: list[Turn] = field(default_factory=list)
    context: Context | None = None
    version: int = 1


@dataclass(frozen=True)
class Ask:
    """What a POST /api/chat asks for: a new message, an edit of an earlier one, or another answer."""

    trigger: Trigger
    text: str = ""
    id: str | None = None
    message_id: str | None = None
    files: tuple[str, ...] = ()


_transcripts = TypeAdapter(Transcript)


def dumps(transcript: Transcript) -> bytes:
    """As the store keeps it: without instructions, which are made afresh, and without images."""
    turns = [
        replace(
            turn,
            messages=slim(turn.messages),
            aside=slim(turn.aside),
            others=[replace(other, messages=slim(other.messages)) for other in turn.others],
        )
        for turn in transcript.turns
    ]
    return _transcripts.dump_json(replace(transcript, turns=turns))


def loads(stored: bytes | None) -> Transcript:
    """What `dumps` made; an empty one for None."""
    return _transcripts.validate_json(stored) if stored else Transcript()


def slim(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    return [
        replace(message, instructions=None, parts=[without_images(part) for part in message.parts])
        if isinstance(message, ModelRequest)
        else replace(message, parts=[sayable(part) for part in message.parts])
        for message in messages
    ]


def without_images(part: Any) -> Any:
    """A tool's return with its text only: a model has seen the images when they were made."""
    if isinstance(part, ToolReturnPart) and isinstance(part.content, list):
        return replace(part, content=return_text(part.content))
    return part


def sayable(part: Any) -> Any:
    """A model's part that can be written as UTF-8: half of an emoji may come alone."""
    if isinstance(part, TextPart | ThinkingPart):
        return replace(part, content=clean(part.content))
    if isinstance(part, ToolCallPart) and isinstance(part.args, str):
        return replace(part, args=clean(part.args))
    return part


def return_text(content: Any) -> str:
    """The text of a tool's return."""
    if isinstance(content, list):
        return "\n".join(str(item) for item in content if not isinstance(item, BinaryContent))
    return str(content)


# --- asking ----------------------------------------------------------------------------------------------------------


def begin(transcript: Transcript, ask: Ask, model: str) -> Turn:
    """Cuts the turns an edit or a regeneration replaces, and appends the new one. InvalidRequest if none."""
    at = position(transcript, ask)
    turn = Turn(ask.id or ask.message_id or new_id(), ask.text, new_id(), now(), model, files=list(ask.files))
    if ask.trigger == "regenerate-message":
        old = transcript.turns[at]
        turn = Turn(old.id, old.text, new_id(), now(), model, files=old.files, others=put_aside(old), aside=old.aside)
    del transcript.turns[at:]
    transcript.turns.append(turn)
    return turn


def put_aside(turn: Turn) -> list[Other]:
    """The answers of a turn that is answered again; one without a word is no loss."""
    said = any(isinstance(message, ModelResponse) and message.parts for message in turn.messages)
    return [*turn.others, *([as_other(turn)] if said else [])][-OTHERS:]


def as_other(turn: Turn) -> Other:
    return Other(turn.answer_id, turn.created, turn.model, turn.state, turn.messages, turn.cells, turn.error)


def choose(transcript: Transcript, answer_id: str) -> None:
    """Another answer of its question takes the place of the one that is shown. AnswerNotFound."""
    for turn in transcript.turns:
        if turn.answer_id == answer_id:
            return
        for at, other in enumerate(turn.others):
            if other.answer_id == answer_id:
                turn.others[at] = as_other(turn)
                turn.answer_id, turn.created, turn.model = other.answer_id, other.created, other.model
                turn.state, turn.messages, turn.cells, turn.error = (
                    other.state,
                    other.messages,
                    other.cells,
                    other.error,
                )
                turn.kernel = None
                return
    raise AnswerNotFound("There is no such answer in this conversation.")


def position(transcript: Transcript, ask: Ask) -> int:
    """Where the new turn goes."""
    turns = transcript.turns
    if ask.trigger == "regenerate-message":
        found = [n for n, turn in enumerate(turns) if ask.message_id in (turn.id, turn.answer_id, None)]
        if not found:
            raise InvalidRequest("There is no such answer to make again.", fields=[field_of("messageId", "unknown")])
        return found[-1]
    if not ask.text.strip():
        raise InvalidRequest("The message has no text.", fields=[field_of("messages", "a text part is needed")])
    for n, turn in enumerate(turns):
        if turn.id in (ask.message_id, ask.id):
            return n
    if ask.message_id is not None and ask.message_id != ask.id:
        raise InvalidRequest("There is no such message to edit.", fields=[field_of("messageId", "unknown")])
    return len(turns)


def field_of(path: str, message: str) -> dict[str, str]:
    return {"path": path, "message": message}


def now() -> str:
    """ISO 8601 UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_id() -> str:
    return f"msg-{uuid.uuid4().hex}"


def title_of(question: str) -> str:
    """A title: the question's first line, at most `TITLE` characters, cut between words."""
    line = next((line.strip(" #*>-\t") for line in question.splitlines() if line.strip(" #*>-\t")), "")
    line = " ".join(line.split())
    if len(line) <= TITLE:
        return line or "Untitled"
    head = line[: TITLE - 1]
    return (head.rpartition(" ")[0] or head).rstrip(" ,;:.–-") + "…"


def for_model(turns: Sequence[Turn]) -> list[ModelMessage]:
    """The history a model gets: everything said, with the tool results of older turns cut."""
    recent = len(turns) - RECENT
    kept = [
        message if n >= recent else older(message)
        for n, turn in enumerate(turns)
        for message in (turn.messages or [ModelRequest(parts=[UserPromptPart(turn.text)])])
        if message.parts  # an answer that failed before its first word
    ]
    return repair_messages(kept)  # a call that was cut off gets the answer providers ask for


def older(message: ModelMessage) -> ModelMessage:
    if not isinstance(message, ModelRequest):
        return message
    return replace(message, parts=[shorter(part) for part in message.parts])


def shorter(part: Any) -> Any:
    if isinstance(part, ToolReturnPart) and len(text := return_text(part.content)) > OLD_RESULT:
        return replace(part, content=f"{text[:OLD_RESULT]}\n… the rest of this older result is left out …")
    return part


# --- showing ---------------------------------------------------------------------------------------------------------


def ui_messages(transcript: Transcript, notebook: NotebookView, *, active: bool) -> list[dict[str, Any]]:
    """AI SDK UI messages, one user and one assistant message a turn; the answer being written is left to the stream.

    A turn that was running when the server ended is `interrupted`.
    """
    cells = {cell["id"]: cell for cell in notebook["cells"]}
    shown: list[dict[str, Any]] = []
    for turn in transcript.turns:
        shown.append(user_message(turn))
        if not (active and turn is transcript.turns[-1]):
            shown.append(assistant_message(turn, cells))
    return shown


def user_message(turn: Turn) -> dict[str, Any]:
    parts = [{"type": "text", "text": turn.text}]
    metadata = {"created": turn.created, **({"files": turn.files} if turn.files else {})}
    return {"id": turn.id, "role": "user", "metadata": metadata, "parts": parts}


def assistant_message(turn: Turn, cells: dict[str, Cell]) -> dict[str, Any]:
    state = "interrupted" if turn.state == "running" else turn.state
    metadata: dict[str, Any] = {"created": turn.created, "model": turn.model, "state": state}
    if len(turn.answers) > 1:
        metadata["answers"] = turn.answers
    if turn.kernel:
        metadata["kernel"] = turn.kernel
    if usage := spent(everything_of(turn)):
        metadata["usage"] = usage
    parts = answer_parts(turn, cells)
    if turn.error is not None:
        parts.append({"type": "data-error", "data": turn.error})
    return {"id": turn.answer_id, "role": "assistant", "metadata": metadata, "parts": parts}


def everything_of(turn: Turn) -> list[ModelMessage]:
    """The messages of all its answers, and what was asked beside them: each of them has been paid for."""
    return turn.aside + [message for other in turn.others for message in other.messages] + turn.messages


def answer_parts(turn: Turn, cells: dict[str, Cell]) -> list[dict[str, Any]]:
    returns = {
        part.tool_call_id: part
        for message in turn.messages
        for part in message.parts
        if isinstance(part, ToolReturnPart)
    }
    refs = {ref["toolCallId"]: ref for ref in turn.cells}
    parts: list[dict[str, Any]] = []
    for message in turn.messages:
        if isinstance(message, ModelResponse):
            shown = [made for part in message.parts for made in response_part(part, returns, refs, cells)]
            parts += [{"type": "step-start"}, *shown] if shown else []
    return parts


def response_part(
    part: Any, returns: dict[str, ToolReturnPart], refs: dict[str, CellRef], cells: dict[str, Cell]
) -> list[dict[str, Any]]:
    if isinstance(part, TextPart):
        return [{"type": "text", "text": part.content, "state": "done"}] if part.content else []
    if isinstance(part, ThinkingPart):
        return [{"type": "reasoning", "text": part.content, "state": "done"}] if part.content else []
    if isinstance(part, ToolCallPart):
        ref = refs.get(part.tool_call_id)
        tool = tool_part(part, returns.get(part.tool_call_id))
        return [tool, cell_part(ref, cells.get(ref["cellId"]))] if ref else [tool]
    return []


def tool_part(call: ToolCallPart, returned: ToolReturnPart | None) -> dict[str, Any]:
    """The tool part of one call; a call without a return was cut off."""
    name = UNDO_NAME if call.tool_name == UNDO_NAME else TOOL_NAME
    part = {"type": f"tool-{name}", "toolCallId": call.tool_call_id, "input": arguments(call)}
    if returned is None:
        return {**part, "state": "output-error", "errorText": "The call was interrupted before it finished."}
    if returned.outcome in ("failed", "denied", "retried"):
        return {**part, "state": "output-error", "errorText": return_text(returned.content)}
    return {**part, "state": "output-available", "output": return_text(returned.content)}


def arguments(call: ToolCallPart) -> dict[str, Any]:
    """The input of a call, as far as it was written."""
    if isinstance(call.args, dict):
        return call.args
    try:
        made = from_json(call.args or "{}", allow_partial="trailing-strings")
    except ValueError:
        return {}
    return made if isinstance(made, dict) else {}


def cell_part(ref: CellRef, cell: Cell | None) -> dict[str, Any]:
    """The `data-cell` part: what the notebook says of the cell now; `deleted` when it is no longer there."""
    data: dict[str, Any] = {**ref, "outputs": []}
    if cell is None:
        data["deleted"] = True
    else:
        data |= {
            "outputs": cell["outputs"],
            "status": cell["status"] or ref["status"],
            "executionId": cell["execution_id"] or ref["executionId"],
        }
    return {"type": "data-cell", "id": ref["cellId"], "data": data}
