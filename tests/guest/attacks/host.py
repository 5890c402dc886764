"""What lies on the host and in a neighbour for an attack to reach for; and whether it is still as it was."""

import ctypes
import errno
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from client import Client

SHM_KEY = 0x0CE00000 + 2 * os.getpid()  # of these tests, and no others at the same time
SECRET = "a-token-nobody-may-see"
KEY = "cellblock-test-key"
LIBC = ctypes.CDLL(None, use_errno=True)


def init_of(kernel: int) -> int:
    """The process whose pid is 1 where a kernel lives; without a PID namespace its parent; the kernel if it cannot be seen."""
    here, inside = ids(os.getpid()), ids(kernel)
    if len(inside) == len(here):
        return int(Path(f"/proc/{kernel}/stat").read_text().rpartition(")")[2].split()[1])
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            same = os.readlink(f"/proc/{name}/ns/pid") == os.readlink(f"/proc/{kernel}/ns/pid")
            if same and ids(int(name))[-1] == "1":
                return int(name)
        except OSError:
            continue
    return kernel


def ids(pid: int) -> list[str]:
    """A process's pid in each namespace that it is in."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split()[1:] for line in lines if line.startswith("NSpid:"))


def halves(text: str) -> list[str]:
    """So that no memory holds the whole because we have asked for it."""
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def remember_key() -> None:
    """A key in the session keyring that the fork server inherits."""
    session_keyring = ctypes.c_int(-3)
    keyctl, add_key = {"x86_64": (250, 248), "aarch64": (219, 217)}[os.uname().machine]
    LIBC.syscall(keyctl, 1, None)
    LIBC.syscall(add_key, b"user", KEY.encode(), b"hush", ctypes.c_size_t(4), session_keyring)


def key_seen() -> bool:
    """Whether it is there; where a container forbids keyrings nothing can be seen, and nothing is hidden."""
    forbidden = {errno.EPERM, errno.ENOSYS}
    keyctl = {"x86_64": 250, "aarch64": 219}[os.uname().machine]
    if LIBC.syscall(keyctl, 0, ctypes.c_int(-3), 0) < 0 and ctypes.get_errno() in forbidden:
        return True
    return KEY in Path("/proc/keys").read_text()


@contextmanager
def outside(data: Path) -> Iterator[dict[str, Any]]:
    """Files, sockets and processes of the host, all owned by the server's user."""
    place = data.parent / f"{data.name}-outside"
    place.mkdir(exist_ok=True, mode=0o755)
    for name in ("secret", "victim", "doomed", "moved"):
        (place / name).write_text("hush")
        (place / name).chmod(0o600)
    os.setxattr(place / "victim", "user.note", b"hush")
    (place / "program").write_text("#!/bin/sh\nexit 0\n")
    (place / "program").chmod(0o755)
    with ExitStack() as stack:
        victim = subprocess.Popen(["sleep", "600"], start_new_session=True)
        stack.callback(victim.wait)
        stack.callback(victim.kill)
        shm = LIBC.shmget(SHM_KEY, 4096, 0o1666)
        stack.callback(LIBC.shmctl, shm, 0, None)
        stack.callback(forget_segment, SHM_KEY + 1)
        paths = {name: str(place / name) for name in ("secret", "victim", "doomed", "moved", "program")}
        yield (
            paths
            | sockets(stack, place)
            | groups()
            | {
                "outside": str(place),
                "own": f"{sys.argv[1]}/cellblock/guest/own-{os.getuid()}",
                "token": halves(SECRET),
                "key": KEY,
                "key seen": key_seen(),
                "disk": next((f"/dev/{name}" for name in sorted(os.listdir("/sys/block"))), "/dev/sda"),
                "data": str(data),
                "pid": victim.pid,
                "shm": SHM_KEY,
            }
        )


def forget_segment(key: int) -> None:
    """A neighbour's, where it has made it on the host: at level off."""
    if (segment := LIBC.shmget(key, 0, 0)) >= 0:
        LIBC.shmctl(segment, 0, None)


def sockets(stack: ExitStack, place: Path) -> dict[str, Any]:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    again = stack.enter_context(socket.create_server(("127.8.9.10", 0)))
    abstract = f"cellblock-test-{os.getpid()}"
    kinds = (
        (str(place / "socket"), socket.SOCK_STREAM),
        (f"\0{abstract}", socket.SOCK_STREAM),
        (f"\0{abstract}-datagram", socket.SOCK_DGRAM),
    )
    for address, kind in kinds:
        unix = stack.enter_context(socket.socket(socket.AF_UNIX, kind))
        unix.bind(address)
        if kind == socket.SOCK_STREAM:
            unix.listen()
    udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    udp.bind(("127.0.0.1", 0))
    threading.Thread(target=echo, args=(udp,), daemon=True).start()
    return {
        "port": listener.getsockname()[1],
        "other port": again.getsockname()[1],
        "udp": udp.getsockname()[1],
        "abstract": abstract,
        "abstract datagram": f"{abstract}-datagram",
        "socket": str(place / "socket"),
    }


def echo(udp: socket.socket) -> None:
    while True:
        try:
            data, sender = udp.recvfrom(16)
            udp.sendto(data, sender)
        except OSError:
            return  # closed


def groups() -> dict[str, str]:
    agents = sorted(Path("/sys/fs/cgroup").glob("*/release_agent"))
    top = str(agents[0].parent) if agents else "/sys/fs/cgroup"
    return {"release agent": f"{top}/release_agent", "cgroup": top}


def untouched(facts: dict[str, Any]) -> list[Any]:
    """What attacks would have changed."""
    pid, victim, own = facts["pid"], Path(facts["victim"]), Path(facts["own"])
    return [
        os.getpriority(os.PRIO_PROCESS, pid),
        len(os.sched_getaffinity(pid)),
        Path(f"/proc/{pid}/limits").read_text(),
        victim.stat().st_mode,
        victim.read_text(),
        own.stat().st_mode,
        own.read_text(),
        os.listxattr(own),
        sorted(os.listdir(facts["outside"])),
    ]


NEIGHBOUR = r"""
import ctypes, json, os, socket, tempfile
value = 42
kept = []
open("note", "w").write("a neighbour's")
def listening(family, address):
    try:
        s = socket.socket(family); kept.append(s); s.bind(address); s.listen(); return s.getsockname()
    except OSError: return address  # there is no such thing at this level
listening(socket.AF_UNIX, "listener")
listening(socket.AF_UNIX, f"\0neighbour-{ABSTRACT}")
port = listening(socket.AF_INET, ("127.0.0.1", 0))[1] or 9
temporary = tempfile.NamedTemporaryFile(); kept.append(temporary)
shared = f"/dev/shm/neighbour-{ABSTRACT}"
try: open(shared, "w").write("hush")
except OSError: pass
shm = ctypes.CDLL(None).shmget(SHM, 4096, 0o1666)
print(json.dumps({"port": port, "temporary": temporary.name, "shared": shared}))
"""


async def settle(other: Client) -> dict[str, Any]:
    """Makes a neighbour of a kernel: what it holds, as the host or it itself would name it."""
    import json

    process, home = other.process, other.process.home
    outcome = await other.run(f"ABSTRACT = {home.name!r}\nSHM = {SHM_KEY + 1}\n" + NEIGHBOUR)
    return json.loads(outcome.text) | {
        "files": str(home / "files"),
        "run": str(home / "run"),
        "log": str(home / "log"),
        "abstract": f"neighbour-{home.name}",
        "pid": process.pid,
        "init": init_of(process.pid),
        "key": halves(process.key),
        "id": halves(home.name),
        "shm": SHM_KEY + 1,
    }
