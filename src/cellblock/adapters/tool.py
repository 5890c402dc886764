"""The tool of language models, `executeNotebook`: its schema, the call, and the result cut to what a model needs.

`for_model` is pure. Everything it puts into the text came from code and data nobody has vouched for: the text is data
to a model, never instructions, and it says what is missing rather than pretend to be whole.
"""

import asyncio
import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from cellblock.errors import CellblockError
from cellblock.execution import ErrorInfo, Event, FileChange, Output, Result
from cellblock.host.config import ExecuteRequest
from cellblock.host.interpreter import Interpreter

TOOL_NAME = "executeNotebook"

DESCRIPTION = """\
Run Python in the conversation's Jupyter kernel, as a new cell of its notebook. Variables, imports and files stay for \
the next call. The person sees the code, and text, tables, plots and errors as they appear; you get them cut to what \
fits. Print the figures you want to state. A plot is shown by making it: matplotlib, plotly and altair work."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "description": "A few words for the person on what this cell does."},
        "code": {"type": "string", "description": "Python source; IPython's `!`, `%` and top-level await work too."},
    },
    "required": ["code"],
    "additionalProperties": False,
}

TEXT = 16_000
"""Characters of text a model gets for one call, in all."""
ERROR = 4_000
"""Characters of one error's frames."""
OUTPUTS = 30
"""Outputs of one call that are described; the middle ones are left out."""
ROWS = 40
"""Rows of one table."""
IMAGES = 4
"""Images of one call a model sees."""
IMAGE_BYTES = 4 << 20
"""Size of one image, decoded."""

PATIENCE = 10.0
"""Seconds to wait for the end of a call that was cancelled: an interrupt, its grace, and a kill."""

PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")

NOT_THE_MODULE = {
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "Crypto": "pycryptodome",
    "dateutil": "python-dateutil",
    "docx": "python-docx",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "PIL": "pillow",
    "pptx": "python-pptx",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "umap": "umap-learn",
    "yaml": "pyyaml",
}
"""Modules whose package has another name."""

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
MODULE = re.compile(r"No module named '([A-Za-z0-9_]+)")
OWN_FRAME = re.compile(r"^(?:Cell|Input) (?:In\s?)?\[|^File /workspace/|^File <|^\s*Cell In")


@dataclass(frozen=True, slots=True)
class Image:
    """A picture as a model sees it: `data` is the decoded file."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ForModel:
    """What a model gets of one execution: text, and the images it can see, in order."""

    text: str
    images: tuple[Image, ...]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """One call: what the model gets, and the whole Result."""

    text: str
    images: tuple[Image, ...]
    result: Result

    @property
    def failed(self) -> bool:
        return self.result["status"] != "ok"


OnEvent = Callable[[Event], Awaitable[None]]


async def run(
    interpreter: Interpreter,
    owner: str,
    kernel_id: str,
    code: str,
    on_event: OnEvent,
    *,
    vision: bool = True,
) -> ToolResult:
    """Run `code` as a new cell and return what became of it; every event goes to `on_event` on the way.

    Cancelling the call interrupts the kernel. Raises what `Interpreter.submit` raises: KernelNotFound, QueueFull,
    CodeTooLarge, KernelStartFailed, NoMemory.
    """
    request = ExecuteRequest(code=code, kernel_id=kernel_id, door="chat")
    accepted = await interpreter.submit(owner, request)
    try:
        async for event in interpreter.events(owner, accepted["id"]):
            await on_event(event)
        result = await interpreter.wait(owner, accepted["id"])
    except asyncio.CancelledError:
        await interrupt(interpreter, owner, accepted["id"])
        raise
    seen = for_model(result, vision=vision)
    return ToolResult(seen.text, seen.images, result)


async def interrupt(interpreter: Interpreter, owner: str, execution_id: str) -> None:
    """Interrupts an execution and waits for its end, `PATIENCE` seconds at most; one that is gone needs neither."""
    with suppress(CellblockError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await interpreter.interrupt_execution(owner, execution_id)
            await interpreter.wait(owner, execution_id)


def for_model(result: Result, *, vision: bool) -> ForModel:
    """The Result cut to what a model needs: at most `TEXT` characters and `IMAGES` images (none without vision)."""
    described = [section for output in shortened(result["outputs"]) for section in describe(output)]
    images = pick_images(described) if vision else ()
    sections = [status_line(result), *(words(part, seen=images) for part in described), *closing(result)]
    texts = [text for text in sections if text]
    room = shares([len(text) for text in texts], TEXT - 2 * len(texts))
    return ForModel("\n\n".join(cut(text, limit) for text, limit in zip(texts, room, strict=True)), images)


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """How much each gets: what is short all it wants, what is long the same of what is left."""
    given = [0] * len(lengths)
    for number, place in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        given[place] = min(lengths[place], room // (len(lengths) - number))
        room -= given[place]
    return given


# --- sections --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Picture:
    """An image output before it is known whether the model may see it."""

    media_type: str
    data: bytes


Section = str | Picture


def shortened(outputs: Sequence[Output]) -> list[Output]:
    """The first two thirds and the last third of too many outputs, with a word about the rest."""
    if len(outputs) <= OUTPUTS:
        return list(outputs)
    head, tail = OUTPUTS * 2 // 3, OUTPUTS // 3
    rest = len(outputs) - head - tail
    said: Output = {"output_type": "stream", "name": "note", "text": f"{rest} outputs are left out here"}
    return [*outputs[:head], said, *outputs[-tail:]]


def describe(output: Output) -> list[Section]:
    """One nbformat output as sections; an output nobody can describe gives none."""
    match output.get("output_type"):
        case "stream":
            text = plain(joined(output.get("text")))
            return [f"{output.get('name', 'stdout')}:\n{text}"] if text.strip() else []
        case "error":
            return [f"error:\n{error_text(output)}"]
        case "execute_result":
            return bundle(output.get("data"), "result")
        case "display_data":
            return bundle(output.get("data"), "display")
        case _:
            return []


def bundle(data: Any, name: str) -> list[Section]:
    """A MIME bundle by its richest form that says something in words, and its picture if it has one."""
    if not isinstance(data, dict):
        return []
    picture = find_picture(data)
    if picture is not None:
        return [picture]
    text = in_words(data)
    return [f"{name}:\n{text}"] if text else []


def in_words(data: dict[str, Any]) -> str:
    """The words of a MIME bundle without a picture."""
    for mime, value in data.items():
        if "vegalite" in mime or "vega" in mime:
            return f"[interactive chart, shown to the person only: {vega_summary(value)}]"
        if "plotly" in mime:
            return f"[interactive chart, shown to the person only: {plotly_summary(value)}]"
    if "image/svg+xml" in data:
        return "[SVG image, shown to the person only]"
    if table := html_table(joined(data.get("text/html"))):
        return table
    for mime in ("text/markdown", "text/latex", "text/plain"):
        if text := plain(joined(data.get(mime))).strip():
            return text
    if "application/json" in data:
        return json.dumps(data["application/json"], ensure_ascii=False, separators=(",", ":"))
    if "text/html" in data:
        return html_text(joined(data["text/html"])) or "[HTML, shown to the person only]"
    return f"[{', '.join(sorted(map(str, data)))[:200]}, shown to the person only]" if data else ""


def words(section: Section, *, seen: Sequence[Image]) -> str:
    """A section as text; a picture becomes a sentence that says whether the model sees it."""
    if isinstance(section, str):
        return section
    what = f"{section.media_type.removeprefix('image/').upper()} image{dimensions(section.data)}"
    number = next((n for n, image in enumerate(seen, 1) if image.data is section.data), 0)
    if number:
        return f"[{what}: image {number} below, shown to the person]"
    return f"[{what}, shown to the person; you cannot see it]"


def pick_images(sections: Sequence[Section]) -> tuple[Image, ...]:
    """The last few pictures small enough to send: the last ones are what the cell arrived at."""
    fit = [part for part in sections if isinstance(part, Picture) and 0 < len(part.data) <= IMAGE_BYTES]
    return tuple(Image(part.media_type, part.data) for part in fit[-IMAGES:])


def find_picture(data: dict[str, Any]) -> Picture | None:
    for mime in PICTURES:
        if mime in data:
            try:
                return Picture(mime, base64.b64decode(joined(data[mime]), validate=False))
            except (binascii.Error, ValueError):
                return Picture(mime, b"")
    return None


def dimensions(data: bytes) -> str:
    """` W×H` of a PNG, from its header; other formats say nothing."""
    if len(data) < 24 or not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ""
    return f" {int.from_bytes(data[16:20], 'big')}×{int.from_bytes(data[20:24], 'big')}"


# --- the lines around the outputs ------------------------------------------------------------------------------------

MEANING = {
    "ok": "ok",
    "error": "error: the code raised",
    "timeout": "timeout: stopped for taking too long",
    "interrupted": "interrupted: somebody stopped it",
    "out_of_memory": "out_of_memory: killed for using too much memory",
    "disk_full": "disk_full: the workspace is full; files can still be deleted",
    "kernel_died": "kernel_died: the kernel process ended",
    "protocol_error": "protocol_error: the kernel sent what no kernel sends and was ended",
    "cancelled": "cancelled: it never ran",
    "refused": "refused: the operator's policy does not allow this code, so it never ran",
}


def status_line(result: Result) -> str:
    status = result["status"]
    line = f"status: {MEANING.get(status, status)}"
    if (limit := result["limit"]) and limit["name"] != "output":  # that the text was cut, a note says
        line += f" (limit: {limit['name']} {limit['value']})"
    return line


def closing(result: Result) -> list[str]:
    """What else a model must know: errors without an output, hints, state lost, text cut, files changed."""
    lines = []
    error = result["error"]
    if error and not any(output.get("output_type") == "error" for output in result["outputs"]):
        lines.append(f"error:\n{error_text(error)}")
    if hint := module_hint(error):
        lines.append(f"hint: {hint}")
    if lost := state_line(result):
        lines.append(lost)
    if result["truncated"]:
        where = f"; the whole text is in the workspace file {result['spill']}" if result["spill"] else ""
        lines.append(f"note: the output was too long and its middle was left out{where}. Print less.")
    if result["files"]:
        lines.append(files_line(result["files"]))
    if stands := standing_line(result):
        lines.append(stands)
    return lines


def state_line(result: Result) -> str:
    if result["notice"]:
        return f"notice: {result['notice']}"
    if result["kernel_state"] == "lost":
        return "notice: the kernel was started afresh. All variables and imports are lost; files are still there."
    return ""


def standing_line(result: Result) -> str:
    """The state the kernel is in now, by the number of the cell it comes after; nothing of code that never ran."""
    count, state = result["execution_count"], result["kernel_state"]
    if state == "lost":
        return "state: empty"
    if state == "restored":
        return f"state: before {f'[{count}]' if count else 'this call'}, which is undone"
    return f"state: after [{count}]" if state == "kept" and count else ""


def files_line(files: Sequence[FileChange]) -> str:
    """The changed files, 20 at most."""
    names = [
        f"{change['change']} {plain(change['path'])[:200]}"
        + ("" if change["change"] == "deleted" else f" ({size(change['size'])})")
        for change in files[:20]
    ]
    more = f", and {len(files) - 20} more" if len(files) > 20 else ""
    return "files: " + ", ".join(names) + more


def size(count: int | None) -> str:
    """Bytes for a reader: `999 B`, `12.3 kB`, `4.0 MB`."""
    if count is None:
        return "unknown size"
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.1f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


def module_hint(error: ErrorInfo | None) -> str:
    """For a module that is not installed: whose step it is, and what to do meanwhile."""
    if not error or error["ename"] not in ("ModuleNotFoundError", "ImportError"):
        return ""
    found = MODULE.search(error["evalue"])
    if not found:
        return ""
    package = NOT_THE_MODULE.get(found[1], found[1])
    return (
        f"the package `{package}` is not installed in this environment and cannot be from here: there is no network. "
        f"Do it with the packages that are installed, or tell the person that the server's operator can add it: "
        f"`PYTHON -m pip install {package}`, where PYTHON is the environment's `python` in environments.toml "
        f"(the server's own Python without that file), and then a restart of the server."
    )


# --- text ------------------------------------------------------------------------------------------------------------


def joined(text: Any) -> str:
    """nbformat's text: a string or a list of strings."""
    if isinstance(text, list):
        return "".join(piece for piece in text if isinstance(piece, str))
    return text if isinstance(text, str) else ""


def plain(text: str) -> str:
    """Without ANSI and control characters; of an overwritten line (`\\r`) the last state."""
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in ANSI.sub("", text).split("\n"))
    return CONTROL.sub("", "\n".join(lines)).rstrip()


def cut(text: str, limit: int) -> str:
    """Head and tail of a text longer than `limit`, and between them how much is gone; `limit` at most, if that is 100 or more."""
    if len(text) <= limit:
        return text
    room = limit - 60  # for the line between them
    head, tail = room * 2 // 3, room // 3
    start = text.rfind("\n", head // 2, head) + 1 or head
    end = text.find("\n", len(text) - tail, len(text) - tail // 2) + 1 or len(text) - tail
    return f"{text[:start].rstrip()}\n… {end - start:,} characters are left out here …\n{text[end:].lstrip()}"


def error_text(error: Any) -> str:
    """The frames of the person's own code, one line for each other, and the error: no ANSI, at most `ERROR` long."""
    frames = [plain(frame) for frame in error.get("traceback") or [] if isinstance(frame, str)]
    last = cut(plain(f"{error.get('ename', 'Error')}: {error.get('evalue', '')}").rstrip(": "), ERROR // 2)
    kept = [line for frame in split_frames(frames) for line in frame_lines(frame)]
    body = cut("\n".join(kept), ERROR // 2)
    return f"{body}\n{last}" if body else last


def split_frames(traceback: Sequence[str]) -> list[str]:
    """IPython gives a frame an entry, first the rule and the title, last the error itself: only the frames."""
    inner = [entry for entry in traceback if entry.strip() and not entry.startswith("-----")]
    return [entry for entry in inner if OWN_FRAME.match(entry) or entry.startswith("File ")]


def frame_lines(frame: str) -> list[str]:
    """An own frame whole, a library's by its first line."""
    lines = [line.rstrip() for line in frame.splitlines()]
    if OWN_FRAME.match(frame):
        return lines
    return [f"{lines[0]} …"]


# --- tables and charts -----------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """The rows of the tables of an HTML fragment, and its text; scripts and styles are no text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.loose: list[str] = []
        self._cell: list[str] | None = None
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._silent += 1
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self._cell = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._silent = max(0, self._silent - 1)
        elif tag in ("td", "th") and self._cell is not None:
            if self.rows:
                self.rows[-1].append(" ".join("".join(self._cell).split()))
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        if self._cell is not None:
            self._cell.append(data)
        elif data.strip():
            self.loose.append(" ".join(data.split()))


def read_html(html: str) -> Reader:
    reader = Reader()
    reader.feed(html[:400_000])
    return reader


def html_table(html: str) -> str:
    """Tables as rows of `a | b`, `ROWS` at most, then the text around them; nothing when there is no table."""
    if "<table" not in html:
        return ""
    reader = read_html(html)
    rows = [" | ".join(row) for row in reader.rows if any(row)]
    if len(rows) > ROWS:
        gone = len(rows) - ROWS
        rows = [*rows[: ROWS * 3 // 4], f"… {gone} rows are left out here …", *rows[-ROWS // 4 :]]
    return plain("\n".join([*rows, *reader.loose]))


def html_text(html: str) -> str:
    return plain(" ".join(read_html(html).loose))


def vega_summary(spec: Any) -> str:
    """`bar; x: region, y: revenue` of a Vega-Lite specification."""
    if not isinstance(spec, dict):
        return "vega"
    mark = spec.get("mark")
    kind = mark.get("type") if isinstance(mark, dict) else mark
    encoding = spec.get("encoding")
    named = encoding.items() if isinstance(encoding, dict) else ()
    axes = [f"{k}: {v['field']}" for k, v in named if isinstance(v, dict) and "field" in v]
    return plain("; ".join([str(kind or "vega"), ", ".join(axes)]).strip("; "))[:300]


def plotly_summary(figure: Any) -> str:
    """`bar, scatter; Title` of a plotly figure."""
    if not isinstance(figure, dict):
        return "plotly"
    traces = figure.get("data")
    kinds = {str(trace.get("type", "scatter")) for trace in traces or () if isinstance(trace, dict)}
    layout = figure.get("layout")
    title = layout.get("title") if isinstance(layout, dict) else None
    named = title.get("text") if isinstance(title, dict) else title
    return plain("; ".join(part for part in (", ".join(sorted(kinds)), str(named or "")) if part))[:300] or "plotly"
