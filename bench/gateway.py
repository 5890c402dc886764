"""One Jupyter client against us and against a real Jupyter Kernel Gateway, in turns: REST and WebSocket, the same code."""

import time

from bench import processes
from bench.figures import Figure, Size, median, timed
from bench.flood import FLOOD, PIECE, PIECES
from bench.peers import PRINTS, GatewayKernel
from bench.servers import Server, cellblock, gateway
from bench.starting import await_pool, first_answer

REST = 5  # seconds, in which the output is stored and memory given back


def measure(size: Size) -> list[Figure]:
    times: dict[tuple[str, str], list[float]] = {}
    with cellblock() as ours, gateway() as theirs:
        for turn in range(size.rounds):
            await_pool(ours)
            for name, server in (("ours", ours), ("theirs", theirs)):
                if name == "ours" or turn % 3 == 0:
                    spent = first_answer(lambda server=server: GatewayKernel(server), "1+1")
                    times.setdefault((name, "new"), []).append(spent)
        warm = {"ours": GatewayKernel(ours), "theirs": GatewayKernel(theirs)}
        asked = {"1+1": "1+1", "prints": PRINTS}
        for kernel in warm.values():
            kernel.run(PRINTS)
        for _ in range(size.rounds):
            for what, code in asked.items():
                for name, kernel in warm.items():
                    times.setdefault((name, what), []).append(timed(lambda kernel=kernel, code=code: kernel.run(code)))
        for name, kernel in warm.items():
            row = [timed(lambda kernel=kernel: kernel.run(PRINTS)) for _ in range(size.rounds)]
            times[name, "row"] = row
        grown, read = poured(ours)
        for kernel in warm.values():
            kernel.close()
    return [*figures(times), *flooded(grown, read)]


def figures(times: dict[tuple[str, str], list[float]]) -> list[Figure]:
    made = []
    for what, text, factor in (
        ("new", "a new kernel until its first reply", 1 / 20),
        ("1+1", "1+1, warm", 1 / 8),
        ("prints", "1,000 prints", 1 / 2),
        ("row", "1,000 prints, again and again without a rest", None),
    ):
        peer = median(times["theirs", what], "").value
        made.append(median(times["ours", what], f"{text}, over a WebSocket", factor=factor, name="gateway", peer=peer))
    return made


def poured(server: Server) -> tuple[list[float], int]:
    """By how many MB the server has grown at rest after each of two floods, and at most; how many bytes its reader got."""
    kernel, grown, read = GatewayKernel(server), [], 0
    kernel.run("1+1")
    before = processes.resident(server.pid)
    processes.forget_peak(server.pid)
    for _ in range(2):
        read += sum(len(output.get("text", "")) for output in kernel.run(FLOOD))
        time.sleep(REST)
        grown.append((processes.resident(server.pid) - before) / 1e6)
    grown.append((processes.peak(server.pid) - before) / 1e6)
    kernel.close()
    return grown, read


def flooded(grown: list[float], read: int) -> list[Figure]:
    first, second, most = grown
    return [
        Figure("100 MB of prints read over a WebSocket: the server has grown by", first, "MB at rest", goal=16),
        Figure("200 MB of prints: it has grown by", second, "MB at rest", goal=20),
        Figure("200 MB of prints: meanwhile it grew by", most, "MB at most", goal=32),
        Figure("200 MB of prints read over a WebSocket: read", read / (2 * PIECE * PIECES), "of what was printed"),
    ]
