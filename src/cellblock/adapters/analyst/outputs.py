"""What the tool said about one run, taken apart again: status, printed lines, tables, pictures, the error. Pure.

This reads `tool.for_model`'s text: `status: …`, then sections `stdout:`, `display:`, `error:` and their like. Its
content comes from files nobody has vouched for, so nothing here trusts it to be well formed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

SECTION = re.compile(r"(stdout|stderr|display|result|error|hint|notice|note|files|status):(?: (.*))?")
STANDING = re.compile(r"state: (?:empty|after \[\d+\]|before (?:\[\d+\]|this call), which is undone)")
PICTURE = re.compile(r"\[(?:PNG|JPEG|GIF|WEBP|SVG) image")
ERROR = re.compile(r"(?:[\w.]*\.)?(\w*(?:Error|Exception|Interrupt|Exit|Warning))\b:? ?(.*)")


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it was shown: the names of its value columns, and rows of a key and cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class Outputs:
    """One run. `lines` are what was printed; `error` is the last line of a traceback."""

    status: str = ""
    lines: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: int = 0
    error: str = ""
    notice: str = ""

    @property
    def ok(self) -> bool:
        return self.status == "ok"

    def fact(self, label: str) -> str:
        """The value printed as `label: value`; empty when it was not."""
        return next((line[len(label) + 1 :].strip() for line in self.lines if line.startswith(label + ":")), "")


def parse(text: str) -> Outputs:
    """The outputs of a run from the text the tool gave."""
    outputs = Outputs()
    for name, lines in sections(text):
        match name:
            case "status":
                outputs.status = re.split(r"[:\s(]", lines[0], maxsplit=1)[0] if lines else ""
            case "stdout" | "result" | "display":
                take(outputs, lines, shown=name != "stdout")
            case "error":
                outputs.error = last_error(lines)
            case "notice":
                outputs.notice = " ".join(line for line in lines if line)
            case _:
                continue
    return outputs


def sections(text: str) -> list[tuple[str, list[str]]]:
    """The sections in order; a new one begins at a line that names it, a picture ends the one before."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        heading = SECTION.fullmatch(line)
        if heading and (heading[2] is None or heading[1] in ("status", "notice", "note", "hint", "files")):
            found.append((heading[1], [heading[2]] if heading[2] else []))
        elif STANDING.fullmatch(line):
            found.append(("state", []))
        elif PICTURE.match(line):
            found.append(("display", [line]))
        elif found:
            found[-1][1].append(line)
    return found


def take(outputs: Outputs, lines: Sequence[str], *, shown: bool) -> None:
    """Lines that were printed, or a table or a picture that was shown."""
    outputs.pictures += sum(bool(PICTURE.match(line)) for line in lines)
    cells = [[cell.strip() for cell in line.split(" | ")] for line in padded(lines)]
    if shown and cells and len(cells[0]) > 1:
        outputs.tables.append(to_table(cells))
    else:
        outputs.lines += lines


def padded(lines: Sequence[str]) -> list[str]:
    """Lines of a table; a cell that is empty at either end keeps its bar."""
    kept = [line for line in lines if " |" in line or "| " in line]
    return [(" " + line if line.startswith("| ") else line) + (" " if line.endswith(" |") else "") for line in kept]


def to_table(cells: list[list[str]]) -> Table:
    """Header, the line that names the index if there is one, and the rows that fit the header."""
    header, *rest = cells
    name = header[0]
    if rest and len(rest[0]) == len(header) and rest[0][0] and not any(rest[0][1:]):
        name = rest.pop(0)[0]
    return Table((name, *header[1:]), tuple(tuple(row) for row in rest if len(row) == len(header)))


def last_error(lines: Sequence[str]) -> str:
    """The line of a traceback that names the error."""
    known = [line.strip() for line in lines if ERROR.match(line.strip())]
    return known[-1] if known else next((line.strip() for line in reversed(lines) if line.strip()), "")
