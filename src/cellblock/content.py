"""Text and JSON from a kernel, read with suspicion: every reader gives a plain value or raises Malformed. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

Output: TypeAlias = dict[str, Any]

MAX_DEPTH = 64
SHOWN_DEPTH = MAX_DEPTH - 16  # of what is shown: with it, a notebook stays one that can be read
TOO_DEEP = f"[… nested deeper than {SHOWN_DEPTH} …]"
MAX_ERROR = 64 << 10
MAX_ID = 256
MAX_REPRESENTATIONS = 64  # of one display; honest ones have ten at most


class Malformed(ValueError):
    """A message whose content is not what the protocol says."""


def size_of(text: str) -> int:
    """Bytes as UTF-8."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def is_undone(cell: Mapping[str, Any]) -> bool:
    """Whether what a cell shows has been taken back. It is noted in its metadata, where an imported notebook may say anything."""
    noted = cell["metadata"].get("cellblock")
    return isinstance(noted, dict) and bool(noted.get("undone"))


def clean(text: str) -> str:
    """Text that can be written as UTF-8: lone surrogates become U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def first_bytes(text: str, count: int) -> str:
    """The longest prefix of at most `count` bytes."""
    return text[:count] if text.isascii() else text.encode("utf-8", "replace")[:count].decode("utf-8", "ignore")


def last_bytes(text: str, count: int) -> str:
    """The longest suffix of at most `count` bytes."""
    if count <= 0:
        return ""
    return text[-count:] if text.isascii() else text.encode("utf-8", "replace")[-count:].decode("utf-8", "ignore")


def cut(text: str, limit: int) -> str:
    """At most about `limit` bytes: head and tail, with a line between them that says what is missing."""
    if size_of(text) <= limit:
        return text
    head, tail = first_bytes(text, limit // 2), last_bytes(text, limit - limit // 2)
    return f"{head}\n{missing(size_of(text) - size_of(head) - size_of(tail))}\n{tail}"


def missing(count: int, outputs: int = 0, path: str | None = None) -> str:
    """The line that stands where something was cut out."""
    what = [f"{count:,} bytes of text"] if count else []
    what += [f"{outputs:,} outputs"] if outputs else []
    where = f"; the whole text is in {path}" if path else ""
    return f"[… {' and '.join(what)} left out{where} …]"


def plain(value: Any, depth: int = MAX_DEPTH) -> Any:
    """A JSON value as strict JSON has it: no NaN, no lone surrogates, not deeper than `depth`; Malformed otherwise."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if value - value == 0 else None
    if value is None or isinstance(value, bool | int):
        return value
    if depth == 0:
        raise Malformed(f"nested deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        return [plain(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {clean(_key(key)): plain(item, depth - 1) for key, item in value.items()}
    raise Malformed(f"{type(value).__name__} is not a JSON value")


def shortened(value: Any, depth: int = SHOWN_DEPTH) -> Any:
    """As `plain`, but what is nested deeper is left out, and a text says so."""
    if not isinstance(value, list | dict):
        return plain(value)
    if depth == 0:
        return TOO_DEEP
    if isinstance(value, list):
        return [shortened(item, depth - 1) for item in value]
    return {clean(_key(key)): shortened(item, depth - 1) for key, item in value.items()}


def _key(key: object) -> str:
    if isinstance(key, str):
        return key
    raise Malformed("a key that is not text")


def bundle(data: Mapping[str, Any]) -> dict[str, Any]:
    """A MIME bundle as nbformat wants it: text as one string, JSON types as they are but for their depths, nothing else."""
    if len(data) > MAX_REPRESENTATIONS:
        raise Malformed(f"a display with more than {MAX_REPRESENTATIONS} representations")
    made: dict[str, Any] = {}
    for mime, value in data.items():
        value = shortened(value)
        if isinstance(value, list) and not _is_json(mime) and all(isinstance(line, str) for line in value):
            value = "".join(value)
        if value is not None:
            made[clean(_key(mime))] = value if isinstance(value, str) or _is_json(mime) else json.dumps(value)
    return made


def _is_json(mime: str) -> bool:
    return mime == "application/json" or (mime.startswith("application/") and mime.endswith("json"))


def weight(value: Any) -> int:
    """About how many bytes a JSON value takes."""
    return size_of(value) if isinstance(value, str) else len(json.dumps(value))


def error_output(ename: str, evalue: str, traceback: list[str]) -> Output:
    """An nbformat error output, cut to about MAX_ERROR bytes."""
    room, lines = MAX_ERROR, [cut(line, MAX_ERROR // 4) for line in (*traceback[:100], *traceback[100:][-100:])]
    kept: list[str] = []
    for line in reversed(lines):  # the last lines matter most
        room -= size_of(line) + 1
        if room < 0:
            kept.append("[… lines left out …]")
            break
        kept.append(line)
    return {
        "output_type": "error",
        "ename": cut(ename, 256),
        "evalue": cut(evalue, MAX_ERROR // 4),
        "traceback": kept[::-1],
    }


def syntax_lines(problem: SyntaxError) -> list[str]:
    """The lines Python itself would print, with the caret under the place."""
    lines = [f"  Cell, line {problem.lineno or 1}"]
    if problem.text:
        source = problem.text.rstrip("\n")
        bare = source.lstrip()
        at = max(0, (problem.offset or 1) - 1 - (len(source) - len(bare)))
        end = problem.end_offset if problem.end_lineno == problem.lineno else None
        width = max(1, min(len(bare), (end or 0) - 1 - (len(source) - len(bare))) - at)
        lines += [f"    {cut(bare, 400)}", f"    {' ' * min(at, 400)}{'^' * min(width, 400)}"]
    return [clean(line) for line in (*lines, f"{type(problem).__name__}: {problem.msg}")]


class Content:
    """A Jupyter message's content and metadata."""

    def __init__(self, content: object, metadata: object) -> None:
        if not isinstance(content, dict):
            raise Malformed("content that is no object")
        self.raw: dict[Any, Any] = content
        self.metadata = metadata if isinstance(metadata, dict) else {}

    def text(self, key: str, default: str | None = None) -> str:
        value = self.raw.get(key, default)
        if not isinstance(value, str):
            raise Malformed(f"{key} is not text")
        return clean(value)

    def flag(self, key: str) -> bool:
        value = self.raw.get(key, False)
        if not isinstance(value, bool):
            raise Malformed(f"{key} is neither true nor false")
        return value

    def items(self, key: str) -> list[Any]:
        value = self.raw.get(key) or []
        if not isinstance(value, list):
            raise Malformed(f"{key} is not a list")
        return value

    def mapping(self, key: str) -> dict[str, Any]:
        value = self.raw.get(key, {})
        if not isinstance(value, dict):
            raise Malformed(f"{key} is not an object")
        return value

    def stream_name(self) -> Literal["stdout", "stderr"]:
        match self.text("name"):
            case "stdout" | "stderr" as name:
                return name
        raise Malformed("a stream is stdout or stderr")

    def display(self, output_type: str) -> Output:
        metadata = shortened(self.mapping("metadata"))
        return {"output_type": output_type, "data": bundle(self.mapping("data")), "metadata": metadata}

    def display_id(self) -> str | None:
        value = self.mapping("transient").get("display_id")
        if value is not None and (not isinstance(value, str) or len(value) > MAX_ID):
            raise Malformed("a display_id that is no short text")
        return value and clean(value)

    def error(self) -> tuple[str, str, list[str]]:
        lines = [clean(line) for line in self.items("traceback") if isinstance(line, str)]
        return self.text("ename", ""), self.text("evalue", ""), lines
