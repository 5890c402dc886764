"""A closer look at what a cell has put out, for as long as its kernel still holds the thing: more rows, another form.

The kernel is asked for whatever showed exactly these bytes, and shows it again to itself: what has been changed since, or
is gone, is no longer what stands in the notebook.
"""

import base64
import binascii
import hashlib
import json
import zlib

from cellblock.content import Output
from cellblock.errors import OutputNotFound, Unavailable
from cellblock.host import looking, snippets
from cellblock.host.session import Session

SECONDS = 10.0
MAX_DRAWING = 16 << 20
"""Bytes of one drawing."""
GONE = "The kernel no longer holds what this output shows."


async def rows(
    session: Session, cell_id: str, at: int, *, offset: int, limit: int, sort: int | None, descending: bool
) -> looking.TableView:
    """Rows of the table that output `at` of a cell shows. CellNotFound, OutputNotFound, Unavailable."""
    key = key_of(session, cell_id, at, "text/html")
    view = looking.read(await ask(session, looking.question_of_output(key, offset, limit, sort, descending)))
    if view is None or view["kind"] != "table":
        raise OutputNotFound(GONE)
    return view


async def drawing(session: Session, cell_id: str, at: int) -> bytes:
    """The figure that output `at` of a cell shows, as SVG. CellNotFound, OutputNotFound, Unavailable."""
    key = key_of(session, cell_id, at, "image/png")
    told = await ask(
        session, snippets.silently(snippets.SHOWN + snippets.DRAWING, f"drawing(shown({key!r}, 'image/png'))")
    )
    return unpacked(told)


def unpacked(told: str) -> bytes:
    """What the kernel has packed; it may say anything."""
    try:
        said = json.loads(told)
        if said is None:
            raise OutputNotFound(GONE)
        inflate = zlib.decompressobj()
        made = inflate.decompress(base64.b64decode(said, validate=True), MAX_DRAWING)
        if not inflate.eof:
            raise OutputNotFound("The figure as SVG would be too large.", hint="Save it from the code instead.")
    except (ValueError, TypeError, RecursionError, binascii.Error, zlib.error):
        raise Unavailable("The kernel's answer was no drawing.") from None
    return made


async def ask(session: Session, code: str) -> str:
    if session.state in ("released", "starting"):
        raise OutputNotFound(GONE)
    return await session.peek(code, timeout=SECONDS)


def key_of(session: Session, cell_id: str, at: int, mime: str) -> str:
    """By which the kernel finds it: a hash of what was shown, without spaces."""
    outputs: list[Output] = session.notebook.cell(cell_id)["outputs"]
    said = outputs[at].get("data", {}).get(mime) if 0 <= at < len(outputs) else None
    if said is None:
        raise OutputNotFound(f"Output {at} of this cell is none that could be looked at closer.")
    text = said if isinstance(said, str) else "".join(map(str, said))
    return hashlib.sha256("".join(text.split()).encode("utf-8", "replace")).hexdigest()
