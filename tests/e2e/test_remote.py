"""The page before kernels of other Jupyter servers: nothing is different, until the server of one dies."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from jupyterlab import TOKEN, answering, free_port
from jupyterlab import running as serving
from person import SALES, add_cell, ask, cells, drop, ended, run_cell
from playwright.sync_api import Browser, Page, expect

BIN = Path(sys.executable).parent


@contextmanager
def kernel_gateway(place: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A real one: its base URL and its process."""
    port, environment = free_port(), {"HOME": str(place), "LANG": "C.UTF-8", "KG_AUTH_TOKEN": TOKEN}
    path, log = f"{BIN}{os.pathsep}{os.environ['PATH']}", place / f"gateway-{port}.log"
    command = [BIN / "jupyter-kernelgateway", f"--KernelGatewayApp.port={port}", "--KernelGatewayApp.ip=127.0.0.1"]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env={"PATH": path, **environment}, stdout=output, stderr=output) as process,
    ):
        try:
            answering(process, f"http://127.0.0.1:{port}/api?token={TOKEN}", log)
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.terminate()
            process.wait(90)


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[tuple[str, dict[str, "subprocess.Popen[bytes]"]]]:
    """A server whose kernels come from two gateways, and those by their names in its status."""
    with ExitStack() as stack:
        gateways = dict(stack.enter_context(kernel_gateway(tmp_path)) for _ in range(2))
        port = free_port()
        command = [str(BIN / "cellblock"), "serve", f"--port={port}", f"--data-dir={tmp_path / 'data'}"]
        environment = {"CELLBLOCK_TOKEN": TOKEN, "JUPYTER_AUTH_TOKEN": TOKEN, "CELLBLOCK_POOL_SIZE": "0"}
        environment |= {"JUPYTER_KERNEL_GATEWAY_URL": ",".join(gateways), "CELLBLOCK_REMOTE_PATIENCE": "1"}
        ready = f"/api/models?token={TOKEN}"
        url = stack.enter_context(serving(command, tmp_path, "cellblock", port, ready, **environment))
        yield url, {name.removeprefix("http://"): process for name, process in gateways.items()}


@pytest.fixture
def visit(browser: Browser, remote: tuple[str, object]) -> Iterator[Page]:
    """The page, by its token."""
    context = browser.new_context(base_url=remote[0], viewport={"width": 1440, "height": 900})
    context.add_init_script("localStorage['cellblock.model'] ||= 'builtin:analyst'")
    page = context.new_page()
    page.goto(f"/?token={TOKEN}")
    yield page
    context.close()


def test_a_chat_runs_on_a_gateways_kernel_and_its_death_is_told(
    visit: Page, remote: tuple[str, dict[str, "subprocess.Popen[bytes]"]]
) -> None:
    drop(visit, "sales.csv", SALES)
    expect(visit.locator("[data-upload=done]")).to_be_visible()
    ask(visit, "Create a bar chart of revenue by region")
    expect(visit.locator("[data-turn=assistant][data-state=complete]")).to_be_visible(timeout=60_000)
    expect(cells(visit).last.locator("[data-outputs] img").first).to_be_visible()
    mine = run_cell(visit, "mine = 41\nprint(open('sales.csv').readline(), mine)")
    expect(mine.locator("[data-outputs]")).to_contain_text("region,product,units,revenue")

    running = add_cell(visit, "import time\nprint('on', flush=True)\nwhile True: time.sleep(0.05)")
    visit.keyboard.press("Control+Enter")
    expect(running.locator("[data-outputs]")).to_contain_text("on")
    servers = visit.request.get("/api/status").json()["remote"]
    (busy,) = [server["name"] for server in servers if server["ours"]]
    remote[1][busy].kill()
    ended(running, "kernel_died")
    banner = visit.get_by_role("status").filter(has_text="its variables are lost; the notebook and the files are kept")
    expect(banner).to_contain_text("its server does not answer")
    after = run_cell(visit, "print('mine' in globals(), open('sales.csv').readline())")
    expect(after.locator("[data-outputs]")).to_contain_text("False region,product,units,revenue")
