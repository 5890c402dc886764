"""What processes weigh and hold, read from /proc and the cgroup file systems."""

import os
from pathlib import Path

IN_MB = ("MB of the server", "MB of the fork server")
GROUPS = Path("/sys/fs/cgroup")


def parents() -> dict[int, int]:
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    return found


def descendants(pid: int) -> set[int]:
    """All processes below `pid`."""
    tree, found, grown = parents(), {pid}, True
    while grown:
        more = {child for child, parent in tree.items() if parent in found} - found
        found |= more
        grown = bool(more)
    return found - {pid}


def pss(pid: int) -> int:
    """Proportional set size in bytes, 0 when the process has gone."""
    return kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:")


def total(pids: set[int]) -> int:
    """Bytes of all of them together."""
    return sum(pss(pid) for pid in pids)


def processor_seconds(pids: set[int]) -> float:
    """What they have used, with their children that have ended by themselves: what was killed with its sandbox is not in it."""
    fields = (text[0].rpartition(")")[2].split() for pid in pids if (text := lines(f"/proc/{pid}/stat")))
    return sum(int(tick) for each in fields for tick in each[11:15]) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> int:
    return kilobytes(f"/proc/{pid}/status", "VmRSS:")


def peak(pid: int) -> int:
    """The most that was resident since `forget_peak`."""
    return kilobytes(f"/proc/{pid}/status", "VmHWM:")


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def kilobytes(path: str, field: str) -> int:
    try:
        text = Path(path).read_text()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(field))


def holdings(server: int) -> dict[str, float]:
    """What a server and all below it hold: counts, and megabytes under the names of IN_MB."""
    trunk, below = stem(server), descendants(server)
    everybody = {server, *below}
    links = [link for pid in everybody for link in targets(f"/proc/{pid}/fd")]
    return {
        "processes": len(below),
        "threads": sum(len(names(f"/proc/{pid}/task")) for pid in everybody),
        "namespaces": len({link for pid in everybody for link in targets(f"/proc/{pid}/ns")}),
        "mounts": sum(len(lines(f"/proc/{pid}/mountinfo")) for pid in everybody),
        "cgroups": len({group for pid in trunk for group in groups(pid)}),
        "sockets": sum(link.startswith("socket:") for link in links),
        "descriptors": len(links),
        IN_MB[0]: pss(server) / 1e6,
        IN_MB[1]: total(trunk) / 1e6,
    }


def stem(server: int) -> set[int]:
    """The fork servers: what the server has started, each one's second half, PID 1 of its namespace, and that one's helpers."""
    tree = parents()
    first = {pid for pid, parent in tree.items() if parent == server}
    second = {pid for pid, parent in tree.items() if parent in first and numbers(pid)[1:] == ["1"]}
    return first | second | {pid for pid, parent in tree.items() if parent in second and len(numbers(pid)) == 2}


def numbers(pid: int) -> list[str]:
    """Its pid in each PID namespace it is in, ours first."""
    found = [line.split()[1:] for line in lines(f"/proc/{pid}/status") if line.startswith("NSpid:")]
    return found[0] if found else []


def groups(pid: int) -> set[str]:
    """All groups beside the one that a fork server waits in: its kernels' and its own, of every controller."""
    found = set()
    for line in lines(f"/proc/{pid}/cgroup"):
        _, controllers, path = line.split(":", 2)
        parent, _, name = path.rpartition("/")
        if parent.endswith("/cellblock"):
            directory = GROUPS / controllers / parent.strip("/")
            token = name.rpartition("-")[0] + "-"
            found |= {f"{directory}/{each}" for each in names(str(directory)) if each.startswith(token)}
    return found


def names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def targets(directory: str) -> list[str]:
    """Where the links of a directory lead."""
    found = []
    for name in names(directory):
        try:
            found.append(os.readlink(f"{directory}/{name}"))
        except OSError:
            continue
    return found
