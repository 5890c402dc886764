"""A hostile workspace against the server's own file code, made and kept in motion by code in a kernel."""

import asyncio
import io
import os
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from client import Client, Workbench

from attacks.scenes import FULL, Finding, finding, scene
from cellblock.errors import CellblockError
from cellblock.host import footprint, tree
from cellblock.host.workspace import Workspace

SECRET = "the server's own secret"
ROUNDS = 300


def secret(bench: Workbench) -> Path:
    """A directory of the server's, with one file."""
    place = bench.data / "private"
    place.mkdir(mode=0o700, exist_ok=True)
    (place / "secret").write_text(SECRET)
    return place


def of(client: Client, **limits: int) -> Workspace:
    root = client.process.home / "files"
    return Workspace(root, uid=root.stat().st_uid, **limits)


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def attempted(call: Callable[[], Any]) -> str:
    """What a call of the server's answered: its content, or the name of our error. Any other error is a failure."""
    try:
        answer = call()
        return str(await answer if asyncio.iscoroutine(answer) else answer)
    except CellblockError as problem:
        return type(problem).__name__


def content(workspace: Workspace, path: str) -> bytes:
    with workspace.open(path) as found:
        return os.pread(found._fd, 1 << 16, 0)


def unpacked(workspace: Workspace) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(b"".join(workspace.archive()))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def everything(workspace: Workspace, *paths: str) -> list[str]:
    """All that a server does with a workspace, to these paths."""
    said = [str(workspace.entries()), str(workspace.scan().files), str(unpacked(workspace))]
    for path in paths:
        said.append(await attempted(lambda path=path: content(workspace, path)))
        said.append(await attempted(lambda path=path: workspace.write(path, chunks(b"the server's upload"))))
        said.append(await attempted(lambda path=path: workspace.append(path, b"the server's spill")))
        said.append(await attempted(lambda path=path: workspace.delete(path)))
    return said


async def static(bench: Workbench, code: str, *paths: str) -> Finding:
    """Runs code, then does everything; the control is a plain file beside it."""
    private = secret(bench)
    async with bench.kernel() as client:
        outcome = await client.run(f"PRIVATE = {str(private)!r}\nopen('plain', 'w').write('plain')\n" + code)
        workspace = of(client)
        control = await attempted(lambda: content(workspace, "plain"))
        said = await everything(workspace, *paths)
    leaked = SECRET in str(said) or os.listdir(private) != ["secret"] or (private / "secret").read_text() != SECRET
    return finding(leaked, control == "b'plain'" and outcome.status == "ok", [str(outcome), *said])


@scene("workspaces", slow=False)
async def symlinks_to_what_the_server_may_read(bench: Workbench) -> Finding:
    code = """
import os
os.symlink(PRIVATE + "/secret", "file"); os.symlink(PRIVATE, "directory"); os.symlink("..", "up"); os.symlink("loop", "loop")
os.makedirs("deep/er"); os.symlink(PRIVATE, "deep/er/still"); os.symlink("/proc/self/root", "root")
os.symlink(PRIVATE, ".cellblock"); os.symlink(PRIVATE, "__pycache__")
"""
    paths = ("file", "directory/secret", "up/private/secret", "deep/er/still/secret", "loop", ".cellblock/secret")
    return await static(bench, code, *paths)


@scene("workspaces")
async def pipes_and_sockets_that_never_answer(bench: Workbench) -> Finding:
    code = """
import os, socket
os.mkfifo("pipe"); kept = socket.socket(socket.AF_UNIX)
try: kept.bind("socket")
except PermissionError: os.mkfifo("socket")  # at a level where nothing can be bound
os.makedirs(".cellblock"); os.mkfifo(".cellblock/pipe")
"""
    return await static(bench, code, "pipe", "socket", ".cellblock/pipe")


@scene("workspaces")
async def a_terabyte_without_a_block(bench: Workbench) -> Finding:
    async with bench.kernel(file=1 << 44) as client:
        outcome = await client.run("import os\nopen('huge', 'w').truncate(1 << 40); open('plain', 'w').write('plain')")
        workspace = of(client)
        packed = sum(len(part) for part in workspace.archive())
        there = "'size': 1099511627776" in str(workspace.entries())
    return finding(packed > 1 << 20 or workspace.scan().bytes > 1 << 20, there, (str(outcome), packed))


@scene("workspaces")
async def a_hundred_thousand_files(bench: Workbench) -> Finding:
    code = """
import os
os.makedirs("many", exist_ok=True)
for n in range(20_100): os.close(os.open(f"many/{PART}-{n}", os.O_CREAT | os.O_WRONLY))
"""
    async with bench.kernel() as client:
        for part in range(5):
            outcome = await client.run(f"PART = {part}\n" + code)
        workspace = of(client)
        listed, scan = len(workspace.entries()), workspace.scan()
        full = await attempted(lambda: workspace.write("one", chunks(b"more")))
        packed = len(unpacked(workspace))
        workspace.delete("many")
    through = listed > 10_000 or packed > 100_000 or full != "WorkspaceFull" or scan.complete
    return finding(through, outcome.status == "ok" and workspace.entries() == [], (str(outcome), listed, packed, full))


@scene("workspaces")
async def files_that_their_owner_has_closed(bench: Workbench) -> Finding:
    code = """
import os
os.close(os.open("closed", os.O_CREAT | os.O_WRONLY, 0)); os.mkdir("shut", 0); os.mkdir("only", 0o300)
os.makedirs("a/b"); open("a/b/c", "w").write("x"); os.chmod("a/b", 0); os.chmod("a", 0)
"""
    async with bench.kernel() as client:
        outcome = await client.run(code)
        workspace = of(client)
        said = await everything(workspace, "closed", "shut", "only", "a")
    return finding(workspace.entries() != [], outcome.status == "ok", said)


@scene("workspaces")
async def names_that_are_no_text(bench: Workbench) -> Finding:
    code = """
import os
for name in (b"\\xff\\xfe", b"new\\nline", b"..\\\\..\\\\x", b"-rf", b"a\\x1b[2J", "\\u202egpj.exe".encode(), b"x" * 255):
    os.close(os.open(name, os.O_CREAT | os.O_WRONLY))
"""
    async with bench.kernel() as client:
        outcome = await client.run(code)
        workspace = of(client)
        listed = [entry["path"] for entry in workspace.entries()]
        names = unpacked(workspace)
        for path in listed:
            workspace.delete(path)
    led_out = [name for name in names if ".." in name.replace("\\", "/").split("/")]
    return finding(led_out or workspace.entries(), outcome.status == "ok" and len(listed) == 7, listed)


@scene("workspaces")
async def directories_a_thousand_deep(bench: Workbench) -> Finding:
    code = """
import os
top = os.getcwd()
for n in range(1000):
    os.mkdir("d" * 200); os.chdir("d" * 200)
open("bottom", "w").write("x"); os.chdir(top)
"""
    async with bench.kernel() as client:
        outcome = await client.run(code)
        workspace = of(client)
        listed = len(workspace.entries())
        workspace.delete("d" * 200)
    return finding(listed > 100 or workspace.entries() != [], outcome.status == "ok" and listed > 10, listed)


# --- in motion -------------------------------------------------------------------------------------------------------

SWAP = """
import os, subprocess, sys
program = '''
import os
os.makedirs("spare", exist_ok=True); open("spare/secret", "w").write("mine"); open("mine", "w").write("mine")
print("begun", flush=True)
n = 0
while True:
    n += 1
    for name, good, bad in (("d", "spare", PRIVATE), ("f", "mine", PRIVATE + "/secret")):
        try:
            os.symlink(bad, "x-" + name); os.rename("x-" + name, name)
        except OSError: pass
        try: os.unlink(name)
        except OSError: pass
        try:
            if name == "d":
                os.mkdir("d"); os.link("mine", "d/secret")
            else: os.link("mine", "f")
        except OSError: pass
        try: os.rename("d", f"e{n}")
        except OSError: pass
        for left in (f"e{n - 1}", f"e{n}"):  # what is written to at this moment, the next time
            try: os.unlink(f"{left}/secret")
            except OSError: pass
            try: os.rmdir(left)
            except OSError: pass
'''.replace("PRIVATE", repr(PRIVATE))
swapping = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
print(swapping.stdout.readline())
"""


async def swapped(bench: Workbench, act: Callable[[Workspace], Any]) -> Finding:
    """Does one thing again and again, while a program swaps files and directories for symlinks to a secret."""
    private = secret(bench)
    seen: dict[str, int] = {}
    async with bench.kernel() as client:
        outcome = await client.run(f"PRIVATE = {str(private)!r}\n" + SWAP)
        workspace = of(client)
        while sum(seen.values()) < ROUNDS or (len(seen) < 2 and sum(seen.values()) < 100 * ROUNDS):
            said = await attempted(lambda: act(workspace))
            seen[said[:200]] = seen.get(said[:200], 0) + 1
            assert SECRET not in said, said
    leaked = os.listdir(private) != ["secret"] or (private / "secret").read_text() != SECRET
    return finding(leaked, "begun" in outcome.text and len(seen) > 1, seen)


@scene("races", slow=False)
async def a_directory_is_swapped_while_the_server_reads(bench: Workbench) -> Finding:
    return await swapped(bench, lambda workspace: content(workspace, "d/secret"))


@scene("races")
async def a_file_is_swapped_while_the_server_reads(bench: Workbench) -> Finding:
    return await swapped(bench, lambda workspace: content(workspace, "f"))


@scene("races")
async def a_directory_is_swapped_under_an_upload(bench: Workbench) -> Finding:
    return await swapped(bench, lambda workspace: workspace.write("d/secret", chunks(b"an upload")))


@scene("races")
async def a_file_is_swapped_under_an_upload(bench: Workbench) -> Finding:
    return await swapped(bench, lambda workspace: workspace.write("f", chunks(b"an upload")))


@scene("races")
async def a_file_is_swapped_under_a_spill(bench: Workbench) -> Finding:
    return await swapped(bench, lambda workspace: workspace.append("d/secret", b"a spill"))


@scene("races")
async def a_directory_is_swapped_while_it_is_deleted(bench: Workbench) -> Finding:
    return await swapped(bench, lambda workspace: workspace.delete("d"))


@scene("races")
async def everything_moves_while_a_zip_is_made(bench: Workbench) -> Finding:
    return await swapped(bench, lambda workspace: (unpacked(workspace), workspace.scan().files, workspace.entries()))


@scene("races")
async def a_directory_is_filled_while_it_is_deleted(bench: Workbench) -> Finding:
    code = """
import os, subprocess, sys
program = '''
import os
print("begun", flush=True)
n = 0
while True:
    n += 1
    try: os.makedirs(f"d/{n % 7}"); os.close(os.open(f"d/{n % 5}/{n}", os.O_CREAT | os.O_WRONLY))
    except OSError: pass
'''
filling = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
print(filling.stdout.readline())
"""
    async with bench.kernel() as client:
        outcome = await client.run(code)
        workspace = of(client)
        said = {await attempted(lambda: asyncio.to_thread(workspace.delete, "d")) for _ in range(5)}
        await client.run("filling.kill(); filling.wait()")
        await attempted(lambda: workspace.delete("d"))
    strange = said - {"None", "NotARegularFile", "FileNotFound"}
    return finding(strange or any(e["path"] == "d" for e in workspace.entries()), "begun" in outcome.text, said)


@scene("races", levels=FULL)
async def a_home_left_by_a_hostile_kernel_is_prepared_again(bench: Workbench) -> Finding:
    """Sockets are all that a kernel may leave in `run`; the next kernel of the same home starts over them."""
    code = """
import os, socket
place = "/run/cb" if os.path.isdir("/run/cb") else os.path.dirname(os.environ["HOME"]) + "/run"
os.chdir(place)
kept = []
for n in range(900):
    s = socket.socket(socket.AF_UNIX); s.bind(f"s{n}"); s.close()
print(len(os.listdir(".")))
"""
    process = await bench.launch()
    async with Client(process) as client:
        outcome = await client.run(code)
    taken = footprint.Sandbox(process.home, process.pid, process.init, footprint.Mappings()).beside()
    await process.stop()
    tree.prepare_home(process.home)
    again = await bench.launch(home=process.home)
    async with Client(again) as client:
        alive = (await client.run("6 * 7")).value
    left = [name for name in os.listdir(process.home / "run") if name.startswith("s")]
    await again.stop()
    return finding(left, alive == "42" and taken > 900 * 4096, (str(outcome), taken))
