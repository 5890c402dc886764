"""What a terminal would show of a stream: \\r, \\b and cursor moves rewrite the last rows; above, all is final. Pure.

Colours (SGR sequences) stay in the text; every other escape sequence is obeyed or dropped, so that a progress bar that
redraws itself a million times is one line.
"""

import re
from collections.abc import Callable

ROWS = 24
WIDTH = 4096  # a longer row is cut off from rewriting: what stands there is final
MAX_PEN = 64  # characters of colours before one character
MAX_SEQUENCE = 2100

_CONTROL = re.compile(
    r"[\n\r\b\x07]|\x1b\[([0-?]{0,64})[ -/]{0,4}([@-~])|\x1b\][^\x07\x1b]{0,2048}(?:\x07|\x1b\\)"
    r"|\x1b[ -/]{0,2}[0-Z\\^-~]|\x1b"
)
_UNFINISHED = re.compile(r"\x1b(?:[ -/]{0,2}|\[[0-?]{0,64}[ -/]{0,4}|\][^\x07\x1b]{0,2048}\x1b?)\Z")
_SPECIAL = re.compile(r"[\r\b\x07\x1b]")


class Terminal:
    """Feed it text; what can no longer change is returned as final, the rest is `text`, at most ROWS × WIDTH cells."""

    def __init__(self) -> None:
        self._rows: list[list[str]] = [[]]
        self._row = 0
        self._col = 0
        self._pen = ""  # colours that wait for the next character
        self._held = ""  # the beginning of an escape sequence

    @property
    def text(self) -> str:
        """The rows that may still change."""
        return "\n".join("".join(row) for row in self._rows) + self._pen

    @property
    def line(self) -> str:
        """The row the cursor is in; the one above it when it is empty."""
        row = self._rows[self._row] or self._rows[max(0, self._row - 1)]
        return "".join(row)

    def close(self) -> str:
        """All that is left, now final; the terminal is empty afterwards."""
        left = self.text
        self._rows, self._row, self._col, self._pen, self._held = [[]], 0, 0, "", ""
        return left

    def feed(self, text: str) -> str:
        """Returns the text that has become final."""
        text, self._held = _hold_back(self._held + text)
        if not self._pen and self._at_end() and not _SPECIAL.search(text):
            return self._append(text)
        at = 0
        final: list[str] = []
        for found in _CONTROL.finditer(text):
            self._write(text[at : found.start()], final)
            self._obey(found, final)
            at = found.end()
        self._write(text[at:], final)
        return "".join(final)

    def _at_end(self) -> bool:
        return self._row == len(self._rows) - 1 and self._col == len(self._rows[-1])

    def _append(self, text: str) -> str:
        """The fast path: plain text at the end; only the last rows are made editable."""
        lines = text.rsplit("\n", ROWS)
        if len(lines) <= ROWS:
            final: list[str] = []
            for n, line in enumerate(lines):
                if n:
                    self._newline(final)
                self._write(line, final)
            return "".join(final)
        whole = f"{self.text}{lines[0]}\n"
        self._rows, self._row, self._col = [[]], 0, 0
        return whole + self._append("\n".join(lines[1:]))

    def _write(self, text: str, final: list[str]) -> None:
        if not text:
            return
        if self._col + len(text) > WIDTH:
            self._give_up_row(final)
            final.append(self._pen + text[:-WIDTH])
            text, self._pen = text[-WIDTH:] if len(text) > WIDTH else text, ""
        cells = list(text)
        cells[0], self._pen = self._pen + cells[0], ""
        row = self._rows[self._row]
        if len(row) < self._col:
            row.extend(" " * (self._col - len(row)))
        row[self._col : self._col + len(cells)] = cells
        self._col += len(cells)

    def _give_up_row(self, final: list[str]) -> None:
        """Everything up to here is final, the row goes on as an empty one."""
        above = self._rows[: self._row + 1]
        final.append("\n".join("".join(row) for row in above))
        self._rows = [[], *self._rows[self._row + 1 :]]
        self._row = self._col = 0

    def _newline(self, final: list[str]) -> None:
        row = self._rows[self._row]
        if self._pen:
            row.append(self._pen)
            self._pen = ""
        self._row += 1
        self._col = 0
        if self._row == len(self._rows):
            self._rows.append([])
        if len(self._rows) > ROWS:
            final.append("".join(self._rows.pop(0)) + "\n")
            self._row -= 1

    def _obey(self, found: re.Match[str], final: list[str]) -> None:
        control = found[0]
        if control == "\n":
            self._newline(final)
        elif control == "\r":
            self._col = 0
        elif control == "\b":
            self._col = max(0, self._col - 1)
        elif found[2] == "m":
            self._pen = (self._pen + control)[-MAX_PEN:] if len(self._pen) < MAX_PEN else control
        elif move := _MOVES.get(found[2] or ""):
            move(self, _number(found[1]))

    def _up(self, by: int | None) -> None:
        self._row = max(0, self._row - (by or 1))

    def _down(self, by: int | None) -> None:
        self._row = min(len(self._rows) - 1, self._row + (by or 1))

    def _right(self, by: int | None) -> None:
        self._col = min(WIDTH, self._col + (by or 1))

    def _left(self, by: int | None) -> None:
        self._col = max(0, self._col - (by or 1))

    def _column(self, to: int | None) -> None:
        self._col = min(WIDTH, max(1, to or 1)) - 1

    def _next_row(self, by: int | None) -> None:
        self._down(by)
        self._col = 0

    def _previous_row(self, by: int | None) -> None:
        self._up(by)
        self._col = 0

    def _erase_row(self, what: int | None) -> None:
        row = self._rows[self._row]
        if what == 2:
            row.clear()
        elif what == 1:
            row[: self._col + 1] = " " * min(len(row), self._col + 1)
        elif not what:
            del row[self._col :]

    def _erase_below(self, what: int | None) -> None:
        if not what:
            self._erase_row(0)
            del self._rows[self._row + 1 :]


_MOVES: dict[str, Callable[[Terminal, int | None], None]] = {
    "A": Terminal._up,
    "B": Terminal._down,
    "C": Terminal._right,
    "D": Terminal._left,
    "E": Terminal._next_row,
    "F": Terminal._previous_row,
    "G": Terminal._column,
    "J": Terminal._erase_below,
    "K": Terminal._erase_row,
}


def _number(parameters: str | None) -> int | None:
    first = (parameters or "").split(";", 1)[0]
    return int(first[:6]) if first.isascii() and first.isdigit() else None


def _hold_back(text: str) -> tuple[str, str]:
    """An escape sequence that has only begun waits for its end (an OSC ends with BEL or ESC \\)."""
    last = text.rfind("\x1b", max(0, len(text) - MAX_SEQUENCE))
    before = text.rfind("\x1b", max(0, last - MAX_SEQUENCE), last) if last == len(text) - 1 else -1
    for at in (before, last):
        if at >= 0 and _UNFINISHED.match(text, at):
            return text[:at], text[at:]
    return text, ""
