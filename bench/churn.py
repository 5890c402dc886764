"""Kernels come and go: what is left of them in the system, and how many a second can be had."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench import processes
from bench.figures import Figure, Size
from bench.peers import CellblockKernel
from bench.servers import Server, cellblock
from bench.starting import await_pool

AT_ONCE = 4  # clients
WARM_UP = 60  # starts before the first count: what grows once is no leak
SETTLE = 60.0  # seconds the kernel may take to take namespaces and groups down


def some(server: Server, count: int) -> None:
    own = replace(server)
    for _ in range(count):
        kernel = CellblockKernel(own)
        kernel.run("1+1")
        kernel.close()


def churned(server: Server, count: int) -> float:
    """Seconds that so many starts and stops took."""
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as clients:
        for done in [clients.submit(some, server, count // AT_ONCE) for _ in range(AT_ONCE)]:
            done.result()
    return time.monotonic() - began


def settled(server: Server, wanted: dict[str, float] | None = None) -> dict[str, float]:
    """What there is, once the pool is full and, if `wanted` is given, nothing more than that is left or time is up."""
    await_pool(replace(server))  # the first connection may have been idle for too long
    deadline = time.monotonic() + SETTLE
    while True:
        found = processes.holdings(server.pid)
        exact = {name for name in found if name not in processes.IN_MB}
        if wanted is None or all(found[name] <= wanted[name] for name in exact) or time.monotonic() > deadline:
            return found
        time.sleep(1)


def measure(size: Size) -> list[Figure]:
    with cellblock() as server:
        churned(server, WARM_UP)
        time.sleep(12)  # the pool has forgotten the warm-up, and the first kernels are gone
        before = settled(server)
        spent = churned(server, size.starts)
        time.sleep(12)
        after = settled(server, before)
    made = [Figure(f"kernels a second, {size.starts:,} in a row", size.starts / spent, "a second", 15, at_least=True)]
    for name, count in after.items():
        unit, goal = ("MB", before[name] + 10) if name in processes.IN_MB else ("", before[name])
        made.append(Figure(f"{name} after {size.starts:,} starts", count, unit, goal, "before", before[name]))
    return made
