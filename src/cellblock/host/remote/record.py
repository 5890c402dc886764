"""What is on disk of a kernel at a Jupyter server, in its home: enough for the next server here to find it, and its files.

It holds no secret. Nothing of it is believed without looking: paths are walked as a workspace's are.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from cellblock.host.workspace import Stamp

NAME = "remote.json"


@dataclass(frozen=True, slots=True)
class Known:
    """A file that is the same here and there: its stamp here, and what tells its states apart there."""

    here: Stamp
    there: str


@dataclass
class Record:
    """`server`: its address; `kernel`: the id it has there; `session`: our name to it, by which it keeps what we miss.

    `probe`: the name, and content, of a file in `place` by which the kernel shows that it lives there.

    `route`: how files travel, None: not at all. `base`: the kernel's directory as its own code names it; `place`: the same
    as /api/contents names it, "" where it cannot.
    """

    server: str
    kernel: str
    session: str
    language: str = ""
    version: str = ""
    route: Literal["contents", "kernel"] | None = None
    base: str = ""
    place: str = ""
    probe: str = ""
    known: dict[str, Known] = field(default_factory=dict)

    def save(self, home: Path) -> None:
        """Replaces it atomically. OSError."""
        values = asdict(self) | {"known": {path: _listed(each) for path, each in self.known.items()}}
        temporary = home / (NAME + ".new")
        temporary.write_text(json.dumps(values), "utf-8")
        os.replace(temporary, home / NAME)


def load(home: Path) -> Record | None:
    """None when there is none, or one that cannot be used."""
    try:
        values: dict[str, Any] = json.loads((home / NAME).read_text("utf-8"))
        known = {path: Known(Stamp(*each[:3]), each[3]) for path, each in values.pop("known").items()}
        return Record(**values, known=known)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def forget(home: Path) -> None:
    (home / NAME).unlink(missing_ok=True)


def _listed(known: Known) -> list[Any]:
    return [known.here.modified_ns, known.here.size, known.here.inode, known.there]
