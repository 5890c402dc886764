"""The page around the notebook: files, conversations, themes, a phone, and hands that never leave the keyboard."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from conftest import take_pictures
from person import SALES, add_cell, ask, at_rest, cells, choose_model, drop, ended, run_cell, twice
from playwright.sync_api import APIRequestContext, Page, expect

ANSWERED = "[data-turn=assistant][data-state=complete]"


def sample_answered(page: Page) -> None:
    page.get_by_role("button", name="Try it with sales.csv").click()
    page.get_by_role("log").get_by_role("button", name="Analyze this CSV").click()
    expect(page.locator(ANSWERED)).to_be_visible(timeout=30_000)
    expect(page.locator("[data-kernel=idle]")).to_be_attached()


def test_files_come_in_by_picking_and_pasting_and_go_out_and_away(page: Page, session: str, tmp_path: Path) -> None:
    (tmp_path / "picked.csv").write_text(SALES)
    page.get_by_test_id("file-input").set_input_files(tmp_path / "picked.csv")
    expect(page.locator("[data-upload=done]")).to_contain_text("picked.csv")
    page.evaluate(
        """text => {
            const data = new DataTransfer()
            data.items.add(new File([text], 'pasted.csv'))
            const paste = new ClipboardEvent('paste', { clipboardData: data, bubbles: true })
            document.querySelector('textarea').dispatchEvent(paste)
        }""",
        SALES,
    )
    as_text = """() => {
        const data = new DataTransfer()
        data.setData('text/plain', '1\\t2')
        data.setData('text/html', '<table><tr><td>1<td>2</table>')
        data.items.add(new File(['a picture of it'], 'image.png', { type: 'image/png' }))
        const paste = new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
        return document.querySelector('textarea').dispatchEvent(paste)
    }"""
    assert page.evaluate(as_text), "cells of a spreadsheet were not left to be pasted as text"
    run_cell(page, "open('made.txt', 'w').write('made by code')")
    page.get_by_role("tab", name=re.compile("^Files")).click()
    rows = page.get_by_role("listitem").filter(has=page.get_by_role("button", name=re.compile("^Delete ")))
    expect(rows).to_have_count(3)
    with page.expect_download() as download:
        page.locator("[data-files]").get_by_role("link", name="Download made.txt").click()
    assert Path(download.value.path()).read_text() == "made by code"
    page.get_by_role("button", name="Delete pasted.csv").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(rows).to_have_count(2)


def test_a_file_over_the_limit_is_told_before_it_is_sent(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_text("Files up to 1 MiB each, 1 GiB in all.")).to_be_visible()
    drop(page, "big.csv", "x" * (2 << 20))
    expect(page.locator("[data-upload=failed]")).to_contain_text("2 MiB is more than the limit of 1 MiB")
    assert page.url.endswith("/")


def test_conversations_are_listed_renamed_opened_by_address_and_deleted(page: Page) -> None:
    page.goto("/")
    choose_model(page, "scripted")
    ask(page, "A question to find again")
    expect(page.locator(ANSWERED)).to_contain_text("That is all.")
    address = page.url
    listed = page.get_by_role("navigation", name="Conversations")
    expect(listed.get_by_role("link", name="A question to find again")).to_be_visible()
    page.get_by_role("button", name="Rename or delete A question to find again").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("textbox", name="Title").fill("Found again")
    page.keyboard.press("Enter")
    expect(
        listed.get_by_role("link", name="Found again")
    ).to_be_visible()  # else the next page may list the title of before
    page.goto("/")
    listed.get_by_role("link", name="Found again").click()
    expect(page).to_have_url(address)
    expect(page.locator("[data-turn=user]")).to_contain_text("A question to find again")
    page.get_by_role("button", name="Rename or delete Found again").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page).to_have_url(re.compile("/$"))
    expect(listed.get_by_role("link", name="Found again")).to_have_count(0)
    page.goto(address)
    expect(page.get_by_role("heading", name="There is no such conversation")).to_be_visible()


def test_a_conversation_that_is_deleted_in_another_window_says_so(page: Page, session: str) -> None:
    run_cell(page, "1 + 1")
    assert page.request.delete(f"/api/jupyter/kernel/{session}").ok
    expect(page.get_by_role("heading", name="There is no such conversation")).to_be_visible()


def test_what_is_typed_on_an_empty_page_stays_until_it_is_asked(page: Page) -> None:
    page.goto("/")
    box = page.get_by_role("textbox", name="Your question")
    box.fill("How many rows")
    page.reload()
    expect(box).to_have_value("How many rows")
    drop(page, "sales.csv", SALES)
    page.wait_for_url("**/c/*")
    expect(page.locator("[data-upload=done]")).to_be_visible()
    expect(box).to_have_value("How many rows")
    page.goto("/")
    expect(box).to_have_value("")


def test_models_that_cannot_answer_say_why_and_the_analyst_what_it_is(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_text("It is not a language model, and it needs no key.")).to_be_visible()
    page.get_by_role("button", name="Model: Built-in analyst").click()
    shut = page.get_by_role("menuitemradio", name=re.compile("gemini-2.5-pro|gemini"))
    expect(shut.first).to_be_disabled()
    expect(shut.first).to_contain_text("GEMINI_API_KEY")


def test_an_answer_that_failed_says_why_and_is_tried_again(page: Page) -> None:
    page.goto("/")
    choose_model(page, "scripted")
    ask(page, "Please refuse once")
    failed = page.get_by_role("alert")
    expect(failed).to_contain_text("Not today.")
    page.reload()
    expect(failed).to_contain_text("Not today.")
    failed.get_by_role("button", name="Try again").click()
    expect(page.locator(ANSWERED)).to_contain_text("That is all.")
    expect(failed).to_have_count(0)
    expect(page.locator("[data-turn=user]")).to_have_count(1)


def test_a_call_in_the_chat_is_one_line_that_leads_to_its_cell(page: Page) -> None:
    page.goto("/")
    sample_answered(page)
    page.get_by_role("button", name="Cell 1", exact=True).click()
    expect(cells(page).first).to_be_focused()
    line = page.locator("[data-tool=ok]")
    assert "read_csv" not in line.inner_text()
    line.get_by_role("button").first.click()
    expect(line).to_contain_text("read_csv")


def test_a_question_about_the_sample_is_one_click_on_an_empty_page(page: Page) -> None:
    page.goto("/")
    offered = page.get_by_role("group", name="Questions about the sample")
    questions = offered.get_by_role("button")
    expect(questions).to_have_count(3)
    for asked in questions.all_inner_texts():
        offered.get_by_text(asked).click()
        expect(page.locator(ANSWERED)).to_be_visible(timeout=30_000)
        expect(page.locator("[data-turn=user]")).to_contain_text("sales.csv")
        expect(page.locator("[data-turn=user]")).to_contain_text(asked)
        ended(cells(page).last, "ok")
        page.get_by_role("button", name="New conversation").click()
        expect(questions).to_have_count(3)


def test_everything_is_reached_by_keyboard(page: Page, picture: Callable[[str], None]) -> None:
    page.goto("/")
    expect(page.get_by_role("textbox", name="Your question")).to_be_focused()
    tab_to(page, "Try it with sales.csv")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Your question")).to_be_focused()
    expect(page.locator("[data-upload=done]")).to_be_visible()
    page.keyboard.type("bar chart of revenue by region")
    page.keyboard.press("Enter")
    expect(page.locator(ANSWERED)).to_be_visible(timeout=30_000)
    tab_to(page, "Cell 1", back=True)
    page.keyboard.press("Enter")
    first = cells(page).first
    expect(first).to_be_focused()
    page.keyboard.press("b")
    second = cells(page).nth(1)
    expect(second.locator(".cm-content")).to_be_focused()
    page.keyboard.type("answer = 6 * 7")
    page.keyboard.press("Enter")
    page.keyboard.type("answer")
    page.keyboard.press("Control+Enter")
    ended(second, "ok")
    expect(second.locator("[data-outputs]")).to_contain_text("42")
    page.keyboard.press("Escape")
    expect(second).to_be_focused()
    picture("keyboard-focus")
    page.keyboard.press("ArrowUp")
    expect(first).to_be_focused()
    page.keyboard.press("Shift+Enter")
    expect(second).to_be_focused()
    ended(first, "ok")
    twice(page, "d")
    expect(cells(page)).to_have_count(1)
    expect(first).to_be_focused()
    expect(page.locator("[role=status][aria-live=polite]")).to_contain_text("Cell")


def tab_to(page: Page, name: str, *, back: bool = False) -> None:
    """Tabs until the button of that name has the focus."""
    expect(page.get_by_role("button", name=re.compile(f"^{name}")).first).to_be_enabled()
    for _ in range(40):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate("() => document.activeElement.innerText?.trim() || ''").startswith(name):
            return
    raise AssertionError(f"no way by Tab to {name!r}")


LONG = """\
import pandas as pd
place = "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch"
long_name_of_a_table_that_has_many_orders = pd.DataFrame({"city": [place] * 200, "sum": range(200)})
long_name_of_a_table_that_has_many_orders
"""


def test_the_views_wide(page: Page, picture: Callable[[str], None]) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="What do you want to know?")).to_be_visible()
    picture("start-wide")
    sample_answered(page)
    expect(page.frame_locator("[data-outputs] iframe").first.locator("table.dataframe")).to_be_visible()
    picture("answer-wide")
    failed = run_cell(page, "print('\\x1b[32mfine\\x1b[0m')\n1 / 0", status="error")
    failed.hover()
    picture("error-wide")
    table = run_cell(page, LONG)
    table.get_by_role("button", name="All 200 rows").focus()
    page.keyboard.press("Enter")
    expect(table.locator("[data-rows]")).to_be_visible()
    picture("table-wide")
    for name in ("Files", "Variables"):
        page.get_by_role("tab", name=re.compile(f"^{name}")).first.click()
        expect(page.locator(f"[data-{name.lower()}]")).to_be_visible()
        picture(f"{name.lower()}-wide")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Command")).to_be_focused()
    picture("palette-wide")
    page.keyboard.press("Escape")
    link = page.request.post(f"/api/chat/{page.url.rpartition('/')[2]}/shares").json()["path"]
    page.goto(link)
    expect(page.frame_locator("[data-outputs] iframe").first.locator("table.dataframe")).to_be_visible()
    expect(page.locator(".prose table")).to_be_visible()
    picture("shared-wide")
    expect(page.locator("body")).to_have_css("background-color", "rgb(21, 21, 21)")  # the dark picture came last


def test_the_views_on_a_phone(phone: Page) -> None:
    def take(name: str) -> None:
        assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390, name
        take_pictures(phone, f"{name}-phone")

    phone.goto("/")
    expect(phone.get_by_role("heading", name="What do you want to know?")).to_be_visible()
    take("start")
    sample_answered(phone)
    take("answer")
    phone.get_by_role("tab", name=re.compile("^Notebook")).first.click()
    expect(phone.frame_locator("[data-outputs] iframe").first.locator("table.dataframe")).to_be_visible()
    take("notebook")
    table = run_cell(phone, LONG)
    at_rest(phone)
    table.get_by_role("button", name="All 200 rows").tap()
    expect(table.locator("[data-rows]")).to_be_visible()
    take("table")
    for name in ("Files", "Variables"):
        phone.get_by_role("tab", name=re.compile(f"^{name}")).first.click()
        expect(phone.locator(f"[data-{name.lower()}]")).to_be_visible()
        take(name.lower())
    phone.get_by_role("tab", name=re.compile("^Chat")).first.click()
    phone.get_by_role("button", name="Show conversations").click()
    expect(phone.get_by_role("navigation", name="Conversations")).to_be_visible()
    take("conversations")
    link = phone.request.post(f"/api/chat/{phone.url.rpartition('/')[2]}/shares").json()["path"]
    phone.goto(link)
    expect(phone.locator(".prose table")).to_be_visible()
    take("shared")


def test_who_makes_the_page_narrow_sees_what_they_are_in(page: Page, session: str) -> None:
    cell = add_cell(page, "here = 1")
    expect(page.get_by_role("navigation", name="Conversations")).to_be_visible()
    page.set_viewport_size({"width": 720, "height": 450})  # as at a zoom of 200 %
    expect(page.get_by_role("navigation", name="Conversations")).to_have_count(0)
    expect(cell).to_be_visible()
    page.keyboard.type(" + 1")
    expect(cell).to_contain_text("here = 1 + 1")


def test_nothing_moves_for_people_who_want_it_still(page: Page, session: str) -> None:
    moving = "() => document.getAnimations().filter((one) => one.playState === 'running').length"
    cell = add_cell(page, "input('Stop? ')")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_label("Stop?")).to_be_visible()
    assert page.evaluate(moving) > 0
    page.emulate_media(reduced_motion="reduce")
    page.wait_for_function(moving.replace("length", "length === 0"))
    page.keyboard.press("Enter")
    ended(cell, "ok")


RESTLESS = """
from IPython.display import HTML
HTML("<script>let n = 0; setInterval(() => parent.postMessage({type: 'height', height: 100 + n++ % 2}, '*'))</script>")
"""


def test_outputs_follow_the_systems_theme_while_the_page_draws_itself_anew(page: Page, session: str) -> None:
    run_cell(page, "from IPython.display import HTML\nHTML('<b>at rest</b>')")
    run_cell(page, RESTLESS)
    outputs = page.locator("[data-outputs] iframe")
    expect(page.frame_locator("[data-outputs] iframe").first.get_by_text("at rest")).to_be_visible()
    expect(outputs.nth(1)).to_be_attached()
    schemes: list[Literal["dark", "light"]] = ["dark", "light"] * 4
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        expect(outputs.first.content_frame.locator("html")).to_have_attribute("data-scheme", scheme)
        expect(outputs.nth(1).content_frame.locator("html")).to_have_attribute("data-scheme", scheme)


def test_the_theme_is_chosen_and_kept(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("menuitemradio", name="Dark").click()
    page.reload()
    expect(page.locator("body")).to_have_css("background-color", "rgb(21, 21, 21)")


def test_the_whole_path_on_a_phone(phone: Page, api: APIRequestContext) -> None:
    phone.goto("/")
    sample_answered(phone)
    phone.get_by_role("tab", name=re.compile("^Notebook")).first.click()
    expect(phone.locator("[data-outputs] img")).to_be_visible()
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390
    cell = add_cell(phone, "print('from a phone')")
    cell.get_by_role("button", name="Run cell").first.tap()
    ended(cell, "ok")
    phone.get_by_role("tab", name=re.compile("^Files")).first.click()
    expect(phone.get_by_role("link", name="Download sales.csv")).to_be_visible()
