"""What kernels weigh: proportional set size of a server's descendants, read from /proc."""

from pathlib import Path


def descendants(pid: int) -> set[int]:
    """All processes below `pid`."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    found, grown = {pid}, True
    while grown:
        more = {child for child, parent in parents.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found - {pid}


def pss(pid: int) -> int:
    """Proportional set size in bytes, 0 when the process has gone."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def total(pids: set[int]) -> int:
    """Bytes of all of them together."""
    return sum(pss(pid) for pid in pids)
