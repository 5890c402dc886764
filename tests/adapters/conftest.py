"""Servers for the tests of the doors: one for all, and some with settings of their own."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from chatting import Chat, Script, scripted, serving
from live_server import Live, Start, bare, living

from cellblock.host.interpreter import Interpreter


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server for all tests that need nothing special; each makes a session of its own."""
    with living(tmp_path_factory.mktemp("live"), kernels_per_owner=500, upload_limit=4 << 20) as client:
        yield client


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server with settings of its own."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(living(bare(tmp_path / "data"), **given))


@pytest.fixture
def kernel(live: Live) -> Iterator[str]:
    """The id of a session that is deleted afterwards."""
    id = live.create()
    yield id
    live.delete(f"/api/jupyter/kernel/{id}")


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chat(interpreter: Interpreter, script: Script) -> AsyncIterator[Chat]:
    """The chat door over the module's own interpreter, with a model that says what `script` has."""
    models = scripted(script)
    async with serving(interpreter, models) as made:
        yield made
    await models.aclose()


@pytest_asyncio.fixture(loop_scope="module")
async def id(chat: Chat) -> AsyncIterator[str]:
    """A session of its own, gone afterwards."""
    made = await chat.new()
    yield made
    await chat.http.delete(f"/api/chat/{made}")
