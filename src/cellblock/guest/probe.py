"""What this host gives: each layer of the sandbox tried for real in a child process, with words a person can act on.

`python …/guest/__main__.py probe` prints {level, layers: [{name, ok, detail, remedy}], machine, python, ipykernel}.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import TypedDict

from cellblock.guest import filesystem, limits, linux
from cellblock.messages import Level


class Layer(TypedDict):
    """`needed`: without it no kernel starts at level full."""

    name: str
    ok: bool
    detail: str
    remedy: str
    needed: bool


def main(_arguments: list[str]) -> None:
    json.dump(probe(), sys.stdout)


def probe() -> dict[str, object]:
    layers = []
    try:
        _in_child(_namespaces)
        ok, why = True, ""
    except OSError as problem:
        ok, why = False, str(problem)
    layers.append(Layer(name="namespaces", ok=ok, detail=why, remedy="", needed=True))
    level: Level | None = "full" if ok else "unprivileged" if filesystem.landlock_abi() >= 6 else None
    return {"level": level, "layers": layers}


def _namespaces() -> None:
    uid, gid = os.getuid(), os.getgid()
    linux.unshare(linux.NEWNS | linux.NEWPID | (0 if uid == 0 else linux.NEWUSER))
    if uid:
        linux.map_identity(uid, gid, uid, gid)


def _in_child(take: Callable[[], None]) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            take()
        except OSError as problem:
            os.write(writer, str(problem).encode())
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    said = os.read(reader, 4096).decode()
    os.close(reader)
    if said:
        raise OSError(said)


__all__ = ["Layer", "limits", "probe"]
