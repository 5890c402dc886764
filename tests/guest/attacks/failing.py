"""Fork servers in which Linux refuses one step of the sandbox, and what became of the kernels asked of them.

The refusal is real: just before a step, a seccomp filter forbids the system calls that it needs. The step itself and all
around it are the product's own. Which step, the name of the kernel's home says.
"""

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from client import FIRST_UID, Client

from cellblock.errors import KernelStartFailed
from cellblock.guest import limits, sandbox
from cellblock.host.launcher import Environment, Launcher
from cellblock.messages import Level, Policy

NEEDS: dict[str, list[str | int]] = {
    "session": ["setsid"],
    "own session": ["setsid"],
    "namespaces": ["unshare"],
    "mounts": ["mount"],
    "network": ["ioctl"],
    "orphans": ["prctl"],
    "descriptors": ["close_range"],
    "user": ["setresuid"],
    "reachable": ["access", "faccessat", "faccessat2"],
    "user namespace": ["unshare"],
    "namespace limits": ["openat"],
    "join namespaces": ["setns"],
    "join user namespace": ["setns"],
    "capabilities": ["capset"],
    "environment": ["chdir"],
    "die with init": ["prctl"],
    "limits": ["prlimit64"],
    "landlock": [446],  # landlock_restrict_self
    "seccomp": ["seccomp"],
    "no more listeners": ["seccomp"],
}
LISTS = ("SPARE", "INIT", "JOIN", "KERNEL", "OPENED")  # of sandbox.py, in the order in which they are taken
NO_RESTRICTION = {"out-of-memory score"}  # it only says whom the host should choose first
BASE: dict[str, tuple[str, list[str | int]]] = {
    "base namespaces": ("unshare", ["unshare"]),
    "base root: mounts": ("mount", ["mount"]),
    "base root: read-only": ("mount_setattr", [442]),
    "base root: pivot": ("pivot_root", ["pivot_root"]),
    "base root: the old root": ("umount", ["umount2"]),
}
LATE: dict[str, list[str | int]] = {"PID namespace": ["setns"]}

FORK_SERVER = """#!{python}
import importlib.util, os, sys, types
import pyseccomp

def refuse(calls):
    program = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for call in calls:
        program.add_rule(pyseccomp.ERRNO(1), call)
    program.load()

def met(kind, step):
    name = (kind + "-" + step.name).replace(" ", "-")
    def take(box):
        if name in (os.path.basename(box.home), SPARE):
            refuse(NEEDS[step.name])
        step.take(box)
    return sandbox.Step(step.name, take, step.levels)

NEEDS, BEFORE, AFTER, SPARE = {needs!r}, {before!r}, {after!r}, {spare!r}
guest = os.path.dirname(sys.argv[1])
for name, place in (("cellblock", os.path.dirname(guest)), ("cellblock.guest", guest)):
    sys.modules[name] = package = types.ModuleType(name)
    package.__path__ = [place]
from cellblock.guest import forkserver, sandbox, template
for kind in {lists!r}:
    setattr(sandbox, kind, tuple(met(kind, step) for step in getattr(sandbox, kind)))
run = template.Forking.run

def lost(forking):
    refuse(AFTER)
    run(forking)

if AFTER:
    template.Forking.run = lost
if BEFORE:
    refuse(BEFORE)
forkserver.main([])
"""


def environment(
    data: Path, *, before: Sequence[str | int] = (), after: Sequence[str | int] = (), spare: str = ""
) -> Environment:
    """Its interpreter is a program that starts such a fork server."""
    program = data.parent / f"{data.name}-fork-server"
    made = {"python": sys.executable, "needs": NEEDS, "lists": LISTS}
    program.write_text(FORK_SERVER.format(**made, before=before, after=after, spare=spare))
    program.chmod(0o755)
    return Environment(python=str(program), preload=())


def name_of(kind: str, step: sandbox.Step) -> str:
    return f"{kind}-{step.name}".replace(" ", "-")


def steps_of(level: Level, *kinds: str) -> list[str]:
    """What can fail there: as an ordinary user nobody's user is changed."""
    nothing = NO_RESTRICTION | (set() if os.getuid() == 0 else {"user"})
    steps = [(kind, step) for kind in kinds for step in getattr(sandbox, kind)]
    return [name_of(kind, step) for kind, step in steps if level in step.levels and step.name not in nothing]


async def failing(data: Path, level: Level) -> dict[str, Any]:
    """Step → what the server was told, processes and sockets left; and that without a refusal a kernel answers."""
    found: dict[str, Any] = {}
    for step in steps_of(level, "SPARE"):  # taken before it is known for whom: a fork server for each
        launcher = await started(data, level, spare=step)
        found[step] = await refused(launcher, data, level, "spare")
        await launcher.aclose()
    launcher = await started(data, level)
    try:
        found |= {step: await refused(launcher, data, level, step) for step in steps_of(level, *LISTS[1:])}
        if launcher.facts["cgroups"]["version"] is not None:
            found["cgroup"] = await refused(launcher, data, level, "cgroup", processes=-1)
        found["none"] = await answers(launcher, data, level)
    finally:
        await launcher.aclose()
    return found


async def started(data: Path, level: Level, **changes: Any) -> Launcher:
    return await Launcher.start(environment(data, **changes), data_dir=data, level=level, log=data / "forkserver.log")


async def refused(launcher: Launcher, data: Path, level: Level, step: str, **policy: int) -> list[Any]:
    home = data / "kernels" / step
    before = len(limits.descendants(launcher.pid))
    try:
        await launcher.launch(id=step, home=home, uid=FIRST_UID, policy=Policy(level, **policy))
        return ["", 1, []]
    except KernelStartFailed as problem:
        left = await settled(launcher.pid, before)
        return [str(problem), left, os.listdir(home / "run")]


async def settled(pid: int, before: int) -> int:
    """How many processes more than before there are, once those that end have ended. A spare init takes another's place."""
    for _ in range(1000):
        if (left := len(limits.descendants(pid)) - before) <= 0:
            return 0
        await asyncio.sleep(0.01)
    return left


async def answers(launcher: Launcher, data: Path, level: Level) -> str:
    process = await launcher.launch(id="x", home=data / "kernels" / "none", uid=FIRST_UID, policy=Policy(level))
    async with Client(process) as client:
        said = (await client.run("6 * 7")).value
    await process.stop()
    return said


async def failing_base(data: Path, level: Level) -> dict[str, str]:
    """What the server was told of a fork server that cannot make its base, and of one that loses its way later."""
    found = {}
    for name, (_, calls) in BASE.items():
        try:
            await (await started(data, level, before=calls)).aclose()
            found[name] = ""
        except KernelStartFailed as problem:
            found[name] = str(problem)
    for name, calls in LATE.items():
        launcher = await started(data, level, after=calls)
        said, left, _ = await refused(launcher, data, level, name)
        found[name] = said if not left else f"{left} processes are left"
        await launcher.aclose()
    return found
