"""100 MB of prints: what the server's memory does, what the others notice, and that the output is cut."""

from typing import Any

from bench import processes
from bench.bystanders import Bystanders, compared
from bench.figures import Figure, Size, median
from bench.peers import CellblockKernel
from bench.servers import Server, cellblock

PIECE, PIECES = 64 << 10, 1600
FLOOD = f"for _ in range({PIECES}): print('x' * {PIECE - 1})"
OUTPUT_LIMIT = 1 << 20
SERVERS = 3


def poured(server: Server, bystanders: Bystanders) -> tuple[dict[str, Any], float, list[float]]:
    """The Result of a flood, by how many MB the server grew at most, and how the others fared."""
    kernel, results = CellblockKernel(server), []
    kernel.run("1+1")
    processes.forget_peak(server.pid)
    before = processes.resident(server.pid)
    times = bystanders.beside(lambda: results.append(kernel.result(FLOOD)))
    return results[0], (processes.peak(server.pid) - before) / 1e6, times


def measure(_: Size) -> list[Figure]:
    """On several new servers: by how much one grows depends on how its heap happens to lie."""
    grown: list[float] = []
    times: list[float] = []
    quiet: list[float] = []
    for _ in range(SERVERS):
        with cellblock() as server:
            bystanders = Bystanders(server)
            quiet += bystanders.during(10)  # so long also because a server that has just started fills its caches
            result, more, beside = poured(server, bystanders)
            quiet += bystanders.during(5)
        grown.append(more)
        times += beside
        if result["status"] != "ok" or not result["truncated"] or not result["spill"]:
            raise RuntimeError(f"the flood ended as {result['status']}, truncated: {result['truncated']}")
    text = sum(len(output.get("text", "")) for output in result["outputs"])
    return [
        median(grown, "100 MB of prints: the server grows by", "MB", goal=20),
        Figure("100 MB of prints: output kept", text / OUTPUT_LIMIT, "of the limit", goal=1.01),
        Figure("100 MB of prints: they take", result["timing"]["run_ms"], "ms"),
        compared("beside 100 MB of prints", times, quiet),
    ]
