"""Where a session is in the tree that Jupyter shows: one folder each, with its notebook and its files in it. Pure."""

import re
from dataclasses import dataclass
from typing import Any

from cellblock.content import clean
from cellblock.errors import InvalidPath

NOTEBOOK = "notebook.ipynb"
UNTITLED = "Untitled"
MAX_TITLE = 80
_FOLDER = re.compile(r"(?s)(.*?) ?\(([0-9a-f]{8})\)")
_UNFIT = re.compile(r"[/\\\x00-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class Place:
    """`start`: the beginning of a session's id, None at the root; `inside`: the path in its folder, empty for the folder."""

    start: str | None
    inside: str
    title: str = ""

    @property
    def name(self) -> str:
        return self.inside.rpartition("/")[2]


def place(path: str) -> Place | None:
    """What a path leads to; None where no folder of ours has such a name. InvalidPath when it leads out of the tree."""
    parts = [part for part in path.split("/") if part]
    if ".." in parts or "\0" in path:
        raise InvalidPath("The path leaves the tree.")
    if not parts:
        return Place(None, "")
    found = _FOLDER.fullmatch(parts[0])
    return Place(found[2], "/".join(parts[1:]), found[1]) if found else None


def folder(title: str | None, id: str) -> str:
    """The name of a session's folder: its title, and as much of its id as tells it from others."""
    shown = _UNFIT.sub("-", clean(title or "")).strip(" .")[:MAX_TITLE].strip() or UNTITLED
    return f"{shown} ({id[:8]})"


def title_of(path: str) -> str:
    """A title for a session that a client names by a path of its own."""
    name = path.rstrip("/").rpartition("/")[2].removesuffix(".ipynb")
    return _UNFIT.sub(" ", re.sub(r"-jvsc-[0-9a-f-]+$", "", name)).strip()


def untitled(taken: set[str], stem: str, ending: str) -> str:
    """A name for a new file that nothing has yet."""
    names = (f"{stem}{'' if n == 0 else n}{ending}" for n in range(len(taken) + 1))
    return next(name for name in names if name not in taken)


def copied(taken: set[str], name: str) -> str:
    """A name for the copy of a file."""
    stem, dot, ending = name.partition(".")
    return untitled(
        taken, f"{stem}-Copy1" if f"{stem}-Copy1{dot}{ending}" not in taken else f"{stem}-Copy", dot + ending
    )


def below(entries: list[Any], directory: str) -> list[Any]:
    """The entries just below a directory of a workspace."""
    start = f"{directory}/" if directory else ""
    return [each for each in entries if each["path"].startswith(start) and "/" not in each["path"][len(start) :]]
