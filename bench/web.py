"""`python -m bench.web`: measures the page in a real browser, on a notebook of 200 cells with 50 figures."""

import base64
import gzip
import statistics
import struct
import zlib
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from bench.servers import Server, cellblock

STATIC = Path(__file__).parents[1] / "src/cellblock/static"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
CELLS, FIGURES, KEYS = 200, 50, 100
TYPED = "value = some_name + other_name * 2 - third "

WATCH = """
window.tasks = []
new PerformanceObserver((list) => { for (const one of list.getEntries()) window.tasks.push(one.duration) })
  .observe({ type: 'longtask', buffered: true })
"""
# From a key to the frame that shows it.
LATENCY = """
window.keys = []
addEventListener('keydown', () => {
  const began = performance.now()
  requestAnimationFrame(() => {
    const channel = new MessageChannel()
    channel.port1.onmessage = () => window.keys.push(performance.now() - began)
    channel.port2.postMessage(0)
  })
}, { capture: true })
"""
SCROLL = """async () => {
  const box = document.querySelector('[data-notebook]')
  const frames = []
  let last = performance.now()
  for (let at = 0; at < box.scrollHeight; at += 400) {
    box.scrollTop = at
    await new Promise((done) => requestAnimationFrame(done))
    frames.push(performance.now() - last)
    last = performance.now()
  }
  return frames
}"""
PRINTS = "for n in range(5000): print('line', n, flush=True)"
MEGABYTE = "print(('x' * 99 + chr(10)) * 10_000)"


def figure() -> str:
    """A picture as big as matplotlib's, in base64."""
    rows = b"".join(b"\0" + bytes((x * y) % 251 for x in range(640 * 3)) for y in range(480))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 640, 480, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 6)) + chunk(b"IEND", b"")
    return base64.b64encode(png).decode()


def notebook() -> dict[str, Any]:
    picture = figure()
    shown = {"output_type": "display_data", "data": {"image/png": picture, "text/plain": "figure"}, "metadata": {}}
    said = {"output_type": "stream", "name": "stdout", "text": "a line\n" * 12}
    source = (
        "import pandas as pd\nframe = pd.DataFrame({'a': [1, 2, 3]})\nfor row in frame.itertuples():\n    print(row)\n"
    )
    cells = [
        {
            "cell_type": "code",
            "metadata": {},
            "execution_count": n,
            "source": source * 2,
            "outputs": [shown if n % (CELLS // FIGURES) == 0 else said],
        }
        for n in range(CELLS)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}


def first_load() -> float:
    """kB, gzipped, of what the browser loads before anything lazy: the page, its script and its sheet."""
    index = (STATIC / "index.html").read_text()
    named = [STATIC / path.lstrip("/") for path in index.split('"') if path.endswith((".js", ".css"))]
    return sum(len(gzip.compress(file.read_bytes())) for file in [STATIC / "index.html", *named]) / 1e3


def opened(browser: Browser, url: str) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.add_init_script(WATCH)
    page.goto(url)
    return page


def interactive(browser: Browser, base: str, rounds: int) -> list[float]:
    """Milliseconds until the start page takes what is typed; a new browser context each time."""
    times = []
    for _ in range(rounds):
        context = browser.new_context()
        page = context.new_page()
        page.goto(base)
        page.wait_for_selector("textarea:focus")
        times.append(float(page.evaluate("performance.now()")))
        context.close()
    return times


def long_tasks(page: Page) -> list[float]:
    """Those since the last call."""
    page.wait_for_timeout(300)
    found: list[float] = page.evaluate("() => window.tasks.splice(0)")
    return found


def run_in_new_cell(page: Page, code: str) -> None:
    cells = page.locator("[data-cell]")
    count = cells.count()
    page.get_by_role("button", name="Code", exact=True).click()
    cell = cells.nth(count)
    cell.locator(".cm-content").click()
    page.keyboard.insert_text(code)
    page.evaluate("() => window.tasks.splice(0)")
    page.keyboard.press("Control+Enter")
    cell.and_(page.locator("[data-status=ok]")).wait_for(timeout=120_000)


def typing(page: Page) -> list[float]:
    """Milliseconds from a key to its frame, in the middle of the notebook."""
    page.locator("[data-cell]").nth(CELLS // 2).scroll_into_view_if_needed()
    content = page.locator("[data-cell]").nth(CELLS // 2).locator(".cm-content")
    content.click()
    page.evaluate(LATENCY)
    for at in range(KEYS):
        page.keyboard.press(TYPED[at % len(TYPED)].replace(" ", "Space"), delay=20)
    page.wait_for_timeout(200)
    found: list[float] = page.evaluate("() => window.keys")
    return found


def measure(server: Server, browser: Browser) -> None:
    base = f"http://127.0.0.1:{server.port}"
    say("first load", f"{first_load():.0f} kB gzip")
    times = interactive(browser, base, 5)
    say("interactive", f"{statistics.median(times):.0f} ms")
    kernel = server.call("POST", "/api/jupyter/kernel")["id"]
    server.call("PUT", f"/api/jupyter/kernel/{kernel}/notebook", notebook())
    page = opened(browser, f"{base}/c/{kernel}")
    page.locator("[data-cell]").nth(CELLS - 1).wait_for(state="attached", timeout=60_000)
    page.wait_for_timeout(1500)
    say(f"{CELLS} cells opened", told(long_tasks(page)))
    keys = sorted(typing(page))
    say("typing", f"p50 {keys[len(keys) // 2]:.0f} ms, p95 {keys[int(len(keys) * 0.95)]:.0f} ms")
    long_tasks(page)
    frames = page.evaluate(SCROLL)
    say("scrolling", f"longest frame {max(frames):.0f} ms; {told(long_tasks(page))}")
    for name, code in {"5,000 prints": PRINTS, "a 1 MB output": MEGABYTE}.items():
        run_in_new_cell(page, code)
        say(name, told(long_tasks(page)))


def say(name: str, figure: str) -> None:
    print(f"{name:20} {figure}", flush=True)


def told(tasks: list[float]) -> str:
    """Tasks of more than 50 ms, which is when browsers begin to count."""
    return f"longest task {max(tasks):.0f} ms, {len(tasks)} above 50 ms" if tasks else "no task above 50 ms"


def main() -> None:
    with cellblock() as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        measure(server, browser)
        browser.close()


if __name__ == "__main__":
    main()
