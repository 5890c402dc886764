"""An interrupt ends whatever a cell waits for, and the kernel goes on with its variables."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from busy import AGAIN, EVERYWHERE, SEMAPHORES
from client import Client, workbench
from conftest import ORDINARY, ROOT, Scenes
from scenarios import interrupted

SAID = {"KeyboardInterrupt", "CancelledError"}
SHELL = {"a shell command", "a shell command that ignores interrupts"}  # on its own terminal: it ends, the cell goes on


@pytest.fixture(scope="module")
def ended(scenes: Scenes, level: str) -> dict[str, Any]:
    """How what lasts ended, for an ordinary user at one level."""
    return dict(scenes(ORDINARY if ROOT else os.getuid(), level, "interrupts")["interrupts"])


@pytest.mark.parametrize("name", EVERYWHERE)
def test_an_interrupt_ends_the_cell_and_keeps_the_variables(ended: dict[str, Any], name: str) -> None:
    error, kept, text = ended[name]
    assert text.startswith("begun"), text
    assert kept == repr(name)
    assert error in SAID or name in SHELL or (name, error) == ("a shell cell", "CalledProcessError")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    """The server's own interpreter, which has joblib, at the level that has semaphores."""
    async with workbench(tmp_path_factory.mktemp("data"), "full") as bench, bench.kernel() as made:
        yield made


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", SEMAPHORES)
async def test_an_interrupt_ends_processes_that_share_work_and_others_can_be_had(client: Client, name: str) -> None:
    error, kept, text = await interrupted(client, name, SEMAPHORES[name])
    assert (error, kept, text[:5]) == ("KeyboardInterrupt", repr(name), "begun")
    assert (await client.run(AGAIN)).value == "([1, 2], [3, 4])"


@pytest.mark.asyncio(loop_scope="module")
async def test_an_interrupt_of_an_idle_kernel_does_nothing(client: Client) -> None:
    client.process.interrupt()
    await client.process.until_interrupted()
    assert (await client.run("1 + 1")).value == "2"
