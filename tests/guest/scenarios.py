"""What tests let happen as another user: a program of its own, because no process can change its user and come back.

python scenarios.py SOURCE USER NAMES LEVEL DATA [confined]      prints JSON

SOURCE is the directory that holds `cellblock`. `confined` forbids namespaces
beforehand, as a container's default seccomp profile does.
"""

import asyncio
import json
import os
import resource
import sys
import types
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    source, user = sys.argv[1], int(sys.argv[2])
    if sys.argv[6:] == ["confined"]:
        import pyseccomp

        profile = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        for forbidden in ("unshare", "mount", "setns", "pivot_root"):
            profile.add_rule(pyseccomp.ERRNO(1), forbidden)
        profile.load()
    if user != os.getuid():
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    package = types.ModuleType("cellblock")  # the server's own packages are not in this environment
    package.__path__ = [f"{source}/cellblock"]
    sys.modules["cellblock"] = package

import client
from attacks import exhaustion, others, workspaces  # noqa: F401  they fill the catalogue
from attacks.catalogue import ATTEMPTS
from attacks.failing import failing, failing_base
from attacks.host import SECRET, outside, remember_key, settle, untouched
from attacks.prelude import PRELUDE
from attacks.scenes import SCENES, play
from branches import branches_attack, delays, ends, last_one, lies_about_twins, states_apart
from busy import EVERYWHERE
from client import PATIENCE, Client, Workbench, workbench
from travels import attacked, chain, condenses, deaths, kept, leaves, lies_down, usable

from cellblock.host.handover import Meeting, places
from cellblock.host.launcher import Environment, Launcher, Plan


async def verdicts(bench: Workbench) -> dict[str, Any]:
    """Every attempt of the catalogue → [verdict, what was seen, the control's verdict, what was seen]."""
    rows = [(attempt.name, attempt.code, attempt.control) for attempt in ATTEMPTS]
    with outside(bench.data) as facts:
        before = untouched(facts)
        async with bench.kernel() as other, bench.kernel() as client:
            neighbour = await settle(other)
            setting = f"HOST = {facts!r}\nOTHER = {neighbour!r}\nROWS = {rows!r}\n"
            outcome = await client.run(PRELUDE + setting + JUDGE)
            living = await other.run("print(value)")
        if outcome.status != "ok":
            return {"failed": str(outcome)}
        return {"rows": json.loads(outcome.text), "untouched": untouched(facts) == before, "neighbour": living.text}


JUDGE = "print(json.dumps({n: [*judge(code), *(judge(control) if control else ())] for n, code, control in ROWS}))"


WORKS = {
    "a shell command": "get_ipython().system('echo from-a-shell')",
    "threads": "import concurrent.futures as c\nprint(list(c.ThreadPoolExecutor(4).map(abs, [-1, -2])))",
    "a forked child prints": (
        "import os, sys\npid = os.fork()\nif pid == 0:\n    print('from a child', flush=True)\n    os._exit(0)\n"
        "print(os.waitpid(pid, 0)[1])"
    ),
    "a program's output": "import subprocess; subprocess.run(['echo', 'from a program'])",
    "files": (
        "import os, shutil, tempfile\nopen('a', 'w').write('hi'); os.rename('a', 'b'); os.makedirs('d')\n"
        "shutil.copy2('b', 'd/c'); os.chmod('b', 0o600)\n"
        "print(shutil.move('b', tempfile.mkdtemp()), open('d/c').read())"
    ),
    "a database": "import sqlite3; sqlite3.connect('x.db').execute('create table t (a)'); print('ok')",
    "await": (
        "import asyncio\np = await asyncio.create_subprocess_exec('echo', 'async', stdout=-1)\n"
        "print((await p.communicate())[0].decode())"
    ),
    "a question": "print(input('who? '))",
    "processes and pipes": (
        "import multiprocessing as mp\nfor how in ('fork', 'spawn'):\n    ours, theirs = mp.Pipe()\n"
        "    p = mp.get_context(how).Process(target=theirs.send, args=(how,))\n    p.start(); print(ours.recv()); p.join()"
    ),
    "pandas": "import pandas as pd; print(pd.DataFrame({'a': [1, 2]}).a.sum())",
    "threads of a library": (
        "import ctypes, glob, numpy, os\nlibrary, = glob.glob(os.path.dirname(numpy.__file__) + '.libs/*openblas*')\n"
        "print(ctypes.CDLL(library).scipy_openblas_get_num_threads64_(), os.cpu_count())"
    ),
    "a plot": "import matplotlib.pyplot as plt; plt.plot([1, 2]); plt.title('t'); plt.show()",
    "an import that was not preloaded": "import wave, xmlrpc.client; print(wave.__name__)",
    "the home is not the workspace": "import os; print(os.path.expanduser('~') != os.getcwd())",
}


async def works(bench: Workbench) -> dict[str, Any]:
    """What ordinary code does, by name: everything it showed."""
    async with bench.kernel() as client:
        found = {}
        for name, code in WORKS.items():
            outcome = await client.run(code, answers=["somebody"])
            images = sum("image/png" in shown["data"] for shown in outcome.of("display_data"))
            found[name] = {"status": outcome.status, "text": str(outcome), "images": images}
        return found


NEEDS_NAMESPACES = {
    "a lock between processes": "import multiprocessing; print(multiprocessing.Lock().acquire())",
    "a pool of processes": (
        "import multiprocessing as mp\nwith mp.get_context('fork').Pool(1) as pool: print(pool.apply(bool, [1]))"
    ),
    "an executor of processes": (
        "import concurrent.futures as c, multiprocessing as mp\n"
        "with c.ProcessPoolExecutor(1, mp_context=mp.get_context('fork')) as pool: print(pool.submit(bool, 1).result())"
    ),
    "shared memory": (
        "from multiprocessing import shared_memory\nm = shared_memory.SharedMemory(create=True, size=8)\n"
        "m.buf[0] = 1; print(m.buf[0] == 1); m.close(); m.unlink()"
    ),
    "a terminal": "import os; print(os.isatty(os.openpty()[1]))",
}


async def lacks(bench: Workbench) -> dict[str, Any]:
    """What only some levels can give, by name: what was raised, and what was said."""
    async with bench.kernel() as client:
        outcomes = {name: await client.run(code) for name, code in NEEDS_NAMESPACES.items()}
        return {name: [outcome.error, outcome.text] for name, outcome in outcomes.items()}


async def interrupts(bench: Workbench) -> dict[str, Any]:
    """What lasts, by name: how it ended once it was interrupted, and what the next cell said."""
    async with bench.kernel() as client:
        return {name: await interrupted(client, name, code) for name, code in EVERYWHERE.items()}


async def interrupted(client: Client, name: str, code: str) -> list[str]:
    """The error of code that was interrupted, and a variable of before as it is after it."""
    await client.run(f"kept = {name!r}")
    running = asyncio.create_task(client.run(code))
    begun = asyncio.create_task(client.begun.wait())
    await asyncio.wait({running, begun}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
    client.process.interrupt()
    outcome = await asyncio.wait_for(running, PATIENCE)
    return [outcome.error, (await client.run("kept")).value, outcome.text]


FORK_BOMB = """
import os, time
pids, refused = [], None
try:
    while len(pids) < 3000:
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        pids.append(pid)
except OSError as problem:
    refused = problem
for pid in pids:
    os.kill(pid, 9)
    os.waitpid(pid, 0)
print(type(refused).__name__, len(pids))
"""


async def bombs(bench: Workbench) -> dict[str, Any]:
    """A fork bomb, and a kernel that outgrows its memory: what is said of them, and that the next cell runs."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)  # whatever fails below, the machine is not taken with it
    async with bench.kernel(processes=40) as client:
        outcome = await client.run(FORK_BOMB)
        after = await client.run("1 + 1")
        found: dict[str, Any] = {"fork bomb": str(outcome), "after": after.value, "hard limit": hard}
    async with bench.kernel(memory=300 << 20) as client:
        running = asyncio.create_task(client.run("x = []\nwhile True: x.append(bytearray(20 << 20))"))
        await asyncio.wait({running, client.process.death}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        found["memory"] = running.result().error if running.done() else _death(client)
        running.cancel()
    return found


HOARD = """
import os, signal, time
pids = []
for _ in range(6):
    pid = os.fork()
    if pid == 0:
        x = bytearray(os.urandom(1)) * (90 << 20)
        time.sleep(60)
        os._exit(0)
    pids.append(pid)
print(os.WTERMSIG(os.wait()[1]))
for pid in pids:
    try: os.kill(pid, 9)
    except ProcessLookupError: pass
"""


async def shared(bench: Workbench) -> dict[str, Any]:
    """Memory of many children, which no limit of one sees. A cgroup kills a child, the watchdog the kernel."""
    async with bench.kernel(memory=300 << 20) as client:
        running = asyncio.create_task(client.run(HOARD))
        await asyncio.wait({running, client.process.death}, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        found = {"child": str(running.result()) if running.done() else "", "kernel": _death(client)}
        running.cancel()
        if not client.process.death.done():
            client.send("shell", "execute_request", EXIT)
            found["later"] = await asyncio.wait_for(_after(client), 30)
        return found


EXIT = {"code": "import os; os._exit(7)", "silent": True}


async def _after(client: Client) -> str:
    await client.process.death
    return _death(client)


def _death(client: Client) -> str:
    if not client.process.death.done():
        return "alive"
    death = client.process.death.result()
    return f"{death.status} {'out of memory' if death.out_of_memory else ''}".strip()


START_STAYER = (  # it has said that it runs: a moment after its birth a program has no command line yet
    "subprocess.Popen(['sh', '-c', 'echo; kill -STOP $$', '{mark}'], start_new_session=True, stdout=subprocess.PIPE)"
)


async def leftovers(bench: Workbench) -> dict[str, Any]:
    """Kernels that start processes which want to outlive them: who is still there after the stop."""
    mark = f"61.{os.getpid()}"
    async with bench.kernel() as client:
        await client.run(f"import subprocess\nfor _ in range(3): ({START_STAYER.format(mark=mark)}).stdout.readline()")
        inside = others.running(mark)
    return {"inside": inside, "after": others.running(mark)}


CONNECT = """
import socket
try:
    socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect({path!r})
    print('connected')
except OSError as problem:
    print(type(problem).__name__)
"""
LISTENING = """
import os, socket
found = []
for fd in range(1024):
    try:
        held = socket.socket(fileno=os.dup(fd))
        if held.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.append(os.path.basename(held.getsockname()))
    except OSError:
        pass
print(*sorted(found))
"""


async def handover(bench: Workbench) -> dict[str, Any]:
    """A server goes without a word; the next one takes over what it has left, and ends it. What code saw of that."""
    environment, level, mark = Environment("left", preload=()), bench.launcher.level, f"62.{os.getpid()}"
    options: dict[str, Any] = {"data_dir": bench.data, "level": level, "wait": 60.0}
    first = await Launcher.start(environment, log=bench.data / "left.log", **options)
    [place] = places(bench.data)
    process = await Workbench(first, bench.data).launch()
    async with Client(process) as client:
        await client.run(f"import subprocess; subprocess.Popen(['sleep', '{mark}'], start_new_session=True)")
        found: dict[str, Any] = {
            "reached": (await client.run(CONNECT.format(path=str(place)))).text,
            "listening": (await client.run(LISTENING)).text,
        }
    key, pid = process.key, process.pid
    process.let_go()
    first.let_go()
    meeting = Meeting.at(place)
    assert meeting
    second, [kept] = await meeting.taken_over(lambda _: Plan.make(environment, **options))
    await kept.process.until_bound()
    found |= {"same": kept.process.key == key and kept.process.pid == pid, "key told": kept.launch.key}
    async with Client(kept.process) as client:
        found["survivor"] = (await client.run("subprocess.run(['echo', 'here'])")).text
    found["inside"] = others.running(mark)
    await second.aclose()
    return found | {
        "after": others.running(mark),
        "death": (await kept.process.death).status,
        "left": places(bench.data),
    }


SCENARIOS: dict[str, Callable[[Workbench], Awaitable[dict[str, Any]]]] = {
    scenario.__name__: scenario
    for scenario in (
        *(verdicts, works, lacks, interrupts, bombs, shared, leftovers, handover),
        *(attacked, chain, condenses, deaths, kept, leaves, lies_down, usable),
        *(branches_attack, lies_about_twins, ends, delays, last_one, states_apart),
    )
}


async def catalogue(data: Path, level: Any, kind: str, family: str) -> dict[str, Any]:
    """The quick scenes of all families, or the slow ones of one; by a server with as few descriptors as usual."""
    client.PATIENCE *= 2 if kind == "quick" else 4
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, most))
    async with workbench(data, level, preload=()) as bench:
        here = [scene for scene in SCENES if level in scene.levels and scene.slow == (kind == "slow")]
        return await play(bench, [scene for scene in here if family in (scene.family, "all")])


ALONE: dict[str, Callable[[Path, Any], Awaitable[dict[str, Any]]]] = {
    scenario.__name__: scenario for scenario in (failing, failing_base)
}


async def main(names: str, level: Any, data: Path) -> None:
    """Each scenario in turn, in one fork server; or one that has fork servers of its own."""
    kind, _, family = names.partition(":")
    if family:
        print(json.dumps({family: await catalogue(data, level, kind, family)}))
        return
    if names in ALONE:
        print(json.dumps({names: await ALONE[names](data, level)}))
        return
    os.environ["CELLBLOCK_TEST_SECRET"] = SECRET
    remember_key()
    async with workbench(data, level) as bench:
        found = {name: await SCENARIOS[name](bench) for name in names.split(",")}
    print(json.dumps(found | {"level": bench.launcher.level, "warming": bench.launcher.facts["warming"]}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[3], sys.argv[4], Path(sys.argv[5])))
