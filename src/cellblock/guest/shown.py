"""What the displays of a kernel have shown: asked later, a figure can be drawn in another form and a table read on.

A table is held weakly: it is there for as long as the code holds it. A figure is gone with its display, so the last small
ones are held. Nothing here may ever hinder a display.
"""

import contextlib
import hashlib
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

KINDS = {"image/png": ("matplotlib", "Figure"), "text/html": ("pandas", "DataFrame")}
REMEMBERED = 64
FIGURES = 8
LIGHT = 4 << 20
"""Bytes of the data of a figure that is held."""
PARTS = ("_A", "_x", "_y", "_offsets", "_verts3d", "_xy")
MOST_PARTS = 2000


class Shown:
    """Objects by what their display said, the last ones."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, Callable[[], Any]] = OrderedDict()
        self._figures: OrderedDict[str, Any] = OrderedDict()

    def note(self, value: object, data: dict[str, Any]) -> None:
        for mime, (package, name) in KINDS.items():
            kind = type(value)
            if mime in data and kind.__name__ == name and kind.__module__.partition(".")[0] == package:
                self._hold(self.key_of(data[mime]), value, figure=mime == "image/png")

    def _hold(self, key: str, value: Any, *, figure: bool) -> None:
        self._seen.pop(key, None)
        self._seen[key] = weakref.ref(value)
        if figure and is_light(value):
            self._figures.pop(key, None)
            self._figures[key] = value
        for kept, most in ((self._seen, REMEMBERED), (self._figures, FIGURES)):
            while len(kept) > most:
                kept.popitem(last=False)

    def get(self, key: str) -> Any:
        """The object; None when it is gone."""
        return self._seen.get(key, lambda: None)()

    def forget(self) -> None:
        self._seen.clear()
        self._figures.clear()

    @staticmethod
    def key_of(said: Any) -> str:
        """Of what a display says in one form: its text, or its base64 without spaces. The host finds the same."""
        if isinstance(said, tuple):
            said = said[0]
        text = said if isinstance(said, str) else "".join(said)
        return hashlib.sha256("".join(text.split()).encode("utf-8", "replace")).hexdigest()


def is_light(figure: Any) -> bool:
    """Whether what a figure was drawn from is small, as far as can be told at once."""
    artists = figure.findobj()
    parts = (getattr(artist, part, None) for artist in artists[:MOST_PARTS] for part in PARTS)
    return len(artists) <= MOST_PARTS and sum(getattr(part, "nbytes", 0) for part in parts) <= LIGHT


def watch(formatter: Any) -> Shown:
    """From now on whatever `formatter` is asked to show is noted."""
    shown, inner = Shown(), formatter.format

    def noting(value: Any, *arguments: Any, **options: Any) -> Any:
        made = inner(value, *arguments, **options)
        with contextlib.suppress(Exception):
            shown.note(value, made[0])
        return made

    formatter.format = noting
    return shown
