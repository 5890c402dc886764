"""A real JupyterLab, in an environment of its own, whose kernels come from a Cellblock."""

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Locator, Page, expect

sys.path.insert(0, str(Path(__file__).parents[1] / "clients"))

from environments import python_of

from templates import begun

TOKEN = "lab"
GUIDE = Path(__file__).parents[2] / "docs/jupyter.md"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], place: Path, name: str, port: int, path: str, **environment: str) -> Iterator[str]:
    """A server's base URL, once it answers at `path`."""
    home = {"PATH": os.environ["PATH"], "HOME": str(place), "LANG": "C.UTF-8", **environment}
    log, url = place / f"{name}.log", f"http://127.0.0.1:{port}"
    with log.open("wb") as output, subprocess.Popen(command, env=home, stdout=output, stderr=output) as process:
        try:
            answering(process, f"{url}{path}", log)
            yield url
        finally:
            process.terminate()
            process.wait(90)


def answering(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    """Returns when a server answers."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urlopen(url, timeout=30):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"{log.name} says: {log.read_text()[-2000:]}")


def as_written(form: str, server: str, token: str) -> tuple[list[str], dict[str, str]]:
    """The options and the environment that the guide gives JupyterLab, with this server and its token. `form`: a regex."""
    line = re.search(form, GUIDE.read_text(), re.MULTILINE)
    assert line, f"docs/jupyter.md has no line like {form}"
    words = shlex.split(" ".join(line.groups()))
    places = {"$TOKEN": token, "TOKEN": token, "http://localhost:3000": server}
    places["docs/jupyterlab_config.py"] = str(GUIDE.with_name("jupyterlab_config.py"))
    given = {name: places[value] for name, _, value in (word.partition("=") for word in words)}
    options = [f"{name}={value}" for name, value in given.items() if name.startswith("--")]
    return options, {name: value for name, value in given.items() if not name.startswith("--")}


def laboratory(place: Path, *options: str, **environment: str) -> AbstractContextManager[str]:
    """A JupyterLab that serves the files in `place`/work, unless its options have others for it."""
    (place / "work").mkdir(exist_ok=True)
    port = free_port()
    command = [
        str(python_of("jupyterlab")),
        *("-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"),
        *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={place / 'work'}"),
        *("--LabApp.news_url=", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
        *options,
    ]
    return running(command, place, "laboratory", port, "/api", **environment)


def cellblock(place: Path, allowed: str = "", token: str = TOKEN) -> AbstractContextManager[str]:
    """A server that demands a token, JupyterLab's if no other, and may be called by the name of another."""
    port = free_port()
    command = [
        str(Path(sys.executable).with_name("cellblock")),
        "serve",
        f"--port={port}",
        f"--data-dir={begun(place / 'data')}",
    ]
    environment = {"CELLBLOCK_TOKEN": token, "CELLBLOCK_LOOPBACK_TRUST": "0", "CELLBLOCK_ALLOWED_HOSTS": allowed}
    return running(command, place, "cellblock", port, "/readyz", **environment)


def front(place: Path, port: int, cellblock: str, laboratory: str) -> AbstractContextManager[str]:
    """The reverse proxy before both."""
    command = [sys.executable, str(Path(__file__).with_name("front.py")), str(port), cellblock, laboratory]
    return running(command, place, "front", port, "/api")


class Lab:
    """A notebook open in JupyterLab, as a person uses it."""

    def __init__(self, page: Page, url: str, path: str) -> None:
        self.page, self.path = page, path
        session = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        # A kernel that is there: JupyterLab itself may start one, and at once another one in its place.
        made = page.request.post(f"{url}/api/sessions?token={TOKEN}", data=session)
        assert made.ok, made.text()
        page.goto(f"{url}/lab/tree/{path}?token={TOKEN}&reset")
        self.notebook = page.locator(".jp-NotebookPanel:visible").last
        expect(self.notebook.locator(".jp-Cell").first).to_be_visible(timeout=60_000)
        self.idle()

    def cell(self, index: int) -> Locator:
        return self.notebook.locator(".jp-Cell").nth(index)

    def idle(self) -> None:
        """The kernel has been connected to, and is idle. As idle JupyterLab also shows a notebook without a kernel."""
        expect(self.notebook.locator(".jp-KernelName")).to_have_text(re.compile("^(?!No Kernel).+"), timeout=30_000)
        expect(self.notebook.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible(timeout=30_000)

    def write(self, index: int, code: str) -> None:
        """Puts code into a cell."""
        self.cell(index).locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(code)

    def run(self, index: int, code: str) -> Locator:
        """Puts code into a cell and runs it: its output."""
        self.write(index, code)
        content, prompt = self.cell(index).locator(".cm-content"), self.cell(index).locator(".jp-InputPrompt")
        expect(content).to_have_text(code.replace("\n", ""))
        before = prompt.inner_text()
        self.page.keyboard.press("Shift+Enter")
        expect(prompt).not_to_have_text(before, timeout=30_000)
        return self.cell(index).locator(".jp-OutputArea-output")

    def command(self, keys: str, seen: Locator) -> None:
        """Keys in command mode, until they are seen to have done something: they count if they come within a second."""
        for _ in range(10):
            self.page.keyboard.press("Escape")
            self.page.keyboard.type(keys)
            try:
                return expect(seen).to_be_visible(timeout=5000)
            except AssertionError:
                continue
        raise AssertionError(f"{keys} did nothing")
