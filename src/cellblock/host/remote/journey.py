"""Which files have to travel, and which way: what is here, what is there, and what was last known to be the same. Pure.

Here is the truth: what has changed on both sides stays as it is here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cellblock.host.remote.record import Known
from cellblock.host.workspace import Stamp


@dataclass(frozen=True, slots=True)
class There:
    """A file at the kernel: `size` in bytes, and `mark`, which tells its states apart."""

    size: int
    mark: str


@dataclass(frozen=True)
class Plan:
    """Paths to copy, smallest first, and to remove at the other end; `kept`: changed on both sides, and left alone."""

    copy: list[str] = field(default_factory=list)
    remove: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def to_send(known: Mapping[str, Known], here: Mapping[str, Stamp]) -> Plan:
    """Before an execution: what has changed here since files last travelled."""
    changed = [path for path, stamp in here.items() if path not in known or known[path].here != stamp]
    gone = [path for path in known if path not in here]
    return Plan(sorted(changed, key=lambda path: (here[path].size, path)), sorted(gone))


def to_fetch(known: Mapping[str, Known], here: Mapping[str, Stamp], there: Mapping[str, There]) -> Plan:
    """After it: what has changed there."""

    def same_here(path: str) -> bool:
        return here.get(path) == (known[path].here if path in known else None)

    changed = [path for path, each in there.items() if path not in known or known[path].there != each.mark]
    gone = [path for path in known if path not in there]
    copy = [path for path in changed if same_here(path)]
    remove = [path for path in gone if same_here(path)]
    kept = [path for path in (*changed, *gone) if not same_here(path) and path in here]
    return Plan(sorted(copy, key=lambda path: (there[path].size, path)), sorted(remove), sorted(kept))
