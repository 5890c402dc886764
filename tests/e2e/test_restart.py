"""A page that is open while its server crashes and another one takes over."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from conftest import where
from person import add_cell, cells, ended
from playwright.sync_api import Browser, expect

UNTIL_GO = (
    "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.05)\nprint('done')"
)


@contextmanager
def serving(data: Path, port: int) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A server of the test's own, and where it is."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(data.parent), "LANG": "C.UTF-8"}
    environment |= {"CELLBLOCK_DATA_DIR": str(data), "CELLBLOCK_PORT": str(port)}
    command = [sys.executable, "-m", "cellblock.cli", "serve"]
    script = Path(sys.executable).with_name("cellblock")
    if script.exists():
        command = [str(script), "serve"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as made:
        try:
            assert made.stdout
            url = where(made.stdout.readline())
            with urlopen(f"{url}/api/models", timeout=120) as answer:  # waits until kernels can be had
                assert answer.status == 200
            yield made, url
        finally:
            made.terminate()
            made.communicate(timeout=90)


@pytest.mark.slow
def test_a_cell_goes_on_before_ones_eyes_when_the_server_is_restarted(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "data", 0) as (server, url), browser.new_context(base_url=url) as context:
        page = context.new_page()
        id = page.request.post("/api/jupyter/kernel", data={}).json()["id"]
        page.goto(f"/c/{id}")
        add_cell(page, UNTIL_GO)
        page.keyboard.press("Control+Enter")
        cell = cells(page).first
        expect(cell.locator("[data-outputs]")).to_contain_text("begun")
        page.request.get("/api/chat")  # what reads the store waits until all is written: that may be 50 ms behind
        server.kill()
        server.wait()
        with serving(tmp_path / "data", int(url.rsplit(":", 1)[1])):
            page.request.put(f"/api/jupyter/kernel/{id}/files/go", data="")
            expect(cell.locator("[data-outputs]")).to_contain_text("done", timeout=60_000)
            ended(cell, "ok")
            expect(page.locator("[data-kernel=idle]")).to_be_visible()
