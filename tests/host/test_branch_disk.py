"""What branches take of the disk: each answers for its own, and a copy there is no room for leaves nothing, at both levels."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from conftest import Start
from interpreting import MIB, OWNER, Bench, text
from test_branch import branch, content, process, write
from test_faults import Disk, disk
from test_travel import said, traveller, undo

from cellblock.errors import HostExhausted, WorkspaceFull
from cellblock.host import copying
from cellblock.host.kernels import Beside, Kernel
from cellblock.host.running import Run
from cellblock.host.workspace import Workspace

__all__ = ["disk", "traveller"]

pytestmark = pytest.mark.asyncio(loop_scope="session")

FILL = "for n in range(3): open(f'{n}.bin', 'wb').write(bytes(20 << 20))"
NAMELESS = "held = open('here', 'wb'); import os; os.unlink('here'); held.write(bytes(20 << 20)); held.flush()"
TEMPORARY = "import tempfile; held = tempfile.NamedTemporaryFile(); held.write(bytes(20 << 20)); held.flush()"
ASTIR = "import subprocess; astir = subprocess.Popen(['sh', '-c', 'while :; do :; done'])"
STRAY = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        held = open('here', 'wb')
        os.unlink('here')
        held.write(bytes(20 << 20))
        held.flush()
        open('written', 'w').close()
        time.sleep(600)
    os._exit(0)
while not os.path.exists('written'): time.sleep(0.01)
os.wait()
"""


@pytest_asyncio.fixture(loop_scope="session")
async def bench(traveller: Bench) -> AsyncIterator[Bench]:
    yield traveller
    await traveller.tidy()


async def patrol(bench: Bench, kernel_id: str) -> None:
    """With more in the workspace than before, so that whatever else counts is the last straw."""
    session = next(each for each in bench.interpreter.sessions.live() if each.id == kernel_id)
    await session.patrol()
    await write(bench, kernel_id, "more", b"more")
    await session.patrol()


async def beside(bench: Bench, kernel_id: str) -> int:
    kernel = next(each for each in bench.interpreter.sessions.live() if each.id == kernel_id).kernel
    assert kernel
    return (await kernel.beside()).bytes


async def test_a_branch_that_fills_its_disk_is_told_and_all_else_stays(bench: Bench) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1; open('f', 'w').write('trunk')")
    twig = await branch(bench, trunk)
    await said(bench, twig, "x = 2")
    full = await bench.run(FILL, twig)
    assert (full["status"], full["kernel_state"], full["limit"]) == (
        "disk_full",
        "kept",
        {"name": "disk", "value": 32 * MIB},
    )
    with pytest.raises(WorkspaceFull):
        await write(bench, twig, "more", bytes(MIB))
    await patrol(bench, trunk)
    assert await said(bench, trunk, "x += 1; print(x)") == "2\n"
    await undo(bench, trunk)
    assert await said(bench, trunk, "print(x, open('more').read())") == "1 more\n"
    await undo(bench, twig)
    assert await said(bench, twig, "import os; print(x, os.listdir())") == "2 ['f']\n"
    await write(bench, twig, "more", bytes(MIB))


async def test_what_is_too_much_for_a_copy_leaves_no_half_of_a_branch(bench: Bench) -> None:
    trunk = await bench.kernel()
    assert (await bench.run(f"x = 1\n{FILL}", trunk))["status"] == "disk_full"
    with pytest.raises(WorkspaceFull) as refused:
        await branch(bench, trunk)
    assert (refused.value.code, refused.value.hint) == ("workspace_full", "Delete files of the workspace.")
    homes = bench.interpreter.environments.homes
    assert homes.lodgers(homes.directory) == []
    assert not (homes.path(trunk) / "b/1/w").exists()
    assert process(bench, trunk).box.seats.keys() == {trunk}
    await said(bench, trunk, "import os\nfor name in os.listdir(): os.remove(name)")
    assert await said(bench, await branch(bench, trunk), "print(x, os.listdir())") == "1 []\n"


async def test_files_of_a_branch_without_a_name_are_not_the_originals(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unseen(_: Run) -> None:
        """No look falls into the moment in which the original has more than it may."""

    monkeypatch.setattr(Run, "_watch_disk", unseen)
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    await said(bench, trunk, "open('large', 'wb').write(bytes(20 << 20))")
    await said(bench, twig, NAMELESS)
    await said(bench, twig, "held.close()")  # the state before it holds it still
    assert await beside(bench, twig) >= 20 * MIB
    assert await beside(bench, trunk) == 0
    await patrol(bench, trunk)
    assert await said(bench, trunk, "print(x)") == "1\n"
    await said(bench, trunk, NAMELESS, snapshot="never")
    assert 20 * MIB <= await beside(bench, trunk) < 40 * MIB
    assert 20 * MIB <= await beside(bench, twig) < 40 * MIB


@pytest.mark.parametrize("code", [TEMPORARY, STRAY], ids=["temporary", "stray"])
async def test_what_is_nobodys_in_particular_counts_for_the_branch(bench: Bench, code: str) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    await said(bench, trunk, "open('large', 'wb').write(bytes(20 << 20))")
    await said(bench, twig, code)
    assert await beside(bench, trunk) == 0
    if code == STRAY or (bench.interpreter.config.sandbox == "unprivileged"):
        assert await beside(bench, twig) >= 20 * MIB
    await patrol(bench, trunk)
    await bench.interpreter.delete(OWNER, twig)
    for _ in range(2):  # alone again: what was left to it is not its growth, nor is it after it has run
        await patrol(bench, trunk)
        assert await said(bench, trunk, "print(x)") == "1\n"


async def test_who_leaves_while_the_disk_is_looked_at_leaves_no_growth(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    await said(bench, trunk, "open('large', 'wb').write(bytes(20 << 20))")
    await said(bench, twig, TEMPORARY)
    await said(bench, trunk, ASTIR, snapshot="never")
    await patrol(bench, trunk)
    count, left = Kernel.beside, list[str]()

    async def leaving(kernel: Kernel) -> Beside:
        found = await count(kernel)
        if kernel.id == trunk and not left and not found.alone:
            left.append(twig)
            await bench.interpreter.delete(OWNER, twig)
        return found

    monkeypatch.setattr(Kernel, "beside", leaving)
    while not left:
        await patrol(bench, trunk)
    await patrol(bench, trunk)
    assert await said(bench, trunk, "print(x)") == "1\n"


async def test_the_copy_for_a_branch_is_nobody_elses(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1")
    twig = await branch(bench, trunk)
    await said(bench, trunk, "open('large', 'wb').write(bytes(20 << 20))")
    loop, copied, seen = asyncio.get_running_loop(), copying.copied, list[int]()

    def looked_at(source: Workspace, target: Workspace) -> list[str]:
        left_out = copied(source, target)
        seen.extend(asyncio.run_coroutine_threadsafe(beside(bench, each), loop).result(60) for each in (trunk, twig))
        return left_out

    monkeypatch.setattr(copying, "copied", looked_at)
    await branch(bench, trunk)
    assert max(seen) < MIB
    await bench.interpreter.delete(OWNER, twig)
    monkeypatch.undo()


def everything(place: Path) -> list[str]:
    return sorted(str(each.relative_to(place)) for each in place.rglob("*"))


async def test_a_disk_without_room_for_the_copy_leaves_no_half_of_a_branch(disk: Disk, start: Start) -> None:
    bench = await start(pool_size=0)
    trunk = await bench.kernel()
    await said(bench, trunk, "x = 1; import os; os.mkdir('d'); open('d/large', 'wb').write(bytes(3 << 20))")
    homes, uid = bench.interpreter.environments.homes, os.stat(disk.path / "kernels" / trunk / "files").st_uid
    before = everything(disk.path / "kernels")

    async def refuses() -> None:
        with pytest.raises(HostExhausted, match="No space left") as refused:
            await branch(bench, trunk)
        assert "Free the server's disk" in (refused.value.hint or "")
        assert everything(disk.path / "kernels") == before
        assert process(bench, trunk).box.seats.keys() == {trunk}
        assert homes._taken[uid] == 1

    disk.fill()
    await refuses()
    disk.free()
    for more in range(5):  # its workspace, its home, the link, and what is in it
        disk.allow_files(more)
        await refuses()
    disk.allow_files(1000)
    twig = await branch(bench, trunk)
    assert text(await bench.run("print(x, os.stat('d/large').st_size)", twig)) == f"1 {3 * MIB}\n"
    assert len(await content(bench, trunk, "d/large")) == 3 * MIB
