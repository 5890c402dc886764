"""JupyterLab on our kernels, driven in a browser: as its server's gateway, and on a conversation's own notebook."""

import json
from collections.abc import Iterator

import pytest
from jupyterlab import Lab, laboratory
from playwright.sync_api import Browser, Page, expect

NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [
        {"id": "first", "cell_type": "code", "source": "1 + 1", "metadata": {}, "outputs": [], "execution_count": None}
    ],
}


@pytest.fixture(scope="module")
def lab(server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """JupyterLab's server, with our server as its gateway."""
    place = tmp_path_factory.mktemp("lab")
    (place / "work").mkdir()
    (place / "work/work.ipynb").write_text(json.dumps(NOTEBOOK))
    with laboratory(place, f"--gateway-url={server}") as url:
        yield url


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    """A browser of its own, which may ask JupyterLab."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def test_a_notebook_runs_plots_is_interrupted_and_restarted(lab: str, window: Page) -> None:
    notebook = Lab(window, lab, "work.ipynb")
    expect(notebook.run(0, "x = 20; print('hello from the sandbox'); x + 1")).to_have_text(
        ["hello from the sandbox\n", "21"]
    )
    plot = notebook.run(1, "import matplotlib.pyplot as plt; plt.plot([1, 3, 2]); plt.show()")
    expect(plot.locator("img")).to_be_visible()
    endless = notebook.run(2, "import time\nprint('on', flush=True)\nwhile True: time.sleep(0.01)")
    expect(endless.first).to_have_text("on\n")
    notebook.command("i", "i")
    expect(endless.last).to_contain_text("KeyboardInterrupt")
    asks = notebook.run(3, "name = input('name? ')\nprint(name.upper())")
    window.locator(".jp-Stdin-input").fill("Ada")
    window.locator(".jp-Stdin-input").press("Enter")
    expect(asks.last).to_contain_text("ADA")
    notebook.command("0", "0")
    window.get_by_role("button", name="Confirm Kernel Restart").click()
    notebook.idle()
    expect(notebook.run(4, "x").last).to_contain_text("NameError")
