"""Signals at strangers, processes that want to outlive their kernel, programs planted for the next one, what init holds."""

import asyncio
import os
import subprocess
from pathlib import Path

from client import PATIENCE, Client, Workbench

from attacks.host import init_of
from attacks.scenes import Finding, finding, scene


def sleeper() -> "subprocess.Popen[bytes]":
    return subprocess.Popen(["sleep", "600"])


def alive(process: "subprocess.Popen[bytes]") -> bool:
    return process.poll() is None


@scene("signals", slow=False)
async def a_signal_to_everybody(bench: Workbench) -> Finding:
    code = """
import os, subprocess
own = subprocess.Popen(["sleep", "60"])
pid = os.fork()
if pid == 0:
    os.kill(-1, 15); os._exit(0)
os.waitpid(pid, 0); own.wait()
"""
    victim = sleeper()
    try:
        async with bench.kernel() as neighbour, bench.kernel() as client:
            running = asyncio.create_task(client.run(code))
            await asyncio.wait({running, client.process.death}, return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
            hit = client.process.death.done() or running.done()
            running.cancel()
            living = (await neighbour.run("6 * 7")).value
        return finding(living != "42" or not alive(victim), hit, living)
    finally:
        victim.kill()
        victim.wait()


@scene("signals")
async def a_signal_that_linux_sends_for_us(bench: Workbench) -> Finding:
    """An owner of a pipe is told of its data by SIGIO, which kills who does not expect it."""
    code = """
import fcntl, os, subprocess
def shoot(pid):
    r, w = os.pipe()
    try:
        fcntl.fcntl(r, fcntl.F_SETOWN, pid)
        fcntl.fcntl(r, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    except OSError as problem: print(problem)
    os.write(w, b"x"); os.close(r); os.close(w)
for pid in VICTIMS: shoot(pid)
own = subprocess.Popen(["sleep", "60"]); shoot(own.pid); print("own", own.wait())
"""
    victim = sleeper()
    try:
        async with bench.kernel() as neighbour, bench.kernel() as client:
            said = await client.run(f"VICTIMS = {[victim.pid, neighbour.process.pid, client.process.pid]}[:2]\n" + code)
            living = (await neighbour.run("6 * 7")).value
        return finding(living != "42" or not alive(victim), "own -29" in said.text, str(said))
    finally:
        victim.kill()
        victim.wait()


@scene("signals")
async def a_kernel_in_the_group_of_its_init_is_interrupted_alone(bench: Workbench) -> Finding:
    code = """
import os, time
try: os.setpgid(0, os.getppid() or 1)
except OSError as problem: print(problem)
print("begun", flush=True)
time.sleep(60)
"""
    async with bench.kernel() as client:
        running = asyncio.create_task(client.run(code))
        await client.begun.wait()
        client.process.interrupt()
        said = await asyncio.wait_for(running, PATIENCE)
        living = (await client.run("6 * 7")).value
    return finding(living != "42", said.error == "KeyboardInterrupt", str(said))


@scene("outliving", slow=False)
async def processes_that_want_to_outlive_their_kernel(bench: Workbench) -> Finding:
    """Of a session of their own, stopped, deaf to signals, siblings of the kernel, adopted by one another."""
    mark = f"73.{os.getpid()}"
    code = """
import ctypes, os, signal, subprocess, time
libc = ctypes.CDLL(None)
def deaf():
    os.setsid(); libc.prctl(1, 0, 0, 0, 0); libc.prctl(36, 1, 0, 0, 0)
    for number in range(1, 32):
        try: signal.signal(number, signal.SIG_IGN)
        except OSError: pass
begun, end = os.pipe()
for way in range(4):
    pid = os.fork()
    if pid == 0:
        if way % 2 and os.fork(): os._exit(0)
        deaf()
        if way == 2 and os.fork() == 0:
            os.close(end); os.kill(os.getpid(), signal.SIGSTOP)
        os.execvp("sleep", ["sleep", MARK])
CLONE, CLONE_PARENT = {"x86_64": 56, "aarch64": 220}[os.uname().machine], 0x8000
if libc.syscall(CLONE, CLONE_PARENT | signal.SIGCHLD, 0, 0, 0, 0) == 0:
    os.execvp("sleep", ["sleep", MARK])
os.close(end); os.read(begun, 1)  # ends when all of them have become another program
"""
    async with bench.kernel() as client:
        await client.run(f"MARK = {mark!r}\n" + code)
        inside = running(mark)
    return finding(running(mark), inside >= 4, (inside, running(mark)))


def running(mark: str) -> int:
    found = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found += mark.encode() in (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                pass
    return found


PLANT = """
import os, sys
planted = '''
import ctypes, os, sys
with open(WHERE + "/ran", "a") as file:
    file.write(f"{__name__} {os.getpid()} {ctypes.CDLL(None).prctl(21, 0, 0, 0, 0)}\\\\n")
raise ImportError(__name__)
'''.replace("WHERE", repr(os.getcwd()))
for name in sys.stdlib_module_names | {"sitecustomize", "usercustomize", "cellblock", "numpy", "zmq", "never_imported"}:
    if "." not in name:
        open(f"{name}.py", "w").write(planted)
open("evil.pth", "w").write("import never_imported")
open("ld.so.preload", "w").write("/workspace/evil.so")
"""


@scene("planting", slow=False)
async def modules_planted_in_the_workspace(bench: Workbench) -> Finding:
    """The next kernel may import them; a process that is not shut in yet, or is not a kernel, must not."""
    process = await bench.launch()
    async with Client(process) as client:
        outcome = await client.run(PLANT)
    await process.stop()
    again = await bench.launch(home=process.home)
    async with Client(again) as client:
        await client.run("try: import never_imported\nexcept ImportError: pass")
    await again.stop()
    ran = [line.split() for line in (process.home / "files" / "ran").read_text().splitlines()]
    loose = [line for line in ran if line[1] == "1" or line[2] != "2"]
    return finding(loose, outcome.status == "ok" and any(line[0] == "never_imported" for line in ran), ran)


@scene("planting", slow=False)
async def what_a_kernel_has_been_left(bench: Workbench) -> Finding:
    """One packet socket, on which init hears of snapshots and believes nothing; no connection of anybody else."""
    code = """
import os, socket
kinds = []
for fd in range(1024):
    try: s = socket.socket(fileno=os.dup(fd))
    except OSError: continue
    kinds.append(s.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)); s.close()
print(sorted(int(kind) for kind in kinds))
"""
    async with bench.kernel() as client:
        said = await client.run(code)
    return finding(said.text.count("5") > 1, "1" in said.text, said.text)


HIDDEN = "init hides from a server that is not root too"


@scene("planting")
async def where_init_is_at_home(bench: Workbench) -> Finding:
    """Not in the workspace: it would import from there."""
    async with bench.kernel() as client:
        kernel = client.process.pid
        init = init_of(kernel)
        if init == kernel:
            return {"skip": HIDDEN}
        try:
            home = os.readlink(f"/proc/{init}/cwd")
        except PermissionError:
            return {"skip": HIDDEN}
        own = os.readlink(f"/proc/{kernel}/cwd")
    return finding(home != "/", own != "/", (home, own))
