"""The page in a real browser, on a real server with real kernels. No test may ask anything of any other host."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import scripted_model
from playwright.sync_api import APIRequestContext, BrowserContext, Locator, Page, Request, expect

TESTS = Path(__file__).parent
RESULTS = TESTS.parents[1] / "test-results"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ANALYST = "builtin:analyst"

SALES = """region,product,units,revenue
North,Desk,3,960.50
South,Chair,10,1450.00
West,Desk,5,1600.25
North,Lamp,4,192.00
East,Chair,6,870.75
West,Lamp,12,576.00
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of `cellblock serve`, which has a scripted language model besides its analyst."""
    with scripted_model.serving() as model_url:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path_factory.mktemp("home")),
            "LANG": "C.UTF-8",
            "CELLBLOCK_PORT": "0",
            "CELLBLOCK_DATA_DIR": str(tmp_path_factory.mktemp("data")),
            "CELLBLOCK_KERNELS_PER_OWNER": "100",
            "CELLBLOCK_UPLOAD_LIMIT": str(1 << 20),
            "CELLBLOCK_MODEL": "openai-chat:scripted",
            "OPENAI_BASE_URL": model_url,
        }
        command = [sys.executable, "-m", "cellblock.cli", "serve"]
        script = Path(sys.executable).with_name("cellblock")
        if script.exists():
            command = [str(script), "serve"]
        log = (tmp_path_factory.mktemp("log") / "server.log").open("wb")
        with log, subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True) as process:
            assert process.stdout is not None
            try:
                url = where(process.stdout.readline())
                with urlopen(f"{url}/api/models", timeout=60) as answer:  # waits until kernels can be had
                    assert answer.status == 200
                yield url
            finally:
                process.terminate()
                process.communicate(timeout=20)


def where(banner: str) -> str:
    """The address in the server's first line, without its token."""
    found = re.search(r"http://localhost:\d+", banner)
    assert found, f"the server did not say where it is: {banner!r}"
    return found[0]


# the browser


@pytest.fixture(scope="session")
def base_url(server: str) -> str:
    return server


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": ARGUMENTS}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": {"width": 1440, "height": 900}}


@pytest.fixture
def context(context: BrowserContext, server: str) -> Iterator[BrowserContext]:
    """Answers come from the analyst unless a test chooses otherwise; a request to another host fails the test."""
    context.set_default_timeout(20_000)
    context.add_init_script(f"try {{ localStorage['cellblock.model'] ||= '{ANALYST}' }} catch {{}}")  # frames have none
    outside: list[Request] = []
    broken: list[str] = []

    def look(request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob", "about") and f"{url.scheme}://{url.netloc}" != server:
            outside.append(request)

    def forgive(request: Request) -> None:
        """What the policy held back was never sent."""
        if request in outside and request.failure and "csp" in request.failure.lower():
            outside.remove(request)

    context.on("request", look)
    context.on("requestfailed", forgive)
    context.on("weberror", lambda error: broken.append(str(error.error)))
    yield context
    assert [request.url for request in outside] == [], "the page asked another host"
    assert broken == [], "the page raised"


@pytest.fixture
def api(page: Page) -> APIRequestContext:
    """The HTTP API as the page's own origin calls it."""
    return page.request


# what a person does


def drop(page: Page, name: str, text: str) -> None:
    """Drops a file onto the page."""
    make = """([name, text]) => {
        const data = new DataTransfer()
        data.items.add(new File([text], name, { type: 'text/csv' }))
        return data
    }"""
    transfer = page.evaluate_handle(make, [name, text])
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("body", event, {"dataTransfer": transfer})


def ask(page: Page, question: str) -> None:
    box = page.get_by_role("textbox", name="Your question")
    box.fill(question)
    box.press("Enter")


def choose_model(page: Page, label: str) -> None:
    page.get_by_role("button", name=re.compile("^Model: ")).click()
    page.get_by_role("menuitemradio", name=re.compile(label)).click()


def cells(page: Page) -> Locator:
    return page.locator("[data-cell]")


def ended(cell: Locator, status: str) -> None:
    """Waits until the cell has that status."""
    expect(cell).to_have_attribute("data-status", status, timeout=30_000)


def write(cell: Locator, code: str) -> None:
    """Puts code into a cell's editor, in place of what is there."""
    editor = cell.locator(".cm-content")
    editor.click()
    editor.press("Control+a")
    editor.press("Delete")
    cell.page.keyboard.insert_text(code)


def add_cell(page: Page, code: str) -> Locator:
    """A new cell at the end, with code."""
    count = cells(page).count()
    page.get_by_role("button", name="Code", exact=True).click()
    expect(cells(page)).to_have_count(count + 1)
    cell = cells(page).nth(count)
    expect(cell.locator(".cm-content")).to_be_focused()
    page.keyboard.insert_text(code)
    return cell


def run_cell(page: Page, code: str, status: str = "ok") -> Locator:
    """A new cell at the end that has run."""
    cell = add_cell(page, code)
    page.keyboard.press("Control+Enter")
    ended(cell, status)
    return cell


@pytest.fixture
def session(page: Page, api: APIRequestContext) -> str:
    """The page on a new, empty session: its id."""
    made = api.post("/api/jupyter/kernel", data={})
    assert made.ok
    id: str = made.json()["id"]
    page.goto(f"/c/{id}")
    expect(page.get_by_role("button", name="Code", exact=True)).to_be_visible()
    return id


@pytest.fixture
def picture(page: Page) -> Callable[[str], None]:
    """Keeps a screenshot for people to look at."""
    RESULTS.mkdir(exist_ok=True)

    def take(name: str) -> None:
        page.screenshot(path=RESULTS / f"{name}.png", animations="disabled")

    return take
