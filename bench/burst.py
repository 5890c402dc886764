"""Fifty people at once: how long each waits for the first answer of a new session, and what the pool's refill costs others."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench.bystanders import Bystanders, compared
from bench.figures import Figure, Size, percentile, timed
from bench.peers import CellblockKernel
from bench.servers import Server, cellblock
from bench.starting import await_pool

PEOPLE = 50


def arrive(server: Server, gate: threading.Barrier) -> float:
    own = replace(server)
    gate.wait()
    return timed(lambda: CellblockKernel(own).run("1+1"))


def wave(server: Server) -> list[float]:
    gate = threading.Barrier(PEOPLE)
    with ThreadPoolExecutor(PEOPLE) as people:
        waits = [people.submit(arrive, server, gate) for _ in range(PEOPLE)]
        return [each.result() for each in waits]


def measure(_: Size) -> list[Figure]:
    """A second burst meets what the pool has learned from the first."""
    with cellblock() as server:
        bystanders = Bystanders(server)
        quiet = bystanders.during(3)
        await_pool(server)
        first = wave(server)
        refilling = bystanders.beside(lambda: await_pool(replace(server)))
        pool = await_pool(server)
        second = wave(server)
    made = [
        Figure(f"pool after {PEOPLE} sessions at once", pool["warm"], "kernels"),
        compared("while the pool refills", refilling, quiet),
    ]
    for which, waits in (("burst", first), ("burst again", second)):
        made += [
            Figure(f"{which} of {PEOPLE} new sessions: wait, {name}", percentile(waits, share), "ms", samples=waits)
            for name, share in (("p50", 0.5), ("p99", 0.99))
        ]
    return made
