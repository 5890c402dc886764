"""What a state costs by the size of the data: to keep it, to go back to it, and the cells after it; beside what pickles."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import processes
from bench.figures import Figure, Size, median, timed
from bench.servers import Server, cellblock

GB = 1_000_000_000
SIZES = (0, GB // 10, GB, 4 * GB, 8 * GB)
ROUNDS = 7
KEPT = 5
CHAIN = 50
RIVALS = ("kishu==0.3.4", "dill==0.4.1", "cloudpickle==3.1.2")  # in an environment of their own
COMPARED = (GB // 10, GB)
PAGES = {"huge": "MADV_HUGEPAGE", "small": "MADV_NOHUGEPAGE"}
DATA = """import mmap, numpy as np
m = mmap.mmap(-1, {size} or 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
m.madvise(mmap.{advice})
a = np.frombuffer(m, np.uint64)
a.fill(1)"""
TOUCH, READ = "a += 1", "total = a.sum()"
OBJECTS = "rows = [{'a': i, 'b': str(i)} for i in range(1_400_000)]"  # 400 MB, none of it larger than 600 bytes
IDLE_SECONDS = 3.0  # of a kernel, in which it makes small pages huge
QUARTER = """import numpy as np, pandas as pd
rng = np.random.default_rng(0)
a = rng.random(32_000_000)
frame = pd.DataFrame({'key': (a * 100).astype(int), 'value': a})
m = a[:4_000_000].reshape(2000, 2000)
words = [str(i) for i in range(2_000_000)]"""
REAL = {
    "puts 0.25 GB in order, in place": "a[:] = rng.random(a.size)|a.sort()",
    "takes the sine of 0.25 GB, in place": "a[:] = rng.random(a.size)|np.sin(a, out=a)",
    "makes another column": "|frame['more'] = frame.value * 2 + 1",
    "groups a table of 0.5 GB": "|total = frame.groupby('key').value.sum()",
    "multiplies matrices": "|product = m @ m",
    "goes through 2 million words": "|total = sum(map(len, words))",
}


class Notebook:
    """A kernel with an array, and cells that keep the state before them or do not."""

    def __init__(self, server: Server, size: int, advice: str) -> None:
        self.server = server
        self.id = server.call("POST", "/api/jupyter/kernel", {})["id"]
        self.run(DATA.format(size=size, advice=advice))

    def run(self, code: str, snapshot: str = "never") -> str:
        """What it printed."""
        body = {"code": code, "kernel_id": self.id, "snapshot": snapshot}
        result: dict[str, Any] = self.server.call("POST", "/api/jupyter/execute", body)
        if result["status"] != "ok":
            raise RuntimeError(f"{code}: {result['status']} {result['error']}")
        return "".join(output.get("text", "") for output in result["outputs"])

    def inside(self, code: str, snapshot: str) -> float:
        """Milliseconds of a cell by its own clock."""
        return float(
            self.run(
                f"from time import perf_counter as now; began = now(); {code}; print((now() - began) * 1e3)", snapshot
            )
        )

    def added(self, code: str) -> tuple[float, float]:
        """Milliseconds of a cell with no state before it, and with one: medians, in turns."""
        took = [(timed(lambda: self.run(code)), timed(lambda: self.run(code, "always"))) for _ in range(ROUNDS)]
        return statistics.median(one for one, _ in took), statistics.median(other for _, other in took)

    def back(self) -> float:
        """Milliseconds of an undo and the first reply after it."""
        self.run("b = 1", "always")
        self.server.call("GET", f"/api/jupyter/kernel/{self.id}/snapshots")  # the state is there: its fork has ended
        return timed(lambda: (self.server.call("POST", f"/api/jupyter/kernel/{self.id}/undo", {}), self.run("1+1")))

    def branched(self) -> float:
        """Milliseconds of a branch from where the kernel stands, and its first reply."""
        made: list[str] = []

        def branch() -> None:
            made.append(self.server.call("POST", f"/api/jupyter/kernel/{self.id}/branch", {})["id"])
            body = {"code": "1+1", "kernel_id": made[0], "snapshot": "never"}
            self.server.call("POST", "/api/jupyter/execute", body)

        took = timed(branch)
        self.server.call("DELETE", f"/api/jupyter/kernel/{made[0]}")
        return took

    def weight(self) -> float:
        """MB of all processes of this notebook's sandbox: the kernel, its init and the states that are kept."""
        mine = self.run("import os; print(os.readlink('/proc/self/ns/pid'))").strip()
        everybody = processes.descendants(self.server.pid)
        return processes.total({pid for pid in everybody if mine in processes.targets(f"/proc/{pid}/ns")}) / 1e6

    def close(self) -> None:
        self.server.call("DELETE", f"/api/jupyter/kernel/{self.id}")


def measure(_: Size) -> list[Figure]:
    made: list[Figure] = []
    room = available()
    with cellblock(
        memory_limit=str(20 << 30), snapshot_limit=str(20 << 30), pool_size="1", max_timeout="120"
    ) as server:
        for size in SIZES:
            if size * 1.3 < room:
                for pages, advice in PAGES.items():
                    made += by_size(server, size, pages, advice)
        made += small_objects(server)
        for pages, advice in PAGES.items():
            made += cells(server, pages, advice)
        made += real(server)
        made.append(chain(server))
    return made + beside()


def by_size(server: Server, size: int, pages: str, advice: str) -> list[Figure]:
    book = Notebook(server, size, advice)
    plain, kept = book.added("pass")
    back = [book.back() for _ in range(ROUNDS)]
    branched = [book.branched() for _ in range(ROUNDS)]
    book.close()
    what = f"{size / GB:g} GB in {pages} pages"
    return [
        Figure(f"the state before a cell, {what}", kept - plain, "ms", goal=10 if size <= GB else None),
        median(back, f"undo to first reply, {what}", goal=40),
        median(branched, f"branch to first reply, {what}"),
    ]


def small_objects(server: Server) -> list[Figure]:
    """What a state costs of them, right after they were made, and once the kernel has been idle."""
    made = []
    for when, seconds in (("at once", 0.0), ("after a pause", IDLE_SECONDS)):
        book = Notebook(server, 0, PAGES["small"])
        book.run(OBJECTS)
        time.sleep(seconds)
        plain, kept = book.added("pass")
        back = [book.back() for _ in range(ROUNDS)]
        book.close()
        what = f"0.4 GB of small objects, {when}"
        made.append(Figure(f"the state before a cell, {what}", kept - plain, "ms"))
        made.append(median(back, f"undo to first reply, {what}", goal=40))
    return made


def real(server: Server) -> list[Figure]:
    """Cells as people write them: what a state before them adds."""
    book = Notebook(server, 0, PAGES["huge"])
    book.run(QUARTER)
    made = []
    for what, code in REAL.items():
        prepare, cell = code.split("|")
        took = []
        for _ in range(5):
            for mode in ("never", "always"):
                book.run(prepare)
                took.append(book.inside(cell, mode))
        plain, kept = statistics.median(took[::2]), statistics.median(took[1::2])
        made.append(Figure(f"a cell that {what}", kept, "ms", factor=1.15, name="stateless", peer=plain))
    book.close()
    return made


def cells(server: Server, pages: str, advice: str) -> list[Figure]:
    """A cell that writes to all of 1 GB, and one that reads all of it, after a state has been kept; and what no state could
    go below: to copy it into fresh memory."""
    book = Notebook(server, GB, advice)
    floor = [
        book.inside(
            f"n = mmap.mmap(-1, a.nbytes, flags=34); n.madvise(mmap.{advice}); memoryview(n)[:] = m; n.close()", "never"
        )
        for _ in range(3)
    ]
    book.close()
    made = [median(floor, f"a copy of 1 GB from {pages} pages into fresh memory")]
    for what, code, goal in (("writes", TOUCH, 1.15), ("reads", READ, 1.02)):
        book = Notebook(server, GB, advice)
        took = [(book.inside(code, "never"), book.inside(code, "always")) for _ in range(5)]
        plain, kept = (statistics.median(each) for each in zip(*took, strict=True))
        book.close()
        made.append(
            Figure(f"a cell that {what} 1 GB in {pages} pages", kept, "ms", factor=goal, name="stateless", peer=plain)
        )
    return made


def chain(server: Server) -> Figure:
    """What fifty states in a row add, beyond the five that are kept, of cells that write to 1 MB of 100 MB."""
    book = Notebook(server, GB // 10, PAGES["small"])

    def go(cells: int) -> float:
        for turn in range(cells):
            book.run(f"a[{turn} * 1000:][:131072] += 1", "always")
        return book.weight()

    before = go(KEPT + 1)
    after = go(CHAIN)
    book.close()
    return Figure(f"growth over {CHAIN} more states", after - before, "MB", goal=KEPT)


def available() -> int:
    """Bytes of memory that nobody needs."""
    return processes.kilobytes("/proc/meminfo", "MemAvailable:")


def beside() -> list[Figure]:
    """The notebook of rivals.py with each of them; what they could not keep is part of the name."""
    with tempfile.TemporaryDirectory(prefix="cellblock-bench-", dir="/var/tmp") as place:
        python = environment(Path(place))
        made = []
        for size in COMPARED:
            done = subprocess.run(
                [python, Path(__file__).with_name("rivals.py"), str(size)],
                capture_output=True,
                text=True,
                timeout=300,
                env={**os.environ, "HOME": place},
            )
            found = (
                json.loads(done.stdout.splitlines()[-1])
                if done.returncode == 0
                else {"all": {"failed": done.stderr[-300:]}}
            )
            for name, figures in found.items():
                made += rival(name, size, figures)
        return made


def rival(name: str, size: int, figures: dict[str, Any]) -> list[Figure]:
    what = f"{name}, {size / GB:g} GB"
    if "failed" in figures:
        return [Figure(f"{what}: {figures['failed']}", 0, "ms")]
    lost = f"; lost: {', '.join(figures['lost'])}" if figures["lost"] else ""
    return [
        Figure(f"{what}: keep{lost}", figures["keep"], "ms"),
        Figure(f"{what}: bring back", figures["back"], "ms"),
        Figure(f"{what}: disk", figures["disk"] / 1e6, "MB"),
    ]


def environment(place: Path) -> Path:
    """An interpreter that has them: they pin what a kernel's environment should not be held to."""
    uv, python = [shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"], place / "env/bin/python"
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, place / "env"], check=True)
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", python, *RIVALS], check=True)
    return python
