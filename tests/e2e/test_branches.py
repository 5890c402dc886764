"""Branches on the page: a conversation that goes on from a cell, an answer or a state, beside the one it comes from."""

import re
from collections.abc import Callable

from conftest import RESULTS
from person import ask, cells, choose_model, has_focus
from playwright.sync_api import APIRequestContext, Page, expect
from test_accessibility import complaints, no_complaints
from test_by_keys_and_by_finger import choose, tab_to
from test_commands import command
from test_time_travel import COMPLETE, printed, run_kept, timeline, told_to_run

BRANCH = "Branch from here"
ARRIVED = "What is done here does not change "


def here(page: Page, other: str) -> str:
    """The id of the conversation that has taken the place of the other one."""
    expect(page).not_to_have_url(re.compile(other))
    expect(page.get_by_role("main").get_by_role("status").filter(has_text=ARRIVED)).to_be_visible()
    return page.url.rpartition("/")[2]


def test_a_cell_a_message_and_its_state_go_on_in_a_branch(
    page: Page, session: str, api: APIRequestContext, picture: Callable[[str], None]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    choose_model(page, "scripted")
    told_to_run(page, "x = 'first'")
    told_to_run(page, "x = 'second'")
    first = cells(page).first
    first.hover()
    first.get_by_role("button", name="More for this cell").click()
    page.get_by_role("menuitem", name=BRANCH).click()
    made = here(page, session)
    expect(cells(page)).to_have_count(1)
    expect(page.locator("[data-turn=user]")).to_have_count(1)
    expect(page.get_by_role("heading", name=re.compile(r"\(branch\)$")).locator("visible=true")).to_be_visible()
    listed = page.get_by_role("navigation", name="Conversations").locator("[aria-current=page]")
    expect(listed).to_have_text(re.compile(r"\(branch\)$"))
    picture("branch")
    no_complaints(page)
    assert printed(api, made, "x") == "first"
    told_to_run(page, "x += ' and on'")
    assert [printed(api, one, "x") for one in (made, session)] == ["first and on", "second"]
    page.reload()
    expect(page.locator(COMPLETE)).to_have_count(2)


def test_an_answer_that_was_replaced_is_continued_or_begun_afresh(
    page: Page, session: str, api: APIRequestContext
) -> None:
    choose_model(page, "scripted")
    told_to_run(page, "x = 1")
    page.get_by_role("button", name="Answer again").click()
    expect(page.locator("[data-answers]")).to_contain_text("2 of 2")
    page.get_by_role("button", name="Earlier answer").click()
    page.locator("[data-not-standing]").get_by_role("button", name="Continue from this answer").click()
    question = page.get_by_role("dialog", name="Branch with a fresh kernel?")
    expect(question).to_contain_text("is not kept")
    assert complaints(page) == []
    question.get_by_role("button", name="Branch afresh").click()
    made = here(page, session)
    expect(cells(page)).to_have_count(1)
    banner = page.get_by_role("main").get_by_role("status").filter(has_text="The kernel is fresh")
    banner.get_by_role("button", name="Run all").click()
    expect(cells(page).first.get_by_label("Run 1", exact=True)).to_be_attached()
    expect(page.locator("[data-kernel=idle]")).to_be_visible()
    assert printed(api, made, "x") == "1"
    expect(page.locator("[data-answers]")).to_have_count(0)


def test_an_earlier_answer_whose_state_is_there_is_continued_as_it_is(
    page: Page, session: str, api: APIRequestContext
) -> None:
    choose_model(page, "scripted")
    told_to_run(page, "x = 'kept'")
    question = page.locator("[data-turn=user]")
    question.hover()
    page.get_by_role("button", name="Branch from this answer").click()
    made = here(page, session)
    assert [printed(api, one, "x") for one in (made, session)] == ["kept", "kept"]


def test_a_branch_by_keys(page: Page, session: str, api: APIRequestContext) -> None:
    run_kept(api, page, session, "x = 1", "x = 2", "x = 3")
    cells(page).nth(1).focus()
    page.keyboard.press("Shift+B")
    made = here(page, session)
    has_focus(page)
    assert printed(api, made, "x") == "2"
    page.goto(f"/c/{session}")
    expect(cells(page)).to_have_count(3)
    cells(page).first.focus()
    tab_to(page, cells(page).first.get_by_role("button", name="More for this cell"))
    page.keyboard.press("Enter")
    choose(page, BRANCH)
    assert printed(api, here(page, session), "x") == "1"
    page.goto(f"/c/{session}")
    timeline(page)
    tab_to(page, page.get_by_role("button", name="Branch from: Before cell 3"))
    page.keyboard.press("Enter")
    assert printed(api, here(page, session), "x") == "2"


def test_a_branch_on_a_phone(phone: Page) -> None:
    id = phone.request.post("/api/jupyter/kernel", data={}).json()["id"]
    for code in ("x = 'a text that is quite long for a phone'", "x = 2"):
        phone.request.post("/api/jupyter/execute", data={"kernel_id": id, "code": code, "snapshot": "always"})
    phone.goto(f"/c/{id}")
    timeline(phone)
    phone.get_by_role("button", name="Branch from: Before cell 2").tap()
    expect(phone).not_to_have_url(re.compile(id))
    phone.get_by_role("tab", name=re.compile("^Notebook")).first.tap()
    here(phone, id)
    expect(cells(phone)).to_have_count(1)
    RESULTS.mkdir(exist_ok=True)
    phone.screenshot(path=RESULTS / "branch-phone.png", animations="disabled")
    assert complaints(phone) == []
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    cells(phone).first.tap()
    cells(phone).first.get_by_role("button", name="More for this cell").tap()
    before = phone.url.rpartition("/")[2]
    phone.get_by_role("menuitem", name=BRANCH).tap()
    expect(phone).not_to_have_url(re.compile(before))


def test_a_branch_of_all_of_it_by_name(page: Page, session: str, api: APIRequestContext) -> None:
    run_kept(api, page, session, "x = 1")
    command(page, "branch this conversation")
    made = here(page, session)
    assert printed(api, made, "x") == "1"
    choose_model(page, "scripted")
    ask(page, "Say: in the branch")
    expect(page.locator(COMPLETE)).to_contain_text("in the branch")
