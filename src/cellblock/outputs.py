"""The outputs of one execution, folded as they come, never larger than a limit: head and tail stay. Pure.

Text: consecutive pieces of one stream are one output, as a terminal would show them. When all text together passes the
limit, the first half of the limit and the last half stay; one line between them says how much is missing. Displays have
a budget of the same size, first come first kept: of one that does not fit, the representations that do fit stay, text
first, and a line names those left out. Errors are always kept, cut to MAX_ERROR. Of text that is cut a whole
copy goes to `take_spill()`, up to SPILL_LIMIT bytes.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from cellblock.content import Output, cut, error_output, first_bytes, last_bytes, missing, size_of, weight
from cellblock.terminal import Terminal

StreamName: TypeAlias = Literal["stdout", "stderr"]

SPILL_LIMIT = 64 << 20
MAX_ERRORS = 8
MAX_DISPLAYS = 1000
MAX_NOTICES = 64 << 10  # bytes for the remains of displays that did not fit
OVERHEAD = 128  # what one output costs besides its text
PIECE = 16 << 10


@dataclass(slots=True)
class _Text:
    name: StreamName
    text: str

    @property
    def size(self) -> int:
        return size_of(self.text) + OVERHEAD


@dataclass(slots=True)
class _Display:
    output: Output
    id: str | None
    size: int


_Item: TypeAlias = _Text | _Display


@dataclass(slots=True)
class Spill:
    """The whole of a text that was cut, handed on in chunks; says so where it stops."""

    path: str | None = None
    used: int = 0
    begun: bool = False
    _chunks: list[bytes] = field(default_factory=list)

    def write(self, text: str) -> None:
        self.begun = True
        if self.path is None or self.used >= SPILL_LIMIT:
            return
        data = text.encode("utf-8", "replace")
        if self.used + len(data) >= SPILL_LIMIT:
            notice = f"\n[… this file stops here, after {SPILL_LIMIT >> 20} MiB …]\n".encode()
            data = data[: SPILL_LIMIT - self.used - len(notice)] + notice
            self.used = SPILL_LIMIT
        else:
            self.used += len(data)
        self._chunks.append(data)

    def take(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return b"".join(chunks)


class Outputs:
    """Folds Jupyter's output messages. Memory stays below about twice `limit` bytes, whatever comes."""

    def __init__(self, limit: int, spill_path: str | None = None) -> None:
        self.limit = limit
        self.spill = Spill(spill_path)
        self._name: StreamName = "stdout"
        self._terminal: Terminal | None = None
        self._clear_next = False
        self._begin()

    def _begin(self) -> None:
        self._body: deque[_Item] = deque()
        self._head: list[_Item] | None = None  # set once text has been cut
        self._middle: list[_Display] = []
        self._text_size = 0
        self._display_size = 0
        self._displays = 0
        self._errors = 0
        self._lost_bytes = 0
        self._lost_outputs = 0
        self._reduced = False

    @property
    def truncated(self) -> bool:
        """Whether anything was left out of what `outputs()` gives."""
        return self._reduced or self._lost_outputs > 0 or self._tail()[1] > 0

    @property
    def clears_next(self) -> bool:
        """Whether the next output takes the place of all there are."""
        return self._clear_next

    @property
    def line(self) -> str:
        """The line a terminal's cursor would be in."""
        return self._terminal.line if self._terminal else ""

    @property
    def size(self) -> int:
        """Bytes of text and displays kept by now."""
        return self._text_size + self._display_size

    # what comes in

    def stream(self, name: StreamName, text: str) -> None:
        """Text for a stream."""
        self._clear_if_due()
        if self._terminal is None or name != self._name:
            self._close_text()
            self._terminal, self._name = Terminal(), name
        for at in range(0, len(text), PIECE):
            self._commit(self._terminal.feed(text[at : at + PIECE]))

    def display(self, output: Output, display_id: str | None = None) -> Output | None:
        """A `display_data` or `execute_result`; returns what was kept of it, None when it was only counted."""
        self._clear_if_due()
        self._close_text()
        if self._displays >= MAX_DISPLAYS or self._display_size > self.limit + MAX_NOTICES:
            self._lost_outputs += 1
            return None
        kept = self._fit(output, self.limit - self._display_size)
        if self._head is not None:
            self.spill.write(f"\n{_label(kept)}\n")
        item = _Display(kept, display_id, _weigh(kept))
        self._displays += 1
        self._display_size += item.size
        self._body.append(item)
        return kept

    def update(self, display_id: str, data: dict[str, Any], metadata: dict[str, Any]) -> Output:
        """Replaces every display with this id; returns what was kept (also when this execution has no such display)."""
        kept: Output = {"output_type": "display_data", "data": data, "metadata": metadata}
        mine = [item for item in self._items() if isinstance(item, _Display) and item.id == display_id]
        room = self.limit - self._display_size + sum(item.size for item in mine)
        kept = self._fit(kept, room // max(1, len(mine)))
        for item in mine:
            self._display_size -= item.size
            item.output = {**item.output, "data": kept["data"], "metadata": kept["metadata"]}
            item.size = _weigh(item.output)
            self._display_size += item.size
        return kept

    def error(self, ename: str, evalue: str, traceback: list[str]) -> Output:
        """An error output, cut; the first MAX_ERRORS are kept."""
        self._clear_if_due()
        self._close_text()
        output = error_output(ename, evalue, traceback)
        if self._errors >= MAX_ERRORS:
            self._lost_outputs += 1
            return output
        self._errors += 1
        self._body.append(_Display(output, None, 0))
        return output

    def clear(self, wait: bool) -> None:
        """`clear_output`: now, or with the next output."""
        if wait:
            self._clear_next = True
            return
        self._clear_next = False
        self._terminal = None
        self._begin()

    def close(self) -> None:
        """Nothing more will come: what was still open becomes final (and is spilled if the text was cut)."""
        self._close_text()

    # what comes out

    def outputs(self) -> list[Output]:
        """nbformat 4.5 outputs, so far."""
        return [output for output, _ in self._compose()]

    def display_ids(self) -> list[str | None]:
        """Beside each of `outputs()` its display id, if it has one."""
        return [id for _, id in self._compose()]

    def _compose(self) -> list[tuple[Output, str | None]]:
        made: list[tuple[Output, str | None]] = []
        for item in self._items_with_notice():
            if isinstance(item, _Display):
                made.append((item.output, item.id))
            elif made and made[-1][0].get("name") == item.name:
                made[-1][0]["text"] += item.text
            elif item.text:
                made.append(({"output_type": "stream", "name": item.name, "text": item.text}, None))
        return made

    def _items(self) -> Iterator[_Item]:
        yield from self._head or ()
        yield from self._middle
        yield from self._body

    def _items_with_notice(self) -> Iterator[_Item]:
        tail, lost = self._tail()
        yield from self._head or ()
        if lost or (self._head is not None and self._lost_outputs):
            yield _Text(self._name_of_head(), f"\n{missing(lost, self._lost_outputs, self.spill.path)}\n")
        yield from self._middle
        yield from tail
        if self._head is None and self._lost_outputs:
            yield _Text("stdout", f"\n{missing(0, self._lost_outputs)}\n")

    def _tail(self) -> tuple[list[_Item], int]:
        """What follows the middle, and how many bytes the middle has lost."""
        body = list(self._body)
        if self._terminal and (text := self._terminal.text):
            body.append(_Text(self._name, text))
        if self._head is None:
            return body, 0
        kept, dropped = _last(body, self.limit - self.limit // 2)
        return kept, self._lost_bytes + dropped

    def _name_of_head(self) -> StreamName:
        return next((item.name for item in reversed(self._head or []) if isinstance(item, _Text)), self._name)

    # how text is kept small

    def _clear_if_due(self) -> None:
        if self._clear_next:
            self.clear(wait=False)

    def _close_text(self) -> None:
        if self._terminal is not None:
            self._commit(self._terminal.close())
            self._terminal = None

    def _commit(self, text: str) -> None:
        """Text that is final, a piece at a time."""
        if self._head is not None and text:
            self.spill.write(text)
        for at in range(0, len(text), PIECE):
            self._keep(text[at : at + PIECE])
        self._evict()

    def _keep(self, text: str) -> None:
        last = self._body[-1] if self._body else None
        if isinstance(last, _Text) and last.name == self._name and len(last.text) < PIECE:
            last.text += text
            self._text_size += size_of(text)
            return
        piece = _Text(self._name, text)
        self._body.append(piece)
        self._text_size += piece.size

    def _evict(self) -> None:
        if self._head is None and self._text_size > self.limit:
            self._split()
        if self._head is None:
            return
        room = self.limit - self.limit // 2
        while self._body:
            item = self._body[0]
            if isinstance(item, _Display):
                self._middle.append(item)
            elif self._text_size - item.size < room:
                return
            else:
                self._text_size -= item.size
                self._lost_bytes += size_of(item.text)
            self._body.popleft()

    def _split(self) -> None:
        """The first half of the limit becomes the head for good; from now on everything is spilled."""
        for item in self._body:
            self.spill.write(item.text if isinstance(item, _Text) else f"\n{_label(item.output)}\n")
        self._head, room = [], self.limit // 2
        while self._body and room > 0:
            item = self._body.popleft()
            if isinstance(item, _Text):
                self._text_size -= item.size
                room -= OVERHEAD
                first = first_bytes(item.text, max(0, room))
                room -= size_of(first)
                if len(first) < len(item.text):
                    rest = _Text(item.name, item.text[len(first) :])
                    self._body.appendleft(rest)
                    self._text_size += rest.size
                    room = 0
                item.text = first
            self._head.append(item)

    # how displays are kept small

    def _fit(self, output: Output, room: int) -> Output:
        """The output, or what of it goes into `room` bytes."""
        if _weigh(output) <= room:
            return output
        self._reduced = True
        data, room = output["data"], max(room - OVERHEAD, 1024)
        kept: dict[str, Any] = {}
        text = data.get("text/plain")
        if isinstance(text, str):
            if size_of(text) > room:
                self.spill.write(f"\n{text}\n")
            kept["text/plain"] = cut(text, room)
            room -= size_of(kept["text/plain"])
        left: list[str] = []
        for mime in sorted(data.keys() - {"text/plain"}, key=lambda mime: weight(data[mime])):
            size = weight(data[mime])
            if weight(mime) + size <= room:
                kept[mime] = data[mime]
                room -= weight(mime) + size
            else:
                left.append(f"{cut(mime, 100)} ({size:,} bytes)")
        if left:
            notice = (
                f"[… left out, the displays of one execution may have {self.limit:,} bytes: {', '.join(left[:8])} …]"
            )
            kept["text/plain"] = "\n".join(filter(None, [kept.get("text/plain"), notice]))
        return {**output, "data": kept, "metadata": {}}


def _weigh(output: Output) -> int:
    return (
        OVERHEAD
        + weight(output["metadata"])
        + sum(weight(mime) + weight(value) for mime, value in output["data"].items())
    )


def _label(output: Output) -> str:
    return f"[{', '.join(output.get('data', {})) or output['output_type']}]"


def _last(items: list[_Item], room: int) -> tuple[list[_Item], int]:
    """The last `room` bytes of text, with all displays; and how many bytes were dropped."""
    kept: list[_Item] = []
    dropped = 0
    for item in reversed(items):
        if isinstance(item, _Text):
            text = last_bytes(item.text, room)
            dropped += size_of(item.text) - size_of(text)
            room -= size_of(text) + OVERHEAD
            item = _Text(item.name, text)
        kept.append(item)
    return kept[::-1], dropped
