"""Kernels at every limit at once, and others whose work stays right meanwhile."""

import asyncio

import pytest
from interpreting import MIB, Bench, text

from cellblock.execution import Result

pytestmark = pytest.mark.asyncio(loop_scope="session")

BAD = {
    "cpu": "import os\nfor _ in range(3): os.fork()\nwhile True: pass",
    "memory": "held = []\nwhile True: held.append(bytearray(10 << 20))",
    "pids": """
import os, time, warnings
warnings.simplefilter("ignore")  # of forks in a program with threads
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
except OSError as problem:
    print(type(problem).__name__)
""",
    "threads": """
import threading
held = threading.Event()
try:
    while True: threading.Thread(target=held.wait, daemon=True).start()
except RuntimeError as problem:
    print(type(problem).__name__)
""",
    "descriptors": """
held = []
try:
    while True: held.append(open('/dev/null'))
except OSError as problem:
    print(type(problem).__name__, len(held) > 100)
""",
    "disk": """
import time
for n in range(100_000):
    open(f'{n}.bin', 'wb').write(bytes(4 << 20))
    time.sleep(0.02)
""",
    "output": "while True: print('x' * 10_000)",
    "displays": "from IPython.display import HTML, display\nwhile True: display(HTML('x' * 100_000))",
    "small": "import sys\nwhile True:\n    sys.stdout.write('.'); sys.stdout.flush()",
}
VERDICTS = {
    "cpu": {"timeout"},
    "memory": {"out_of_memory", "error"},  # MemoryError where no cgroup counts
    "pids": {"ok"},
    "threads": {"ok"},
    "descriptors": {"ok"},
    "disk": {"disk_full"},
    "output": {"timeout"},
    "displays": {"timeout"},
    "small": {"timeout"},
}
HIT = {"pids": "BlockingIOError\n", "threads": "RuntimeError\n", "descriptors": "OSError True\n"}


async def honest_work(bench: Bench, kernel_id: str, over: asyncio.Event) -> int:
    """Variables, a file and a table that grow turn by turn; how many turns there were."""
    turn = 0
    start = "import pandas as pd; seen = []; file = open('seen.txt', 'w+')"
    assert (await bench.run(start, kernel_id))["status"] == "ok"
    while not over.is_set() or turn < 3:
        turn += 1
        code = f"""
seen.append({turn}); file.write('{turn},'); file.flush(); file.seek(0)
print(sum(seen), file.read().count(','), pd.DataFrame({{'n': seen}}).n.max(), sum(range(100_000)))
"""
        result = await bench.run(code, kernel_id)
        assert result["status"] == "ok", (result["error"], result["notice"])
        assert text(result) == f"{turn * (turn + 1) // 2} {turn} {turn} 4999950000\n"
        assert (result["kernel_state"], result["notice"]) == ("kept", None)
    return turn


async def bad_work(bench: Bench, name: str) -> Result:
    """What never ends by itself has less time than what hits a limit of its own."""
    endless = VERDICTS[name] == {"timeout"}
    return await bench.run(BAD[name], await bench.kernel(), timeout=3.0 if endless else 30.0)


async def test_kernels_at_every_limit_leave_the_work_of_others_right(bench: Bench) -> None:
    over = asyncio.Event()
    good = [asyncio.create_task(honest_work(bench, await bench.kernel(), over)) for _ in range(3)]
    results = dict(zip(BAD, await asyncio.gather(*(bad_work(bench, name) for name in BAD)), strict=True))
    over.set()
    assert min(await asyncio.gather(*good)) >= 3
    assert {name: result["status"] for name, result in results.items() if result["status"] not in VERDICTS[name]} == {}
    assert {name: text(results[name]) for name in HIT} == HIT
    for name in ("output", "displays", "small"):
        assert len(str(results[name]["outputs"])) < 1 * MIB
