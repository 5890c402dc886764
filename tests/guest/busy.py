"""Code that lasts until somebody interrupts it: each prints `begun` when it is where it stays. Runs in kernels."""

EVERYWHERE = {
    "a sleep": "import time; print('begun', flush=True); time.sleep(60)",
    "a tight loop": "print('begun', flush=True)\nwhile True: pass",
    "a loop that lives through errors": (
        "import time\nprint('begun', flush=True)\nwhile True:\n    try: time.sleep(60)\n    except Exception: pass"
    ),
    "a flood": "print('begun', flush=True)\nwhile True: print('x' * 1000)",
    "a regular expression": "import re; print('begun', flush=True); re.match(r'(a+)+$', 'a' * 60 + 'b')",
    "numpy": "import numpy as np; a = np.eye(300); print('begun', flush=True)\nwhile True: a = a @ a",
    "pandas": (
        "import numpy as np, pandas as pd\nd = pd.DataFrame({'a': np.arange(10**6) % 1000, 'b': 1.0})\n"
        "print('begun', flush=True)\nwhile True: d.groupby('a').b.agg(lambda s: s.sort_values().sum())"
    ),
    "a thread that is joined": (
        "import threading, time\nt = threading.Thread(target=time.sleep, args=(60,), daemon=True)\n"
        "t.start(); print('begun', flush=True); t.join()"
    ),
    "a lock": "import threading\nx = threading.Lock(); x.acquire(); print('begun', flush=True); x.acquire()",
    "an empty queue": "import queue; print('begun', flush=True); queue.Queue().get()",
    "a thread pool": (
        "import threading, concurrent.futures as c\nstop = threading.Event()\npool = c.ThreadPoolExecutor(2)\n"
        "print('begun', flush=True); list(pool.map(stop.wait, [60, 60]))"
    ),
    "an await": "import asyncio; print('begun', flush=True); await asyncio.sleep(60)",
    "an await that never rests": "import asyncio; print('begun', flush=True)\nwhile True: await asyncio.sleep(0)",
    "tasks together": (
        "import asyncio; print('begun', flush=True); await asyncio.gather(asyncio.sleep(60), asyncio.sleep(60))"
    ),
    "a loop of one's own": (
        "import asyncio, threading\nasync def f():\n    print('begun', flush=True); await asyncio.sleep(60)\n"
        "t = threading.Thread(target=asyncio.run, args=(f(),), daemon=True); t.start(); t.join()"
    ),
    "a program that is awaited": (
        "import asyncio; p = await asyncio.create_subprocess_exec('sleep', '60'); print('begun', flush=True)\n"
        "await p.wait()"
    ),
    "a program": "import subprocess; print('begun', flush=True); subprocess.run(['sleep', '60'])",
    "a program of a session of its own": (
        "import subprocess; print('begun', flush=True); subprocess.run(['sleep', '60'], start_new_session=True)"
    ),
    "a program's output": (
        "import subprocess; print('begun', flush=True); subprocess.check_output('sleep 60; echo x', shell=True)"
    ),
    "a pipe that nobody writes to": "import os; r, w = os.pipe(); print('begun', flush=True); os.read(r, 1)",
    "a shell command": "!echo begun; sleep 60",
    "a shell command that ignores interrupts": "!trap '' INT; echo begun; sleep 60",
    "a shell cell": "%%bash\necho begun; sleep 60",
    "a forked child": (
        "import os, time\npid = os.fork()\nif pid == 0:\n    time.sleep(60)\n    os._exit(0)\n"
        "print('begun', flush=True); os.waitpid(pid, 0)"
    ),
}

# What needs semaphores, and so /dev/shm.
_BOTH = """
import multiprocessing as mp, time
ctx = mp.get_context('fork')
both = ctx.Barrier(2)
def last(n):
    both.wait()
    print('begun', flush=True)
    time.sleep(60)
"""
SEMAPHORES = {
    "a pool of forked processes": _BOTH + "with ctx.Pool(2) as pool: pool.map(last, [1, 2])",
    "a pool of spawned processes": (  # `exec` is a function that they find
        "import multiprocessing as mp, os, time\nwith mp.get_context('spawn').Pool(2) as pool:\n"
        "    both = pool.map_async(exec, [f\"open('{n}', 'w').close(); import time; time.sleep(60)\" for n in 'ab'])\n"
        "    while not all(map(os.path.exists, 'ab')): time.sleep(0.01)\n"
        "    print('begun', flush=True); both.get()"
    ),
    "a process that is joined": (
        "import multiprocessing as mp, time\np = mp.get_context('fork').Process(target=time.sleep, args=(60,))\n"
        "p.start(); print('begun', flush=True); p.join()"
    ),
    "an executor of processes": _BOTH
    + (
        "import concurrent.futures as c\n"
        "with c.ProcessPoolExecutor(2, mp_context=ctx) as pool: list(pool.map(last, [1, 2]))"
    ),
    "jobs of joblib": (
        "from joblib import Parallel, delayed\nimport time\nParallel(2)(delayed(abs)(n) for n in range(2))\n"
        "print('begun', flush=True); Parallel(2)(delayed(time.sleep)(60) for _ in range(2))"
    ),
}
AGAIN = """
import multiprocessing as mp
from joblib import Parallel, delayed
with mp.get_context('fork').Pool(2) as pool: both = pool.map(abs, [-1, -2]), Parallel(2)(delayed(abs)(n) for n in [-3, -4])
both
"""
