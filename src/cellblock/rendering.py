"""A notebook as a script, as markdown, as one HTML file. Pure; what a kernel made is never markup of ours.

The HTML holds no scripts, and its policy forbids them and every request. HTML and SVG from the code stand in frames
without any permission, images are data URIs, everything else is escaped text.
"""

import ast
import base64
import binascii
import html
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from markdown_it import MarkdownIt

from cellblock.content import Output, is_undone

UNDONE = "Undone: what follows was made without it."
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
FRAMED = ("image/svg+xml", "text/html")
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.?|[\x00-\x08\x0b-\x1f\x7f]")
_DRAWN = re.compile(r"<svg[^>]{0,1000}?\sheight=\"([0-9]{1,4})")
_BLOCKS = re.compile(r"<(?:tr|p|br|li|h[1-6]|div|pre)\b", re.IGNORECASE)
_TAGS = re.compile(r"<[^<>]{0,1000}>")
_ATTACHED = re.compile(r"(\]\(\s{0,9}<?|^ {0,3}\[[^\[\]\n]{1,999}\]:[ \t]{0,9}<?)(attachment:[^\s<>()]+)", re.MULTILINE)
LANGUAGE = {"name": "python", "file_extension": ".py", "mimetype": "text/x-python", "pygments_lexer": "ipython3"}
LANGUAGE_INFO = ("name", "version", "file_extension", "mimetype", "pygments_lexer", "codemirror_mode")
_NO_WORD = re.compile(r"[^a-z0-9+#.-]")
_SGR = re.compile(r"\x1b\[([0-9;:]{0,64})m")


@dataclass(frozen=True, slots=True)
class Speech:
    """What a notebook's code is written in, and for whom: the kernelspec's title, its language, and what the kernel itself
    says of that, where it has been asked."""

    display_name: str | None = None
    language: str = "python"
    info: Mapping[str, Any] = field(default_factory=dict)

    def described(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """As nbformat has it; what the notebook's own metadata say counts, where it is the same language."""
        own = metadata.get("language_info")
        if isinstance(own, dict) and str(own.get("name")).lower() == self.language.lower():
            return own
        said = {key: self.info[key] for key in LANGUAGE_INFO if isinstance(self.info.get(key), str)}
        return LANGUAGE if self.language == "python" else {"name": self.language, **said}


PYTHON = Speech()


def strip_ansi(text: str) -> str:
    """Text without escape sequences and control characters."""
    return _ESCAPES.sub("", text)


def to_py(view: Mapping[str, Any]) -> str:
    """The percent format: `# %%` before code, `# %% [markdown]` before commented text; magics and undone code are comments."""
    return "\n".join(_py_cell(cell) for cell in view["cells"])


def _py_cell(cell: Mapping[str, Any]) -> str:
    lines = cell["source"].splitlines()
    if cell["type"] != "code":
        return "\n".join(["# %% [markdown]", *(_comment(line) for line in lines), ""])
    if is_undone(cell):
        return "\n".join(["# %%", _comment(UNDONE), *(_comment(line) for line in lines), ""])
    if lines and lines[0].startswith("%%"):
        return "\n".join(["# %%", *(_comment(line) for line in lines), ""])
    if not _is_python(cell["source"]):
        lines = [_without_magic(line) for line in lines]
    return "\n".join(["# %%", *lines, ""])


def _is_python(source: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError):
        return False
    return True


def _without_magic(line: str) -> str:
    """A line of IPython's own becomes a comment; inside a block it leaves a statement."""
    bare = line.lstrip()
    if not bare.startswith(("%", "!")):
        return line
    return _comment(line) if bare == line else f"{line[: -len(bare)]}pass  # {bare}"


def _comment(line: str) -> str:
    return f"# {line}".rstrip()


def to_md(view: Mapping[str, Any], speech: Speech) -> str:
    """Markdown: code in fences, text outputs in fences, images as data URIs."""
    parts = [f"# {_one_line(view['title'])}\n"] if view["title"] else []
    for cell in view["cells"]:
        if cell["type"] != "code":
            parts.append(_brought(cell).rstrip() + "\n")
            continue
        parts += [f"*{UNDONE}*\n"] if is_undone(cell) else []
        parts.append(_fence(cell["source"], _NO_WORD.sub("", speech.language.lower())))
        parts += [_md_output(output) for output in cell["outputs"]]
    return "\n".join(parts)


def _brought(cell: Mapping[str, Any]) -> str:
    """A text with the pictures it brings along in their places."""
    held = cell["metadata"].get("attachments")
    return _ATTACHED.sub(lambda found: found[1] + (_picture(held, found[2]) or found[2]), cell["source"])


def _picture(attachments: Any, address: str) -> str | None:
    """The data URI of a picture that a text brings along, by the address its Markdown has for it."""
    if not address.startswith("attachment:") or not isinstance(attachments, dict):
        return None
    name = address.removeprefix("attachment:")
    held = attachments.get(name, attachments.get(unquote(name)))
    for mime in IMAGES:
        data = held.get(mime) if isinstance(held, dict) else None
        if image := _base64("".join(map(str, data)) if isinstance(data, list) else data):
            return f"data:{mime};base64,{image}"
    return None


def _md_output(output: Output) -> str:
    if output["output_type"] == "stream":
        return _fence(strip_ansi(output["text"]))
    if output["output_type"] == "error":
        return _fence(_traceback(output))
    data = output["data"]
    for mime in IMAGES:
        if image := _base64(data.get(mime)):
            return f"![{mime}](data:{mime};base64,{image})\n"
    return _fence(strip_ansi(_plain(data)))


def _fence(text: str, language: str = "") -> str:
    """A fence longer than any in the text."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    ticks = "`" * (longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}\n"


def _traceback(output: Output) -> str:
    return strip_ansi("\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}")


def _plain(data: Mapping[str, Any]) -> str:
    """What says most as text: LaTeX and JSON have a plain text that only names their class."""
    if "application/json" in data:
        return json.dumps(data["application/json"], indent=1, ensure_ascii=False)
    for mime in ("text/latex", "text/plain", "text/markdown"):
        if isinstance(text := data.get(mime), str):
            return text
    return f"[{', '.join(data)}]"


def _base64(data: object) -> str | None:
    """Base64 without line breaks, None when it is none."""
    if not isinstance(data, str):
        return None
    data = "".join(data.split())
    try:
        base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data


def _one_line(text: str) -> str:
    return " ".join(text.split())


def to_html(view: Mapping[str, Any]) -> str:
    """One file, static and self-contained."""
    title = html.escape(_one_line(view["title"] or "Notebook"))
    cells = "\n".join(_html_cell(cell) for cell in view["cells"])
    return _PAGE.format(title=title, style=_STYLE, cells=cells)


def _html_cell(cell: Mapping[str, Any]) -> str:
    if cell["type"] != "code":
        return f'<section class="text">{_markdown(cell["source"], cell["metadata"].get("attachments"))}</section>'
    outputs = "".join(_html_output(output) for output in cell["outputs"])
    count = cell["execution_count"] if cell["execution_count"] is not None else " "
    source = html.escape(cell["source"])
    code = f'<div class="code"><span class="count">[{count}]</span><pre><code>{source}</code></pre></div>'
    shown = f'{code}<div class="outputs">{outputs}</div>'
    if is_undone(cell):
        return f'<section class="cell undone"><p>{UNDONE}</p>{shown}</section>'
    return f'<section class="cell">{shown}</section>'


def _markdown(source: str, attachments: Any = None) -> str:
    """CommonMark with tables; raw HTML is shown as text, links only to harmless schemes."""
    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    tokens = reader.parse(source)
    for token in (inner for block in tokens for inner in block.children or () if inner.type == "image"):
        token.attrs["src"] = _picture(attachments, str(token.attrs["src"])) or token.attrs["src"]
    rendered: str = reader.renderer.render(tokens, reader.options, {})
    return rendered


def _html_output(output: Output) -> str:
    if output["output_type"] == "stream":
        return f'<pre class="{_class(output["name"])}">{ansi_to_html(output["text"])}</pre>'
    if output["output_type"] == "error":
        text = "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}"
        return f'<pre class="error">{ansi_to_html(text)}</pre>'
    return _html_display(output["data"])


def _class(name: object) -> str:
    return "stderr" if name == "stderr" else "stdout"


def _html_display(data: Mapping[str, Any]) -> str:
    """The richest representation a page without scripts can show."""
    for mime in IMAGES:
        if image := _base64(data.get(mime)):
            alt = html.escape(strip_ansi(_plain(data))[:200], quote=True)
            return f'<img src="data:{mime};base64,{image}" alt="{alt}">'
    for mime in FRAMED:
        if isinstance(data.get(mime), str) and not (
            mime == "text/html" and "<script" in data[mime].lower() and _texts(data)
        ):
            return _frame(data[mime])
    if isinstance(data.get("text/markdown"), str):
        return f'<div class="text">{_markdown(data["text/markdown"])}</div>'
    return f"<pre>{ansi_to_html(_plain(data))}</pre>"


def _texts(data: Mapping[str, Any]) -> bool:
    return isinstance(data.get("text/plain"), str)


def _frame(markup: str) -> str:
    """Untrusted markup, without scripts, forms, origin or navigation of ours."""
    document = html.escape(_FRAME_STYLE + markup, quote=True)
    style = f"height:{_height(markup)}px"
    return f'<iframe sandbox="" srcdoc="{document}" style="{style}" loading="lazy" title="output"></iframe>'


def _height(markup: str) -> int:
    """A guess in pixels: without scripts nobody can tell; the frame can be scrolled, and pulled larger."""
    if drawn := _DRAWN.search(markup[:2000]):
        return min(800, int(drawn[1]) + 16)
    blocks = len(_BLOCKS.findall(markup[:100_000]))
    return min(480, 40 + 26 * max(blocks, len(_TAGS.sub("", markup[:100_000])) // 120 + 1))


_COLOURS = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


def ansi_to_html(text: str) -> str:
    """Escaped text with colours as classes; unknown sequences are dropped."""
    parts: list[str] = []
    classes: dict[str, str] = {}
    at = 0
    for found in _SGR.finditer(text):
        parts.append(_span(text[at : found.start()], classes))
        classes = _colours(classes, found[1])
        at = found.end()
    parts.append(_span(text[at:], classes))
    return "".join(parts)


def _span(text: str, classes: dict[str, str]) -> str:
    shown = html.escape(strip_ansi(text))
    return f'<span class="{" ".join(classes.values())}">{shown}</span>' if shown and classes else shown


def _colours(classes: dict[str, str], codes: str) -> dict[str, str]:
    """The classes after one SGR sequence; extended colours (38, 48) are skipped with their parameters."""
    made = dict(classes)
    numbers = iter(int(code[:4]) if code.isdigit() else 0 for code in re.split("[;:]", codes))
    for number in numbers:
        if number in (38, 48):
            for _ in range({5: 1, 2: 3}.get(next(numbers, 0), 0)):
                next(numbers, None)
        elif number == 0:
            made.clear()
        elif number == 1:
            made["bold"] = "bold"
        elif number == 22:
            made.pop("bold", None)
        elif number == 39:
            made.pop("colour", None)
        elif 30 <= number <= 37 or 90 <= number <= 97:
            made["colour"] = f"ansi-{_COLOURS[number % 10]}"
    return made


_FRAME_STYLE = (
    "<style>:root{color-scheme:light dark}body{font:14px system-ui,sans-serif;margin:4px}"
    "table{border:0;border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "td,th{border:0;padding:2px 10px;text-align:right;border-bottom:1px solid #8884}</style>"
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --soft: #6b6b6b; --line: #e2e2e2; --ground: #fff; --code: #f6f6f6;
  --red: #b3261e; --green: #2e6b34; --yellow: #7a5b00; --blue: #1f5fa8; --magenta: #8a3a8f; --cyan: #0f6b74; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e4e4; --soft: #9a9a9a; --line: #333; --ground: #161616;
  --code: #202020; --red: #f2847c; --green: #8fce96; --yellow: #dcbf63; --blue: #86b7f0; --magenta: #d9a0de;
  --cyan: #7fd0d8; } }
body { margin: 0 auto; max-width: 56rem; padding: 2rem 1.5rem; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.4rem; font-weight: 600; }
section { margin: 0 0 1.5rem; }
pre { margin: 0; padding: .5rem .75rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
.code { position: relative; background: var(--code); border-radius: 4px; }
.count { position: absolute; right: .5rem; top: .5rem; color: var(--soft); font: 11px ui-monospace, monospace; }
.outputs { margin-top: .25rem; }
.undone p { margin: 0 0 .25rem; color: var(--soft); font-size: 13px; }
.undone .code, .undone .outputs { filter: grayscale(1); opacity: .55; }
.stderr { color: var(--soft); }
.error { border-left: 2px solid var(--red); }
img { display: block; max-width: 100%; margin: .5rem 0; }
iframe { width: 100%; border: 0; margin: .5rem 0; resize: vertical; }
table { border-collapse: collapse; } td, th { padding: .15rem .6rem; border-bottom: 1px solid var(--line); }
.bold { font-weight: 600; } .ansi-black, .ansi-white { color: var(--soft); } .ansi-red { color: var(--red); }
.ansi-green { color: var(--green); } .ansi-yellow { color: var(--yellow); } .ansi-blue { color: var(--blue); }
.ansi-magenta { color: var(--magenta); } .ansi-cyan { color: var(--cyan); }
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{cells}
</body>
</html>
"""
