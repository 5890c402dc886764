"""Many live kernels: what a small execution takes as they become more, and while many of them work."""

import os
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from bench import processes
from bench.figures import Figure, Size, percentile, timed
from bench.peers import CellblockKernel
from bench.servers import Server, cellblock

STEPS = (1, 10, 50, 100, 200, 300)
ASKED = 300  # executions per step of the curve
REST = 10.0  # seconds
PAUSE = 2.0  # seconds at most between two executions of one busy kernel
WORK = "sum(i * i for i in range(1000))"


@dataclass
class Work:
    """What the busy ones lived through."""

    times: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def curve(kernels: list[CellblockKernel]) -> list[float]:
    """Milliseconds of `1+1`, in one kernel after another."""
    return [timed(lambda at=at: kernels[at % len(kernels)].run("1+1")) for at in range(ASKED)]  # type: ignore[misc]


def busy(server: Server, kernel: CellblockKernel, until: float, work: Work) -> None:
    own = CellblockKernel(replace(server), kernel.id)
    chance = random.Random(kernel.id)
    while time.monotonic() < until:
        time.sleep(chance.uniform(0, PAUSE))
        try:
            work.times.append(timed(lambda: own.run(WORK)))
        except Exception as problem:
            work.errors.append(repr(problem))


def at_random(server: Server, kernels: list[CellblockKernel], seconds: float) -> Work:
    """All of them execute now and then, each from a client of its own."""
    work, until = Work(), time.monotonic() + seconds
    threads = [threading.Thread(target=busy, args=(server, kernel, until, work)) for kernel in kernels]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return work


def grown(server: Server, kernels: list[CellblockKernel], wanted: int) -> None:
    """Until so many are live and have answered."""

    def another(_: int) -> CellblockKernel:
        kernel = CellblockKernel(replace(server))
        kernel.run("1+1")
        return CellblockKernel(server, kernel.id)

    with ThreadPoolExecutor(4) as clients:
        kernels += clients.map(another, range(wanted - len(kernels)))


def resting(pid: int) -> float:
    """Milliseconds of processor time a second that a server takes when nobody asks anything."""
    time.sleep(5)
    before = processes.processor_seconds({pid})
    time.sleep(REST)
    return (processes.processor_seconds({pid}) - before) / REST * 1e3


def measure(size: Size) -> list[Figure]:
    made: list[Figure] = []
    with cellblock() as server:
        before = processes.descendants(server.pid)
        kernels: list[CellblockKernel] = []
        for live in [step for step in STEPS if step < size.kernels] + [size.kernels]:
            grown(server, kernels, live)
            time.sleep(3)
            made += spread(f"1+1, {live} live", curve(kernels))
        idle = resting(server.pid)
        mine = processes.total(processes.descendants(server.pid) - before) / size.kernels / 1e6
        work = at_random(server, kernels[: size.busy], size.seconds)
        load = os.getloadavg()[0]
        own = processes.pss(server.pid) / 1e6
    for problem in work.errors[:5]:
        print(problem)
    made += spread(f"small execution, {size.busy} of {size.kernels} at random", work.times)
    return [
        *made,
        Figure(f"errors in {len(work.times):,} executions", len(work.errors), "", goal=0),
        Figure(f"each of {size.kernels} live kernels", mine, "MB"),
        Figure("the server", own, "MB"),
        Figure(f"the server while {size.kernels} kernels rest", idle, "ms a second"),
        Figure("load in the end", load, ""),
    ]


def spread(what: str, times: list[float]) -> list[Figure]:
    return [
        Figure(f"{what}, {name}", percentile(times, share), "ms", samples=times)
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]
