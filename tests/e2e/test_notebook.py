"""The notebook as a person uses it: cells, runs, questions of the code, and two people at once."""

import re

from person import add_cell, cells, ended, run_cell, saved, twice
from playwright.sync_api import APIRequestContext, Page, expect


def test_cells_are_added_moved_changed_to_text_and_deleted(page: Page, session: str, api: APIRequestContext) -> None:
    for source in ("first = 1", "second = 2", "# A *title*"):
        add_cell(page, source)
    cells(page).nth(1).get_by_role("button", name="Move up").click()
    expect(cells(page).first).to_contain_text("second")
    cells(page).nth(2).hover()
    cells(page).nth(2).get_by_role("button", name="More for this cell").click()
    page.get_by_role("menuitem", name="Change to text").click()
    text = cells(page).nth(2)
    expect(text.get_by_role("heading", name="A title")).to_be_visible()
    cells(page).first.hover()
    cells(page).first.get_by_role("button", name="Delete cell").click()
    expect(cells(page)).to_have_count(2)
    page.reload()
    expect(cells(page)).to_have_count(2)
    expect(cells(page).first).to_contain_text("first = 1")
    expect(cells(page).nth(1).get_by_role("heading", name="A title")).to_be_visible()
    saved(page, api, session, ["first = 1", "# A *title*"])
    kinds = [cell["type"] for cell in api.get(f"/api/jupyter/kernel/{session}/notebook").json()["cells"]]
    assert kinds == ["code", "markdown"]


def test_run_all_stops_at_the_first_error(page: Page, session: str) -> None:
    for source in ("print('one')", "1 / 0", "print('three')"):
        add_cell(page, source)
    page.get_by_role("button", name="Run all").click()
    ended(cells(page).nth(1), "error")
    expect(cells(page).nth(1).get_by_role("group", name="Error: ZeroDivisionError")).to_contain_text("division by zero")
    expect(cells(page).nth(0)).to_have_attribute("data-status", "ok")
    expect(page.locator("[data-kernel=idle]")).to_be_visible()
    expect(cells(page).nth(2)).to_have_attribute("data-status", "")


def test_run_all_goes_on_where_a_cell_was_deleted_and_where_a_person_was_faster(page: Page, session: str) -> None:
    for source in ("input()", "'two'", "'three'", "'four'"):
        add_cell(page, source)
    page.get_by_role("button", name="Run all").click()
    field = cells(page).first.locator("form input")
    expect(field).to_be_focused()
    cells(page).nth(2).focus()
    page.keyboard.press("Control+Enter")
    ended(cells(page).nth(2), "queued")
    cells(page).nth(1).focus()
    twice(page, "d")
    expect(cells(page)).to_have_count(3)
    field.press("Enter")
    ended(cells(page).nth(2), "ok")


def test_interrupt_ends_a_cell_and_restart_says_what_is_lost(page: Page, session: str) -> None:
    add_cell(page, "kept = 1\nprint('on', flush=True)\nwhile True: pass")
    page.keyboard.press("Control+Enter")
    run = cells(page).first
    expect(run.locator("[data-outputs]")).to_contain_text("on")
    page.get_by_role("toolbar", name="Notebook").get_by_role("button", name="Interrupt").click()
    ended(run, "interrupted")
    run_cell(page, "print(kept)")
    page.get_by_role("button", name="Restart the kernel").click()
    expect(page.get_by_role("status").filter(has_text="Run all")).to_be_visible()
    run_cell(page, "print(kept)", status="error")


def test_a_question_of_the_code_is_answered_in_the_cell(page: Page, session: str) -> None:
    add_cell(page, "print('Hello', input('Who? '))")
    page.keyboard.press("Control+Enter")
    field = page.get_by_label("Who?")
    expect(field).to_be_focused()
    field.fill("Ada")
    field.press("Enter")
    ended(cells(page).first, "ok")
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("Hello Ada")


def test_each_question_of_the_code_has_an_answer_of_its_own(page: Page, session: str, api: APIRequestContext) -> None:
    wait = "    while not os.path.exists('go'): time.sleep(0.01)\n"
    add_cell(page, f"import os, time\nfor _ in range(2):\n    print('got', input('? '))\n{wait}")
    page.keyboard.press("Control+Enter")
    cell = cells(page).first
    field = cell.locator("form input")
    field.fill("one")
    field.press("Enter")
    expect(cell.locator("[data-outputs]")).to_contain_text("got one")
    expect(field).to_have_count(0)
    assert api.put(f"/api/jupyter/kernel/{session}/files/go", data=b"").ok
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    field.fill("two")
    field.press("Enter")
    ended(cell, "ok")
    expect(cell.locator("[data-outputs]")).to_contain_text("got two")


def test_a_question_that_was_answered_is_not_asked_again_by_a_reload(
    page: Page, session: str, api: APIRequestContext
) -> None:
    go = "while not os.path.exists('go'): time.sleep(0.01)"
    add_cell(page, f"import os, time\nprint('got', len(input('One? ')))\n{go}\ninput('Two? ')")
    page.keyboard.press("Control+Enter")
    page.get_by_label("One?").fill("Ada")
    page.get_by_label("One?").press("Enter")
    cell = cells(page).first
    expect(cell.locator("[data-outputs]")).to_contain_text("got 3")
    page.reload()
    expect(page.locator("[data-kernel=busy]")).to_be_visible()
    expect(cell.locator("form input")).to_have_count(0)
    assert api.put(f"/api/jupyter/kernel/{session}/files/go", data=b"").ok
    page.get_by_label("Two?").press("Enter")
    ended(cell, "ok")


def test_a_question_that_somebody_else_has_answered_is_put_away(
    page: Page, session: str, api: APIRequestContext
) -> None:
    add_cell(page, "import os, time\ninput('? ')\nwhile not os.path.exists('go'): time.sleep(0.01)")
    page.keyboard.press("Control+Enter")
    cell = cells(page).first
    field = cell.locator("form input")
    expect(field).to_be_focused()
    execution = api.get(f"/api/jupyter/kernel/{session}/notebook").json()["cells"][0]["execution_id"]
    assert api.post(f"/api/jupyter/execute/{execution}/input", data={"value": "first"}).ok
    field.fill("second")
    field.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not waiting for input")
    expect(field).to_have_count(0)
    assert api.put(f"/api/jupyter/kernel/{session}/files/go", data=b"").ok
    ended(cell, "ok")


def test_a_progress_bar_stays_one_line(page: Page, session: str) -> None:
    cell = run_cell(page, "for n in range(50):\n    print(f'\\r{n + 1} of 50', end='', flush=True)\nprint()")
    assert cell.locator("[data-outputs]").inner_text().strip() == "50 of 50"


def test_completion_comes_from_the_kernel(page: Page, session: str) -> None:
    run_cell(page, "measurements = [1, 2]")
    add_cell(page, "measure")
    page.keyboard.press("Control+Space")
    page.locator(".cm-tooltip-autocomplete").get_by_role("option", name=re.compile("measurements")).click()
    expect(cells(page).nth(1).locator(".cm-content")).to_have_text("measurements")


def test_a_text_is_typed_letter_by_letter_and_shown_as_it_will_look(page: Page, session: str) -> None:
    page.get_by_role("button", name="Text", exact=True).click()
    expect(cells(page).first.locator(".cm-content")).to_be_focused()
    page.keyboard.type("# A box of dd")  # letters that would be commands
    cells(page).first.get_by_role("button", name="Done").click()
    expect(cells(page).first.get_by_role("heading", name="A box of dd")).to_be_visible()
    cells(page).first.get_by_role("heading").dblclick()
    expect(cells(page).first.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.type(" again")
    page.keyboard.press("Shift+Enter")
    expect(cells(page).first.get_by_role("heading", name="A box of dd again")).to_be_visible()


def test_what_somebody_else_changes_meanwhile_is_merged_with_what_is_typed(
    page: Page, session: str, api: APIRequestContext
) -> None:
    cell = add_cell(page, "a = 1\nb = 2\nc = 3")
    notebook = f"/api/jupyter/kernel/{session}/notebook"
    saved(page, api, session, ["a = 1\nb = 2\nc = 3"])
    id = cell.get_attribute("data-cell")
    api.patch(f"{notebook}/cells/{id}", data={"source": "a = 100\nb = 2\nc = 3"})
    expect(cell).to_contain_text("a = 100")
    cell.locator(".cm-content").press("Control+End")
    page.keyboard.type("00")
    saved(page, api, session, ["a = 100\nb = 2\nc = 300"])


def test_new_output_stays_in_view_until_a_person_scrolls_away(page: Page, session: str) -> None:
    code = "for n in range(2):\n    input(f'{n}? ')\n    display({'text/markdown': '\\n\\n'.join(['line'] * 30)}, raw=True)"
    add_cell(page, code)
    page.keyboard.press("Control+Enter")
    seen = "([data]) => { const box = document.querySelector('[data-notebook]'); return %s }"
    below = "box.scrollHeight - box.scrollTop - box.clientHeight"
    page.get_by_label("0?").press("Enter")
    expect(page.get_by_label("1?")).to_be_in_viewport()
    page.wait_for_function(seen % f"{below} < 5", arg=[None])
    page.locator("[data-notebook]").hover()
    page.mouse.wheel(0, -600)
    page.wait_for_function(seen % f"{below} > 200", arg=[None])
    page.get_by_label("1?").evaluate("field => field.form.requestSubmit()")
    ended(cells(page).first, "ok")
    expect(cells(page).first.get_by_text("line", exact=True)).to_have_count(60)
    page.wait_for_function(seen % f"{below} > 800", arg=[None])


def test_a_long_notebook_is_there_whole_and_its_last_cell_can_be_typed_into(
    page: Page, session: str, api: APIRequestContext
) -> None:
    shown = [{"output_type": "stream", "name": "stdout", "text": "told\n"}]
    code = {"cell_type": "code", "metadata": {}, "execution_count": 1, "outputs": shown}
    many = [{**code, "source": f"n = {n}"} for n in range(200)]
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": many}
    assert api.put(f"/api/jupyter/kernel/{session}/notebook", data=notebook).ok
    page.reload()
    expect(cells(page)).to_have_count(200)
    last = cells(page).last
    expect(last).to_have_attribute("aria-label", "Cell 200, code")
    last.locator("[data-editor]").click()
    page.keyboard.press("Control+End")
    page.keyboard.type("00")
    saved(page, api, session, [*(f"n = {n}" for n in range(199)), "n = 19900"])
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    expect(cells(page)).to_have_count(201)
    expect(cells(page).last.locator(".cm-content")).to_be_focused()
