"""`python -m bench [rounds]`: measures Cellblock beside a Jupyter Kernel Gateway and prints one table with ratios."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import memory
from bench.peers import PLOT, CellblockKernel, GatewayKernel, RawKernel, has_picture
from bench.servers import Server, cellblock, gateway

LIVE = 20


def timed(work: Callable[[], object]) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3


def start_and_run(make: Callable[[], Any], code: str) -> float:
    """Milliseconds until a new kernel has answered; the kernel is closed outside the measured time."""
    kernels: list[Any] = []
    outputs: list[list[dict[str, Any]]] = []

    def first() -> None:
        kernels.append(make())
        outputs.append(kernels[0].run(code))

    spent = timed(first)
    kernels[0].close()
    if code is PLOT and not has_picture(outputs[0]):
        raise RuntimeError("no picture came back")
    return spent


def await_pool(server: Server, wanted: int) -> None:
    """Until the warm pool is full again, so that each round meets the same pool."""
    deadline = time.monotonic() + 30
    while server.call("GET", "/api/status")["pool"]["warm"] < wanted:
        if time.monotonic() > deadline:
            raise RuntimeError("the pool does not fill")
        time.sleep(0.01)


def from_the_pool(server: Server, code: str, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        await_pool(server, 2)
        times.append(start_and_run(lambda: CellblockKernel(server), code))
    return times


def warm(run: Callable[[str], object], rounds: int) -> list[float]:
    for _ in range(20):
        run("1+1")
    return [timed(lambda: run("1+1")) for _ in range(rounds)]


def weigh_ours(server: Server) -> dict[str, float]:
    """MB per kernel with its init, LIVE of them, fresh and after a plot."""
    before = memory.descendants(server.pid)
    kernels = [CellblockKernel(server) for _ in range(LIVE)]
    for kernel in kernels:
        kernel.run("1+1")
    fresh = memory.total(memory.descendants(server.pid) - before) / LIVE / 1e6
    for kernel in kernels:
        kernel.run(PLOT)
    plotted = memory.total(memory.descendants(server.pid) - before) / LIVE / 1e6
    for kernel in kernels:
        kernel.close()
    return {"fresh": fresh, "plotted": plotted}


def weigh_theirs(server: Server) -> float:
    before = memory.descendants(server.pid)
    kernels = [GatewayKernel(server) for _ in range(3)]
    for kernel in kernels:
        kernel.run("import pandas, matplotlib.pyplot")
    weight = memory.total(memory.descendants(server.pid) - before) / len(kernels) / 1e6
    for kernel in kernels:
        kernel.close()
    return weight


def measure_ours(rounds: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    with cellblock() as server:
        figures["start_pool"] = from_the_pool(server, "1+1", rounds)
        figures["plot"] = from_the_pool(server, PLOT, rounds)
        kernel = CellblockKernel(server)
        figures["warm"] = warm(kernel.run, rounds * 20)
        figures["print"] = [kernel.latency_of_a_print() * 1e3 for _ in range(rounds * 2)]
        figures["sandbox"] = server.call("GET", "/api/status")["sandbox"]["level"]
        kernel.close()
    with cellblock(pool_size="0") as server:
        CellblockKernel(server).close()
        figures["start_forked"] = [start_and_run(lambda: CellblockKernel(server), "1+1") for _ in range(rounds)]
        figures["plot_forked"] = [start_and_run(lambda: CellblockKernel(server), PLOT) for _ in range(rounds)]
        figures["memory"] = weigh_ours(server)
    return figures


def measure_gateway(rounds: int) -> dict[str, Any]:
    with gateway() as server:
        starts = [start_and_run(lambda: GatewayKernel(server), "1+1") for _ in range(max(3, rounds // 3))]
        plots = [start_and_run(lambda: GatewayKernel(server), PLOT) for _ in range(max(3, rounds // 3))]
        kernel = GatewayKernel(server)
        times = warm(kernel.run, rounds * 4)
        kernel.close()
        return {"start": starts, "plot": plots, "warm": times, "memory": weigh_theirs(server)}


def measure_raw(rounds: int) -> list[float]:
    kernel = RawKernel()
    try:
        return warm(kernel.run, rounds * 20)
    finally:
        kernel.close()


Row = tuple[str, float | None, float, float | None, str]


def rows(ours: dict[str, Any], theirs: dict[str, Any], raw: list[float]) -> list[Row]:
    """(what, gateway, Cellblock, goal, unit); medians."""
    mid = statistics.median
    return [
        ("new kernel, 1+1, from the pool", mid(theirs["start"]), mid(ours["start_pool"]), 20, "ms"),
        ("new kernel, 1+1, forked", mid(theirs["start"]), mid(ours["start_forked"]), 60, "ms"),
        ("new kernel, first plot, from the pool", mid(theirs["plot"]), mid(ours["plot"]), 200, "ms"),
        ("new kernel, first plot, forked", mid(theirs["plot"]), mid(ours["plot_forked"]), 200, "ms"),
        ("1+1 in a warm kernel", mid(theirs["warm"]), mid(ours["warm"]), 6, "ms"),
        ("1+1, raw jupyter_client instead of the gateway", mid(raw), mid(ours["warm"]), 2 * mid(raw), "ms"),
        ("a flushed print until its event", None, mid(ours["print"]), 10, "ms"),
        (f"idle kernel and init, PSS, {LIVE} live", theirs["memory"], ours["memory"]["fresh"], 35, "MB"),
        (f"the same after a plot, {LIVE} live", theirs["memory"], ours["memory"]["plotted"], None, "MB"),
    ]


def show(table: list[Row], sandbox: object) -> None:
    print(
        f"sandbox: {sandbox}; {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}\n"
    )
    print(f"{'what':48} {'gateway':>10} {'cellblock':>10} {'ratio':>7} {'to reach':>9}")
    for what, peer, own, goal, unit in table:
        theirs = f"{peer:.1f} {unit}" if peer is not None else "–"
        ratio = f"{peer / own:.1f} ×" if peer is not None else "–"
        reach = f"≤ {goal:.1f}" if goal is not None else "–"
        print(f"{what:48} {theirs:>10} {f'{own:.1f} {unit}':>10} {ratio:>7} {reach:>9}")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    ours, theirs, raw = measure_ours(rounds), measure_gateway(rounds), measure_raw(rounds)
    show(rows(ours, theirs, raw), ours["sandbox"])
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    path = results / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps({"cellblock": ours, "gateway": theirs, "raw": raw}, indent=1))
    print(f"\nall figures: {path}")


if __name__ == "__main__":
    main()
