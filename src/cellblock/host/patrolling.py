"""Whether a kernel in which nothing runs fills the disk: with what code has left running, or keeps open."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from cellblock.host.kernels import Kernel
from cellblock.host.workspace import Workspace


@dataclass(eq=False)
class Patrol:
    """`taken`: bytes of disk after the last execution, or when last looked at. `used`: processor time then, in milliseconds;
    `alone`: whether nobody else lived in its sandbox."""

    workspace: Workspace
    limit: int
    taken: int | None = None
    used: int = -1
    alone: bool = True

    def begin(self) -> None:
        """With another kernel."""
        self.taken, self.used = None, -1

    async def finds_too_much(self, kernel: Kernel, still: Callable[[], bool]) -> bool:
        """It has grown beyond the limit, and `still` nothing runs."""
        if not self._stirred(kernel):
            return False
        scan = await asyncio.to_thread(self.workspace.scan)
        taken = scan.bytes + await kernel.beside()
        before, self.taken = self.taken, taken
        if kernel.alone != self.alone:
            before, self.alone = None, kernel.alone  # other things count now than did
        full = taken > self.limit or not scan.complete
        return full and before is not None and taken > before and still()

    def _stirred(self, kernel: Kernel) -> bool:
        """Whether it may have done anything since it was last asked; only a cgroup knows of all its processes."""
        before, self.used = self.used, kernel.process.usage().cpu_ms
        return not kernel.process.cgroups.get("version") or self.used != before
