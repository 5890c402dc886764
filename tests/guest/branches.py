"""Kernels that branch: what a branch may do to the one it was made of, what lies about twins come to, and how each ends alone."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

from client import Client, Workbench
from travels import LINK, REGISTER

from cellblock.errors import KernelStartFailed
from cellblock.guest import limits
from cellblock.host.launcher import Process
from cellblock.messages import BRANCHES
from states import PRELUDE, cell, system


def make_room(process: Process, place: str) -> None:
    """A workspace at a place for one, and the places that there may be: what the host does."""
    for name in BRANCHES:
        (process.home / "b" / name).mkdir(exist_ok=True)
        (process.home / "b" / name).chmod(0o711)
    workspace = process.home / "b" / place / "w"
    shutil.copytree(process.home / "files", workspace)
    owner = (process.home / "files").stat()
    for path in (workspace, *workspace.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


async def branched(bench: Workbench, process: Process, name: str, place: str = "1") -> Process:
    make_room(process, place)
    return await bench.launcher.branch(process, id=f"{process.id}-{place}", place=place, name=name)


HARM = {
    "kills all it can": "import os; os.kill(-1, 9)",
    "kills the original by its pid": "import os; os.kill(original, 9)",
    "stops the original": "import os, signal; os.kill(original, signal.SIGSTOP)",
    "writes into the original's workspace": "open(f'{place}/in', 'w')",
    "reads the original's workspace": "open(f'{place}/own').read()",
    "removes the original's workspace": "import shutil; shutil.rmtree(place)",
    "walks there through /proc": "open(f'/proc/{original}/cwd/own').read()",
    "reads the original's memory": "open(f'/proc/{original}/mem', 'rb')",
    "fills its link": (
        LINK
        + REGISTER
        + "kept = [register(f'flood{i}') for i in range(40)]; raise PermissionError('kept what it could')"
    ),
    "has init end the original's child": (
        LINK
        + REGISTER
        + "held = register('mine'); held.send(b'%d' % child.pid); held.shutdown(socket.SHUT_WR); held.recv(1)\n"
        "raise PermissionError('said what it could')"
    ),
}
BEFORE = """
import os, subprocess
original, place, x = os.getpid(), os.getcwd(), 'before'
open('own', 'w').write('own')
child = subprocess.Popen(['sleep', '77'])
"""


async def branches_attack(bench: Workbench) -> dict[str, Any]:
    """Each attack in a branch of its own: its error, what the original says then, and whether its state is still one."""
    found = {}
    for name, code in HARM.items():
        process = await bench.launch()
        async with Client(process) as client:
            await client.run(BEFORE)
            await client.run("y = 1", snapshot="s")
            branch = await branched(bench, process, "s")
            async with Client(branch) as other:
                attack = asyncio.create_task(other.run(code))
                await asyncio.wait([attack, branch.death], return_when=asyncio.FIRST_COMPLETED)
                error = attack.result().error if attack.done() else "it ended itself"
                attack.cancel()
            after = await client.run("print('lives', child.poll(), sorted(os.listdir()))")
            names = sorted(await process.snapshots())
        await branch.stop()
        found[name] = [error, after.text, names]
        await process.stop()
    return found


FORGED = """
import os
held = register('lie')
if os.fork() == 0:
    os.setsid()
    held.send(b'%d' % os.getpid())
    _, fds, _, _ = socket.recv_fds(held, 4096, 1)
    end = socket.socket(fileno=fds[0])
    if os.fork() == 0:
        os.setsid()
        end.send(b'%d' % os.getpid())
        socket.recv_fds(end, 4096, 8)
        end.send(WORD)
        end.recv(1)
    os._exit(0)
"""
LIES = {
    "a process that is init": "import os; held = register('lie'); held.send(b'1')",
    "the kernel itself": "import os; held = register('lie'); held.send(b'%d' % os.getpid())",
    "no process": "held = register('lie'); held.send(b'999999')",
    "nothing ever": "held = register('lie')",
    "the end": "register('lie').close()",
    "a child, that names init as its twin": """
import os
held = register('lie')
if os.fork() == 0:
    os.setsid()
    held.send(b'%d' % os.getpid())
    _, fds, _, _ = socket.recv_fds(held, 4096, 1)
    socket.socket(fileno=fds[0]).send(b'1')
    os._exit(0)
""",
    "a child, that names the kernel as its twin": """
import os
held, kernel = register('lie'), os.getpid()
if os.fork() == 0:
    os.setsid()
    held.send(b'%d' % os.getpid())
    _, fds, _, _ = socket.recv_fds(held, 4096, 1)
    socket.socket(fileno=fds[0]).send(b'%d' % kernel)
    os._exit(0)
""",
    "a child, that forges a kernel": FORGED.replace("WORD", """b'{"stages": [], "pid": 1}'"""),
    "a child, that forges a kernel with an endless number": FORGED.replace(
        "WORD", """b'{"stages": {"a": 1' + b'0' * 400 + b'}, "pid": 1}'"""
    ),
}


async def lies_about_twins(bench: Workbench) -> dict[str, Any]:
    """A kernel that registers what is no snapshot, and the server branches from it: why not, and how the two go on."""
    found = {}
    for name, code in LIES.items():
        process = await bench.launch()
        async with Client(process) as client:
            said = await client.run(LINK + REGISTER + code)
            why = "branched"
            try:
                branch = await asyncio.wait_for(branched(bench, process, "lie"), 20)
            except KernelStartFailed as problem:
                why = problem.message
            else:
                try:
                    await asyncio.wait_for(Client(branch).__aenter__(), 5)
                except TimeoutError:
                    why = "branched, and silent"
                await branch.stop()
            after = await client.run("print('lives')", snapshot="s")
            make_room(process, "2")
            honest = await bench.launcher.branch(process, id="honest", place="2", name="s")
            await honest.stop()
        found[name] = [said.error, why, after.text, sorted(process.box.seats) == [process.id]]
        await process.stop()
    return found


SYSTEM = system.CASES


async def states_apart(bench: Workbench) -> dict[str, Any]:
    """States of files and memory, disturbed in one branch: asked of the original, and of another branch."""
    process = await bench.launch(memory=1 << 30)
    async with Client(process) as client:
        await client.run(PRELUDE)
        await client.run(cell(SYSTEM, "make", last="made"))
        await client.run("1", snapshot="s")
        first, second = [await branched(bench, process, "s", place) for place in "12"]
        async with Client(first) as one, Client(second) as other:
            await one.run(cell(SYSTEM, "disturb", last="disturbed"))
            found = {"original": await asked(client), "branch": await asked(other)}
    for each in (first, second, process):
        await each.stop()
    return found


async def asked(client: Client) -> dict[str, str]:
    outcome = await client.run(cell(SYSTEM, "check", last="asked"))
    [shown] = outcome.of("display_data")
    verdicts: dict[str, str] = shown["data"]["application/json"]
    return verdicts


async def ends(bench: Workbench) -> dict[str, Any]:
    """What either has started goes with it, and with nobody else; the sandbox goes with the last."""
    process = await bench.launch()
    start = "import subprocess; p = subprocess.Popen(['sleep', '77']); print(p.pid)"
    alive = "import os\ntry: os.kill(p.pid, 0); print('runs', p.poll())\nexcept OSError: print('gone')"
    async with Client(process) as client:
        await client.run("x = 1")
        await client.run(start, snapshot="s")
        branch = await branched(bench, process, "s")
        async with Client(branch) as other:
            await other.run(start, snapshot="t")
        pids = [process.pid, branch.pid, branch.init]
        branch = await branch.revive("t", count=3)
        found = {"beside": (await client.run(alive)).text, "states": sorted(await process.snapshots())}
        async with Client(branch) as other:
            await other.run(start)
            process = await process.revive("s", count=9)
            found["other way"] = (await other.run(alive)).text
        snapshots = [pid for pid in (await branch.snapshots()).values() if pid]
        pids += [process.pid, branch.pid, *snapshots]
        await branch.stop()
    async with Client(process) as client:
        found["after"] = (await client.run("print(x)")).text
    left = [name.name for name in (process.home / "run").iterdir()]
    found["sockets"] = len(left)
    await process.stop()
    found["left"] = [
        pid for pid in pids if not limits.is_zombie(pid)
    ]  # what has threads is reaped when they have ended
    return found


ENDLESS = """
import threading, time
def for_ever():
    held = []
    for n in range(10**9):
        held = [register(f'silent{n}'), *held[:2]]
        time.sleep(0.1)
threading.Thread(target=for_ever, daemon=True).start()
"""


async def delays(bench: Workbench) -> dict[str, Any]:
    """A branch that registers snapshots without an end, none of which says where it is, while its original goes back."""
    process = await bench.launch()
    async with Client(process) as client:
        await client.run("x = 'before'")
        await client.run("x = 'after'", snapshot="s")
        branch = await branched(bench, process, "s")
    async with Client(branch) as other:
        said = await other.run(LINK + REGISTER + ENDLESS)
        try:
            process = await process.revive("s", count=2, keep="left")
        except KernelStartFailed as problem:
            found = problem.message
        else:
            async with Client(process) as client:
                found = (await client.run("print(x)")).text
        lives = (await other.run("print('lives')")).text
    await branch.stop()
    await process.stop()
    return {"error": said.error, "original": found, "branch": lives}


async def last_one(bench: Workbench) -> dict[str, Any]:
    """A sandbox whose first session has ended lives on for a branch, and ends with it."""
    process = await bench.launch()
    async with Client(process) as client:
        await client.run("1", snapshot="s")
        gone = await branched(bench, process, "s", "1")
        stays = await branched(bench, process, "s", "2")
        async with Client(stays) as other:
            await gone.stop()
            await process.stop()
            lives = (await other.run("print('lives')")).text
    home = Path(process.home)
    found = {"lives": lives, "box": sorted(stays.box.seats) == [stays.id], "gone": process.box.gone.done()}
    await stays.stop()
    return found | {"ended": stays.box.gone.done(), "home": home.exists()}
