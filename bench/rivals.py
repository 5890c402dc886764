"""What dill, cloudpickle and Kishu take to keep a notebook's state and bring it back. A program for an environment of its own.

python rivals.py BYTES        prints JSON: by name {keep, back: milliseconds, disk: bytes, lost: what could not be kept}
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

SETUP = """import numpy as np, sqlite3
a = np.ones({size} // 8 + 1)
g = (n for n in range(9)); one = next(g)
f = open('log.txt', 'w+'); written = f.write('ab')
d = sqlite3.connect(':memory:')
same = [a, a]"""
CHANGE = "a[0] += 1"
NAMES = ("a", "g", "f", "d", "same")


class Nowhere:
    """A file that forgets."""

    def write(self, data: Any) -> int:
        return memoryview(data).nbytes


def by_pickle(module: Any, names: dict[str, Any]) -> dict[str, Any]:
    """All names that can be kept at once; which those are is found out before, and costs nothing here."""
    lost = [name for name in NAMES if not keepable(module, names[name])]
    path, began = Path("state"), perf_counter()
    with path.open("wb") as file:
        module.dump({name: names[name] for name in NAMES if name not in lost}, file)
    kept, began = perf_counter() - began, perf_counter()
    with path.open("rb") as file:
        back = module.load(file)
    took = perf_counter() - began
    if back["same"][0] is not back["a"]:
        lost.append("that same[0] is a")
    return {"keep": kept * 1e3, "back": took * 1e3, "disk": path.stat().st_size, "lost": lost}


def keepable(module: Any, value: Any) -> bool:
    try:
        module.dump(value, Nowhere())
    except Exception:
        return False
    return True


def by_kishu(size: int) -> dict[str, Any]:
    """Its hooks around cells of a shell without a notebook's page, as its own tests use it."""
    from IPython.core.interactiveshell import InteractiveShell
    from kishu.jupyterint import KishuForJupyter
    from kishu.notebook_id import NotebookId
    from kishu.storage.config import Config

    Config.set("JUPYTERINT", "test_mode", True)
    Config.set("JUPYTERINT", "commit_id_mode", "counter")
    Path("own.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    shell = InteractiveShell.instance()
    kishu = KishuForJupyter(NotebookId("own", Path("own.ipynb"), "kernel"), ip=shell)
    kishu.install_kishu_hooks()
    for line in SETUP.format(size=size).splitlines():
        shell.run_cell(line, store_history=True)
    before, state = disk(), kishu._kishu_branch.get_head().commit_id
    began = perf_counter()
    shell.run_cell(CHANGE, store_history=True)
    kept, grown = perf_counter() - began, disk() - before
    began = perf_counter()
    kishu.checkout(state, skip_notebook=True)
    took = perf_counter() - began
    found = shell.user_ns
    lost = [name for name in NAMES if name not in found]
    if "a" in found and found["a"][0] != 1:
        lost.append("a as it was")
    if "a" in found and "same" in found and found["same"][0] is not found["a"]:
        lost.append("that same[0] is a")
    return {"keep": kept * 1e3, "back": took * 1e3, "disk": grown, "lost": lost}


def disk() -> int:
    """Bytes of all that lies here."""
    return sum(path.stat().st_size for path in Path.cwd().rglob("*") if path.is_file())


def main() -> None:
    import cloudpickle
    import dill

    size = int(sys.argv[1])
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:
        os.chdir(place)
        names: dict[str, Any] = {}
        exec(SETUP.format(size=size), names)
        for module in (dill, cloudpickle):
            found[module.__name__] = by_pickle(module, names)
        names.clear()
        try:
            found["kishu"] = by_kishu(size)
        except Exception as problem:
            found["kishu"] = {"failed": f"{type(problem).__name__}: {problem}"[:300]}
        os.chdir("/")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
