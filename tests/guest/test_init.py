"""Init of a sandbox: what happens at a bad moment costs the sandbox nothing."""

import asyncio
import os
import select
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from client import PATIENCE, Client, Workbench, workbench

from cellblock.guest import sandbox
from cellblock.guest.init import Init
from cellblock.guest.seat import House
from cellblock.host import process
from cellblock.host.launcher import Process
from cellblock.messages import Attach, Interrupt, Message, Policy


@asynccontextmanager
async def just_ended(bench: Workbench) -> AsyncIterator[Process]:
    """A kernel that has left a state and is no more, while its init is stopped and knows nothing of it."""
    made = await bench.launch()
    async with Client(made) as client:
        await client.run("1", snapshot="s")
        await made.snapshots()
    pid = made.pid
    os.kill(made.init, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE):
        while os.path.exists(f"/proc/{pid}"):
            await asyncio.to_thread(lambda: None)
    try:
        yield made
    finally:
        await made.stop()


@pytest.mark.parametrize("message", [Interrupt(), Attach()], ids=["an interrupt", "a new server"])
async def test_a_word_to_a_kernel_that_has_just_ended_costs_no_state(tmp_path: Path, message: Message) -> None:
    async with workbench(tmp_path, "full", preload=()) as bench, just_ended(bench) as ended:
        ended._send(message)
        os.kill(ended.init, signal.SIGCONT)
        death = await asyncio.wait_for(ended.death, PATIENCE)
        assert death.snapshots == ("s",)
        revived = await ended.revive("s", count=1)
        async with Client(revived) as client:
            assert (await client.run("6 * 7")).value == "42"


async def test_what_is_said_twice_of_a_kernel_is_not_taken_for_its_successors_end(tmp_path: Path) -> None:
    async with workbench(tmp_path, "full", preload=()) as bench, just_ended(bench) as ended:
        os.kill(ended.init, signal.SIGCONT)
        await asyncio.wait_for(ended.death, PATIENCE)
        ended._send(Attach())  # init says again what the kernel has left
        revived = await ended.revive("s", count=1)
        async with Client(revived) as client:
            assert (await client.run("6 * 7")).value == "42"


async def test_an_init_that_hears_nothing_ends_with_all_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.5)
    async with workbench(tmp_path, "full", preload=()) as bench:
        made = await bench.launch()
        fd = os.pidfd_open(made.pid)
        os.kill(made.init, signal.SIGSTOP)
        await made.stop()
        ready = await asyncio.to_thread(select.select, [fd], [], [], PATIENCE)
        os.close(fd)
        assert ready[0]


def test_a_log_that_takes_no_more_ends_no_sandbox() -> None:
    box = sandbox.Sandbox(Policy("off"), "", os.getuid(), False, [], b"", True, set())
    output, end = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        os.write(end, b"said")
        init = Init(House(box, ""), output, full)
        assert init.drain() is True
        assert init.logged == 0
    finally:
        for fd in (output, end, full):
            os.close(fd)
