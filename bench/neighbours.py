"""One kernel at each of its limits, and how the other sessions fare: a ratio to what they had when it was quiet."""

import time

from bench.bystanders import Bystanders, compared
from bench.figures import Figure, Size
from bench.peers import CellblockKernel
from bench.servers import Server, cellblock

SECONDS = 8.0
MEMORY, DISK = 256 << 20, 64 << 20
BAD = {
    "processors": "import os\nfor _ in range(3): os.fork() or None\nwhile True: pass",
    "memory": f"""
held = bytearray({MEMORY} - ({96 << 20}))
while True:
    with open('/workspace/cache', 'wb') as file:
        for _ in range(40): file.write(bytes(1 << 20)); held[::4096] = bytes(len(range(0, len(held), 4096)))
""",
    "processes": """
import os, time
while True:
    try:
        if os.fork() == 0: time.sleep(60); os._exit(0)
    except OSError: pass
""",
    "disk": f"""
while True:
    with open('/workspace/full', 'wb') as file:
        for _ in range({(DISK >> 20) - 2}): file.write(bytes(1 << 20)); file.flush()
""",
    "output": "while True: print('x' * 4000, flush=True)",
}


def beside(server: Server, bystanders: Bystanders, code: str) -> list[float]:
    """The others' times from a second after the neighbour began; its kernel is deleted in the end."""
    kernel = CellblockKernel(server)
    kernel.run("1+1")
    kernel.begin(code)
    time.sleep(1)
    times = bystanders.during(SECONDS)
    kernel.close()
    return times


def measure(_: Size) -> list[Figure]:
    """Quiet is measured before and after each of them: the machine's own noise changes by the minute."""
    made = []
    with cellblock(memory_limit=str(MEMORY), workspace_limit=str(DISK)) as server:
        bystanders = Bystanders(server)
        quiet = bystanders.during(SECONDS / 2)
        for limit, code in BAD.items():
            times = beside(server, bystanders, code)
            after = bystanders.during(SECONDS / 2)
            made.append(compared(f"beside a kernel at its limit of {limit}", times, quiet + after))
            quiet = after
    return made
