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
WARM_UP = 1000  # starts before the first count: what grows once is no leak, and a server's heap is at rest by then
SETTLE = 60.0  # seconds the kernel may take to take namespaces and groups down
SLACK = {"threads": 6, **dict.fromkeys(processes.IN_MB, 10.0)}  # threads that wait for work on files are kept, some


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
    await_pool(replace(server), at_rest=True)  # the first connection may have been idle for too long
    deadline = time.monotonic() + SETTLE
    while True:
        found = processes.holdings(server.pid)
        if wanted is None or time.monotonic() > deadline:
            return found
        if all(found[name] <= wanted[name] for name in found if name not in SLACK):
            return found
        time.sleep(1)


def measure(size: Size) -> list[Figure]:
    with cellblock() as server:
        churned(server, WARM_UP)
        before = settled(server)
        trunk = {server.pid} | processes.stem(server.pid)
        used = processes.processor_seconds(trunk)
        spent = churned(server, size.starts)
        used = processes.processor_seconds(trunk) - used
        after = settled(server, before)
    made = [Figure(f"kernels a second, {size.starts:,} in a row", size.starts / spent, "a second", 15, at_least=True)]
    made.append(Figure("processor time of server and fork server for each", used / size.starts * 1e3, "ms"))
    for name, count in after.items():
        unit = "MB" if name in processes.IN_MB else ""
        goal = before[name] + SLACK.get(name, 0)
        made.append(Figure(f"{name} after {size.starts:,} starts", count, unit, goal, "before", before[name]))
    return made
