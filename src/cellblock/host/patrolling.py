"""Whether a kernel in which nothing runs fills the disk: with what code has left running, or keeps open."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from cellblock.host.kernels import Beside, Kernel
from cellblock.host.workspace import Scan, Workspace

BLANK = Beside(1 << 20)  # what a new kernel may take: the names of its sockets, and little else


@dataclass(eq=False)
class Patrol:
    """`files`: bytes of the workspace after the last execution, or when last looked at; `beside`: what else it took, when that
    was last looked at, None if never. `used`: processor time then, in milliseconds."""

    workspace: Workspace
    limit: int
    files: int | None = None
    beside: Beside | None = None
    used: int = -1
    _turn: int = 0  # counts executions and kernels

    def begin(self, *, blank: bool) -> None:
        """With another kernel; `blank`: nothing has run in it."""
        self._turn += 1
        self.files, self.beside, self.used = None, BLANK if blank else None, -1

    def ran(self, files: Scan | None, beside: Beside | None) -> None:
        """An execution has ended; None: that was not looked at."""
        self._turn += 1
        self.files, self.beside = files.bytes if files else None, beside or self.beside

    async def finds_too_much(self, kernel: Kernel, still: Callable[[], bool]) -> bool:
        """It has grown beyond the limit, and `still` nothing runs."""
        used = kernel.process.usage().cpu_ms
        if kernel.process.cgroups.get("version") and used == self.used:
            return False  # it has done nothing since; only a cgroup knows of all its processes
        turn = self._turn
        beside = await kernel.beside()  # before the files: what loses its name meanwhile is not counted twice
        scan = await asyncio.to_thread(self.workspace.scan)
        if turn != self._turn:
            return False  # an execution has run meanwhile, or it is another kernel
        grown = self._grown(scan.bytes, beside)
        self.files, self.beside, self.used = scan.bytes, beside, used
        full = scan.bytes + beside.bytes > self.limit or not scan.complete
        return full and grown and still()

    def _grown(self, files: int, beside: Beside) -> bool:
        """Not told where other things count now than did."""
        if self.files is None or self.beside is None or beside.alone != self.beside.alone:
            return False
        return files + beside.bytes > self.files + self.beside.bytes
