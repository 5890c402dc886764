"""Every command by its name, and the keys that do the same."""

import re

from person import add_cell, cells, ended, run_cell, saved
from playwright.sync_api import APIRequestContext, Page, expect


def command(page: Page, name: str) -> None:
    page.keyboard.press("Control+k")
    box = page.get_by_role("combobox", name="Command")
    expect(box).to_be_focused()
    page.keyboard.type(name)
    page.keyboard.press("Enter")
    expect(box).to_have_count(0)


def test_commands_act_on_the_cell_that_had_the_focus(page: Page, session: str, api: APIRequestContext) -> None:
    add_cell(page, "a = 1")
    add_cell(page, "b = 2")
    cells(page).first.locator(".cm-content").click()
    command(page, "duplicate")
    saved(page, api, session, ["a = 1", "a = 1", "b = 2"])
    expect(cells(page).nth(1)).to_be_focused()
    command(page, "delete cell")
    saved(page, api, session, ["a = 1", "b = 2"])
    command(page, "undo change")
    saved(page, api, session, ["a = 1", "a = 1", "b = 2"])
    command(page, "run all cells")
    ended(cells(page).nth(2), "ok")


def test_the_palette_is_walked_by_arrows_and_gives_the_focus_back(page: Page, session: str) -> None:
    cell = add_cell(page, "a = 1")
    page.keyboard.press("Control+k")
    options = page.get_by_role("listbox").get_by_role("option")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(page.get_by_role("combobox", name="Command")).to_have_count(0)
    expect(cell.locator(".cm-content")).to_be_focused()


def test_panes_themes_help_and_conversations_are_reached_by_name(page: Page, session: str) -> None:
    command(page, "show the files")
    expect(page.get_by_role("tab", name=re.compile("^Files")).first).to_have_attribute("aria-selected", "true")
    command(page, "theme dark")
    expect(page.locator("body")).to_have_css("background-color", "rgb(21, 21, 21)")
    command(page, "shortcuts")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Ctrl+Shift+↑")
    page.keyboard.press("Escape")
    command(page, "new conv")
    expect(page.get_by_role("heading", name="What do you want to know?")).to_be_visible()


def test_the_notebook_takes_the_whole_page_and_gives_it_back(page: Page, session: str) -> None:
    run_cell(page, "print(1)")
    line = page.get_by_role("separator", name="Width of the chat")
    expect(line).to_have_attribute("aria-valuenow", "40")
    line.hover()
    page.mouse.down()
    page.mouse.move(900, 400)
    page.mouse.up()
    expect(line).to_have_attribute("aria-valuenow", re.compile("^5"))
    page.get_by_role("button", name="Full screen").click()
    expect(page.get_by_role("textbox", name="Your question")).to_be_hidden()
    page.get_by_role("button", name="Show the chat again").click()
    expect(page.get_by_role("textbox", name="Your question")).to_be_visible()


def test_the_palette_goes_with_the_conversation_it_was_opened_over(page: Page, session: str) -> None:
    page.evaluate("history.pushState(null, '', '/')")
    page.go_back()
    expect(page).to_have_url(re.compile(session))
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("button", name="Try it with sales.csv")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_mouse_reaches_the_palette_too(page: Page, session: str) -> None:
    page.get_by_role("button", name="Commands").click()
    page.get_by_role("option", name="Add a text cell").click()
    expect(cells(page)).to_have_count(1)
    expect(cells(page).first).to_have_attribute("aria-label", "Cell 1, text")
