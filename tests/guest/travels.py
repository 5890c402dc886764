"""Kernels that are forked before a cell and come back: what they still have, and what hostile code can do about it."""

import asyncio
import os
import select
import time
from pathlib import Path
from typing import Any

from client import Client, Outcome, Workbench

from cellblock.errors import KernelStartFailed
from cellblock.host.death import Death
from cellblock.host.launcher import Process
from states import PRELUDE, cell, language, notebook

SEGFAULT = "import ctypes; ctypes.string_at(0)"
GREEDY = "x = 'after'\nheld = []\nwhile True: held.append(bytearray(20 << 20))"


async def dies(client: Client, code: str, snapshot: str | None) -> Death:
    """A cell that its kernel does not outlive."""
    running = asyncio.create_task(client.run(code, snapshot=snapshot))
    death = await asyncio.wait_for(asyncio.shield(client.process.death), 30)
    running.cancel()
    return death


async def came_back(process: Process, name: str, *codes: str, count: int = 50) -> list[Outcome]:
    """What a revived snapshot says to some cells; it is ended."""
    revived = await process.revive(name, count=count)
    try:
        async with Client(revived) as client:
            return [await client.run(code) for code in codes]
    finally:
        await revived.stop()


async def deaths(bench: Workbench) -> dict[str, Any]:
    """A segmentation fault, too much memory, a kill: the variables of before, and how the kernel had ended."""
    found: dict[str, Any] = {}
    for name, code in (("fault", SEGFAULT), ("memory", GREEDY), ("kill", "import os; os.kill(os.getpid(), 9)")):
        process = await bench.launch(memory=300 << 20)
        async with Client(process) as client:
            await client.run("x = 'before'")
            death = await dies(client, code, "s")
        [outcome] = await came_back(process, "s", "print(x)")
        found[name] = [outcome.text, death.status, death.out_of_memory, outcome.reply["execution_count"]]
    return found


STATES = [case for case in (*language.CASES, *notebook.CASES) if not case.files]


async def kept(bench: Workbench) -> dict[str, Any]:
    """The states of the catalogue that are in memory, in one kernel: made, disturbed, asked, and asked after going back."""
    process = await bench.launch()
    async with Client(process) as client:
        await client.run(PRELUDE)
        found = {"made": await verdicts_of(client, "make", "made")}
        found["disturbed"] = await verdicts_of(client, "disturb", "disturbed", "s")
        found["asked"] = await verdicts_of(client, "check", "asked")
    process = await process.revive("s", count=50)
    async with Client(process) as client:
        found["undone"] = await verdicts_of(client, "check", "asked again")
    await process.stop()
    return found


async def verdicts_of(client: Client, part: str, last: str, snapshot: str | None = None) -> dict[str, str]:
    outcome = await client.run(cell(STATES, part, last=last), snapshot=snapshot)
    [shown] = outcome.of("display_data")
    verdicts: dict[str, str] = shown["data"]["application/json"]
    return verdicts


ANSWERING = "import os; os.system('echo shell'); print(input('? '))"
PIPE = "import subprocess; p = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)"


async def usable(bench: Workbench) -> dict[str, Any]:
    """A revived kernel answers, completes and is interrupted; and a snapshot that sleeps holds nothing open."""
    process = await bench.launch()
    async with Client(process) as client:
        await client.run(f"{PIPE}\nabcdef = 1")
        piped = await client.run("p.stdin.close(); print(p.stdout.read())", snapshot="s")
        found: dict[str, Any] = {"piped": piped.text}
    revived = await process.revive("s", count=2)
    async with Client(revived) as client:
        answered = await client.run(ANSWERING, answers=["answer"])
        matches = await client.request("complete_request", {"code": "abcd", "cursor_pos": 4})
        running = asyncio.create_task(client.run("print('on', flush=True)\nwhile True: pass"))
        await client.begun.wait()
        revived.interrupt()
        found |= {
            "answered": sorted(answered.text.split()),
            "matches": matches["matches"],
            "interrupted": (await running).error,
            "not there": await refusal(revived, "nothing"),
            "lives": (await client.run("abcdef")).value,
        }
    await revived.stop()
    return found


async def refusal(process: Process, name: str) -> str:
    try:
        await process.revive(name, count=1)
    except KernelStartFailed as problem:
        return problem.message
    return "revived"


LATER = """
import fcntl, os, signal, threading
f = open('held', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); signal.setitimer(signal.ITIMER_REAL, 60)
x = 'later'; print(os.getpid())
"""
THREAD = "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
LOCKS = "import fcntl; fcntl.lockf(open('held', 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB); print(x)"
AGAIN = "print(x, signal.getitimer(signal.ITIMER_REAL)[0], f.closed, os.getpid())"


async def makes_way(bench: Workbench, more: str = "") -> dict[str, Any]:
    """A kernel makes way for a state and comes back from there; each time the one that goes is kept."""
    process = await bench.launch()
    async with Client(process) as client:
        await client.run("x = 'before'")
        there = await client.run(LATER + more, snapshot="s")
        back = await process.revive("s", count=2, keep="left")
    async with Client(back) as client:
        before = await client.run(LOCKS)
        forth = await back.revive("left", count=3, keep="s")
    async with Client(forth) as client:
        again = await client.run(AGAIN)
        last = await forth.revive("s", count=4, keep="left")
    async with Client(last) as client:
        os.kill((await last.snapshots())["left"], 9)  # the end of one that slept is no end of the kernel
        once_more = await client.run("print(x)")
        death = await dies(client, "import os; os._exit(3)", "kept")
    await last.stop()
    *held, pid = again.text.split()
    return {"said": [before.text, held, once_more.text], "same": pid == there.text.strip(), "death": death.status}


async def lies_down(bench: Workbench) -> dict[str, Any]:
    """The kernel itself becomes a state, or where it has threads a copy of it; one that does not listen becomes none."""
    found = {"itself": await makes_way(bench), "a copy": await makes_way(bench, THREAD)}
    process = await bench.launch()
    async with Client(process) as client:
        await client.run("x = 'before'")
        await client.run("x = 'later'; get_ipython().kernel.parent.keeper.link.close()", snapshot="s")
        back = await process.revive("s", count=2, keep="left")
    async with Client(back) as client:
        found["deaf"] = [(await client.run("print(x)")).text, sorted(await back.snapshots())]
    await back.stop()
    return found


ENOUGH = 32 << 20  # of 70 MB


async def condenses(bench: Workbench) -> dict[str, Any]:
    """Bytes that a kernel of many small objects comes to have in huge pages while it is idle, and what it answers then."""
    async with bench.kernel() as client:
        await client.run("rows = [{'a': i} for i in range(300_000)]")
        patience = 20.0 if bench.launcher.level == "full" else 0.0
        found = {"huge": await asyncio.to_thread(huge, client.process.pid, patience)}
        found |= {"after": (await client.run("print(rows[-1])", snapshot="s")).text}
        revived = await client.process.revive("s", count=2)
    async with Client(revived) as client:
        found["back"] = (await client.run("print(rows[-1])")).text
    await revived.stop()
    return found


def huge(pid: int, patience: float) -> int:
    """As soon as it is enough, or that many seconds have passed."""
    until = time.monotonic() + patience
    while True:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        found = next(1024 * int(line.split()[1]) for line in lines if line.startswith("AnonHugePages:"))
        if found >= ENOUGH or time.monotonic() > until:
            return found
        select.select([], [], [], 0.02)


DESCRIPTORS = """
import os
open_ones = 0
for fd in range(1024):
    try: os.fstat(fd); open_ones += 1
    except OSError: pass
print(open_ones, len(__import__('inspect').stack()))
"""


async def chain(bench: Workbench) -> dict[str, Any]:
    """Fifty states, each taken in the one before: descriptors, depth of the stack, and what is left in the socket directory."""
    process = await bench.launch()
    said = []
    for turn in range(50):
        async with Client(process) as client:
            said.append((await client.run(DESCRIPTORS, snapshot=f"s{turn}")).text)
        process = await process.revive(f"s{turn}", count=turn + 1)
    names = [entry.name for entry in (process.home / "run").iterdir()]
    await process.stop()
    return {"first": said[1], "last": said[-1], "sockets": len(names)}


LINK = "import json, os, socket\nlink = get_ipython().kernel.parent.keeper.link\n"
REGISTER = """
def register(name):
    ours, theirs = socket.socketpair()
    socket.send_fds(link, [json.dumps({"snapshot": name}).encode()], [ours.fileno()])
    return theirs
"""
ATTACKS = {
    "kills all it can": "import os; os.kill(-1, 9)",
    "stops all it can": "import os, signal; os.kill(-1, signal.SIGSTOP)",
    "speaks nonsense to init": LINK
    + "try:\n    for _ in range(9): link.send(b'{\"snapshot\": 1, ')\nexcept OSError: pass",
    "floods init": LINK + REGISTER + "kept = [register(f'flood{i}') for i in range(40)]",
    "names a process that is none of its own": (
        LINK
        + REGISTER
        + "kept = [register('s2'), register('s3')]; kept[0].send(b'1'); kept[1].send(b'%d' % os.getppid())"
    ),
    "says that it sleeps": LINK + REGISTER + "held = register('mine'); held.send(b'%d' % os.getpid())",
    "takes the place of a snapshot": (
        LINK + REGISTER + "held = register('mine')\npid = os.fork()\n"
        "if pid == 0:\n    os.setsid(); held.send(b'%d' % os.getpid()); held.recv(4096); os._exit(3)\nheld.close()"
    ),
}


async def attacked(bench: Workbench) -> dict[str, Any]:
    """Each attack after a snapshot: the kernel's next word, which states there are then, and what a revival brings."""
    found = {}
    async with bench.kernel() as other:
        await other.run("value = 42")
        for name, code in ATTACKS.items():
            process = await bench.launch()
            async with Client(process) as client:
                await client.run("x = 'before'")
                attack = await client.run(code, snapshot="s")
                after = await client.run("print('lives')")
                for _ in range(3):  # init answers a question before it hears what was registered just then
                    names = sorted(await process.snapshots())
            wanted = "mine" if "mine" in names else "s"
            found[name] = [attack.error, after.text, names, await revival(process, wanted)]
            await process.stop()
        found["neighbour"] = (await other.run("print(value)")).text
    return found


async def revival(process: Process, name: str) -> str:
    """What a revived kernel prints, or why there is none."""
    try:
        [outcome] = await came_back(process, name, "print(x)")
    except KernelStartFailed as problem:
        return problem.message
    return outcome.text


async def leaves(bench: Workbench) -> dict[str, Any]:
    """What a cell has started ends when it is undone; a snapshot that is dropped is gone; so are all with the sandbox."""
    process = await bench.launch()
    async with Client(process) as client:
        started = await client.run(
            "import subprocess; p = subprocess.Popen(['sleep', '77']); print(p.pid)", snapshot="a"
        )
        await client.run("1", snapshot="b")
        await client.run("1", snapshot="c")
        before = sorted(await process.snapshots())
        process.drop(["b"])
        after = sorted(await process.snapshots())
    revived = await process.revive("c", count=3)
    async with Client(revived) as client:
        alive = await client.run("import os\ntry: os.kill(p.pid, 0); print('runs')\nexcept OSError: print('gone')")
    pids = [pid for pid in (await revived.snapshots()).values() if pid]
    await revived.stop()
    return {
        "started": started.status,
        "before": before,
        "after": after,
        "child": alive.text,
        "left": [pid for pid in pids if exists(pid)],
    }


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
