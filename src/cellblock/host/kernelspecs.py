"""Kernelspecs installed on this host, as Jupyter finds them: their programs can be run in our sandboxes.

Those of ipykernel are left out: a Python is an environment. So is what a sandbox cannot see: a program in somebody's home.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeGuard

from cellblock.host.launcher import Environment, Spec

SYSTEM = ("/usr/local/share/jupyter", "/usr/share/jupyter")
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
PYTHONS = ("python", "python3")
MAX_SPEC = 64 << 10  # bytes


def installed(environ: Mapping[str, str] = os.environ) -> list[Environment]:
    """All of them; of several with one name the first that Jupyter finds."""
    found: dict[str, Environment] = {}
    for directory in directories(environ):
        for place in sorted(directory.glob("*/kernel.json")) if directory.is_dir() else ():
            if (spec := read(place)) and spec.name not in found:
                found[spec.name] = spec
    return list(found.values())


def directories(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where kernelspecs are: what JUPYTER_PATH names, the interpreter's own, the system's."""
    named = [path for path in environ.get("JUPYTER_PATH", "").split(os.pathsep) if path]
    for path in (*named, f"{sys.prefix}/share/jupyter", *SYSTEM):
        yield Path(path) / "kernels"


def read(place: Path) -> Environment | None:
    """The kernelspec in a file; None when it is none that can be run."""
    try:
        data = place.read_bytes()
        row = json.loads(data) if len(data) <= MAX_SPEC else None
    except (OSError, ValueError, RecursionError):
        return None
    name = place.parent.name.lower()
    if not isinstance(row, dict) or not NAME.fullmatch(name):
        return None
    command, variables = row.get("argv"), row.get("env") or {}
    if not _texts(command) or not isinstance(variables, dict) or not _texts(list(variables.values()) or [""]):
        return None
    program = sys.executable if command[0] in PYTHONS else shutil.which(command[0])
    if program is None or any("ipykernel" in word for word in command):
        return None
    spec = Spec((program, *command[1:]), str(row.get("language", "")), str(place.parent), tuple(variables.items()))
    return Environment(name, "", (), str(row.get("display_name") or name), spec)


def _texts(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(isinstance(word, str) for word in value)
