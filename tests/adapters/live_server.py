"""A live server: the real application with real kernels, on a free loopback port, in a thread of the test process."""

import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from cellblock import settings
from cellblock.cli import listen
from templates import begun

if TYPE_CHECKING:
    from cellblock.cli.serving import Listening


class Live(httpx2.Client):
    """A client of one live server, by the name `localhost`."""

    thread: threading.Thread

    def __init__(self, server: "Listening", port: int) -> None:
        super().__init__(base_url=f"http://localhost:{port}", timeout=60)
        self.uvicorn, self.server, self.port = server, server.server, port

    def create(self, **fields: str) -> str:
        """The id of a new session."""
        id: str = self.post("/api/jupyter/kernel", json=fields).raise_for_status().json()["id"]
        return id

    def dial(self) -> socket.socket:
        """A bare connection, for what a well-behaved client would not send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


def bare(data_dir: Path) -> Path:
    """A data directory whose environment preloads nothing: kernels are ready sooner."""
    table = f'[python3]\npython = "{sys.executable}"\npreload = []\ndisplay_name = "Python 3"\n'
    data_dir.mkdir(exist_ok=True)
    (data_dir / "environments.toml").write_text(table)
    return data_dir


@contextmanager
def living(data_dir: Path, **given: object) -> Iterator[Live]:
    """A server with these settings."""
    from cellblock.cli.serving import Listening  # takes a second: only for tests that want a server

    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = Listening(
        settings.load(**{"data_dir": begun(data_dir), "port": port, "pool_size": 1, "pool_max": 1, **given})
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        with Live(server, port) as client:
            client.thread = thread
            yield client
    finally:
        server.should_exit = True
        thread.join()


Start = Callable[..., Live]
