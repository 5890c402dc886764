"""A live server: the real application with real kernels, on a free loopback port, in a thread of the test process."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from cellblock import settings
from cellblock.cli import Listening, listen


class Live(httpx2.Client):
    """A client of one live server, by the name `localhost`."""

    def __init__(self, server: Listening, port: int) -> None:
        super().__init__(base_url=f"http://localhost:{port}", timeout=60)
        self.uvicorn, self.server, self.port = server, server.server, port

    def create(self, **fields: str) -> str:
        """The id of a new session."""
        id: str = self.post("/api/jupyter/kernel", json=fields).raise_for_status().json()["id"]
        return id


@contextmanager
def living(data_dir: Path, **given: object) -> Iterator[Live]:
    """A server with these settings."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = Listening(settings.load(**{"data_dir": data_dir, "port": port, "pool_size": 1, **given}))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with Live(server, port) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


Start = Callable[..., Live]


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """One server for all tests that need nothing special; each makes a session of its own."""
    with living(tmp_path_factory.mktemp("live"), kernels_per_owner=500) as client:
        yield client


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server with settings of its own."""
    with ExitStack() as stack:
        yield lambda **given: stack.enter_context(living(tmp_path / "data", **given))
