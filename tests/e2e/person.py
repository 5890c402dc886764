"""What a person does with the page, and what they have to do it with."""

import re
from collections.abc import Callable

from playwright.sync_api import APIRequestContext, Locator, Page, Route, expect

SALES = """region,product,units,revenue
North,Desk,3,960.50
South,Chair,10,1450.00
West,Desk,5,1600.25
North,Lamp,4,192.00
East,Chair,6,870.75
West,Lamp,12,576.00
"""


def drop(page: Page, name: str, text: str) -> None:
    """Drops a file onto the page."""
    make = """([name, text]) => {
        const data = new DataTransfer()
        data.items.add(new File([text], name, { type: 'text/csv' }))
        return data
    }"""
    expect(page.get_by_test_id("file-input")).to_be_attached()  # nobody drops it onto a page that is not drawn yet
    transfer = page.evaluate_handle(make, [name, text])
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("body", event, {"dataTransfer": transfer})


def ask(page: Page, question: str) -> None:
    box = page.get_by_role("textbox", name="Your question")
    box.fill(question)
    composer = page.locator("form").filter(has=box)
    expect(composer.get_by_role("button", name="Send")).to_be_enabled()  # an answer may be complete a moment before
    box.press("Enter")


def choose_model(page: Page, label: str) -> None:
    page.get_by_role("button", name=re.compile("^Model: ")).click()
    page.get_by_role("menuitemradio", name=re.compile(label)).click()


def cells(page: Page) -> Locator:
    return page.locator("[data-cell]")


def ended(cell: Locator, status: str) -> None:
    """Waits until the cell has that status."""
    expect(cell).to_have_attribute("data-status", status, timeout=90_000)


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


def saved(page: Page, api: APIRequestContext, session: str, sources: list[str]) -> None:
    """Waits until the server's notebook has these sources."""
    found: list[str] = []
    for _ in range(400):
        found = [cell["source"] for cell in api.get(f"/api/jupyter/kernel/{session}/notebook").json()["cells"]]
        if found == sources:
            return
        page.wait_for_timeout(50)
    raise AssertionError(found)


def rapidly(page: Page, *keys: str) -> None:
    """Keys as they come when they are held down together: each a task of its own, with no frame between them."""
    page.evaluate(
        """async (keys) => {
            const { port1, port2 } = new MessageChannel()
            for (const key of keys) {
                document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }))
                await new Promise((done) => { port1.onmessage = done; port2.postMessage(0) })
            }
        }""",
        list(keys),
    )


def twice(page: Page, key: str) -> None:
    """A command of one key pressed twice: the second counts within a second of the first, however busy the machine is."""
    rapidly(page, key, key)


def has_focus(page: Page) -> None:
    """Waits until something has the focus: what had it may be gone, and the page finds another place a moment later."""
    page.wait_for_function("() => document.activeElement !== document.body")


def painted(page: Page) -> None:
    """Waits until what has just come in has been taken up: a frame begins, and another one."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def selected(page: Page, text: str) -> None:
    """Waits until this is selected."""
    page.wait_for_function("text => getSelection().toString().trim() === text", arg=text)


def hold(page: Page, address: str | re.Pattern[str]) -> Callable[[], Route]:
    """Keeps the next request to that address from being sent; what is returned waits until it has been made."""
    held: list[Route] = []
    page.route(address, lambda route: held.append(route), times=1)

    def made() -> Route:
        for _ in range(400):
            if held:
                return held[0]
            page.wait_for_timeout(50)
        raise AssertionError(f"nothing was asked of {address}")

    return made


def drawn(page: Page) -> None:
    """Waits until each frame of outputs that is in view has drawn what it was given, and is as high as that."""
    height = page.viewport_size["height"] if page.viewport_size else 0
    for frame in page.locator("[data-outputs] iframe").all():
        box = frame.bounding_box()
        if box is None or box["y"] > height or box["y"] + box["height"] < 0:
            continue  # what is out of view may never load
        shown = frame.content_frame.locator("#outputs")
        expect(shown).to_have_attribute("aria-busy", "false")
        for _ in range(400):
            if frame.evaluate(HEIGHT) == shown.evaluate(HEIGHT):
                break
            page.wait_for_timeout(50)


HEIGHT = "element => Math.ceil(element.getBoundingClientRect().height)"


def at_rest(page: Page) -> None:
    """Waits until no cell has moved or grown for some frames: a finger aims at what stands still."""
    drawn(page)
    page.wait_for_function(STILL)


STILL = """() => new Promise((done) => {
  let before = '', same = 0
  const look = () => {
    const now = [...document.querySelectorAll('[data-cell]')]
      .map((cell) => cell.getBoundingClientRect()).map((box) => `${box.top} ${box.height}`).join()
    same = now === before ? same + 1 : 0
    before = now
    if (same === 30) done(true)
    else requestAnimationFrame(look)
  }
  look()
})"""
