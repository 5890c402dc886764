"""What live kernels weigh: proportional set size with their inits, fresh and after a plot."""

from typing import Any

from bench import processes
from bench.figures import Figure, Size
from bench.peers import PLOT, CellblockKernel, GatewayKernel
from bench.servers import Server, cellblock, gateway

LIVE = 20


def each(server: Server, kernels: list[Any], before: set[int], code: str) -> float:
    """MB of each after all have run `code`."""
    for kernel in kernels:
        kernel.run(code)
    return processes.total(processes.descendants(server.pid) - before) / len(kernels) / 1e6


def weighed(**settings: str) -> tuple[float, float]:
    """MB of each fresh kernel with its init, and after a plot."""
    with cellblock(pool_size="0", **settings) as server:
        before = processes.descendants(server.pid)
        kernels = [CellblockKernel(server) for _ in range(LIVE)]
        return each(server, kernels, before, "1+1"), each(server, kernels, before, PLOT)


def measure(_: Size) -> list[Figure]:
    fresh, plotted = weighed(snapshot="never")
    _, with_state = weighed(snapshot="always")
    with gateway() as server:
        before = processes.descendants(server.pid)
        others = [GatewayKernel(server) for _ in range(3)]
        peer = each(server, others, before, "import pandas, matplotlib.pyplot")
        for kernel in others:
            kernel.close()
    return [
        Figure(f"idle kernel and init, {LIVE} live, fresh", fresh, "MB", goal=20, name="gateway", peer=peer),
        Figure("with the states before both cells", with_state, "MB", name="without", peer=plotted),
        Figure(f"idle kernel and init, {LIVE} live, after a plot", plotted, "MB", goal=40, name="gateway", peer=peer),
    ]
