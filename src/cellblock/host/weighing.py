"""What snapshots weigh: memory that there would be no more of without them, by what /proc says of each process."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PARTS = ("Private_Clean:", "Private_Dirty:", "Swap:")


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes of memory without a file: all that a process sees, its share of it, and what nobody else has."""

    seen: int = 0
    share: int = 0
    own: int = 0

    @property
    def common(self) -> int:
        """What it has in common with other processes, less its share."""
        return self.seen - self.share


def weight(pid: int) -> Weight:
    """Zeros when it has ended, or hides its memory. Blocks: a millisecond for every 100 MB in small pages."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return Weight()
    found = {line.split()[0]: 1024 * int(line.split()[1]) for line in lines[1:] if pid}
    own = sum(found.get(part, 0) for part in PARTS)
    return Weight(found.get("Anonymous:", 0), found.get("Pss_Anon:", 0), own)


def weigh(kernel: int, snapshots: Mapping[str, int], common: int) -> tuple[dict[str, int], int]:
    """By name what each snapshot has for itself, and what all of them add to the kernel.

    `common`: what the kernel shared with its template before it had any snapshot. What all processes hold is the sum of
    their shares; what the kernel would hold without them is what it sees, less what it shares with the template.
    """
    live = weight(kernel)
    held = {name: weight(pid) for name, pid in snapshots.items()}
    sizes = {name: each.own for name, each in held.items()}
    all_shares = live.share + sum(each.share for each in held.values())
    return sizes, max(sum(sizes.values()), all_shares - max(0, live.seen - common))
