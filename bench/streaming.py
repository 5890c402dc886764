"""What a stream costs: a print until its event, and a thousand flushed prints beside raw messages, in turns."""

from bench.figures import Figure, Size, median, timed
from bench.peers import PRINTS, CellblockKernel, GatewayKernel, RawKernel
from bench.servers import cellblock, gateway


def took(plain: RawKernel) -> list[float]:
    """Milliseconds of a round, or nothing when messages of it were lost."""
    printed: list[int] = []
    spent = timed(lambda: printed.append(plain.run(PRINTS)))
    return [] if printed[0] < 0 else [spent]


def measure(size: Size) -> list[Figure]:
    latency: list[float] = []
    ours: list[float] = []
    theirs: list[float] = []
    raw: list[float] = []
    with cellblock() as server, gateway() as peer, RawKernel() as plain:
        kernel, other = CellblockKernel(server), GatewayKernel(peer)
        for _ in range(2):
            kernel.stream(PRINTS), plain.run(PRINTS), other.run(PRINTS)
        for _ in range(size.rounds):
            latency.append(kernel.latency_of_a_print() * 1e3)
            ours.append(timed(lambda: kernel.stream(PRINTS)))
            raw += took(plain)
            theirs.append(timed(lambda: other.run(PRINTS)))
        other.close()
    direct, through = median(raw, "").value, median(theirs, "").value
    return [
        median(latency, "a flushed print until its server-sent event", goal=5),
        median(ours, "1,000 flushed prints, streamed", factor=1.3, name="raw", peer=direct),
        median(ours, "1,000 flushed prints, streamed", name="gateway", peer=through),
    ]
