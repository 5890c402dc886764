"""A new session until its first answer: from the pool, forked, and with a plot, beside the gateway in turns."""

import time
from collections.abc import Callable
from typing import Any

from bench.figures import Figure, Size, median, timed
from bench.peers import PLOT, CellblockKernel, GatewayKernel, has_picture
from bench.servers import Server, cellblock, gateway


def first_answer(make: Callable[[], Any], code: str) -> float:
    """Milliseconds until a new kernel has answered; it is closed outside the measured time."""
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


def await_pool(server: Server, at_rest: bool = False) -> dict[str, Any]:
    """Until as many warm kernels wait as are wanted, so that each round meets a full pool; `at_rest`: and no more are
    wanted than without demand."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        pool: dict[str, Any] = server.call("GET", "/api/status")["pool"]
        if pool["warm"] == pool["wanted"] and (not at_rest or pool["wanted"] == pool["size"]):
            return pool
        time.sleep(0.5 if at_rest else 0.02)
    raise RuntimeError(f"the pool does not settle: {pool}")


def measure(size: Size) -> list[Figure]:
    """Rounds take turns, so that what else this machine does meets all alike."""
    with cellblock() as pooled, cellblock(pool_size="0") as forked, gateway() as theirs:
        times: dict[tuple[str, str], list[float]] = {}
        first_answer(lambda: CellblockKernel(forked), PLOT)
        for turn in range(size.rounds):
            for name, code in (("1+1", "1+1"), ("plot", PLOT)):
                await_pool(pooled)
                times.setdefault(("pool", name), []).append(first_answer(lambda: CellblockKernel(pooled), code))
                times.setdefault(("fork", name), []).append(first_answer(lambda: CellblockKernel(forked), code))
                if turn % 3 == 0:
                    times.setdefault(("peer", name), []).append(first_answer(lambda: GatewayKernel(theirs), code))
    return figures(times)


def figures(times: dict[tuple[str, str], list[float]]) -> list[Figure]:
    made = []
    for name, what, goals in (("1+1", "1+1", (8, 40)), ("plot", "first plot", (120, 120))):
        peer = median(times["peer", name], "", "ms").value
        for way, how, goal in (("pool", "from the pool", goals[0]), ("fork", "forked", goals[1])):
            text = f"new session, {what}, {how}"
            made.append(median(times[way, name], text, goal=goal, name="gateway", peer=peer))
    return made
