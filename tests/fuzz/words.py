"""Bytes as hostile values: what a fuzzer changes in the bytes changes what a kernel says. Total: any bytes give a value."""

from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

TEXTS = (
    *(
        "",
        "a",
        "stdout",
        "stderr",
        "ok",
        "error",
        "aborted",
        "busy",
        "idle",
        "page",
        "ask_exit",
        "\r",
        "\b",
        "\n",
        "\t",
        "é",
    ),
    *(
        "\x1b[1A",
        "\x1b[2K",
        "\x1b[0m",
        "\x1b[31m",
        "\x1b[4096C",
        "\x1b[999999999B",
        "\x1b]0;",
        "\x1b",
        "\x07",
        "\x9b",
        "\0",
    ),
    *(
        "\ud800",
        "\udcff",
        "\ufeff",
        "\u2028",
        "😀",
        "x" * 300,
        "line\n" * 30,
        "<script>",
        "]]>",
        "```",
        "# %%",
        "%%bash",
        "{",
    ),
    *(
        "text/plain",
        "text/html",
        "image/png",
        "image/svg+xml",
        "application/json",
        "text/latex",
        "application/vnd.x+json",
    ),
    *("iVBORw0KGgo=", "data:,", "<svg height='1e9'>", "<table><tr><td>1", "$$", "..", "/etc/passwd", "display", "code"),
)
KEYS = (
    *("name", "text", "data", "metadata", "transient", "display_id", "execution_count", "status", "payload", "source"),
    *(
        "ename",
        "evalue",
        "traceback",
        "wait",
        "prompt",
        "password",
        "execution_state",
        "msg_id",
        "msg_type",
        "user_expressions",
    ),
    *(
        "cell_type",
        "outputs",
        "output_type",
        "cells",
        "nbformat",
        "nbformat_minor",
        "id",
        "attachments",
        "title",
        "worksheets",
    ),
    *(
        "matches",
        "cursor_start",
        "cursor_end",
        "found",
        "shape",
        "size",
        "type",
        "preview",
        "op",
        "policy",
        "level",
        "preload",
    ),
    *("text/plain", "text/html", "image/png", "image/svg+xml", "application/json", "application/vnd.plotly.v1+json"),
)
NUMBERS = (0, 1, -1, 2, 3, 4, 5, 63, 64, 255, 256, 2**31, 2**53, 2**63, -(2**63), 10**30, 0.5, -0.0, 1e308)
ODD = (float("nan"), float("inf"), float("-inf"), True, False, None)
DEPTH = 80


class Words:
    """Takes values off the front of some bytes; when they are used up, the rest is zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return max(0, len(self._data) - self._at)

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def raw(self) -> bytes:
        """A piece of the bytes as they are."""
        size = self.byte()
        self._at, start = min(len(self._data), self._at + size), self._at
        return self._data[start : self._at]

    def one(self, of: Sequence[T]) -> T:
        return of[self.byte() % len(of)]

    def text(self) -> str:
        pieces = [self.one(TEXTS) for _ in range(self.byte() % 4)]
        if self.byte() % 2:
            pieces.append(self.raw().decode("utf-8", "surrogateescape"))
        return "".join(pieces) * (1 if self.byte() < 250 else 1000)

    def value(self, depth: int = 0) -> Any:
        kind = self.byte() % 8
        if kind == 0:
            return self.one(NUMBERS)
        if kind == 1:
            return self.one(ODD)
        if kind == 2 and depth < DEPTH:
            return [self.value(depth + 1) for _ in range(self.byte() % 5)]
        if kind in (3, 4) and depth < DEPTH:
            return self.mapping(depth)
        if kind == 5 and self.byte() > 250:
            return deep(self.byte())
        return self.text()

    def mapping(self, depth: int = 0) -> dict[str, Any]:
        return {self._key(): self.value(depth + 1) for _ in range(self.byte() % 6)}

    def _key(self) -> str:
        return self.one(KEYS) if self.byte() % 8 else self.text()


def deep(levels: int) -> Any:
    made: Any = "bottom"
    for _ in range(levels):
        made = [made]
    return made
