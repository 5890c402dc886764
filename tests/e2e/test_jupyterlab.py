"""JupyterLab on our kernels, driven in a browser: as its server's gateway, and on a conversation's own notebook."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from jupyterlab import TOKEN, Lab, as_written, cellblock, free_port, front, laboratory
from playwright.sync_api import Browser, Page, expect

KEY = "the-servers-own"
KERNELS = r"`jupyter lab (--gateway-url=\S+)` with `(JUPYTER_GATEWAY_AUTH_TOKEN=TOKEN)`"
EVERYTHING = r"^(JUPYTER_GATEWAY_AUTH_TOKEN=\S+) jupyter lab (--gateway-url=\S+) (--config=\S+)$"
NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    "cells": [
        {"id": "first", "cell_type": "code", "source": "1 + 1", "metadata": {}, "outputs": [], "execution_count": None}
    ],
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of ours that lets nobody in without its token."""
    with cellblock(tmp_path_factory.mktemp("guarded"), token=KEY) as url:
        yield url


@pytest.fixture(scope="module")
def laboratories(guarded: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """JupyterLabs as the guide starts them: kernels from our server; conversations, too; and one with a wrong token."""
    wanted = [
        (tmp_path_factory.mktemp("own"), KERNELS, KEY),
        (tmp_path_factory.mktemp("ours"), EVERYTHING, KEY),
        (tmp_path_factory.mktemp("wrong"), EVERYTHING, "a wrong one"),
    ]
    (wanted[0][0] / "work").mkdir()
    (wanted[0][0] / "work/work.ipynb").write_text(json.dumps(NOTEBOOK))
    made = []
    for place, form, token in wanted:
        options, environment = as_written(form, guarded, token)
        made.append(laboratory(place, *options, **environment))
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        yield list(pool.map(stack.enter_context, made))


@pytest.fixture
def window(browser: Browser) -> Iterator[Page]:
    """A browser of its own, which may ask JupyterLab."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def test_a_notebook_runs_plots_is_interrupted_and_restarted(laboratories: list[str], window: Page) -> None:
    notebook = Lab(window, laboratories[0], "work.ipynb")
    expect(notebook.run(0, "x = 20; print('hello from the sandbox'); x + 1")).to_have_text(
        ["hello from the sandbox\n", "21"]
    )
    plot = notebook.run(1, "import matplotlib.pyplot as plt; plt.plot([1, 3, 2]); plt.show()")
    expect(plot.locator("img")).to_be_visible()
    endless = notebook.run(2, "import time\nprint('on', flush=True)\nwhile True: time.sleep(0.01)")
    expect(endless.first).to_have_text("on\n")
    notebook.command("ii", endless.filter(has_text="KeyboardInterrupt"))
    notebook.idle()  # what is asked for before the reply to an error waits behind it, and Jupyter gives it up
    asks = notebook.run(3, "name = input('name? ')\nprint(name.upper())")
    window.locator(".jp-Stdin-input").fill("Ada")
    window.locator(".jp-Stdin-input").press("Enter")
    expect(asks.last).to_contain_text("ADA")
    confirm = window.get_by_role("button", name="Confirm Kernel Restart")
    notebook.command("00", confirm)
    with window.expect_response("**/restart?*"):
        confirm.click()
    notebook.idle()
    expect(notebook.run(4, "x").last).to_contain_text("NameError")


def test_a_wrong_token_is_refused_and_jupyterlab_says_so(laboratories: list[str], window: Page) -> None:
    url = laboratories[2]
    with window.expect_response("**/api/kernelspecs?*") as refused:
        window.goto(f"{url}/lab?token={TOKEN}&reset")
    assert refused.value.status == 401
    for path, body in (("kernels", {"name": "python3"}), ("contents", {"type": "notebook"})):
        assert window.request.post(f"{url}/api/{path}?token={TOKEN}", data=body).status == 401
    notebook = {"type": "notebook", "path": "a", "name": "a", "kernel": {"name": "python3"}}
    told = window.request.post(f"{url}/api/sessions?token={TOKEN}", data=notebook)
    assert "401: Unauthorized (Error from Gateway: [The token is wrong.]" in told.json()["message"]


@pytest.fixture
def together(tmp_path: Path) -> Iterator[tuple[str, httpx2.Client]]:
    """JupyterLab and a server behind one address, with one token."""
    port = free_port()
    with (
        cellblock(tmp_path, f"127.0.0.1:{port}") as server,
        laboratory(tmp_path) as lab,
        front(tmp_path, port, server, lab) as url,
        httpx2.Client(base_url=server, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client,
    ):
        yield url, client


def test_a_conversations_notebook_is_opened_run_and_saved_in_jupyterlab(
    laboratories: list[str], guarded: str, window: Page
) -> None:
    url = laboratories[1]
    with httpx2.Client(base_url=guarded, headers={"Authorization": f"Bearer {KEY}"}, timeout=60) as live:
        folder = conversation_in_laboratory(url, live, window, KEY)
        new = asked(window, f"{url}/api/contents", "POST", {"type": "notebook"})  # as its launcher does
        newest = live.get("/api/jupyter/kernel").json()["items"][0]
    assert new["path"] == f"Untitled ({newest['id'][:8]})/notebook.ipynb"

    inside = f"{url}/api/contents/{quote(folder)}"
    assert asked(window, inside, "POST", {"copy_from": f"{folder}/storms.txt"})["name"] == "storms-Copy1.txt"
    renamed = asked(window, f"{inside}/storms-Copy1.txt", "PATCH", {"path": f"{folder}/kept.txt"})
    assert renamed["path"] == f"{folder}/kept.txt"
    asked(window, f"{inside}/storms.txt", "DELETE")
    assert {each["name"] for each in asked(window, inside)["content"]} >= {"notebook.ipynb", "kept.txt"}
    assert not window.request.get(f"{inside}/storms.txt?token={TOKEN}").ok
    saved = asked(window, f"{inside}/kept.txt/checkpoints", "POST")
    assert [each["id"] for each in asked(window, f"{inside}/kept.txt/checkpoints")] == [saved["id"]]
    assert window.request.get(f"{url}/files/{quote(folder)}/kept.txt?token={TOKEN}").text() == "three\n"
    downloaded = window.request.get(f"{url}/files/{quote(folder)}/notebook.ipynb?token={TOKEN}").json()
    assert downloaded["cells"][0]["source"] in ("# edited in the laboratory", ["# edited in the laboratory"])


def asked(window: Page, url: str, method: str = "GET", body: object = None) -> Any:
    """What JupyterLab's server answers to its own page."""
    answer = window.request.fetch(f"{url}?token={TOKEN}", method=method, data=body)
    assert answer.ok, answer.text()
    return json.loads(answer.text() or "null")


@pytest.mark.slow
def test_a_conversations_notebook_is_opened_run_and_saved_behind_one_address(
    together: tuple[str, httpx2.Client], window: Page
) -> None:
    conversation_in_laboratory(*together, window, TOKEN)


def conversation_in_laboratory(url: str, live: httpx2.Client, window: Page, token: str) -> str:
    """What a cell says that is run there, the chat's page shows; what is edited and saved there, too. Its folder."""
    id = live.post("/api/jupyter/kernel", json={"title": "Storms of May"}).json()["id"]
    live.put(f"/api/jupyter/kernel/{id}/files/storms.txt", content=b"three\n")
    live.post("/api/jupyter/execute", json={"code": "x = 20\nprint('from the chat')", "kernel_id": id})
    page = window.context.new_page()
    page.goto(f"{live.base_url}/c/{id}?token={quote(token)}")
    expect(page.get_by_text("from the chat", exact=True).first).to_be_visible()

    folder = f"Storms of May ({id[:8]})"
    notebook = Lab(window, url, f"{folder}/notebook.ipynb")
    expect(notebook.cell(0).locator(".jp-OutputArea-output")).to_have_text("from the chat\n")
    expect(window.get_by_role("listitem", name="storms.txt")).to_be_visible()
    expect(notebook.run(0, "print(open('storms.txt').read(), x + 1)")).to_have_text("three\n 21\n")
    expect(page.get_by_text("three\n 21").first).to_be_visible()  # the chat's page shows it

    expect(notebook.run(1, "print('a new cell', x)")).to_have_text("a new cell 20\n")
    expect(page.get_by_text("a new cell 20", exact=True).first).to_be_visible()
    notebook.write(0, "# edited in the laboratory")
    window.keyboard.press("Control+s")
    # The first save of a server loads the rules of notebooks, which takes its time on a busy machine.
    expect(page.get_by_text("# edited in the laboratory").first).to_be_visible(timeout=30_000)
    cells = live.get(f"/api/jupyter/kernel/{id}/notebook").json()["cells"]
    assert [cell["source"] for cell in cells][:2] == ["# edited in the laboratory", "print('a new cell', x)"]
    assert cells[1]["outputs"][0]["text"] == "a new cell 20\n"
    return folder
