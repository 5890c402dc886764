"""Whether a kernel in which nothing runs fills the disk: with what code has left running, or keeps open."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from cellblock.host.kernels import Beside, Kernel
from cellblock.host.workspace import Scan, Workspace


@dataclass(eq=False)
class Patrol:
    """`files`: bytes of the workspace after the last execution, or when last looked at; `beside`: what else it took, when that
    was last looked at. `used`: processor time then, in milliseconds."""

    workspace: Workspace
    limit: int
    files: int | None = None
    beside: Beside = field(default_factory=Beside)
    used: int = -1

    def begin(self) -> None:
        """With another kernel."""
        self.files, self.beside, self.used = None, Beside(), -1

    def ran(self, files: Scan | None, beside: Beside | None) -> None:
        """An execution has ended; None: that was not looked at."""
        self.files, self.beside = files.bytes if files else None, beside or self.beside

    async def finds_too_much(self, kernel: Kernel, still: Callable[[], bool]) -> bool:
        """It has grown beyond the limit, and `still` nothing runs."""
        if not self._stirred(kernel):
            return False
        scan = await asyncio.to_thread(self.workspace.scan)
        beside = await kernel.beside()
        grown = self._grown(scan.bytes, beside)
        self.files, self.beside = scan.bytes, beside
        full = scan.bytes + beside.bytes > self.limit or not scan.complete
        return full and grown and still()

    def _grown(self, files: int, beside: Beside) -> bool:
        """Not told where other things count now than did."""
        if self.files is None or beside.alone != self.beside.alone:
            return False
        return files + beside.bytes > self.files + self.beside.bytes

    def _stirred(self, kernel: Kernel) -> bool:
        """Whether it may have done anything since it was last asked; only a cgroup knows of all its processes."""
        before, self.used = self.used, kernel.process.usage().cpu_ms
        return not kernel.process.cgroups.get("version") or self.used != before
