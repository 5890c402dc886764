"""What every group of actions owes to people without a mouse: all of it by keys alone, and on a phone by a finger."""

import json
import re
from pathlib import Path

import pytest
from person import SALES, add_cell, ask, cells, choose_model, ended, has_focus, hold, run_cell, saved, twice
from playwright.sync_api import APIRequestContext, Locator, Page, expect

COMPLETE = "[data-turn=assistant][data-state=complete]"


def tab_to(page: Page, target: Locator, *, back: bool = False) -> None:
    """Tabs until the target, which may still be on its way, has the focus; by no other means."""
    expect(target.first).to_be_enabled()
    for _ in range(600):  # however many conversations there are
        if target.first.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press("Shift+Tab" if back else "Tab")
    raise AssertionError(f"no way by Tab to {target}")


def from_the_top(page: Page) -> None:
    """To the first that Tab leads to."""
    page.locator("body").evaluate("() => document.activeElement.blur()")
    tab_to(page, page.get_by_role("button", name="Skip the list of conversations"))


def past_the_list(page: Page) -> None:
    """However many conversations there are, they are one key away from the page."""
    from_the_top(page)
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()


def choose(page: Page, *names: str) -> None:
    """Arrows down in the menu that is open to each of these items, and takes the last."""
    for name in names:
        arrow_to(page, page.get_by_role("menuitem", name=name))
    page.keyboard.press("Enter")


def arrow_to(page: Page, item: Locator) -> None:
    """Down to this item; a menu moves the focus a moment after the key, and at first to its first item."""
    page.wait_for_function("() => document.activeElement.matches('[role^=menuitem]')")
    while not item.evaluate("element => element === document.activeElement"):
        before = page.evaluate_handle("() => document.activeElement")
        page.keyboard.press("ArrowDown")
        page.wait_for_function("before => document.activeElement !== before", arg=before)


# conversation


def test_a_conversation_by_keys(page: Page) -> None:
    page.goto("/")
    tab_to(page, page.get_by_role("button", name=re.compile("^Model: ")))
    page.keyboard.press("Enter")
    arrow_to(page, page.get_by_role("menuitemradio", name=re.compile("scripted")))
    page.keyboard.press("Enter")
    box = page.get_by_role("textbox", name="Your question")
    tab_to(page, box, back=True)
    page.keyboard.type("Say: by keys")
    page.keyboard.press("Enter")
    expect(page.locator(COMPLETE)).to_contain_text("by keys (1)")
    expect(box).to_be_focused()
    tab_to(page, page.get_by_role("button", name="Answer again"), back=True)
    page.keyboard.press("Enter")
    expect(page.locator(COMPLETE)).to_contain_text("by keys (2)")
    has_focus(page)
    tab_to(page, page.get_by_role("button", name="Edit the question"), back=True)
    page.keyboard.press("Enter")
    page.keyboard.press("Control+a")
    page.keyboard.type("Say: rewritten")
    page.keyboard.press("Enter")
    expect(page.locator(COMPLETE)).to_contain_text("rewritten (1)")
    has_focus(page)


def test_an_answer_is_stopped_by_keys(page: Page) -> None:
    page.goto("/")
    choose_model(page, "scripted")
    ask(page, "Run:\n```python\nprint('begun', flush=True)\nwhile True: pass\n```")
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("begun")
    tab_to(page, page.get_by_role("button", name="Stop"))
    page.keyboard.press("Enter")
    ended(cells(page).first, "interrupted")
    expect(page.locator("[data-state=stopped]")).to_contain_text("Stopped")
    expect(page.get_by_role("textbox", name="Your question")).to_be_focused()


def test_conversations_are_renamed_and_deleted_by_keys(page: Page) -> None:
    page.goto("/")
    choose_model(page, "scripted")
    ask(page, "Say: name me by keys")
    expect(page.locator(COMPLETE)).to_be_visible()
    from_the_top(page)
    tab_to(page, page.get_by_role("button", name="Rename or delete Say: name me by keys"))
    page.keyboard.press("Enter")
    choose(page, "Rename")
    expect(page.get_by_role("textbox", name="Title")).to_be_focused()
    page.keyboard.type("Named by keys")
    page.keyboard.press("Enter")
    listed = page.get_by_role("navigation", name="Conversations")
    expect(listed.get_by_role("link", name="Named by keys")).to_be_visible()
    from_the_top(page)
    tab_to(page, page.get_by_role("button", name="Rename or delete Named by keys"))
    page.keyboard.press("Enter")
    choose(page, "Delete")
    expect(page.get_by_role("dialog")).to_be_visible()
    tab_to(page, page.get_by_role("dialog").get_by_role("button", name="Delete"))
    page.keyboard.press("Enter")
    expect(listed.get_by_role("link", name="Named by keys")).to_have_count(0)


def test_a_conversation_by_a_finger(phone: Page) -> None:
    phone.goto("/")
    phone.get_by_role("button", name=re.compile("^Model: ")).tap()
    phone.get_by_role("menuitemradio", name=re.compile("scripted")).tap()
    phone.get_by_role("textbox", name="Your question").fill("Say: by a finger")
    phone.get_by_role("button", name="Send").tap()
    answer = phone.locator(COMPLETE)
    expect(answer).to_contain_text("by a finger (1)")
    answer.get_by_role("button", name="Answer again").tap()
    expect(answer).to_contain_text("by a finger (2)")
    answer.get_by_role("button", name="Earlier answer").tap()
    expect(answer).to_contain_text("by a finger (1)")
    phone.get_by_role("button", name="Edit the question").tap()
    phone.get_by_role("textbox", name="The question in other words").fill("Say: tapped")
    phone.locator("[data-turn=user]").get_by_role("button", name="Send").tap()
    expect(answer).to_contain_text("tapped (1)")
    phone.get_by_role("button", name="Show conversations").tap()
    phone.get_by_role("button", name="Rename or delete Say: by a finger").tap()
    phone.get_by_role("menuitem", name="Rename").tap()
    phone.get_by_role("textbox", name="Title").fill("Tapped")
    phone.keyboard.press("Enter")
    listed = phone.get_by_role("navigation", name="Conversations")
    expect(listed.get_by_role("link", name="Tapped")).to_be_visible()
    phone.get_by_role("button", name="Rename or delete Tapped").tap()
    phone.get_by_role("menuitem", name="Delete").tap()
    phone.get_by_role("dialog").get_by_role("button", name="Delete").tap()
    expect(listed.get_by_role("link", name="Tapped")).to_have_count(0)
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390


# notebook


def test_cells_of_a_notebook_by_keys(page: Page, session: str, api: APIRequestContext) -> None:
    tab_to(page, page.get_by_role("button", name="Code", exact=True))
    page.keyboard.press("Enter")
    expect(cells(page).first.locator(".cm-content")).to_be_focused()
    page.keyboard.type("a = 1")
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    expect(cells(page).nth(1).locator(".cm-content")).to_be_focused()
    page.keyboard.type("1 / 0")
    page.keyboard.press("Shift+Enter")
    ended(cells(page).nth(1), "error")
    saved(page, api, session, ["a = 1", "1 / 0", ""])
    expect(cells(page).nth(2).locator(".cm-content")).to_be_focused()
    page.keyboard.press("Escape")
    tab_to(page, cells(page).first.get_by_role("button", name="More for this cell"), back=True)
    page.keyboard.press("Enter")
    choose(page, "Insert a cell above")
    expect(cells(page)).to_have_count(4)
    expect(page.locator(".cm-content:focus")).to_have_count(1)
    page.keyboard.press("Escape")
    page.keyboard.press("m")
    expect(page.locator("[data-cell]:focus")).to_have_attribute("aria-label", re.compile("[Tt]ext"))
    twice(page, "d")
    expect(cells(page)).to_have_count(3)
    page.keyboard.press("z")
    expect(cells(page)).to_have_count(4)
    has_focus(page)
    tab_to(page, page.get_by_role("toolbar", name="Notebook").get_by_role("button", name="Run all"), back=True)
    page.keyboard.press("Enter")
    ended(cells(page).nth(1), "ok")
    expect(cells(page).nth(2).get_by_label("Run 3")).to_be_attached()
    tab_to(page, page.get_by_role("button", name="Restart the kernel"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Run all")).to_be_visible()
    has_focus(page)


def test_the_width_and_the_full_screen_by_keys(page: Page, session: str) -> None:
    line = page.get_by_role("separator", name="Width of the chat")
    tab_to(page, line)
    before = int(line.get_attribute("aria-valuenow") or 0)
    page.keyboard.press("ArrowRight")
    expect(line).to_have_attribute("aria-valuenow", str(before + 2))
    tab_to(page, page.get_by_role("button", name="Full screen"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Your question")).to_be_hidden()
    expect(page.get_by_role("button", name="Show the chat again")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Your question")).to_be_visible()


def test_the_kernel_is_stopped_asked_and_restarted_by_a_finger(phone: Page) -> None:
    id = phone.request.post("/api/jupyter/kernel", data={}).json()["id"]
    phone.goto(f"/c/{id}")
    phone.get_by_role("tab", name=re.compile("^Notebook")).first.tap()
    add_cell(phone, "print('on', flush=True)\nwhile True: pass")
    phone.get_by_role("toolbar", name="Notebook").get_by_role("button", name="Run all").tap()
    expect(cells(phone).first.locator("[data-outputs]")).to_contain_text("on")
    phone.get_by_role("toolbar", name="Notebook").get_by_role("button", name="Interrupt").tap()
    ended(cells(phone).first, "interrupted")
    add_cell(phone, "print('heard', input('Who? '))")
    cells(phone).nth(1).get_by_role("button", name="Run cell").first.tap()
    phone.get_by_label("Who?").fill("Ada")
    cells(phone).nth(1).get_by_role("button", name="Send").tap()
    ended(cells(phone).nth(1), "ok")
    phone.get_by_role("button", name="Restart the kernel").tap()
    expect(phone.get_by_role("status").filter(has_text="Run all")).to_be_visible()
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390


# files


def put(api: APIRequestContext, session: str) -> None:
    assert api.put(f"/api/jupyter/kernel/{session}/files/sales.csv", data=SALES.encode()).ok


def test_files_by_keys(page: Page, session: str, api: APIRequestContext) -> None:
    put(api, session)
    tab_to(page, page.get_by_role("tab", name=re.compile("^Files")).first)
    page.keyboard.press("Enter")
    tab_to(page, page.locator("[data-files]").get_by_role("button", name="sales.csv", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("columnheader", name="revenue")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("[data-files]").get_by_role("button", name="sales.csv", exact=True)).to_be_focused()
    tab_to(page, page.locator("[data-files]").get_by_role("link", name="Download sales.csv"))
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert Path(download.value.path()).read_text() == SALES
    tab_to(page, page.get_by_role("button", name="Delete sales.csv"))
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("dialog").get_by_role("button", name="Delete"))
    page.keyboard.press("Enter")
    expect(page.locator("[data-files]").get_by_role("button", name="sales.csv", exact=True)).to_have_count(0)


def test_files_by_a_finger(phone: Page, tmp_path: Path) -> None:
    (tmp_path / "picked.csv").write_text(SALES)
    phone.goto("/")
    with phone.expect_file_chooser() as chooser:
        phone.get_by_role("button", name="Attach files").tap()
    chooser.value.set_files(tmp_path / "picked.csv")
    expect(phone.locator("[data-upload=done]")).to_contain_text("picked.csv")
    phone.get_by_role("tab", name=re.compile("^Files")).first.tap()
    phone.locator("[data-files]").get_by_role("button", name="picked.csv", exact=True).tap()
    expect(phone.get_by_role("dialog").get_by_role("columnheader", name="revenue")).to_be_visible()
    phone.get_by_role("dialog").get_by_role("button", name="Close").tap()
    phone.get_by_role("button", name="Delete picked.csv").tap()
    phone.get_by_role("dialog").get_by_role("button", name="Delete").tap()
    expect(phone.get_by_role("button", name="Delete picked.csv")).to_have_count(0)


@pytest.mark.parametrize("how", ["mouse", "keys", "finger"])
def test_an_upload_is_cancelled_and_nothing_of_it_arrives(
    request: pytest.FixtureRequest, tmp_path: Path, how: str
) -> None:
    """The request is held in the browser, so that it is still on its way when it is cancelled."""
    page: Page = request.getfixturevalue("phone" if how == "finger" else "page")
    api = page.request
    session = api.post("/api/jupyter/kernel", data={}).json()["id"]
    page.goto(f"/c/{session}")
    sent = hold(page, "**/files/large.csv")
    (tmp_path / "large.csv").write_text("x\n" * 300_000)
    page.get_by_test_id("file-input").set_input_files(tmp_path / "large.csv")
    upload = sent()
    sending = page.locator("[data-upload=sending]")
    expect(sending).to_contain_text("large.csv")
    expect(sending.get_by_role("progressbar")).to_be_attached()
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    cancel = page.get_by_role("button", name="Cancel large.csv")
    if how == "keys":
        past_the_list(page)
        tab_to(page, cancel)
        page.keyboard.press("Enter")
    elif how == "finger":
        cancel.tap()
    else:
        cancel.click()
    expect(page.locator("[data-upload]")).to_have_count(0)
    if how != "finger":  # a field with the focus opens a keyboard there
        has_focus(page)
    assert api.get(f"/api/jupyter/kernel/{session}/files").json() == []
    upload.abort()  # else the browser is told to send after all what the page has taken back
    (tmp_path / "small.csv").write_text(SALES)
    page.get_by_test_id("file-input").set_input_files(tmp_path / "small.csv")
    expect(page.locator("[data-upload=done]")).to_contain_text("small.csv")
    assert [file["path"] for file in api.get(f"/api/jupyter/kernel/{session}/files").json()] == ["small.csv"]


# what can be seen, and what can be taken along


def test_variables_by_keys(page: Page, session: str) -> None:
    run_cell(page, "import pandas as pd\norders = pd.DataFrame({'n': range(120)})")
    page.keyboard.press("Escape")
    tab_to(page, page.get_by_role("tab", name="Variables").first, back=True)
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="orders", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="All variables")).to_be_focused()
    expect(page.locator("[data-rows]")).to_have_text("1–50 of 120")
    tab_to(page, page.get_by_role("button", name="Rows after"))
    page.keyboard.press("Enter")
    expect(page.locator("[data-rows]")).to_have_text("51–100 of 120")
    page.keyboard.press("Enter")
    expect(page.locator("[data-rows]")).to_have_text("101–120 of 120")
    expect(page.get_by_role("button", name="Rows after")).to_be_focused()
    tab_to(page, page.get_by_role("button", name="All variables"), back=True)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="orders", exact=True)).to_be_visible()


def test_variables_by_a_finger(phone: Page) -> None:
    id = phone.request.post("/api/jupyter/kernel", data={}).json()["id"]
    code = "import pandas as pd\norders = pd.DataFrame({'n': range(120)})"
    phone.request.post("/api/jupyter/execute", data={"code": code, "kernel_id": id})
    phone.goto(f"/c/{id}")
    phone.get_by_role("tab", name="Variables").first.tap()
    phone.get_by_role("button", name="orders", exact=True).tap()
    phone.get_by_role("button", name="Rows after").tap()
    expect(phone.locator("[data-rows]")).to_have_text("51–100 of 120")
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390


FORMS = ("Python .py", "Web page .html", "Markdown .md")


def test_a_notebook_is_downloaded_by_keys(page: Page, session: str) -> None:
    run_cell(page, "print('taken along')")
    page.keyboard.press("Escape")
    tab_to(page, page.get_by_role("button", name="Download and more"), back=True)
    page.keyboard.press("Enter")
    with page.expect_download() as download:
        choose(page, "Notebook .ipynb")
    (cell,) = json.loads(Path(download.value.path()).read_text())["cells"]
    assert "taken along" in "".join(cell["source"])
    for name in FORMS:
        expect(page.get_by_role("button", name="Download and more")).to_be_focused()
        page.keyboard.press("Enter")
        with page.expect_download() as download:
            choose(page, name)
        assert "taken along" in Path(download.value.path()).read_text()


def test_a_notebook_is_downloaded_by_a_finger(phone: Page) -> None:
    id = phone.request.post("/api/jupyter/kernel", data={}).json()["id"]
    phone.request.post("/api/jupyter/execute", data={"code": "print('taken along')", "kernel_id": id})
    phone.goto(f"/c/{id}")
    phone.get_by_role("tab", name=re.compile("^Notebook")).first.tap()
    for name in ("Notebook .ipynb", *FORMS):
        phone.get_by_role("button", name="Download and more").tap()
        with phone.expect_download() as download:
            phone.get_by_role("menuitem", name=name).tap()
        assert "taken along" in Path(download.value.path()).read_text()


def test_theme_and_palette_by_a_finger(phone: Page) -> None:
    phone.goto("/")
    phone.get_by_role("button", name="Show conversations").tap()
    phone.get_by_role("button", name="Theme").tap()
    phone.get_by_role("menuitemradio", name="Dark").tap()
    expect(phone.locator("body")).to_have_css("background-color", "rgb(21, 21, 21)")
    phone.get_by_role("button", name="Commands").tap()
    phone.get_by_role("combobox", name="Command").fill("theme light")
    phone.get_by_role("option", name="Theme: Light").tap()
    expect(phone.locator("html")).to_have_attribute("data-theme", "light")
    expect(phone.locator("body")).to_have_css("background-color", "rgb(244, 244, 243)")
    phone.get_by_role("button", name="Theme").tap()
    phone.get_by_role("menuitemradio", name="System").tap()
    for scheme, colour in (("dark", "rgb(21, 21, 21)"), ("light", "rgb(244, 244, 243)")):
        phone.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        expect(phone.locator("body")).to_have_css("background-color", colour)
