"""Taking all there is: memory in its disguises, files, descriptors, terminals, signals, and what Linux counts per user."""

import asyncio
from pathlib import Path

from client import PATIENCE, Client, Workbench

from attacks.scenes import FULL, Finding, finding, scene
from cellblock.errors import KernelStartFailed

MEMORY = 300 << 20


async def ended(client: Client, code: str) -> str:
    """What a cell printed; `killed` when the kernel did not live to say it."""
    running = asyncio.create_task(client.run(code))
    await asyncio.wait({running, client.process.death}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE * 2)
    if running.done():
        return str(running.result())
    running.cancel()
    return "killed" if client.process.death.done() else "hangs"


async def hoard(bench: Workbench, code: str) -> Finding:
    """`code` takes SIZE MiB of memory and prints `survived`. Twice the limit must not survive; a sixth of it must."""
    said = {}
    for size in (MEMORY >> 20) // 6, (MEMORY >> 20) * 2:
        async with bench.kernel(memory=MEMORY, file=1 << 40) as client:
            said[size] = await ended(client, f"SIZE = {size}\n" + code)
    small, large = said.values()
    return finding("survived" in large, "survived" in small, said)


async def counted(bench: Workbench, code: str, most: int, **policy: int) -> Finding:
    """`code` takes as many of a thing as it gets, gives them back and prints how many; the kernel and a neighbour live on."""
    async with bench.kernel(**policy) as client, bench.kernel() as neighbour:
        said = await client.run(code)
        living = (await client.run("6 * 7")).value, (await neighbour.run("6 * 7")).value
    got = int(said.text) if said.text.strip().isdigit() else -1
    return finding(got > most, got > 0 and living == ("42", "42"), (str(said), living))


@scene("memory")
async def pages_shared_by_two_processes(bench: Workbench) -> Finding:
    code = """
import ctypes, mmap, os, time
m = mmap.mmap(-1, SIZE << 20); at = ctypes.addressof(ctypes.c_char.from_buffer(m))
r, w = os.pipe(); done, finish = os.pipe(); pid = os.fork()
for n in range(SIZE // 10):
    ctypes.memset(at + n * (10 << 20), 1, 10 << 20)
    if pid == 0: os.write(w, b"x")
    else:
        time.sleep(0.005)
if pid == 0: os.read(done, 1); os._exit(0)
os.set_blocking(r, True)
got = 0
while got < SIZE // 10: got += len(os.read(r, 4096))
time.sleep(1); os.write(finish, b"x")
print("survived" if os.waitpid(pid, 0)[1] == 0 else "a child was killed")
"""
    return await hoard(bench, code)


@scene("memory")
async def memory_of_processes_that_hide(bench: Workbench) -> Finding:
    code = """
import ctypes, os, time
pids, ready = [], os.pipe()
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        block = ctypes.create_string_buffer(SIZE // 4 << 20); ctypes.memset(block, 1, SIZE // 4 << 20)
        os.write(ready[1], b"x"); os.close(ready[1]); time.sleep(60); os._exit(0)
    pids.append(pid)
os.close(ready[1])
got = 0
while got < 4 and (part := os.read(ready[0], 4)): got += len(part)
time.sleep(1)
alive = sum(os.waitpid(pid, os.WNOHANG) == (0, 0) for pid in pids)
for pid in pids:
    try: os.kill(pid, 9)
    except ProcessLookupError: pass
print("survived" if alive == 4 else "killed")
"""
    return await hoard(bench, code)


@scene("memory", slow=False)
async def files_in_memory(bench: Workbench) -> Finding:
    code = """
import os, time
fds = [os.memfd_create("x") for _ in range(5)]
for fd in fds:
    for _ in range(SIZE // 5): os.write(fd, bytes(1 << 20))
time.sleep(1)
print("survived")
"""
    return await hoard(bench, code)


@scene("memory", levels=FULL)
async def segments_that_nobody_is_attached_to(bench: Workbench) -> Finding:
    code = """
import ctypes, time
libc = ctypes.CDLL(None); libc.shmat.restype = ctypes.c_void_p
for _ in range(5):
    size = SIZE // 5 << 20
    at = libc.shmat(libc.shmget(0, ctypes.c_size_t(size), 0o600), None, 0)
    ctypes.memset(at, 1, size); libc.shmdt(ctypes.c_void_p(at))
time.sleep(1)
print("survived")
"""
    return await hoard(bench, code)


@scene("memory", levels=FULL)
async def buffers_of_connections(bench: Workbench) -> Finding:
    if bench.launcher.facts["cgroups"]["version"] is None:
        return {"skip": "without cgroups nothing counts them; docs/security.md says so"}
    code = """
import socket
server, kept, held = socket.create_server(("127.0.0.1", 0)), [], 0
for _ in range(60):
    a = socket.create_connection(server.getsockname()); b, _ = server.accept(); kept += [a, b]
    for end in (a, b):
        end.setblocking(False)
        try:
            while True: held += end.send(bytes(1 << 20))
        except BlockingIOError: pass
for end in kept: end.close()
print(held >> 20)
"""
    return await counted(bench, code, most=150, memory=1 << 30)


@scene("memory", levels=FULL)
async def temporary_files(bench: Workbench) -> Finding:
    return await counted(bench, FILL.replace("PLACE", "/tmp"), most=40, tmp=32 << 20)


@scene("memory", levels=FULL)
async def shared_memory_files(bench: Workbench) -> Finding:
    """As many as memory where a cgroup counts them as such, and then the kernel goes; else as large as /tmp."""
    async with bench.kernel() as neighbour:
        async with bench.kernel(memory=128 << 20, tmp=32 << 20) as client:
            said = await ended(client, FILL.replace("PLACE", "/dev/shm"))
        living = (await neighbour.run("6 * 7")).value
    got = int(said) if said.strip().isdigit() else -1
    return finding(got > 40, living == "42" and (got > 0 or said == "killed"), (said, living))


FILL = """
import os
written = 0
fd = os.open("PLACE/full", os.O_CREAT | os.O_WRONLY)
try:
    while written < 200: os.write(fd, bytes(1 << 20)); written += 1
except OSError: pass
os.close(fd); os.unlink("PLACE/full")
print(written)
"""


@scene("memory", levels=FULL)
async def empty_files_in_memory(bench: Workbench) -> Finding:
    code = """
import os
made = 0
try:
    while made < 200_000: os.close(os.open(f"/tmp/{made}", os.O_CREAT | os.O_WRONLY)); made += 1
except OSError: pass
for n in range(made): os.unlink(f"/tmp/{n}")
print(made)
"""
    return await counted(bench, code, most=9_000, tmp=32 << 20)


# --- what is counted in pieces ---------------------------------------------------------------------------------------


@scene("pieces")
async def descriptors(bench: Workbench) -> Finding:
    code = """
import os
fds = []
try:
    while len(fds) < 5000: fds.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
for fd in fds: os.close(fd)
print(len(fds))
"""
    return await counted(bench, code, most=256, descriptors=256)


@scene("pieces")
async def threads(bench: Workbench) -> Finding:
    code = """
import threading
stop, made = threading.Event(), []
try:
    while len(made) < 500:
        t = threading.Thread(target=stop.wait); t.start(); made.append(t)
except RuntimeError: pass
stop.set()
for t in made: t.join()
print(len(made))
"""
    return await counted(bench, code, most=60, processes=60)


@scene("pieces", levels=FULL, slow=False)
async def terminals(bench: Workbench) -> Finding:
    code = """
import os
pairs = []
try:
    while len(pairs) < 400: pairs.append(os.openpty())
except OSError: pass
for a, b in pairs: os.close(a); os.close(b)
print(len(pairs))
"""
    return await counted(bench, code, most=64)


@scene("pieces", levels=FULL)
async def watches_on_files(bench: Workbench) -> Finding:
    code = """
import ctypes, os
libc, fds = ctypes.CDLL(None), []
while len(fds) < 500 and (fd := libc.inotify_init1(0)) >= 0: fds.append(fd)
for fd in fds: os.close(fd)
print(len(fds))
"""
    return await counted(bench, code, most=16)


@scene("pieces", levels=FULL)
async def signals_that_wait(bench: Workbench) -> Finding:
    code = """
import ctypes, os, signal
number, libc, sent = signal.SIGRTMIN + 3, ctypes.CDLL(None), 0
pid = os.fork()
if pid == 0:  # alone: a thread that does not hold them back would have them
    signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    while sent < 20_000 and libc.sigqueue(os.getpid(), number, None) == 0: sent += 1
    os.write(1, str(sent).encode()); os._exit(0)
os.waitpid(pid, 0)
"""
    return await counted(bench, code, most=4096)


@scene("pieces")
async def one_large_file(bench: Workbench) -> Finding:
    code = """
import os
written, fd = 0, os.open("large", os.O_CREAT | os.O_WRONLY)
try:
    while written < 100: os.write(fd, bytes(1 << 20)); written += 1
except OSError: pass
os.close(fd); os.unlink("large")
print(written)
"""
    return await counted(bench, code, most=8, file=8 << 20)


@scene("pieces")
async def memory_that_cannot_be_swapped(bench: Workbench) -> Finding:
    code = """
import ctypes, mmap
libc, pages = ctypes.CDLL(None), 0
m = mmap.mmap(-1, 16 << 20); at = ctypes.addressof(ctypes.c_char.from_buffer(m))
while pages < 4096 and libc.mlock(ctypes.c_void_p(at + pages * 4096), ctypes.c_size_t(4096)) == 0: pages += 1
libc.munlock(ctypes.c_void_p(at), ctypes.c_size_t(16 << 20))
print(pages)
"""
    return await counted(bench, code, most=16)


@scene("pieces", slow=False)
async def descriptors_on_their_way(bench: Workbench) -> Finding:
    """Linux counts them per user: a server of the same user must still be able to hand one to its fork server."""
    code = """
import os, socket
kept, fds, sent = [], [os.open("/dev/null", os.O_RDONLY) for _ in range(250)], 0
try:
    while sent < 100_000:
        pair = socket.socketpair(); kept.append(pair); socket.send_fds(pair[0], [b"x"], fds); sent += 250
except OSError as problem: print(sent, problem)
"""
    async with bench.kernel() as client:
        said = await client.run(code)
        try:
            async with bench.kernel() as neighbour:
                living = (await neighbour.run("6 * 7")).value
        except KernelStartFailed as problem:
            living = str(problem)
    return finding(living != "42", "Too many references" in said.text, (str(said), living))


@scene("pieces")
async def processors(bench: Workbench) -> Finding:
    groups = bench.launcher.facts["cgroups"]
    if groups["version"] is None:
        return {"skip": "without cgroups nothing limits processors; docs/security.md says so"}
    code = """
import os
pids = []
for _ in range(4):
    pid = os.fork()
    if pid == 0:
        for _ in range(10_000_000): pass
        os._exit(0)
    pids.append(pid)
for pid in pids: os.waitpid(pid, 0)
print("done")
"""
    async with bench.kernel(cpus=0.25) as client:
        said = await client.run(code)
        paths = [
            Path(path).glob(f"{groups['token']}-*/cpu.stat")
            for name, path in groups["paths"].items()
            if name in {"cpu", "all"}
        ]
        stats = [dict(line.split() for line in stat.read_text().splitlines()) for found in paths for stat in found]
        throttled = sum(int(stat.get("nr_throttled", 0)) for stat in stats)
    return finding(throttled == 0, "done" in said.text, (str(said), throttled))
