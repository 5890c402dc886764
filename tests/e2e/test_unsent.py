"""What a page could not send before it went away, or while the server was not reached, is not lost."""

import json
from pathlib import Path
from typing import Any

import pytest
from hands import Hand
from person import add_cell, cells, hold, saved
from playwright.sync_api import APIRequestContext, Browser, Page, Route, expect
from wire import wired

LARGE = "\n".join(
    f"value_{n} = '{'long ' * 200}'" for n in range(80)
)  # more than a browser sends for a page that is gone
KEPT = "() => Object.keys(localStorage).filter((key) => key.startsWith('cellblock.unsent.')).length"


def text_of(page: Page, session: str, at: int = 0) -> str:
    found: str = page.request.get(f"/api/jupyter/kernel/{session}/notebook").json()["cells"][at]["source"]
    return found


def nothing_kept(page: Page) -> None:
    page.wait_for_function(f"async () => ({KEPT})() === 0")


def test_a_text_too_large_for_the_last_words_of_a_page_is_there_when_it_is_back(
    page: Page, session: str, api: APIRequestContext
) -> None:
    cell = add_cell(page, "small = 1")
    saved(page, api, session, ["small = 1"])
    cell.locator(".cm-content").press("Control+a")
    page.keyboard.insert_text(LARGE)
    page.reload()
    expect(cells(page).first).to_contain_text("value_0 =")
    saved(page, api, session, [LARGE])
    nothing_kept(page)


def test_an_edit_whose_refusal_a_page_did_not_hear_is_made_by_the_next(
    page: Page, session: str, api: APIRequestContext
) -> None:
    for code in ("one = 1", "two = 2"):
        add_cell(page, code)
    saved(page, api, session, ["one = 1", "two = 2"])
    sent = hold(page, "**/notebook/cells/*")
    cells(page).first.focus()
    page.keyboard.press("m")
    edit = sent()
    other = cells(page).nth(1).get_attribute("data-cell")
    assert api.patch(f"/api/jupyter/kernel/{session}/notebook/cells/{other}", data={"source": "two = 22"}).ok
    assert edit.fetch().status == 409
    page.reload()
    expect(cells(page).first).to_have_accessible_name("Cell 1, text")
    saved(page, api, session, ["one = 1", "two = 22"])
    nothing_kept(page)


def test_what_is_done_while_the_server_is_not_reached_is_sent_when_it_is(
    browser: Browser, server: str, browser_context_args: dict[str, Any], api: APIRequestContext
) -> None:
    session = api.post("/api/jupyter/kernel", data={}).json()["id"]
    with wired(browser, server, browser_context_args) as (wire, page):
        page.goto(f"/c/{session}")
        add_cell(page, "# here")
        saved(page, api, session, ["# here"])
        wire.cut()
        add_cell(page, "away = 2")
        expect(page.get_by_text("The connection to the server is lost.")).to_be_visible()
        cells(page).first.focus()
        page.keyboard.press("m")  # what draws text was never loaded, and cannot be now
        expect(cells(page).first).to_have_accessible_name("Cell 1, text")
        expect(cells(page)).to_have_count(2)
        wire.mend()
        saved(page, api, session, ["# here", "away = 2"])
        expect(cells(page).first).to_have_accessible_name("Cell 1, text")
        expect(page.get_by_role("heading", name="here")).to_be_visible()


def test_that_the_server_was_not_reached_is_said_until_it_is(
    browser: Browser, server: str, browser_context_args: dict[str, Any], api: APIRequestContext
) -> None:
    session = api.post("/api/jupyter/kernel", data={}).json()["id"]
    with wired(browser, server, browser_context_args) as (wire, page):
        page.goto(f"/c/{session}")
        add_cell(page, "1 + 1")
        saved(page, api, session, ["1 + 1"])
        wire.cut()
        page.keyboard.press("Control+Enter")
        expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
        wire.mend()
        expect(page.get_by_text("The connection to the server is lost.")).to_have_count(0)
        expect(page.get_by_role("alert")).to_have_count(0)


def test_an_edit_whose_answer_was_not_heard_is_not_made_twice(page: Page, session: str, api: APIRequestContext) -> None:
    def swallow(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/notebook/cells", swallow, times=1)
    with page.expect_event("requestfailed"):
        page.get_by_role("button", name="Code", exact=True).click()
    page.keyboard.insert_text("once = 1")
    saved(page, api, session, ["once = 1"])
    expect(cells(page)).to_have_count(1)


@pytest.mark.parametrize("meanwhile", ["nothing", "other lines", "the same lines"])
def test_what_was_typed_before_a_page_without_a_server_was_closed_meets_what_happened_meanwhile(
    page: Page, session: str, api: APIRequestContext, meanwhile: str
) -> None:
    start = "a = 1\nb = 2\nc = 3"
    cell = add_cell(page, start)
    saved(page, api, session, [start])
    page.context.set_offline(True)
    cell.locator(".cm-content").press("Control+End")
    page.keyboard.type("00")
    page.close(run_before_unload=False)
    context = page.context
    context.set_offline(False)
    theirs = {"nothing": start, "other lines": "a = 100\nb = 2\nc = 3", "the same lines": "a = 1\nb = 2\nc = 4"}[
        meanwhile
    ]
    id = context.request.get(f"/api/jupyter/kernel/{session}/notebook").json()["cells"][0]["id"]
    context.request.patch(f"/api/jupyter/kernel/{session}/notebook/cells/{id}", data={"source": theirs})
    again = context.new_page()
    again.goto(f"/c/{session}")
    if meanwhile == "the same lines":
        expect(cells(again).get_by_role("alert")).to_contain_text("c = 4")
        cells(again).get_by_role("button", name="Keep mine").click()
    saved(again, context.request, session, [theirs.splitlines()[0] + "\nb = 2\nc = 300"])
    expect(cells(again)).to_contain_text("c = 300")
    nothing_kept(again)


def test_a_page_that_ends_out_of_sight_has_left_what_it_could_not_send(page: Page, session: str) -> None:
    add_cell(page, "seen = 1")
    saved(page, page.request, session, ["seen = 1"])
    page.route("**/notebook/**", lambda route: route.abort())
    page.keyboard.press("Control+End")
    page.keyboard.type("23")
    page.evaluate(
        """() => {
            Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })
            document.dispatchEvent(new Event('visibilitychange'))
        }"""
    )
    other = page.context.new_page()
    other.goto(f"/c/{session}")
    expect(cells(other)).to_contain_text("seen = 123")
    saved(other, page.request, session, ["seen = 123"])


TEXT = {"cell_type": "markdown", "metadata": {}, "source": ["# Brought along\n", "twice"]}
BROUGHT = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [TEXT]})


@pytest.mark.parametrize("kind", ["keys", "finger"])
def test_a_notebook_that_was_being_opened_when_the_page_was_left_is_offered_again(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    page: Page = request.getfixturevalue("page" if kind == "keys" else "phone")
    hand = Hand(page, kind)  # type: ignore[arg-type]
    id = hand.open("mine = 1", run=False)
    (tmp_path / "brought.ipynb").write_text(BROUGHT)
    address = f"**/api/jupyter/kernel/{id}/notebook"
    held: list[Route] = []
    page.route(address, lambda route: held.append(route) if route.request.method == "PUT" else route.fallback())
    with page.expect_request(lambda one: one.method == "PUT"):
        page.get_by_test_id("notebook-input").set_input_files(tmp_path / "brought.ipynb")
    page.reload()
    page.unroute(address)
    hand.show("Notebook")
    offered = page.get_by_role("status").filter(has_text="brought.ipynb was not opened in place of this notebook")
    expect(cells(page)).to_contain_text("mine = 1")
    hand.press(offered.get_by_role("button", name="Open it now"))
    expect(page.get_by_role("heading", name="Brought along")).to_be_visible(timeout=30_000)
    expect(offered).to_have_count(0)
    nothing_kept(page)


def test_a_notebook_that_the_server_had_already_is_not_offered_again(page: Page, session: str, tmp_path: Path) -> None:
    (tmp_path / "brought.ipynb").write_text(BROUGHT)

    def deaf(route: Route) -> None:
        if route.request.method == "PUT":
            assert route.fetch().ok
            page.evaluate("() => setTimeout(() => location.reload())")
        else:
            route.fallback()

    page.route(f"**/api/jupyter/kernel/{session}/notebook", deaf)
    with page.expect_event("load"):
        page.get_by_test_id("notebook-input").set_input_files(tmp_path / "brought.ipynb")
    expect(page.get_by_role("heading", name="Brought along")).to_be_visible(timeout=30_000)
    nothing_kept(page)
    expect(page.get_by_text("was not opened")).to_have_count(0)
