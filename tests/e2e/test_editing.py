"""A notebook is edited as people know it from Jupyter, by keys and by menus, and every change can be taken back."""

import re

import pytest
from person import (
    add_cell,
    cells,
    choose_model,
    ended,
    has_focus,
    hold,
    painted,
    rapidly,
    run_cell,
    saved,
    selected,
    twice,
    write,
)
from playwright.sync_api import APIRequestContext, Locator, Page, expect

COMPLETE = "[data-turn=assistant][data-state=complete]"


def three(page: Page) -> None:
    for source in ("one = 1", "two = 2", "three = 3"):
        add_cell(page, source)


def more(cell: Locator, name: str) -> None:
    """Chooses from the menu at the cell's corner."""
    cell.hover()
    cell.get_by_role("button", name="More for this cell").click()
    cell.page.get_by_role("menuitem", name=name).click()


def menu(page: Page, name: str) -> None:
    page.get_by_role("button", name="Download and more").click()
    page.get_by_role("menuitem", name=name).click()


def test_a_cell_is_run_with_a_new_one_below_by_alt_enter(page: Page, session: str) -> None:
    cell = add_cell(page, "print(6 * 7)")
    add_cell(page, "last = 1")
    cell.locator(".cm-content").click()
    page.keyboard.press("Alt+Enter")
    ended(cell, "ok")
    expect(cells(page)).to_have_count(3)
    expect(cells(page).nth(1).locator(".cm-content")).to_be_focused()
    page.keyboard.type("between = 2")
    expect(cells(page).nth(2)).to_contain_text("last = 1")


def test_a_cell_is_duplicated_copied_and_pasted(page: Page, session: str, api: APIRequestContext) -> None:
    three(page)
    more(cells(page).nth(1), "Duplicate")
    expect(cells(page)).to_have_count(4)
    expect(cells(page).nth(2)).to_contain_text("two = 2")
    expect(cells(page).nth(2)).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("x")
    expect(cells(page)).to_have_count(3)
    cells(page).first.focus()
    page.keyboard.press("v")
    expect(cells(page)).to_have_count(4)
    saved(page, api, session, ["one = 1", "three = 3", "two = 2", "two = 2"])


def test_moved_by_keys_the_cell_keeps_the_focus(page: Page, session: str, api: APIRequestContext) -> None:
    three(page)
    cells(page).nth(2).focus()
    page.keyboard.press("Control+Shift+ArrowUp")
    page.keyboard.press("Control+Shift+ArrowUp")
    expect(cells(page).first).to_contain_text("three = 3")
    expect(cells(page).first).to_be_focused()
    saved(page, api, session, ["three = 3", "one = 1", "two = 2"])


def test_what_was_drawn_is_there_when_its_cell_has_moved(page: Page, session: str) -> None:
    names = ["one", "two", "three"]
    drawn = page.locator("[data-outputs] iframe")
    for name in names:
        cell = run_cell(page, f"from IPython.display import HTML\nHTML('<b>{name}</b>')")
        expect(cell.frame_locator("iframe").get_by_text(name)).to_be_visible()
    for at, step in ((2, -1), (0, 1), (1, 1), (2, -1)):
        cells(page).nth(at).focus()
        page.keyboard.press("Control+Shift+ArrowUp" if step < 0 else "Control+Shift+ArrowDown")
        names[at], names[at + step] = names[at + step], names[at]
        for n, name in enumerate(names):
            expect(drawn.nth(n).content_frame.get_by_text(name)).to_be_visible()


def test_no_key_is_lost_on_a_cell_that_changes(page: Page, session: str, api: APIRequestContext) -> None:
    """Keys follow each other without a moment between them, and none of them is waited for."""
    three(page)
    cells(page).nth(1).focus()
    rapidly(page, "m", "d", "d")
    expect(cells(page)).to_have_count(2)
    expect(cells(page).nth(1)).to_contain_text("three = 3")
    rapidly(page, "m", "y", "a", "Escape", "o", "b")
    page.keyboard.type("four = 4")
    saved(page, api, session, ["one = 1", "", "four = 4", "three = 3"])
    page.keyboard.press("Escape")
    rapidly(page, "v", "ArrowUp", "d", "d")  # nothing was copied
    saved(page, api, session, ["one = 1", "four = 4", "three = 3"])


def test_what_is_typed_while_the_server_is_told_of_other_text_stays(
    page: Page, session: str, api: APIRequestContext
) -> None:
    cell = add_cell(page, "old = 1")
    saved(page, api, session, ["old = 1"])
    sent = hold(page, "**/notebook/cells/*")
    cell.locator(".cm-content").fill("new = 2")
    edit = sent()
    cell.locator(".cm-content").fill("old = 1")  # as it was before, and the server is about to say otherwise
    with page.expect_response("**/notebook/cells/*"):
        edit.continue_()
    saved(page, api, session, ["old = 1"])
    expect(cell.locator(".cm-content")).to_have_text("old = 1")


@pytest.mark.parametrize("way", ["reload", "another conversation"])
def test_what_waits_to_be_sent_is_not_lost_with_the_page(
    page: Page, session: str, api: APIRequestContext, way: str
) -> None:
    three(page)
    saved(page, api, session, ["one = 1", "two = 2", "three = 3"])
    sent = hold(page, "**/move")
    cells(page).nth(2).focus()
    page.keyboard.press("Control+Shift+ArrowUp")
    move = sent()
    move.fetch()  # the server has it, and the page waits for the answer
    page.keyboard.press("Control+Shift+ArrowUp")
    cells(page).nth(1).focus()
    rapidly(page, "d", "d")
    expect(cells(page)).to_have_count(2)
    page.keyboard.press("m")
    page.keyboard.press("b")
    expect(cells(page).nth(2).locator(".cm-content")).to_be_focused()
    page.keyboard.type("four = 4")
    if way == "reload":
        page.reload()
        expect(cells(page).nth(1)).to_have_attribute("aria-label", re.compile("text"))
    else:
        page.get_by_role("button", name="New conversation", exact=True).click()
        move.continue_()
    saved(page, api, session, ["three = 3", "two = 2", "four = 4"])


def test_what_was_just_typed_comes_back_with_its_cell(page: Page, session: str, api: APIRequestContext) -> None:
    add_cell(page, "kept = 1")
    page.keyboard.press("Escape")
    rapidly(page, "d", "d", "z")
    expect(cells(page).first).to_contain_text("kept = 1")
    saved(page, api, session, ["kept = 1"])


def test_who_has_gone_on_while_a_cell_comes_back_keeps_the_focus(page: Page, session: str) -> None:
    for code in ("1", "2"):
        add_cell(page, code)
    cells(page).first.focus()
    rapidly(page, "d", "d")
    expect(cells(page)).to_have_count(1)
    expect(cells(page).first).to_be_focused()
    sent = hold(page, "**/restore")
    page.keyboard.press("z")
    restore = sent()
    page.get_by_role("textbox", name="Your question").click()
    with page.expect_response("**/restore"):
        restore.continue_()
    expect(cells(page)).to_have_count(2)
    painted(page)
    expect(page.get_by_role("textbox", name="Your question")).to_be_focused()


def test_a_deleted_cell_comes_back_where_it_was_with_its_outputs(
    page: Page, session: str, api: APIRequestContext
) -> None:
    run_cell(page, "print('kept', 6 * 7)")
    add_cell(page, "after = 1")
    cells(page).first.hover()
    cells(page).first.get_by_role("button", name="Delete cell").click()
    expect(cells(page)).to_have_count(1)
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(cells(page)).to_have_count(2)
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("kept 42")
    page.reload()
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("kept 42")
    saved(page, api, session, ["print('kept', 6 * 7)", "after = 1"])


def test_a_cell_that_is_deleted_while_it_runs_comes_back_and_goes_on(page: Page, session: str) -> None:
    add_cell(page, "print('before')\nprint('told', input('? '))")
    page.keyboard.press("Control+Enter")
    cell = cells(page).first
    expect(cell.locator("form input")).to_be_focused()
    cell.get_by_role("button", name="Delete cell").click()
    expect(cells(page)).to_have_count(0)
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(cell.locator("[data-outputs]")).to_contain_text("before")
    cell.locator("form input").fill("something")
    cell.locator("form input").press("Enter")
    ended(cell, "ok")
    for _ in range(2):
        expect(cell.locator("[data-outputs]")).to_contain_text("told something")
        page.reload()


def test_what_was_done_to_a_cell_that_somebody_has_deleted_is_not_taken_back(
    page: Page, session: str, api: APIRequestContext
) -> None:
    three(page)
    cells(page).nth(1).focus()
    page.keyboard.press("m")
    saved(page, api, session, ["one = 1", "two = 2", "three = 3"])
    gone = cells(page).nth(1).get_attribute("data-cell")
    assert api.delete(f"/api/jupyter/kernel/{session}/notebook/cells/{gone}").ok
    expect(cells(page)).to_have_count(2)
    cells(page).first.focus()
    page.keyboard.press("z")
    expect(page.get_by_role("alert")).to_have_text("That cell is no longer in the notebook.")
    page.keyboard.press("z")
    saved(page, api, session, ["one = 1"])  # the last one was added last, and goes first


def test_what_runs_in_a_cell_that_is_made_a_text_shows_nothing_in_it(
    page: Page, session: str, api: APIRequestContext
) -> None:
    cell = add_cell(page, "import os\nprint('early', flush=True)\nwhile not os.path.exists('go'): pass\nprint('late')")
    page.keyboard.press("Control+Enter")
    expect(cell.locator("[data-outputs]")).to_contain_text("early")
    cell.focus()
    rapidly(page, "m", "y")
    expect(cell).to_have_accessible_name("Cell 1, code")
    assert api.put(f"/api/jupyter/kernel/{session}/files/go", data=b"").ok
    ended(run_cell(page, "print('next')"), "ok")  # what ran before it has ended, and the page has heard so
    for _ in range(2):
        expect(cell).to_have_attribute("data-status", "")
        expect(cell.get_by_label("Not run")).to_have_count(1)
        expect(cell.locator("[data-outputs]")).to_have_count(0)
        page.reload()


def test_changes_of_cells_are_taken_back_and_done_again_by_keys_and_by_menu(
    page: Page, session: str, api: APIRequestContext
) -> None:
    three(page)
    cells(page).nth(1).focus()
    page.keyboard.press("m")
    expect(cells(page).nth(1)).to_have_attribute("aria-label", re.compile("text"))
    cells(page).nth(1).focus()
    twice(page, "d")
    saved(page, api, session, ["one = 1", "three = 3"])
    expect(cells(page).nth(1)).to_be_focused()
    page.keyboard.press("z")
    saved(page, api, session, ["one = 1", "two = 2", "three = 3"])
    expect(cells(page).nth(1)).to_be_focused()
    page.keyboard.press("z")
    expect(cells(page).nth(1)).to_have_attribute("aria-label", re.compile("code"))
    menu(page, "Redo a change of cells")
    menu(page, "Redo a change of cells")
    saved(page, api, session, ["one = 1", "three = 3"])
    menu(page, "Undo a change of cells")
    saved(page, api, session, ["one = 1", "two = 2", "three = 3"])


def test_what_is_above_runs_and_what_is_below(page: Page, session: str) -> None:
    for source in ("a = 1", "b = a + 1", "print(a + b)"):
        add_cell(page, source)
    more(cells(page).nth(2), "Run all above")
    ended(cells(page).nth(1), "ok")
    expect(page.locator("[data-kernel=idle]")).to_be_visible()
    expect(cells(page).nth(2)).to_have_attribute("data-status", "")
    more(cells(page).nth(1), "Run this and all below")
    ended(cells(page).nth(2), "ok")
    expect(cells(page).nth(0).get_by_label("Run 1")).to_be_attached()
    expect(cells(page).nth(2).get_by_label("Run 4")).to_be_attached()


def test_restart_and_run_all_begins_anew(page: Page, session: str) -> None:
    run_cell(page, "n = globals().get('n', 0) + 1\nprint('run', n)")
    cells(page).first.focus()
    page.keyboard.press("Control+Enter")
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("run 2")
    menu(page, "Restart and run all")
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("run 1")


# Events are taken up with the next frame; here not before they are let go.
HELD = """() => {
  const [draw, held] = [window.requestAnimationFrame, []]
  window.requestAnimationFrame = (act) => held.push(act)
  window.letGo = () => {
    window.requestAnimationFrame = draw
    for (const act of held) draw(act)
  }
}"""


def test_restart_and_run_all_begins_anew_also_while_a_cell_runs(
    page: Page, session: str, api: APIRequestContext
) -> None:
    add_cell(page, "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)")
    add_cell(page, "print('all of it')")
    cells(page).first.focus()
    page.keyboard.press("Control+Enter")
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("begun")
    page.get_by_role("button", name="Download and more").click()
    page.evaluate(HELD)
    with page.expect_response("**/restart"):
        page.get_by_role("menuitem", name="Restart and run all").click(force=True)
    assert api.put(f"/api/jupyter/kernel/{session}/files/go", data=b"").ok
    page.evaluate("letGo()")
    ended(cells(page).nth(1), "ok")
    ended(cells(page).first, "ok")


def test_run_all_goes_on_when_somebody_runs_one_of_the_cells_again(
    page: Page, session: str, api: APIRequestContext
) -> None:
    code = "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)"
    add_cell(page, code)
    add_cell(page, "print('all of it')")
    page.get_by_role("button", name="Run all").click()
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("begun")
    page.evaluate(HELD)
    assert api.put(f"/api/jupyter/kernel/{session}/files/go", data=b"").ok
    cell = api.get(f"/api/jupyter/kernel/{session}/notebook").json()["cells"][0]["id"]
    again = {"kernel_id": session, "cell_id": cell, "code": code}
    assert api.post("/api/jupyter/execute", data=again).json()["status"] == "ok"
    page.evaluate("letGo()")
    ended(cells(page).nth(1), "ok")


def test_after_lost_state_all_above_is_offered(page: Page, session: str, api: APIRequestContext) -> None:
    run_cell(page, "base = 40")
    add_cell(page, "print(base + 2)")
    page.keyboard.press("Control+Enter")
    ended(cells(page).nth(1), "ok")
    api.post(f"/api/jupyter/kernel/{session}/release")
    cells(page).nth(1).focus()
    page.keyboard.press("Control+Enter")
    ended(cells(page).nth(1), "error")
    told = page.get_by_role("status").filter(has_text="variables of before are lost")
    told.get_by_role("button", name="Run all above").click()
    expect(cells(page).first.get_by_label("Run 2")).to_be_attached()
    cells(page).nth(1).focus()
    page.keyboard.press("Control+Enter")
    expect(cells(page).nth(1).locator("[data-outputs]")).to_contain_text("42")


def test_shift_tab_asks_the_kernel_about_a_name_and_still_unindents(page: Page, session: str) -> None:
    run_cell(page, "def area(width, height):\n    'The area of a rectangle.'\n    return width * height")
    cell = add_cell(page, "area")
    page.keyboard.press("Shift+Tab")
    told = page.get_by_role("tooltip")
    expect(told).to_contain_text("The area of a rectangle.")
    page.keyboard.press("Escape")
    expect(told).to_have_count(0)
    expect(cell.locator(".cm-content")).to_be_focused()
    write(cell, "    x = 1")
    page.keyboard.press("Home")
    page.keyboard.press("Shift+Tab")
    expect(cell.locator(".cm-line")).to_have_text("x = 1")


def test_hidden_outputs_stay_hidden_until_they_are_shown(page: Page, session: str) -> None:
    cell = run_cell(page, "print('a long story')")
    cell.focus()
    page.keyboard.press("o")
    expect(cell.locator("[data-outputs]")).to_have_count(0)
    page.reload()
    expect(cell.get_by_role("button", name="1 output hidden")).to_be_visible()
    expect(cell.locator("[data-outputs]")).to_have_count(0)
    cell.get_by_role("button", name="1 output hidden").click()
    expect(cell.locator("[data-outputs]")).to_contain_text("a long story")


def test_output_that_was_cut_is_shown_whole_also_after_a_reload(page: Page, session: str) -> None:
    cell = run_cell(page, "for n in range(200_000): print('line', n)")
    assert "line 100000\n" not in cell.locator("[data-outputs]").inner_text()
    page.reload()
    cell.get_by_role("button", name="Show the whole output").click()
    whole = page.locator("[data-long-text]")
    expect(whole).to_contain_text("line 3000")
    whole.get_by_role("button", name="Show more").click()
    expect(whole).to_contain_text("line 6000")
    page.keyboard.press("Escape")
    expect(whole).to_have_count(0)


def test_time_and_files_of_a_run_are_there_after_a_reload(page: Page, session: str) -> None:
    cell = run_cell(page, "open('made.txt', 'w').write('x')")
    expect(cell.get_by_role("link", name="made.txt")).to_be_visible()
    page.reload()
    expect(cell.get_by_role("link", name="made.txt")).to_be_visible()
    expect(cell.get_by_text(re.compile(r"^\d+ ms$|^\d+\.\d s$"))).to_be_visible()


def test_a_frame_of_a_traceback_leads_to_its_line(page: Page, session: str) -> None:
    run_cell(page, "def divide(a, b):\n    c = 1\n    return a / b")
    failed = run_cell(page, "x = 1\ndivide(x, 0)", status="error")
    frames = failed.get_by_role("group", name="Error: ZeroDivisionError").get_by_role("button", name="Cell In")
    expect(frames).to_have_count(2)
    frames.nth(1).click()
    expect(cells(page).first.locator(".cm-content")).to_be_focused()
    selected(page, "return a / b")


def test_the_model_is_asked_to_explain_a_cell(page: Page, session: str) -> None:
    choose_model(page, "scripted")
    cell = run_cell(page, "x = 1")
    more(cell, "Explain this cell")
    expect(page.locator("[data-turn=user]")).to_contain_text("Explain cell 1")
    expect(page.locator(COMPLETE)).to_be_visible()


def fixed(page: Page) -> Locator:
    """A cell of a person, and what the model proposes for it."""
    choose_model(page, "scripted")
    failed = run_cell(page, "a = 'mine'\nprint(1 / 0)\nb = 'too'", status="error")
    failed.get_by_role("button", name="Fix with AI").click()
    expect(page.locator("[data-turn=user]")).to_contain_text(
        "Fix cell 1. It ends with ZeroDivisionError: division by zero"
    )
    expect(page.locator(COMPLETE)).to_be_visible()
    expect(failed.get_by_role("group", name="Proposed change")).to_be_visible()
    return failed


def test_a_change_of_a_persons_cell_is_seen_and_accepted(page: Page, session: str, api: APIRequestContext) -> None:
    mine = fixed(page)
    lines = mine.locator("[data-diff]")
    assert [line.get_attribute("data-diff") for line in lines.all()] == ["same", "old", "new", "same"]
    expect(lines.nth(1)).to_contain_text("print(1 / 0)")
    expect(lines.nth(2)).to_contain_text("print(1 / 1)")
    page.reload()
    mine.get_by_role("button", name="Accept and run").click()
    ended(mine, "ok")
    expect(mine.locator("[data-outputs]")).to_contain_text("1.0")
    expect(mine.locator("[data-proposed]")).to_have_count(0)
    saved(page, api, session, ["a = 'mine'\nprint(1 / 1)\nb = 'too'"])


def test_a_change_that_is_rejected_leaves_the_cell_as_it_was(page: Page, session: str, api: APIRequestContext) -> None:
    mine = fixed(page)
    mine.get_by_role("button", name="Reject").click()
    expect(mine.locator("[data-proposed]")).to_have_count(0)
    expect(mine).to_be_focused()
    saved(page, api, session, ["a = 'mine'\nprint(1 / 0)\nb = 'too'"])


def test_the_analyst_says_that_it_cannot_read_code(page: Page, session: str) -> None:
    failed = run_cell(page, "1 / 0", status="error")
    expect(failed.get_by_role("button", name="Fix with AI")).to_have_count(0)
    more(failed, "Fix with AI")
    expect(page.get_by_role("alert")).to_contain_text("Choose a language model")


def test_cells_are_changed_by_a_finger(phone: Page) -> None:
    made = phone.request.post("/api/jupyter/kernel", data={}).json()["id"]
    phone.goto(f"/c/{made}")
    phone.get_by_role("tab", name=re.compile("^Notebook")).first.tap()
    cell = add_cell(phone, "print('twice')")
    cell.get_by_role("button", name="More for this cell").tap()
    phone.get_by_role("menuitem", name="Duplicate").tap()
    expect(cells(phone)).to_have_count(2)
    cells(phone).nth(1).get_by_role("button", name="Delete cell").tap()
    phone.get_by_role("button", name="Undo", exact=True).tap()
    expect(cells(phone)).to_have_count(2)
    cells(phone).nth(1).get_by_role("button", name="Run cell").first.tap()
    ended(cells(phone).nth(1), "ok")
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_who_types_into_a_cell_that_goes_away_gives_no_commands(
    page: Page, session: str, api: APIRequestContext
) -> None:
    for code in ("first", "second", "third"):
        add_cell(page, code)
    saved(page, api, session, ["first", "second", "third"])
    cells(page).nth(1).locator(".cm-content").click()
    gone = cells(page).nth(1).get_attribute("data-cell")
    book = f"/api/jupyter/kernel/{session}/notebook"
    revision = api.get(book).json()["revision"]
    assert api.delete(f"{book}/cells/{gone}", headers={"If-Match": f'"{revision}"'}).ok
    expect(cells(page)).to_have_count(2)
    has_focus(page)
    rapidly(page, "d", "d", "Enter", "b", "x", "M")
    page.keyboard.press("ArrowUp")
    expect(cells(page).first).to_be_focused()
    twice(page, "d")
    expect(cells(page)).to_have_count(1)
    expect(cells(page).first).to_contain_text("third")
    expect(cells(page).first.locator(".cm-content")).to_be_visible()


def test_an_answer_that_comes_too_late_gives_no_commands(page: Page, session: str, api: APIRequestContext) -> None:
    add_cell(page, "input('? ')")
    page.keyboard.press("Control+Enter")
    expect(cells(page).first.locator("form input")).to_be_focused()
    assert api.post(f"/api/jupyter/kernel/{session}/interrupt").ok
    ended(cells(page).first, "interrupted")
    has_focus(page)
    rapidly(page, "d", "d", "b")
    page.keyboard.press("Escape")
    page.keyboard.press("b")
    expect(cells(page)).to_have_count(2)


FRAMES = """() => new Promise((done) => {
  const next = (left) => left ? requestAnimationFrame(() => next(left - 1)) : done()
  next(90)
})"""


@pytest.mark.parametrize("gone_on", [False, True], ids=["waiting", "gone on"])
def test_a_new_cell_has_the_focus_also_when_its_editor_is_long_in_coming(
    page: Page, api: APIRequestContext, gone_on: bool
) -> None:
    id = api.post("/api/jupyter/kernel", data={}).json()["id"]
    code = hold(page, re.compile(r"/assets/editor-[^/]*\.js"))
    page.goto(f"/c/{id}", wait_until="domcontentloaded")
    page.get_by_role("button", name="Code", exact=True).click()
    expect(cells(page)).to_have_count(1)
    question = page.get_by_role("textbox", name="Your question")
    if gone_on:
        question.click()
    page.evaluate(FRAMES)
    code().continue_()
    content = cells(page).first.locator(".cm-content")
    expect(content).to_be_visible()
    expect(question if gone_on else content).to_be_focused()


def test_letters_are_commands_again_for_who_has_left_an_editor(page: Page, session: str) -> None:
    page.get_by_role("button", name="Text", exact=True).click()
    expect(cells(page).first.locator(".cm-content")).to_be_focused()
    page.keyboard.insert_text("# A title")
    page.keyboard.press("Alt+Enter")  # the editor goes, and another one comes
    expect(cells(page).nth(1).locator(".cm-content")).to_be_focused()
    page.keyboard.press("Escape")
    twice(page, "d")
    expect(cells(page)).to_have_count(1)
    expect(cells(page).first).to_be_focused()
    page.keyboard.press("Enter")
    expect(cells(page).first.locator(".cm-content")).to_be_focused()
