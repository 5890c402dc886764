"""A link to a read-only copy: made and revoked by hand, by keys and by a finger; read by somebody else, who can only read."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from person import ask, cells, choose_model, hold, painted, run_cell, twice
from playwright.sync_api import Browser, Locator, Page, Request, expect
from test_accessibility import no_complaints
from test_commands import command

LINK = "Link to the copy"
HOSTILE = """\
from IPython.display import HTML
HTML('<p id="told">closed</p><script>try { parent.document.title = "owned" } catch { told.textContent = "shut" }</script>')
"""


@pytest.fixture
def reader(browser: Browser, server: str, browser_context_args: dict[str, Any]) -> Iterator[Page]:
    """Another person's browser. All it asks of the server is the page, the frame of outputs, and the one copy."""
    context = browser.new_context(**browser_context_args)
    asked: list[str] = []

    def look(request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("http", "https"):
            asked.append(f"{request.method} {url.path}")

    context.on("request", look)
    yield context.new_page()
    context.close()
    allowed = re.compile(r"GET /(shared|api/shared|frame\.html|theme\.js|icon\.svg|assets/.*)")
    assert [one for one in asked if not allowed.fullmatch(one)] == []


def shared(page: Page) -> str:
    """The address of a new link, made with the mouse."""
    page.get_by_role("button", name="Download and more").click()
    page.get_by_role("menuitem", name="Share a read-only copy").click()
    page.get_by_role("button", name="Make a link").click()
    return address(page)


def address(page: Page) -> str:
    box = page.get_by_role("textbox", name=LINK)
    expect(box).to_be_visible()
    return box.input_value()


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Share a read-only copy")


def asked_and_run(page: Page) -> None:
    """A conversation with code in it, and a cell of a person's own."""
    page.goto("/")
    choose_model(page, "scripted")
    ask(page, "Run it:\n```python\nprint('six' + 'teen')\n```")
    expect(page.locator("[data-turn=assistant][data-state=complete]")).to_contain_text("That is all.")
    run_cell(page, HOSTILE)


def test_a_copy_is_read_by_somebody_else_and_stays_as_it_was(
    page: Page, reader: Page, picture: Callable[[str], None]
) -> None:
    asked_and_run(page)
    link = shared(page)
    picture("share-dialog")
    page.keyboard.press("Escape")
    run_cell(page, "print('later')")
    reader.goto(link)
    expect(reader.locator("[data-turn=user]")).to_contain_text("Run it:")
    expect(reader.locator("[data-turn=assistant]")).to_contain_text("That is all.")
    expect(cells(reader)).to_have_count(2)
    expect(cells(reader).first.locator("[data-outputs]")).to_contain_text("sixteen")
    expect(reader.frame_locator("[data-outputs] iframe").locator("#told")).to_have_text("shut")
    assert reader.title().startswith("Run it")
    reader.get_by_role("button", name="Cell 1").click()
    expect(cells(reader).first).to_be_focused()
    twice(reader, "d")
    reader.keyboard.press("Enter")
    expect(cells(reader)).to_have_count(2)
    for name in ("Run cell", "Edit the question", "Answer again", "Send", "Interrupt", "Delete cell"):
        expect(reader.get_by_role("button", name=name)).to_have_count(0)
    expect(reader.locator("[contenteditable=true], textarea, input")).to_have_count(0)


def test_what_is_undone_is_grey_in_a_copy_too(page: Page, session: str, reader: Page) -> None:
    for code in ("x = 1", "x = 2\nprint(x)"):
        page.request.post("/api/jupyter/execute", data={"kernel_id": session, "code": code, "snapshot": "always"})
    assert page.request.post(f"/api/jupyter/kernel/{session}/undo").ok
    link = page.request.post(f"/api/chat/{session}/shares").json()["path"]
    reader.goto(link)
    expect(cells(reader)).to_have_count(2)
    expect(reader.locator("[data-undone]")).to_have_count(1)
    expect(cells(reader).nth(1)).to_have_accessible_name("Cell 2, code, undone")
    expect(cells(reader).nth(1)).to_contain_text("Undone: what follows was made without it.")
    code, shown = (cells(reader).nth(at).locator("pre span").first for at in (1, 0))
    assert code.evaluate(COLOUR) != shown.evaluate(COLOUR)
    no_complaints(reader)


COLOUR = "text => getComputedStyle(text).color"


def test_the_copy_and_its_dialog_are_accessible(page: Page, reader: Page) -> None:
    asked_and_run(page)
    link = shared(page)
    no_complaints(page, "dialog")
    reader.goto(link)
    expect(cells(reader).first.locator("[data-outputs]")).to_contain_text("sixteen")
    no_complaints(reader, "copy")
    reader.goto(f"{link[:-4]}AAAA")
    expect(reader.get_by_role("heading", name="Nothing is shared here")).to_be_visible(timeout=20_000)
    no_complaints(reader, "missing")


def test_a_link_is_made_and_revoked_by_keys(page: Page, session: str, reader: Page) -> None:
    run_cell(page, "print('by keys')")
    command(page, "share a read-only copy")
    expect(dialog(page).get_by_role("button", name="Make a link")).to_be_focused()
    page.keyboard.press("Enter")
    link = address(page)
    reader.goto(link)
    expect(cells(reader)).to_contain_text("by keys")
    revoke = dialog(page).get_by_role("button", name=re.compile("^Revoke the link made"))
    expect(revoke).to_be_enabled()
    for _ in range(20):
        if revoke.evaluate("button => button === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog(page)).to_contain_text("No link is open.")
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    reader.reload()
    expect(reader.get_by_role("heading", name="Nothing is shared here")).to_be_visible()


def test_a_list_of_links_that_comes_late_hides_none(page: Page, session: str) -> None:
    listed = hold(page, "**/shares")
    command(page, "share a read-only copy")
    late = listed()
    none = late.fetch()
    dialog(page).get_by_role("button", name="Make a link").click()
    revoke = dialog(page).get_by_role("button", name=re.compile("^Revoke the link made"))
    expect(revoke).to_have_count(1)
    with page.expect_response("**/shares"):
        late.fulfill(response=none)
    painted(page)
    expect(revoke).to_have_count(1)


def test_a_link_is_copied_and_the_copy_read_on_a_phone(phone: Page, api: Any) -> None:
    phone.context.grant_permissions(["clipboard-read", "clipboard-write"])
    id = phone.request.post("/api/jupyter/kernel", data={}).json()["id"]
    phone.request.post("/api/jupyter/execute", data={"code": "print('small')", "kernel_id": id})
    phone.goto(f"/c/{id}")
    phone.get_by_role("tab", name=re.compile("^Notebook")).first.tap()
    phone.get_by_role("button", name="Download and more").tap()
    phone.get_by_role("menuitem", name="Share a read-only copy").tap()
    phone.get_by_role("button", name="Make a link").tap()
    link = address(phone)
    phone.get_by_role("button", name="Copy the link").tap()
    expect(phone.get_by_role("button", name="Copied")).to_be_visible()
    assert phone.evaluate("() => navigator.clipboard.readText()") == link
    phone.get_by_role("button", name="Make a link").tap()
    expect(dialog(phone).get_by_role("button", name=re.compile("^Revoke"))).to_have_count(2)
    dialog(phone).get_by_role("button", name=re.compile("^Revoke")).last.tap()
    expect(dialog(phone).get_by_role("button", name=re.compile("^Revoke"))).to_have_count(1)
    link = address(phone)
    phone.goto(link)
    expect(cells(phone)).to_contain_text("small")
    phone.get_by_role("tab", name="Chat").tap()
    expect(phone.get_by_text("Nothing was asked in this conversation.")).to_be_visible()
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390
