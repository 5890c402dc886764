"""`1+1` in a warm kernel: over HTTP, through the gateway, and raw, in turns."""

from bench.figures import Figure, Size, median, timed
from bench.peers import CellblockKernel, GatewayKernel, RawKernel
from bench.servers import cellblock, gateway


def measure(size: Size) -> list[Figure]:
    ours: list[float] = []
    theirs: list[float] = []
    raw: list[float] = []
    with cellblock() as server, gateway() as peer, RawKernel() as plain:
        kernel, other = CellblockKernel(server), GatewayKernel(peer)
        for turn in range(size.rounds * 20 + 20):
            took = timed(lambda: kernel.run("1+1")), timed(lambda: plain.run("1+1"))
            if turn >= 20:
                ours.append(took[0])
                raw.append(took[1])
                if turn % 5 == 0:
                    theirs.append(timed(lambda: other.run("1+1")))
        other.close()
    return figures(ours, theirs, raw)


def figures(ours: list[float], theirs: list[float], raw: list[float]) -> list[Figure]:
    direct, through = median(raw, "").value, median(theirs, "").value
    return [
        median(ours, "1+1, warm", factor=1.5, name="raw", peer=direct),
        median(ours, "1+1, warm", name="gateway", peer=through),
    ]
