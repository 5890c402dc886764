"""Sessions that do nothing but `1+1`: how they fare tells what a neighbour does to them."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from bench.figures import Figure, percentile, timed
from bench.peers import CellblockKernel
from bench.servers import Server


class Bystanders:
    """A few sessions that run one cell each again and again, in turn, over a connection of their own."""

    def __init__(self, server: Server, count: int = 3) -> None:
        own = replace(server)
        kernels = [CellblockKernel(own) for _ in range(count)]
        self._cells = [(kernel, str(kernel.result("1+1")["cell_id"])) for kernel in kernels]
        for _ in range(10):
            self._round()

    def during(self, seconds: float) -> list[float]:
        """Milliseconds of each `1+1` of some seconds."""
        until, times = time.monotonic() + seconds, []
        while time.monotonic() < until:
            times += self._round()
        return times

    def beside(self, work: Callable[[], object]) -> list[float]:
        """The same while `work` runs in another thread."""
        times, thread = [], threading.Thread(target=work)
        thread.start()
        while thread.is_alive():
            times += self._round()
        thread.join()
        return times

    def _round(self) -> list[float]:
        return [self._once(kernel, cell) for kernel, cell in self._cells]

    def _once(self, kernel: CellblockKernel, cell: str) -> float:
        results = []
        took = timed(lambda: results.append(kernel.result("1+1", cell)["status"]))
        if results != ["ok"]:
            raise RuntimeError(f"a bystander's execution ended as {results[0]}")
        return took


def compared(what: str, noisy: list[float], quiet: list[float]) -> Figure:
    """The p99 under a neighbour, beside that of the same sessions when it was quiet."""
    calm = percentile(quiet, 0.99)
    return Figure(
        f"others' 1+1 p99, {what}", percentile(noisy, 0.99), "ms", name="quiet", peer=calm, factor=3, samples=noisy
    )
