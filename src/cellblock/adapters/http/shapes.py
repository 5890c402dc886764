"""What requests may hold and what answers hold: strict in, as the contract has it out."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat
from typing_extensions import TypedDict

from cellblock.host.sessions import KernelView


def _sayable(text: str) -> str:
    """JSON may escape half a surrogate pair, which no file, kernel or database can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid Unicode") from None
    return text


Text = Annotated[str, AfterValidator(_sayable)]
Title = Annotated[str, Field(max_length=200), AfterValidator(_sayable)]


class Strict(BaseModel):
    """No unknown fields and no guessed types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class FileIn(Strict):
    """A file to put into a one-shot workspace."""

    path: Text
    content_base64: Text


class Execute(Strict):
    """Run code. With `kernel_id` in that session, appended to its notebook or, with `cell_id`, replacing that cell;
    without, once, in a private workspace that holds `files`."""

    code: Text
    kernel_id: Text | None = None
    cell_id: Text | None = None
    store: bool = True
    timeout: Annotated[FiniteFloat | None, Field(description="Seconds from the start of running.", gt=0)] = None
    allow_stdin: Annotated[bool | None, Field(description="Default: true for streams, false otherwise.")] = None
    on_disconnect: Literal["continue", "interrupt"] = "continue"
    files: list[FileIn] = []
    snapshot: Annotated[
        Literal["auto", "always", "never"] | None,
        Field(description="Whether the state before it is kept, to come back to; default: as configured."),
    ] = None
    on_error: Annotated[
        Literal["keep", "rollback"] | None,
        Field(description="`rollback`: after an error kernel and files are as before; default: as configured."),
    ] = None


class InputValue(Strict):
    """The answer to `input()`."""

    value: Text


class KernelIn(Strict):
    """A new session."""

    environment: Text | None = None
    title: Title | None = None


class Undo(Strict):
    """Where to go back to."""

    to: Annotated[Text | None, Field(description="The execution to go back to before; default: the last one.")] = None


class Branch(Strict):
    """Where a branch begins, and what it is called."""

    at: Annotated[
        Text | None, Field(description="The execution to go on behind; default: where the kernel stands.")
    ] = None
    title: Title | None = None
    reseed: Annotated[bool, Field(description="Whether the branch draws other random numbers.")] = False


class Complete(Strict):
    """Code and the cursor's place in it, counted in code points."""

    code: Text
    cursor_pos: Annotated[int, Field(ge=0)]


class Inspect(Complete):
    """As for completion; level 1 adds the source."""

    detail_level: Annotated[int, Field(ge=0, le=1)] = 0


class CellIn(Strict):
    """A new cell, at the end or after another. `id` is what it is called where that is a good name nobody has."""

    id: Text | None = None
    type: Literal["code", "markdown"]
    source: Text = ""
    after: Text | None = None


class CellEdit(Strict):
    """What changes; what is absent stays."""

    source: Text | None = None
    type: Literal["code", "markdown"] | None = None
    outputs_hidden: bool | None = None


class CellMove(Strict):
    """The cell to stand after; null is the top."""

    after: Text | None


class Added(CellIn):
    kind: Literal["add"]


class Edited(CellEdit):
    kind: Literal["edit"]
    cell_id: Text


class Deleted(Strict):
    kind: Literal["delete"]
    cell_id: Text


class Restored(CellMove):
    kind: Literal["restore"]
    cell_id: Text


class Moved(CellMove):
    kind: Literal["move"]
    cell_id: Text


Change = Annotated[Added | Edited | Deleted | Restored | Moved, Field(discriminator="kind")]


class Changes(Strict):
    """Changes of cells, the first first."""

    changes: Annotated[list[Change], Field(max_length=1000)]


class Kernels(TypedDict):
    """A page of sessions; `next` goes into `after` for the one that follows."""

    items: list[KernelView]
    next: str | None


class Variable(TypedDict):
    """A variable of the session. `size` in bytes where it can be told."""

    name: str
    type: str
    shape: list[int] | None
    size: int | None
    preview: str


class Saved(TypedDict):
    """An uploaded file."""

    path: str
    size: int
    modified: str


class Health(TypedDict):
    """`ok`, `ready`, or an error."""

    status: str


class CompleteReply(TypedDict):
    """Jupyter's complete_reply content."""

    status: str
    matches: list[str]
    cursor_start: int
    cursor_end: int
    metadata: dict[str, Any]


class InspectReply(TypedDict):
    """Jupyter's inspect_reply content."""

    status: str
    found: bool
    data: dict[str, Any]
    metadata: dict[str, Any]
