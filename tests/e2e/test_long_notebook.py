"""A notebook of many cells: drawn in full only near the window, and yet found, walked through, edited and printed whole."""

import json

import pytest
from person import cells
from playwright.sync_api import APIRequestContext, Page, expect

MANY = 120


@pytest.fixture
def many(page: Page, session: str, api: APIRequestContext) -> str:
    """The session, with cells that have printed; the last one has a word that no other has."""
    for_all = {"cell_type": "code", "metadata": {}, "execution_count": 1}
    told = [f"line {n}\n" * (1 + n % 7) for n in range(MANY - 1)] + ["a needle\n"]
    made = [
        {
            **for_all,
            "id": f"c{n}",
            "source": f"value_{n} = {n}\nprint(value_{n})",
            "outputs": [{"output_type": "stream", "name": "stdout", "text": text}],
        }
        for n, text in enumerate(told)
    ]
    body = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made})
    answer = api.put(f"/api/jupyter/kernel/{session}/notebook", data=body, headers={"content-type": "application/json"})
    assert answer.ok, answer.text()
    expect(cells(page)).to_have_count(MANY)
    return session


def test_editors_are_only_near_the_window_and_come_and_go_with_it(page: Page, many: str) -> None:
    last = cells(page).nth(MANY - 1)
    expect(cells(page).first.locator(".cm-editor")).to_be_attached()
    expect(last.locator("pre").first).to_contain_text(f"value_{MANY - 1} =")
    expect(last.locator(".cm-editor")).to_have_count(0)
    cells(page).first.locator(".cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.insert_text("kept = 1  # ")  # typed at once, it is taken back at once
    page.keyboard.press("Escape")
    last.focus()
    expect(last.locator(".cm-editor")).to_be_attached()
    expect(last).to_be_in_viewport()
    expect(cells(page).first.locator(".cm-editor")).to_have_count(0)
    expect(cells(page).first).to_contain_text("kept = 1")
    assert page.locator(".cm-editor").count() < MANY // 3
    cells(page).first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+z")  # what was typed before the editor went is still known to the one that came
    expect(cells(page).first.locator(".cm-content")).not_to_contain_text("kept")
    expect(cells(page).first.locator(".cm-content")).to_contain_text("value_0")


def test_who_leaves_an_editor_is_not_drawn_back_to_what_was_typed_there(page: Page, many: str) -> None:
    """An editor scrolls to its cursor in a frame after the typing; the focus may be elsewhere by then."""
    cells(page).first.locator(".cm-content").click()
    page.evaluate("""() => {
        document.execCommand('insertText', false, 'x')
        document.querySelector('[data-cell]:last-of-type').focus()
    }""")
    last = cells(page).nth(MANY - 1)
    expect(last.locator(".cm-editor")).to_be_attached()
    expect(last).to_be_in_viewport()


def test_what_is_far_away_is_found_and_brought_into_view(page: Page, many: str) -> None:
    last = cells(page).nth(MANY - 1)
    expect(last).not_to_be_in_viewport()
    assert page.evaluate("() => window.find('a needle')")  # the dialog of the browser is nobody's to test
    page.evaluate("() => getSelection().anchorNode.parentElement.scrollIntoView()")
    expect(last).to_be_in_viewport()
    expect(last).to_have_attribute("data-near", "")


def test_arrows_lead_through_all_cells_and_the_one_with_the_focus_is_in_view(page: Page, many: str) -> None:
    cells(page).first.focus()
    for _ in range(MANY - 1):
        page.keyboard.press("ArrowDown")
    expect(cells(page).nth(MANY - 1)).to_be_focused()
    expect(cells(page).nth(MANY - 1)).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.type("# at the end\n")
    expect(cells(page).nth(MANY - 1).locator(".cm-content")).to_contain_text("# at the end")


def test_what_is_read_stays_where_it_is_while_cells_above_it_find_their_height(page: Page, many: str) -> None:
    middle = cells(page).nth(MANY // 2)
    middle.evaluate("cell => cell.scrollIntoView({ block: 'center' })")
    expect(middle.locator(".cm-editor")).to_be_attached()
    expect(middle).to_be_in_viewport()
    assert (
        page.evaluate(
            """() => new Promise((done) => {
            const cell = document.querySelectorAll('[data-cell]')[60]
            const begun = cell.getBoundingClientRect().top
            const places = []
            const look = () => places.push(cell.getBoundingClientRect().top) < 30 ? requestAnimationFrame(look)
              : done(Math.max(...places.map((place) => Math.abs(place - begun))))
            look()
        })"""
        )
        <= 1
    )


def test_paper_gets_all_of_it_and_nothing_to_press(page: Page, many: str) -> None:
    page.emulate_media(media="print")
    height = page.evaluate("() => document.documentElement.scrollHeight")
    assert height > MANY * 60
    expect(page.get_by_role("button", name="Run all")).to_be_hidden()
    expect(page.get_by_role("textbox", name="Your question")).to_be_hidden()
    assert cells(page).nth(MANY - 1).evaluate("cell => cell.checkVisibility({ contentVisibilityAuto: true })")
    assert page.pdf().count(b"/Type /Page\n") >= height // 1200


def test_who_looks_at_the_files_comes_back_to_the_same_place(page: Page, many: str) -> None:
    last = cells(page).nth(MANY - 1)
    last.focus()
    expect(last).to_be_in_viewport()
    page.get_by_role("tab", name="Files").locator("visible=true").click()
    expect(last).not_to_be_in_viewport()
    page.get_by_role("tab", name="Notebook").locator("visible=true").click()
    expect(last).to_be_in_viewport()
