"""The page in a real browser, on a real server with real kernels. No test may ask anything of any other host.

Run apart from the other tests: the browser library keeps a loop running, which their asynchronous tests cannot share.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import scripted_model
from playwright.sync_api import APIRequestContext, Browser, BrowserContext, Frame, Page, Request, expect

from templates import begun

TESTS = Path(__file__).parent
RESULTS = TESTS.parents[1] / "test-results"
CHROMIUM = "/usr/bin/chromium-headless-shell"  # no windows and no toolbars, which cost more than the page in them
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
ANALYST = "builtin:analyst"
expect.set_options(timeout=20_000)  # how long is never what a test asks: two browsers share what processors there are


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of `cellblock serve`, which has a scripted language model besides its analyst."""
    with scripted_model.serving() as model_url:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path_factory.mktemp("home")),
            "LANG": "C.UTF-8",
            "CELLBLOCK_PORT": "0",
            "CELLBLOCK_DATA_DIR": str(begun(tmp_path_factory.mktemp("data"))),
            "CELLBLOCK_KERNELS_PER_OWNER": "500",
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
                with urlopen(f"{url}/api/models", timeout=120) as answer:  # waits until kernels can be had
                    assert answer.status == 200
                yield url
            finally:
                process.terminate()
                process.communicate(timeout=90)


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
    with watched(context, server):
        yield context


@contextmanager
def watched(context: BrowserContext, server: str) -> Iterator[None]:
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
    yield
    assert [request.url for request in outside] == [], "the page asked another host"
    assert broken == [], "the page raised"


@pytest.fixture
def phone(browser: Browser, server: str, browser_context_args: dict[str, Any]) -> Iterator[Page]:
    """A page 390 pixels wide, under a finger."""
    held = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    context = browser.new_context(**{**browser_context_args, **held})
    with watched(context, server):
        yield context.new_page()
    context.close()


@pytest.fixture
def api(page: Page) -> APIRequestContext:
    """The HTTP API as the page's own origin calls it."""
    return page.request


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
    """Keeps a screenshot in each theme for people to look at."""
    return lambda name: take_pictures(page, name)


def frames_drawn(page: Page, scheme: str) -> list[Frame]:
    """Frames of outputs that have been in view, when each has that theme; the others load when they come near it.

    They are asked again and again: nothing is painted in a frame out of view, which other ways of waiting need.
    """
    shown = [
        frame for frame in page.frames[1:] if frame.frame_element().bounding_box()
    ]  # one that is not may never load
    frames = [frame for frame in shown if frame.evaluate(THEME)]
    for frame in frames:
        for _ in range(1000):
            if frame.evaluate(THEME) == scheme:
                break
            page.wait_for_timeout(20)
        assert frame.evaluate(THEME) == scheme
    return frames


THEME = "() => document.documentElement.dataset.scheme ?? null"


def take_pictures(page: Page, name: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        frames_drawn(page, scheme)
        page.screenshot(path=RESULTS / f"{name}-{scheme}.png", animations="disabled")
