"""A conversation as people use one: questions asked again in other words, answers made again, copied, found, followed up."""

import re
from typing import Any

import pytest
import scripted_model
from conftest import ANALYST
from person import SALES, ask, cells, choose_model, drop, ended, hold, run_cell
from playwright.sync_api import Browser, Page, expect
from test_accessibility import complaints
from wire import wired

COMPLETE = "[data-turn=assistant][data-state=complete]"
QUESTIONS = "[data-turn=user]"


def scripted(page: Page, *questions: str) -> None:
    page.goto("/")
    choose_model(page, "scripted")
    for n, question in enumerate(questions, 1):
        ask(page, question)
        expect(page.locator(COMPLETE)).to_have_count(n)


def test_a_question_is_asked_again_in_other_words_and_what_followed_is_replaced(page: Page) -> None:
    scripted(page, "Say: first", "Say: second", "Say: third")
    second = page.locator(QUESTIONS).nth(1)
    second.hover()
    second.get_by_role("button", name="Edit the question").click()
    box = page.get_by_role("textbox", name="The question in other words")
    expect(box).to_be_focused()
    expect(page.get_by_text("All that follows this question is replaced.")).to_be_visible()
    box.fill("Say: instead")
    page.keyboard.press("Enter")
    expect(page.locator(COMPLETE).nth(1)).to_contain_text("instead (1)")
    expect(page.locator(QUESTIONS)).to_have_count(2)
    page.reload()
    expect(page.locator(QUESTIONS)).to_have_count(2)
    expect(page.locator(QUESTIONS).nth(1)).to_contain_text("Say: instead")
    expect(page.locator(COMPLETE).first).to_contain_text("first (1)")


def test_code_between_fences_is_a_block_in_a_question_and_all_else_is_as_it_was_typed(page: Page) -> None:
    scripted(page, "Say: why **not**\n```python\n<b>x</b> = 1\n```\nand\n  more?")
    for _ in range(2):
        question = page.locator(QUESTIONS)
        expect(question.locator("pre")).to_have_text("<b>x</b> = 1")
        expect(question.locator("p")).to_have_text(["Say: why **not**", "and\n  more?"])
        expect(question).not_to_contain_text("```")
        page.reload()


def test_an_edit_is_given_up_with_escape(page: Page) -> None:
    scripted(page, "Say: as it was")
    question = page.locator(QUESTIONS)
    question.hover()
    question.get_by_role("button", name="Edit the question").click()
    expect(page.get_by_role("textbox", name="The question in other words")).to_be_focused()
    page.keyboard.type(" and more")
    page.keyboard.press("Escape")
    expect(question).to_have_text("Say: as it was")


def test_an_answer_is_made_again(page: Page) -> None:
    scripted(page, "Say: once more")
    answer = page.locator(COMPLETE)
    expect(answer).to_contain_text("once more (1)")
    answer.get_by_role("button", name="Answer again").click()
    expect(answer).to_contain_text("once more (2)")
    page.reload()
    expect(answer).to_contain_text("once more (2)")
    expect(page.locator(QUESTIONS)).to_have_count(1)
    answer.get_by_role("button", name="Answer again").click()
    expect(answer).to_contain_text("once more (3)")


def test_earlier_answers_are_paged_through_and_the_one_shown_is_kept(page: Page) -> None:
    scripted(page, "Say: one of several")
    answer = page.locator(COMPLETE)
    expect(answer.locator("[data-answers]")).to_have_count(0)
    for n in (2, 3):
        answer.get_by_role("button", name="Answer again").click()
        expect(answer).to_contain_text(f"one of several ({n})")
    pages = answer.locator("[data-answers]")
    expect(pages).to_contain_text("3 of 3")
    earlier = answer.get_by_role("button", name="Earlier answer")
    earlier.focus()
    page.keyboard.press("Enter")
    expect(answer).to_contain_text("one of several (2)")
    expect(pages).to_contain_text("2 of 3")
    expect(earlier).to_be_focused()
    page.keyboard.press("Enter")
    expect(answer).to_contain_text("one of several (1)")
    page.keyboard.press("Enter")
    expect(earlier).to_be_focused()
    expect(page.locator("[role=status][aria-live=polite]")).to_contain_text("Answer 1 of 3.")
    page.reload()
    expect(answer).to_contain_text("one of several (1)")
    expect(pages).to_contain_text("1 of 3")
    answer.get_by_role("button", name="Later answer").click()
    expect(answer).to_contain_text("one of several (2)")
    expect(page.locator("[data-spent]")).to_have_text(re.compile("^3.3k tokens"))
    ask(page, "Say: and on")
    expect(page.locator(COMPLETE)).to_have_count(2)
    page.locator(COMPLETE).first.get_by_role("button", name="Later answer").click()
    expect(page.locator(COMPLETE).first).to_contain_text("one of several (3)")
    expect(page.locator(COMPLETE).nth(1)).to_contain_text("and on (1)")


def test_a_conversation_has_the_title_its_model_wrote_until_a_person_gives_another(page: Page) -> None:
    scripted(page, "Entitle: lemurs")
    listed = page.get_by_role("navigation", name="Conversations")
    expect(listed.get_by_role("link", name="All about lemurs", exact=True)).to_be_visible()
    expect(page).to_have_title("All about lemurs · Cellblock")
    page.get_by_role("button", name="Rename or delete All about lemurs").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.get_by_role("textbox", name="Title").fill("Mine")
    page.keyboard.press("Enter")
    ask(page, "Entitle: something else")
    expect(page.locator(COMPLETE)).to_have_count(2)
    page.reload()
    expect(listed.get_by_role("link", name="Mine", exact=True)).to_be_visible()


def test_answers_and_their_code_are_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    scripted(page, "Say: Look:\n\n```\nx = 1\n```\n\nThat was it.")
    answer = page.locator(COMPLETE)
    answer.locator("pre").hover()
    answer.get_by_role("button", name="Copy", exact=True).click()
    expect(answer.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()").strip() == "x = 1"
    answer.get_by_role("button", name="Copy the answer").click()
    page.wait_for_function("async () => (await navigator.clipboard.readText()).includes('That was it.')")
    copied = page.evaluate("() => navigator.clipboard.readText()")
    assert "```\nx = 1\n```" in copied


WRITTEN = """\
| city | sum |
|---|---|
| Oslo | 12.5 |

The mean is $\\bar{x} = 3$, and

$$
\\sum_i x_i
$$

$$y = 2$$

**Done**, in `code`."""


def test_tables_and_maths_of_an_answer_are_drawn_as_such(page: Page) -> None:
    scripted(page, f"Say: {WRITTEN}")
    answer = page.locator(COMPLETE)
    expect(answer.get_by_role("columnheader", name="city")).to_be_visible()
    expect(answer.get_by_role("cell", name="12.5")).to_have_css("text-align", "right")
    expect(answer.locator(".katex")).to_have_count(3)
    expect(answer.locator(".katex-display")).to_have_count(2)
    expect(answer.locator("strong")).to_have_text("Done")
    expect(answer.locator("code").filter(has_text="code")).to_have_count(1)
    assert complaints(page) == []


def test_conversations_are_found_by_words_of_their_titles(page: Page) -> None:
    scripted(page, "Say: about zebras")
    scripted(page, "Say: about yaks")
    listed = page.get_by_role("navigation", name="Conversations")
    search = listed.get_by_role("searchbox", name="Search conversations")
    search.fill("ZEBRAS say")
    expect(listed.get_by_role("listitem")).to_have_count(1)
    listed.get_by_role("link", name="Say: about zebras").click()
    expect(page.locator(QUESTIONS)).to_have_text("Say: about zebras")
    search.fill("quagga")
    expect(listed.get_by_role("listitem")).to_have_text("Nothing was said in these words")
    search.press("Escape")
    expect(listed.get_by_role("link", name="Say: about yaks")).to_be_visible()


def test_conversations_are_found_by_what_was_said_in_them_by_keys(page: Page) -> None:
    scripted(page, "Say: first of all", "Say: the kudu has horns in a spiral")
    address = page.url
    scripted(page, "Say: something else")
    listed = page.get_by_role("navigation", name="Conversations")
    search = listed.get_by_role("searchbox", name="Search conversations")
    search.focus()
    page.keyboard.type("SPIRAL kudu")
    hit = listed.get_by_role("link", name=re.compile("^Say: first of all"))
    expect(hit).to_contain_text("the kudu has horns in a spiral")
    expect(hit.locator("mark")).to_have_text(["kudu", "spiral"])
    expect(listed.get_by_role("listitem")).to_have_count(1)
    assert complaints(page) == []
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(address)
    expect(page.locator(QUESTIONS)).to_have_count(2)
    shown = page.locator("[data-found]")
    expect(shown).to_contain_text("the kudu has horns in a spiral")
    expect(shown).to_be_focused()
    assert complaints(page) == []


def test_what_a_search_has_found_is_shown_and_marked_however_far_up_it_stands(page: Page) -> None:
    long = "\n\n".join(f"Paragraph {n} of a long answer." for n in range(40))
    scripted(page, "Say: all about okapis", f"Say: {long}", "Say: the end")
    listed = page.get_by_role("navigation", name="Conversations")
    expect(page.get_by_text("all about okapis (1)")).not_to_be_in_viewport()
    listed.get_by_role("searchbox").fill("okapis")
    listed.get_by_role("link", name=re.compile("okapis")).click()  # it is open already
    expect(page.locator("[data-found]")).to_contain_text("all about okapis")
    expect(page.locator("[data-found]")).to_be_in_viewport()
    page.wait_for_function("() => [...(CSS.highlights.get('found') ?? [])].map(String).join() === 'okapis'")
    listed.get_by_role("searchbox").fill("paragraph 3 read_csv")
    expect(listed.get_by_role("listitem")).to_have_text("Nothing was said in these words")
    listed.get_by_role("searchbox").fill("paragraph")
    listed.get_by_role("link", name=re.compile("okapis")).click()
    expect(page.locator("[data-found]")).to_contain_text("Paragraph 39")
    page.reload()
    expect(page.locator("[data-found]")).to_have_count(0)


def test_what_could_be_asked_next_is_offered_and_asked_by_a_click(page: Page) -> None:
    page.goto("/")
    drop(page, "sales.csv", SALES)
    expect(page.locator("[data-upload=done]")).to_be_visible()
    ask(page, "Analyze this CSV and create a bar chart of revenue by region")
    expect(page.locator(COMPLETE)).to_be_visible(timeout=30_000)
    offered = page.get_by_role("group", name="Ask next").get_by_role("button")
    question = offered.first.inner_text()
    offered.first.click()
    expect(page.locator(QUESTIONS).nth(1)).to_contain_text(question)
    expect(page.locator(COMPLETE)).to_have_count(2, timeout=30_000)


def test_a_question_asked_before_the_sample_is_there_waits_for_it_and_takes_it_along(page: Page) -> None:
    page.goto("/")
    sample, upload = (hold(page, address) for address in ("**/assets/sales*.csv", "**/files/sales.csv"))
    page.get_by_role("button", name="Try it with sales.csv").click()
    fetched = sample()
    ask(page, "bar chart of revenue by region")
    fetched.continue_()
    sent = upload()
    expect(page.get_by_text("Asked as soon as the file has arrived")).to_be_visible()
    expect(page.locator(QUESTIONS)).to_have_count(0)
    sent.continue_()
    expect(page.locator(QUESTIONS)).to_contain_text("sales.csv")
    expect(page.locator("[data-upload]")).to_have_count(0)
    expect(page.locator(COMPLETE)).to_contain_text("West", timeout=30_000)


def test_tokens_and_their_price_are_told(page: Page) -> None:
    scripted(page, "Say: one", "Say: two")
    spent = page.locator("[data-spent]")
    expect(spent).to_have_text(re.compile(r"^2\.2k tokens, about \$0\.\d+$"))
    page.reload()
    expect(spent).to_have_text(re.compile(r"^2\.2k tokens, about \$0\.\d+$"))


SLOW = """\
import time
for n in range(40):
    print("tick", n, flush=True)
    time.sleep(0.1)
"""


ON_A_PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.mark.parametrize("form", [{}, ON_A_PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("how", ["cut", "sleep"])
def test_a_connection_that_breaks_in_the_middle_of_an_answer_loses_nothing(
    browser: Browser, server: str, browser_context_args: dict[str, Any], how: str, form: dict[str, Any]
) -> None:
    with wired(browser, server, browser_context_args | form) as (wire, page):
        page.clock.install()
        scripted(page)
        ask(page, f"Please run this:\n```python\n{SLOW}```")
        run = cells(page).first
        expect(run.locator("[data-outputs]")).to_contain_text("tick 3")
        if how == "cut":
            wire.cut()
        else:
            wire.sleep()
            page.clock.fast_forward("01:00")
        told = "The server cannot be reached." if form else "The connection to the server is lost."
        expect(page.get_by_text(told).first).to_be_visible()
        wire.mend()
        ended(run, "ok")
        expect(page.locator(COMPLETE)).to_contain_text("That is all.")
        printed = run.locator("[data-outputs]").inner_text().split("\n")
        assert [line.strip() for line in printed if line.strip()] == [f"tick {n}" for n in range(40)]
        expect(page.locator(QUESTIONS)).to_have_count(1)
        assert page.locator("[data-turn=assistant]").inner_text().count("I run it.") == 1


COMPOSING = "(box, key) => box.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, isComposing: true }))"


def test_keys_that_choose_a_character_end_no_edit(page: Page) -> None:
    scripted(page, "Say: of characters")
    question = page.locator(QUESTIONS)
    question.hover()
    question.get_by_role("button", name="Edit the question").click()
    box = page.get_by_role("textbox", name="The question in other words")
    box.evaluate(COMPOSING, "Escape")
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    page.get_by_role("button", name="Rename or delete Say: of characters").click()
    page.get_by_role("menuitem", name="Rename").click()
    title = page.get_by_role("textbox", name="Title")
    title.evaluate(COMPOSING, "Enter")
    expect(title).to_be_focused()


def test_a_question_is_not_changed_while_another_is_answered(page: Page) -> None:
    scripted(page, "Say: first")
    question = page.locator(QUESTIONS).first
    question.hover()
    question.get_by_role("button", name="Edit the question").click()
    box = page.get_by_role("textbox", name="The question in other words")
    scripted_model.GO.clear()
    try:
        ask(page, "Say: second WAIT to the end")
        expect(page.locator("[data-turn=assistant]").nth(1)).to_contain_text("second")
        box.fill("Say: instead")
        box.press("Enter")
        expect(page.locator("form").filter(has=box).get_by_role("button", name="Send")).to_be_disabled()
    finally:
        scripted_model.GO.set()
    expect(page.locator(COMPLETE).nth(1)).to_contain_text("to the end")
    box.press("Enter")
    expect(page.locator(COMPLETE)).to_have_count(1)
    expect(page.locator(COMPLETE)).to_contain_text("instead (1)")


def test_a_question_that_is_tried_again_keeps_its_files(page: Page) -> None:
    page.goto("/")
    choose_model(page, "scripted")
    drop(page, "sales.csv", SALES)
    expect(page.locator("[data-upload=done]")).to_be_visible()
    ask(page, "Please refuse once, with a file")
    page.get_by_role("alert").get_by_role("button", name="Try again").click()
    expect(page.locator(COMPLETE)).to_contain_text("That is all.")
    for _ in range(2):
        expect(page.locator(QUESTIONS)).to_contain_text("sales.csv")
        page.reload()


def test_what_is_asked_in_one_window_is_seen_on_coming_back_to_another(page: Page) -> None:
    scripted(page, "Say: first")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(COMPLETE)).to_have_count(1)
    ask(page, "Say: second")
    expect(page.locator(COMPLETE)).to_have_count(2)
    other.evaluate("dispatchEvent(new Event('focus'))")
    expect(other.locator(COMPLETE)).to_have_count(2)
    expect(other.locator(QUESTIONS).nth(1)).to_contain_text("Say: second")
    ask(other, "Say: third")
    expect(other.locator(COMPLETE)).to_have_count(3)


def at_rest(page: Page, server: str = "") -> None:
    """Waits until the answer has ended on the server as well."""
    id = page.url.rpartition("/")[2]
    for _ in range(400):
        if not page.request.get(f"{server}/api/chat/{id}").json()["running"]:
            return
        page.wait_for_timeout(50)
    raise AssertionError("the answer goes on")


def test_an_answer_that_ends_before_another_window_can_follow_it_is_seen_there(page: Page) -> None:
    scripted(page, "Say: first")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator(COMPLETE)).to_have_count(1)
    followed = hold(other, "**/api/chat/*/stream")
    scripted_model.GO.clear()
    try:
        ask(page, "Say: second WAIT to the end")
        expect(page.locator("[data-turn=assistant]").nth(1)).to_contain_text("second")
        other.evaluate("dispatchEvent(new Event('focus'))")
        route = followed()
    finally:
        scripted_model.GO.set()
    expect(page.locator(COMPLETE)).to_have_count(2)
    at_rest(page)
    route.continue_()
    expect(other.locator(COMPLETE)).to_have_count(2)
    expect(other.locator(COMPLETE).nth(1)).to_contain_text("to the end")


CONVERSATION = re.compile(r"/api/chat/[^/]+$")


def test_a_look_at_the_conversation_that_comes_late_takes_nothing_away(page: Page) -> None:
    scripted(page, "Say: first")
    asked = hold(page, CONVERSATION)
    page.evaluate("dispatchEvent(new Event('focus'))")
    look = asked()
    before = look.fetch()
    ask(page, "Say: second")
    expect(page.locator(COMPLETE)).to_have_count(2)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    with page.expect_response(CONVERSATION), page.expect_response(CONVERSATION):  # it is looked at again
        look.fulfill(response=before)
    expect(page.locator(COMPLETE)).to_have_count(2)
    expect(page.locator(QUESTIONS).nth(1)).to_contain_text("Say: second")


def test_a_question_for_a_new_conversation_is_asked_in_no_other(page: Page) -> None:
    scripted(page, "Say: of old")
    address = page.url
    page.goto("/")
    made = hold(page, "**/api/jupyter/kernel")
    ask(page, "Say: of the new one")
    kernel = made()
    listed = page.get_by_role("navigation", name="Conversations")
    listed.get_by_role("link", name="Say: of old").click()
    expect(page).to_have_url(address)
    expect(page.locator(COMPLETE)).to_contain_text("of old")
    kernel.continue_()
    expect(page).not_to_have_url(address)
    expect(page.locator(COMPLETE)).to_contain_text("of the new one (1)")
    expect(page.locator(QUESTIONS)).to_have_count(1)
    page.goto(address)
    expect(page.locator(QUESTIONS)).to_have_count(1)


def test_a_question_asked_before_the_models_are_known_goes_to_the_chosen_one(page: Page) -> None:
    told = hold(page, "**/api/models")
    page.goto("/")
    models = told()
    ask(page, "What is in this session?")
    expect(page.locator(QUESTIONS)).to_have_count(1)
    models.continue_()
    expect(page.locator(COMPLETE)).to_be_visible()
    used = page.request.get(f"/api/chat/{page.url.rpartition('/')[2]}").json()["messages"][-1]["metadata"]["model"]
    assert used == ANALYST


def test_an_answer_that_ends_while_the_connection_is_cut_is_whole_when_it_is_back(
    browser: Browser, server: str, browser_context_args: dict[str, Any]
) -> None:
    with wired(browser, server, browser_context_args) as (wire, page):
        scripted(page)
        scripted_model.GO.clear()
        try:
            ask(page, "Say: a part WAIT and the rest")
            expect(page.locator("[data-turn=assistant]")).to_contain_text("a part")
            wire.cut()
            expect(page.get_by_text("The connection to the server is lost.").first).to_be_visible()
        finally:
            scripted_model.GO.set()
        at_rest(page, server)
        wire.mend()
        expect(page.locator(COMPLETE)).to_contain_text("a part and the rest")
        expect(page.locator(QUESTIONS)).to_have_count(1)
        expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_wish_about_a_cell_leaves_what_is_being_typed(page: Page, session: str) -> None:
    choose_model(page, "scripted")
    cell = run_cell(page, "1 / 0", "error")
    box = page.get_by_role("textbox", name="Your question")
    box.fill("And then")
    cell.get_by_role("button", name="Fix with AI").first.click()
    expect(page.locator(COMPLETE)).to_have_count(1)
    expect(box).to_have_value("And then")


def test_a_question_that_did_not_reach_the_server_is_there_after_a_reload(page: Page, session: str) -> None:
    page.context.set_offline(True)
    ask(page, "Say: precious")
    expect(page.get_by_role("alert").get_by_role("button", name="Try again")).to_be_visible()
    page.context.set_offline(False)
    page.reload()
    expect(page.get_by_role("textbox", name="Your question")).to_have_value("Say: precious")


def test_the_list_tells_when_another_conversation_has_its_answer(page: Page) -> None:
    scripted(page)
    scripted_model.GO.clear()
    try:
        ask(page, "Say: a part WAIT and the rest")
        expect(page.locator("[data-turn=assistant]")).to_contain_text("a part")
        page.get_by_role("button", name="New conversation").first.click()
        listed = page.get_by_role("navigation", name="Conversations").get_by_role("listitem")
        running = listed.filter(has_text="a part").get_by_role("img")
        expect(running).to_be_visible()
    finally:
        scripted_model.GO.set()
    expect(running).to_have_count(0)


def test_answers_are_copied_where_a_page_came_without_encryption(page: Page) -> None:
    page.add_init_script("delete Navigator.prototype.clipboard")  # as browsers do, anywhere but on loopback
    scripted(page, "Say: of this machine")
    page.get_by_role("button", name="Copy the answer").click()
    expect(page.get_by_role("button", name="Copied").first).to_be_focused()
    box = page.get_by_role("textbox", name="Your question")
    box.press("Control+v")
    expect(box).to_have_value("of this machine (1)")
