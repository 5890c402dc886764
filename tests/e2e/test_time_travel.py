"""Back and forth in a kernel's states: from a cell, on the timeline, after a crash, and together with the chat."""

import json
import re
from collections.abc import Callable

from conftest import RESULTS
from person import add_cell, ask, at_rest, cells, choose_model, ended, hold, painted, run_cell
from playwright.sync_api import APIRequestContext, Page, expect
from test_accessibility import complaints, no_complaints
from test_commands import command

COMPLETE = "[data-turn=assistant][data-state=complete]"
SAID = "[role=status][aria-live=polite]"
GREEDY = "held = []\nwhile True:\n    held.append(bytearray(64 << 20))"


def run_kept(api: APIRequestContext, page: Page, session: str, *codes: str, snapshot: str = "always") -> None:
    """Cells that have run, each with the state before it kept, however fast they follow each other."""
    for code in codes:
        count = cells(page).count()
        answer = api.post("/api/jupyter/execute", data={"kernel_id": session, "code": code, "snapshot": snapshot})
        assert answer.json()["status"] == "ok", answer.text()
        expect(cells(page)).to_have_count(count + 1)
        ended(cells(page).nth(count), "ok")


def printed(api: APIRequestContext, session: str, code: str) -> str:
    """What an expression is in the kernel now; looking leaves neither a cell nor a state."""
    data = {"kernel_id": session, "code": f"print({code})", "store": False, "snapshot": "never"}
    result = api.post("/api/jupyter/execute", data=data).json()
    return "".join(output.get("text", "") for output in result["outputs"]).strip()


def marked(page: Page, undone: list[bool]) -> None:
    """Waits until just these cells are marked as undone."""
    page.wait_for_function(MARKED, arg=json.dumps(undone, separators=(",", ":")))


MARKED = """undone => {
  const cells = [...document.querySelectorAll('[data-cell]')]
  return JSON.stringify(cells.map((cell) => cell.hasAttribute('data-undone'))) === undone
}"""


def go_back(page: Page, at: int) -> None:
    cell = cells(page).nth(at)
    cell.hover()
    cell.get_by_role("button", name="More for this cell").click()
    page.get_by_role("menuitem", name="Back to before this cell").click()


def timeline(page: Page) -> None:
    page.get_by_role("tab", name="Timeline").locator("visible=true").click()


def test_a_cell_is_taken_back_and_had_again(
    page: Page, session: str, api: APIRequestContext, picture: Callable[[str], None]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    run_kept(api, page, session, "x = 1\nprint('one')", "x = 2\nx", "x = 3\nprint('three')")
    go_back(page, 1)
    expect(page.locator("[data-undone]")).to_have_count(2)
    marked(page, [False, True, True])
    expect(page.locator(SAID)).to_contain_text("2 cells are undone.")
    redo = page.get_by_role("button", name="Redo", exact=True)
    expect(redo).to_have_count(1)
    picture("undone")
    no_complaints(page)
    cells(page).nth(1).get_by_role("button", name="Redo", exact=True).click()
    expect(page.locator(SAID)).to_contain_text("One cell stands again.")
    marked(page, [False, False, True])
    assert printed(api, session, "x") == "2"
    page.reload()
    expect(page.locator("[data-undone]")).to_have_count(1)
    expect(page.get_by_text("Undone: the kernel does not stand on it.")).to_be_visible()
    expect(redo).to_have_count(0)  # something has run since: what is undone cannot be had again


def test_what_lies_over_the_frame_of_an_undone_cell_is_clicked_and_not_the_frame(
    page: Page, session: str, api: APIRequestContext
) -> None:
    table, long = "import pandas as pd\npd.DataFrame({'n': range(40)})", "for n in range(80): print(n)"
    run_kept(api, page, session, "x = 1", table, long)
    go_back(page, 1)
    frame = cells(page).nth(1).locator("iframe")
    expect(frame).to_have_count(1)
    frame.scroll_into_view_if_needed()
    at_rest(page)
    frame.evaluate(
        """frame => {
            let pane = frame.parentElement
            while (!/auto|scroll/.test(getComputedStyle(pane).overflowY)) pane = pane.parentElement
            pane.scrollTop += frame.getBoundingClientRect().top + 60
        }"""
    )
    assert frame.evaluate("frame => frame.getBoundingClientRect().top") < 0
    timeline(page)
    expect(page.get_by_role("tab", name="Timeline").locator("visible=true")).to_have_attribute("aria-selected", "true")


def test_a_look_at_the_states_that_comes_late_is_not_taken_for_the_latest(
    page: Page, session: str, api: APIRequestContext
) -> None:
    run_kept(api, page, session, "x = 1", "x = 2")
    before = api.get(f"/api/jupyter/kernel/{session}/snapshots").json()
    looked = hold(page, "**/snapshots")
    go_back(page, 1)
    late = looked()
    redo = page.get_by_role("button", name="Redo", exact=True)
    expect(redo).to_have_count(1)
    with page.expect_response("**/snapshots"):
        late.fulfill(json=before)
    painted(page)
    expect(redo).to_have_count(1)


def test_undo_and_redo_by_keys_and_by_name(page: Page, session: str, api: APIRequestContext) -> None:
    run_kept(api, page, session, "x = 1", "x = 2")
    cells(page).nth(1).focus()
    page.keyboard.press("u")
    expect(cells(page).nth(1)).to_have_attribute("data-undone", "")
    expect(cells(page).nth(1)).to_be_focused()
    expect(cells(page).nth(1)).to_have_accessible_name("Cell 2, code, undone")
    page.keyboard.press("Shift+U")
    expect(page.locator("[data-undone]")).to_have_count(0)
    command(page, "back to before")
    expect(cells(page).nth(1)).to_have_attribute("data-undone", "")
    assert printed(api, session, "x") == "1"


def test_a_kernel_that_goes_to_sleep_takes_its_states_along_and_what_stood_is_brought_back(
    page: Page, session: str, api: APIRequestContext
) -> None:
    run_kept(api, page, session, "x = 1", "x = 2", "y = 3")
    go_back(page, 1)
    redo = page.get_by_role("button", name="Redo", exact=True)
    expect(redo).to_have_count(1)
    assert api.post(f"/api/jupyter/kernel/{session}/release").ok
    banner = page.get_by_role("main").get_by_role("status").filter(has_text="The states to go back to are gone too.")
    expect(banner).to_contain_text("The kernel is gone because")
    expect(redo).to_have_count(0)  # there is nothing it could lead to
    banner.get_by_role("button", name="Run all").click()
    expect(cells(page).first.get_by_label("Run 1", exact=True)).to_be_attached()
    expect(page.locator("[data-kernel=idle]")).to_be_visible()
    assert printed(api, session, "x, globals().get('y')") == "1 None"
    marked(page, [False, True, True])


def test_a_state_that_is_not_kept_is_said(page: Page, session: str, api: APIRequestContext) -> None:
    answer = api.post("/api/jupyter/execute", data={"kernel_id": session, "code": "x = 1", "snapshot": "never"})
    assert answer.ok
    expect(cells(page)).to_have_count(1)
    ended(cells(page).first, "ok")
    go_back(page, 0)
    expect(page.get_by_role("alert")).to_have_text("The state before it is not kept.")
    marked(page, [False])


def test_a_cell_that_runs_out_of_memory_leaves_everything_before_it(
    page: Page, session: str, api: APIRequestContext, picture: Callable[[str], None]
) -> None:
    run_kept(
        api, page, session, "x = 'still here'", snapshot="never"
    )  # then the next one is kept, however soon it comes
    run_cell(page, GREEDY, status="out_of_memory")
    banner = page.get_by_role("status").filter(has_text="ran out of memory; everything before it is still there.")
    expect(banner).to_be_visible()
    expect(banner.get_by_role("button", name="Run all")).to_have_count(0)
    picture("came-back")
    marked(page, [False, True])
    assert printed(api, session, "x") == "still here"
    assert complaints(page) == []
    banner.get_by_role("button", name="Dismiss").click()
    expect(banner).to_have_count(0)


def test_the_timeline_shows_states_with_their_memory_and_leads_to_each(
    page: Page, session: str, api: APIRequestContext, picture: Callable[[str], None]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    run_kept(api, page, session, "x = 1", "held = bytearray(b'1') * (8 << 20)", "held = x = 3", "x = 4")
    timeline(page)
    states = page.locator("[data-state=standing]")
    expect(states).to_have_count(4)
    expect(page.locator("[data-now]")).to_have_text("The kernel stands here")
    expect(states.nth(2).locator("[data-size]")).to_have_text(re.compile(r"MiB$"))
    states.nth(2).get_by_role("button", name=re.compile("^Before cell 3")).focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-states] [data-state=undone]")).to_have_count(2)
    picture("timeline")
    no_complaints(page)
    page.get_by_role("button", name=re.compile("^After the last cell")).click()
    expect(page.locator("[data-states] [data-state=undone]")).to_have_count(0)
    assert printed(api, session, "x") == "4"
    page.get_by_role("tab", name="Notebook").locator("visible=true").click()
    marked(page, [False] * 4)


def test_the_timeline_on_a_phone(phone: Page) -> None:
    RESULTS.mkdir(exist_ok=True)
    id = phone.request.post("/api/jupyter/kernel", data={}).json()["id"]
    for code in ("a_name_that_is_quite_long_for_a_phone = [n for n in range(100_000)]", "y = 2"):
        phone.request.post("/api/jupyter/execute", data={"kernel_id": id, "code": code, "snapshot": "always"})
    phone.goto(f"/c/{id}")
    timeline(phone)
    expect(phone.locator("[data-state=standing]")).to_have_count(2)
    phone.get_by_role("button", name=re.compile("^Before cell 2")).tap()
    expect(phone.locator("[data-state=undone]")).to_have_count(1)
    phone.screenshot(path=RESULTS / "timeline-phone.png", animations="disabled")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints(phone) == []


# --- with the chat ---------------------------------------------------------------------------------------------------


def told_to_run(page: Page, code: str) -> None:
    count = page.locator(COMPLETE).count()
    ask(page, f"Please run this:\n```python\n{code}\n```")
    expect(page.locator(COMPLETE)).to_have_count(count + 1)


def test_a_question_in_other_words_finds_variables_as_they_were(
    page: Page, session: str, api: APIRequestContext
) -> None:
    choose_model(page, "scripted")
    told_to_run(page, "x = 'first'")
    told_to_run(page, "x = 'second'")
    question = page.locator("[data-turn=user]").nth(1)
    question.hover()
    question.get_by_role("button", name="Edit the question").click()
    page.get_by_role("textbox", name="The question in other words").fill("```python\nprint('now', x)\n```")
    page.keyboard.press("Enter")
    expect(page.locator("[data-kernel-note]")).to_have_text("The kernel is back where it stood before this question.")
    ended(cells(page).nth(2), "ok")
    expect(cells(page).nth(2)).to_contain_text("now first")
    marked(page, [False, True, False])
    page.reload()
    expect(page.locator("[data-kernel-note]")).to_have_text("The kernel is back where it stood before this question.")


def test_an_earlier_answer_that_is_shown_says_that_the_kernel_does_not_stand_on_it(
    page: Page, session: str, api: APIRequestContext
) -> None:
    choose_model(page, "scripted")
    told_to_run(page, "x = 1")
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator("[data-answers]")).to_contain_text("2 of 2")
    expect(page.locator("[data-not-standing]")).to_have_count(0)
    page.get_by_role("button", name="Earlier answer").click()
    expect(page.locator("[data-not-standing]")).to_have_text(re.compile("the kernel does not stand on it"))


def test_a_model_takes_a_cell_back(
    page: Page, session: str, api: APIRequestContext, picture: Callable[[str], None]
) -> None:
    choose_model(page, "scripted")
    told_to_run(page, "x = 'kept'")
    told_to_run(page, "x = 'spoilt'")
    ask(page, "Undo before 2")
    expect(page.locator(COMPLETE)).to_have_count(3)
    expect(page.locator("[data-undo=ok]")).to_have_text("Undid [2]")
    marked(page, [False, True])
    assert printed(api, session, "x") == "kept"
    picture("model-undo")
    page.reload()
    expect(page.locator("[data-undo=ok]")).to_have_text("Undid [2]")


def test_a_cell_that_is_undone_runs_again_as_any_other(page: Page, session: str, api: APIRequestContext) -> None:
    run_kept(api, page, session, "x = 1", "x += 1")
    go_back(page, 1)
    expect(page.locator("[data-undone]")).to_have_count(1)
    cells(page).nth(1).focus()
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-undone]")).to_have_count(0)
    ended(cells(page).nth(1), "ok")
    assert printed(api, session, "x") == "2"
    expect(add_cell(page, "")).to_be_visible()
