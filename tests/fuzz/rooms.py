"""What the pure rooms promise for any input at all, as functions of bytes: who calls them is hypothesis or atheris.

No exception leaves a room but those it names; what comes out is bounded, strict JSON, and UTF-8.
"""

import json
from collections.abc import Callable
from typing import Any

import nbformat
from words import Words

from cellblock import messages, zmtp
from cellblock.adapters.tool import for_model
from cellblock.content import (
    Content,
    Malformed,
    bundle,
    clean,
    cut,
    error_output,
    first_bytes,
    last_bytes,
    plain,
    size_of,
)
from cellblock.errors import CellblockError
from cellblock.execution import MESSAGES, TRANSITIONS, Execution
from cellblock.host import answers
from cellblock.host.wire import Wire, checked
from cellblock.notebook import Notebook, from_ipynb
from cellblock.outputs import MAX_DISPLAYS, MAX_ERRORS, MAX_NOTICES, OVERHEAD, Outputs
from cellblock.terminal import MAX_PEN, MAX_SEQUENCE, ROWS, WIDTH, Terminal

LIMIT = 2000
CELL = "c1"
READERS: tuple[Callable[[Content], object], ...] = (
    lambda content: content.text("text"),
    lambda content: content.flag("wait"),
    lambda content: content.items("traceback"),
    lambda content: content.mapping("data"),
    Content.stream_name,
    Content.display_id,
    Content.error,
    lambda content: content.display("display_data"),
)


def strict(value: object) -> str:
    """As JSON; an error when it is none, or no UTF-8."""
    made = json.dumps(value, ensure_ascii=False, allow_nan=False)
    made.encode()
    return made


def zmtp_room(words: Words) -> None:
    decoder = zmtp.Decoder(LIMIT)
    if words.byte() % 4:
        decoder.feed(zmtp.GREETING)
    try:
        while words.left:
            decoder.feed(words.raw())
            while (frames := decoder.next()) is not None:
                assert sum(map(len, frames)) <= LIMIT
                assert len(frames) <= zmtp.MAX_FRAMES
            assert len(decoder._buffer) <= LIMIT + zmtp.MAX_COMMAND + 9
    except zmtp.Violation:
        pass


def wire_room(words: Words) -> None:
    wire = Wire("k", "s")
    parts = [words.raw() if words.byte() % 4 == 0 else json.dumps(words.value()).encode() for _ in range(4)]
    frames = [b"<IDS|MSG>", wire._sign(parts), *parts, *(words.raw() for _ in range(words.byte() % 3))]
    try:
        message = wire.decode("iopub", frames)
        strict(checked(message.content))
        assert len(message.msg_type) <= 256
    except zmtp.Violation:
        pass


def content_room(words: Words) -> None:
    value, text, limit = words.value(), words.text(), words.byte()
    for read in READERS:
        try:
            strict(read(Content(value, words.value())) if read is not READERS[2] and read is not READERS[3] else None)
            read(Content(value, None))
        except Malformed:
            pass
    for make in (plain, lambda each: bundle(each) if isinstance(each, dict) else None):
        try:
            strict(make(value))
        except Malformed:
            pass
    assert size_of(first_bytes(clean(text), limit)) <= limit
    assert size_of(last_bytes(clean(text), limit)) <= limit
    assert size_of(cut(clean(text), limit)) <= max(size_of(clean(text)), limit + 100)
    strict(error_output(clean(text), clean(words.text()), [clean(words.text()) for _ in range(words.byte() % 300)]))


def terminal_room(words: Words) -> None:
    terminal, given, final = Terminal(), 0, 0
    while words.left:
        text = words.text()
        given += len(text)
        final += len(terminal.feed(text))
        assert len(terminal.text) <= ROWS * (WIDTH * 2 + MAX_PEN) + MAX_SEQUENCE + given
        assert len(terminal._rows) <= ROWS + 1
        assert max(map(len, terminal._rows)) <= WIDTH + 1
        assert len(terminal.line) <= WIDTH * (MAX_PEN + 1) + MAX_SEQUENCE
    final += len(terminal.close())
    assert terminal.text == ""


def outputs_room(words: Words) -> None:
    outputs = Outputs(LIMIT, "spill" if words.byte() % 2 else None)
    while words.left:
        act(outputs, words)
        outputs.spill.take()
        assert outputs.size <= 2 * LIMIT + MAX_NOTICES + MAX_DISPLAYS * OVERHEAD
    strict(outputs.outputs())
    assert len(outputs.outputs()) == len(outputs.display_ids())
    outputs.close()
    bounded(outputs.outputs())


def act(outputs: Outputs, words: Words) -> None:
    kind = words.byte() % 8
    try:
        if kind < 3:
            outputs.stream(words.one(("stdout", "stderr")), clean(words.text()))
        elif kind < 5:
            shown = Content({"data": words.mapping(), "metadata": words.mapping()}, None).display("display_data")
            outputs.display(shown, words.one((None, "a", "b")))
        elif kind == 5:
            shown = Content({"data": words.mapping(), "metadata": words.mapping()}, None).display("display_data")
            outputs.update(words.one(("a", "b")), shown["data"], shown["metadata"])
        elif kind == 6:
            outputs.clear(words.byte() % 2 == 0)
        else:
            outputs.error("E", clean(words.text()), [clean(words.text())])
    except Malformed:
        pass


def bounded(made: list[dict[str, Any]]) -> None:
    """Text and displays up to twice the limit, and what is kept besides: errors, notices, what each output costs."""
    most = 2 * LIMIT + MAX_ERRORS * (100 << 10) + MAX_NOTICES + (MAX_DISPLAYS + 2) * 2 * OVERHEAD
    assert sum(len(strict(output)) for output in made if output["output_type"] != "error") < 7 * most


def execution_room(words: Words) -> tuple[Execution, list[Any]]:
    """Whatever a kernel says, and a host does, there is a Result in the end, and every event is fit to be sent."""
    ticks = iter(range(1 << 30))
    execution = Execution(
        "e", "k", CELL, "1", output_limit=LIMIT, clock=lambda: float(next(ticks)), allow_stdin=words.byte() % 2 == 0
    )
    events: list[Any] = execution.start("queued")
    if words.byte() % 8:
        events += execution.running()
    kinds = list(MESSAGES)
    while words.left:
        channel, msg_type = words.one(kinds)
        content = words.value() if words.byte() % 8 == 0 else words.mapping()
        events += execution.receive(channel, msg_type, words.one(("e", "other", "")), content, words.value())
        execution.take_spill()
        happens(execution, words.byte())
    if execution.verdict in TRANSITIONS[execution.status]:
        events += execution.end()
    for event in events:
        strict(event)
    bounded(execution.result()["outputs"])
    return execution, events


def happens(execution: Execution, what: int) -> None:
    acts: dict[int, Callable[[], object]] = {
        0: execution.interrupted,
        1: execution.died,
        2: lambda: execution.limit_hit("timeout", 1.0),
        3: execution.answered,
        4: execution.spill_lost,
    }
    acts.get(what, lambda: None)()


def notebook_room(words: Words) -> None:
    """The events of an execution as a notebook folds them, and the notebook in every format."""
    notebook = Notebook("k", "python3", lambda: f"c{len(notebook.cells) + 1}", clean(words.text()))
    notebook.add(clean(words.text()))
    notebook.add(clean(words.text()), type="markdown")
    execution, events = execution_room(words)
    for event in events:
        notebook.apply(event)
    strict(notebook.view())
    rendered(notebook)
    if execution.ended:
        made = for_model(execution.result(), vision=True)
        assert len(made.text) < 100_000


def rendered(notebook: Notebook) -> None:
    ipynb = notebook.to_ipynb()
    nbformat.validate(ipynb)
    strict(ipynb)
    html = notebook.to_html()
    for text in (html, notebook.to_md(), notebook.to_py()):
        text.encode()
    assert "<script" not in html.lower().replace("&lt;script", "")


def import_room(words: Words) -> None:
    """Any JSON as a notebook: it is read, or refused by name."""
    cells = [
        words.mapping() | {"cell_type": words.one(("code", "markdown", "raw", 5))} for _ in range(words.byte() % 3)
    ]
    document: Any = {
        "nbformat": words.one((3, 4, 4, 4, 5)),
        "nbformat_minor": words.one((0, 4, 5)),
        "metadata": words.value(),
    }
    document |= {"cells": cells} if words.byte() % 8 else words.mapping()
    notebook = Notebook("k", "python3", lambda: f"c{len(notebook.cells) + 1}")
    ids = iter(range(1 << 20))
    notebook.new_id = lambda: f"c{next(ids)}"
    try:
        given = document if words.byte() % 16 else words.value()
        notebook.become(from_ipynb(given, kernel_id="k", environment="python3", new_id=notebook.new_id))
    except CellblockError:
        return
    rendered(notebook)


def messages_room(words: Words) -> None:
    kinds = (*messages.KINDS, "none", None, 5, [])
    packet = words.raw() if words.byte() % 4 == 0 else json.dumps(words.mapping() | {"op": words.one(kinds)}).encode()
    try:
        message = messages.decode(packet)
    except ValueError:
        return
    assert type(message) in messages.KINDS.values()


def answers_room(words: Words) -> None:
    reply = words.mapping() | ({"status": "ok"} if words.byte() % 4 else {})
    for read, given in ((answers.completion, reply), (answers.inspection, reply), (answers.variables, words.text())):
        try:
            strict(read(given))  # type: ignore[operator]
        except Malformed:
            pass
    try:
        strict(answers.variables(json.dumps([words.mapping()])))
    except Malformed:
        pass


ROOMS: dict[str, Callable[[Words], object]] = {
    "zmtp": zmtp_room,
    "wire": wire_room,
    "content": content_room,
    "terminal": terminal_room,
    "outputs": outputs_room,
    "execution": execution_room,
    "notebook": notebook_room,
    "import": import_room,
    "messages": messages_room,
    "answers": answers_room,
}
