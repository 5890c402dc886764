"""What a kernel tells of one variable, read with suspicion: a table, page by page, or a text."""

from typing import Literal, TypeAlias

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from cellblock.errors import Unavailable
from cellblock.host import snippets

MAX_ROWS = 500


class Column(TypedDict):
    """A column of a table; the cells of a numeric one align right."""

    name: str
    type: str
    numeric: bool


class TableView(TypedDict):
    """Part of a table: `total` rows and `columns_total` columns in all, of which the first ones are here. null: missing."""

    kind: Literal["table"]
    total: int
    columns_total: int
    columns: list[Column]
    index: list[str]
    rows: list[list[str | None]]


class TextView(TypedDict):
    """What `repr` says, cut."""

    kind: Literal["text"]
    text: str


VariableView: TypeAlias = TableView | TextView

_answers: TypeAdapter[VariableView | None] = TypeAdapter(VariableView | None)


def question(name: str, *, offset: int, limit: int, sort: int | None, descending: bool) -> str:
    """Code that prints the answer `read` reads. `sort` is the place of a column."""
    return snippets.silently(snippets.LOOK, f"look(named({name!r}), {offset}, {limit}, {sort}, {descending})")


def question_of_output(key: str, offset: int, limit: int, sort: int | None, descending: bool) -> str:
    """The same of the table that a display has shown; None, and so no table, when the kernel does not hold it any more."""
    found = f"shown({key!r}, 'text/html')"
    return snippets.silently(snippets.SHOWN + snippets.LOOK, f"look({found}, {offset}, {limit}, {sort}, {descending})")


def read(told: str) -> VariableView | None:
    """The view; None for a name that is not there. Unavailable when a kernel says something else."""
    try:
        return _answers.validate_json(told, strict=True)
    except ValidationError:
        raise Unavailable("The kernel's answer was no view of a variable.") from None
