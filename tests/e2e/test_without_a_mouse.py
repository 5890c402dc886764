"""Whatever a mouse can do, keys alone and a finger alone can: each of these is done by both."""

import json
import re
from pathlib import Path
from uuid import uuid4

import pytest
from hands import Hand
from person import SALES, ask, at_rest, cells, ended, saved, selected, twice
from playwright.sync_api import Page, expect

COMPLETE = "[data-turn=assistant][data-state=complete]"
QUESTIONS = "[data-turn=user]"
SCRIPTED = "localStorage['cellblock.model'] = 'openai-chat:scripted'"


@pytest.fixture(params=["keys", "finger"])
def hand(request: pytest.FixtureRequest) -> Hand:
    page = request.getfixturevalue("page" if request.param == "keys" else "phone")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    return Hand(page, request.param)


@pytest.fixture
def scripted(hand: Hand) -> Hand:
    """With a language model, which does as it is told."""
    hand.page.add_init_script(f"try {{ {SCRIPTED} }} catch {{}}")
    return hand


def test_an_answer_is_tried_again_copied_followed_and_stopped(scripted: Hand) -> None:
    hand, page = scripted, scripted.page
    page.goto("/")
    ask(page, f"Please refuse once, {uuid4()}")
    hand.press(page.get_by_role("alert").get_by_role("button", name="Try again"))
    expect(page.locator(COMPLETE)).to_contain_text("That is all.")
    hand.press(page.get_by_role("button", name="Copy the answer"))
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("() => navigator.clipboard.readText()") == "That is all."
    ask(page, "Run:\n```python\nbroken\n```")
    expect(page.locator(COMPLETE)).to_have_count(2)
    hand.press(page.get_by_role("group", name="Ask next").get_by_role("button").first)
    expect(page.locator(QUESTIONS)).to_have_count(3)
    expect(page.locator(COMPLETE)).to_have_count(3)
    ask(page, "Run:\n```python\nprint('begun', flush=True)\nwhile True: pass\n```")
    expect(page.locator("[data-tool=running]")).to_be_visible()
    hand.press(page.get_by_role("button", name="Cell 2"))
    expect(cells(page).nth(1)).to_be_focused()
    expect(cells(page).nth(1)).to_contain_text("begun")
    if hand.kind == "finger":
        hand.show("Chat")
    hand.press(page.get_by_role("button", name="Stop"))
    expect(page.locator("[data-state=stopped]")).to_contain_text("Stopped")
    expect(page.locator("[data-spent]")).to_contain_text("tokens, about $")


def test_a_conversation_is_found_on_a_phone(phone: Page) -> None:
    hand = Hand(phone, "finger")
    phone.add_init_script(f"try {{ {SCRIPTED} }} catch {{}}")
    word = uuid4().hex
    for said in ("cat", word):  # one conversation alone is not searched for
        phone.goto("/")
        ask(phone, f"Say: the {said} smiles")
        expect(phone.locator(COMPLETE)).to_be_visible()
    address = phone.url
    phone.goto("/")
    hand.press(phone.get_by_role("button", name="Show conversations"))
    phone.get_by_role("searchbox", name="Search conversations").fill(word)
    hand.press(phone.get_by_role("navigation").get_by_role("link", name=re.compile(word)))
    expect(phone).to_have_url(address)
    expect(phone.locator("[data-found]")).to_contain_text(f"the {word} smiles")


def test_cells_are_arranged_and_run_in_part(hand: Hand) -> None:
    page = hand.page
    id = hand.open("a = 1", "b = a + 1", "print(a + b)", run=False)
    hand.more(cells(page).nth(2), "Run all above")
    ended(cells(page).nth(1), "ok")
    expect(page.locator("[data-kernel=idle]")).to_be_attached()
    hand.more(cells(page).nth(1), "Run this and all below")
    ended(cells(page).nth(2), "ok")
    expect(cells(page).nth(2)).to_contain_text("3")
    hand.overall("Restart and run all")
    expect(cells(page).nth(2).get_by_label("Run 3")).to_be_attached()
    ended(cells(page).nth(2), "ok")
    hand.attend(cells(page).nth(2))
    hand.press(cells(page).nth(2).get_by_role("button", name="Move up"))
    expect(cells(page).nth(1)).to_contain_text("print")
    hand.more(cells(page).nth(1), "Duplicate")
    expect(cells(page)).to_have_count(4)
    expect(cells(page).nth(2)).to_be_focused()
    hand.overall("Undo a change of cells")
    expect(cells(page)).to_have_count(3)
    expect(cells(page).nth(2)).to_be_focused()  # when the server has answered
    hand.overall("Redo a change of cells")
    expect(cells(page)).to_have_count(4)
    expect(cells(page).nth(2)).to_be_focused()
    hand.attend(cells(page).nth(2))
    hand.press(cells(page).nth(2).get_by_role("button", name="Delete cell"))
    expect(cells(page)).to_have_count(3)
    hand.press(page.get_by_role("button", name="Text", exact=True))
    expect(cells(page).nth(3).locator(".cm-content")).to_be_focused()
    page.keyboard.type("# By hand")
    hand.press(cells(page).nth(3).get_by_role("button", name="Done"))
    expect(cells(page).nth(3).get_by_role("heading", name="By hand")).to_be_visible()
    hand.more(cells(page).nth(0), "Change to text")
    saved(page, page.request, id, ["a = 1", "print(a + b)", "b = a + 1", "# By hand"])


def test_the_kernel_completes_and_explains_a_name(hand: Hand) -> None:
    page = hand.page
    hand.open("measurements = [1, 2]\ndef area(width):\n    'The area of a square.'")
    hand.press(page.get_by_role("button", name="Code", exact=True))
    editor = cells(page).nth(1).locator(".cm-content")
    expect(editor).to_be_focused()
    page.keyboard.type("measure")
    offered = page.locator(".cm-tooltip-autocomplete").get_by_role("option", name=re.compile("measurements"))
    if hand.kind == "keys":
        page.keyboard.press("Control+Space")
        expect(offered).to_be_visible()
        page.wait_for_timeout(100)  # the editor takes no choice that comes too soon to be meant
        page.keyboard.press("Enter")
    else:
        hand.choose(cells(page).nth(1).get_by_role("button", name="More for this cell"), "Complete the name")
        offered.tap()
    expect(editor).to_have_text("measurements")
    page.keyboard.press("Control+a")
    page.keyboard.type("area")
    if hand.kind == "keys":
        page.keyboard.press("Shift+Tab")
    else:
        hand.choose(cells(page).nth(1).get_by_role("button", name="More for this cell"), "Help on the name")
    expect(page.get_by_role("tooltip")).to_contain_text("The area of a square.")


def test_the_model_fixes_a_cell_and_explains_it(scripted: Hand) -> None:
    hand, page = scripted, scripted.page
    id = hand.open("print(1 / 0)", run=False)
    mine = cells(page).first
    hand.attend(mine)
    hand.press(mine.get_by_role("button", name="Run cell").first)
    ended(mine, "error")
    for n, answer in enumerate(("Reject", "Accept and run"), 1):
        hand.press(mine.get_by_role("button", name="Fix with AI"))
        expect(page.locator(COMPLETE)).to_have_count(n)
        hand.show("Notebook")
        hand.press(mine.get_by_role("button", name=answer))
        expect(mine.locator("[data-proposed]")).to_have_count(0)
    ended(mine, "ok")
    saved(page, page.request, id, ["print(1 / 1)"])
    hand.more(mine, "Explain this cell")
    expect(page.locator(QUESTIONS).last).to_contain_text("Explain cell 1")


OUTPUTS = """\
import base64, matplotlib.pyplot as plt
from IPython.display import JSON, display
open("made.txt", "w").write("made")
display(JSON({"deep": {"inner": {"x": 1.5}}}))
display({"application/pdf": base64.b64encode(b"%PDF-1.4").decode()}, raw=True)
plt.plot([1, 2]); plt.title("Growth"); plt.show()
"""
DRAWN = """\
from IPython.display import SVG
SVG('<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><rect width="60" height="40"/></svg>')
"""
FAILING = "def divide(a, b):\n    return a / b\ndivide(1, 0)"
TABLE = "import pandas as pd\npd.DataFrame({'city': ['b', 'a', 'c'], 'sum': [10, 9, 8]})"


def test_what_cells_put_out_is_opened_ordered_and_taken_along(hand: Hand) -> None:
    page = hand.page
    hand.open(OUTPUTS, FAILING, TABLE, DRAWN)
    shown = cells(page).first
    hand.press(shown.get_by_role("button", name="inner"))
    expect(shown).to_contain_text("1.5")
    for role, name, begins in (("link", "PDF document", b"%PDF-"), ("link", "Download as PNG", b"\x89PNG")):
        with page.expect_download() as download:
            hand.press(shown.get_by_role(role, name=name))  # type: ignore[arg-type]
        assert Path(download.value.path()).read_bytes().startswith(begins)
    with page.expect_download() as download:
        hand.press(shown.get_by_role("link", name="made.txt"))
    assert Path(download.value.path()).read_text() == "made"
    hand.press(shown.get_by_role("button", name="Copy the figure"))
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    hand.press(shown.get_by_role("button", name=re.compile("^Enlarge")))
    large = page.get_by_role("dialog").get_by_role("img", name="Figure: Growth")
    expect(large).to_be_visible()
    hand.press(page.get_by_role("dialog").get_by_role("button", name="Close"))
    expect(large).to_have_count(0)
    hand.press(cells(page).nth(1).get_by_role("button", name="Cell In").last)
    expect(cells(page).nth(1).locator(".cm-content")).to_be_focused()
    selected(page, "return a / b")
    hand.more(shown, "Hide outputs")
    hand.press(shown.get_by_role("button", name=re.compile("outputs hidden")))
    expect(shown.get_by_role("group", name="JSON")).to_be_visible()
    cells(page).nth(2).scroll_into_view_if_needed()
    table = cells(page).nth(2).frame_locator("iframe").locator("table.dataframe")
    head = table.get_by_role("button", name="sum")
    if hand.kind == "finger":
        at_rest(page)
        head.tap()
    else:
        head.focus()
        page.keyboard.press("Enter")
    expect(table.locator("tbody tr").first.get_by_role("cell").first).to_have_text("c")
    drawn = cells(page).nth(3)
    hand.press(drawn.get_by_role("button", name="Enlarge the figure"))
    expect(page.frame_locator("dialog iframe").locator("svg")).to_be_visible()
    hand.press(page.get_by_role("dialog").get_by_role("button", name="Close"))
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_output_that_was_cut_is_read_whole(hand: Hand) -> None:
    hand.open("for n in range(200_000): print('line', n)")
    hand.press(hand.page.get_by_role("button", name="Show the whole output"))
    whole = hand.page.locator("[data-long-text]")
    hand.press(whole.get_by_role("button", name="Show more"))
    expect(whole).to_contain_text("line 6000")
    hand.press(hand.page.get_by_role("dialog").get_by_role("button", name="Close"))
    expect(whole).to_have_count(0)


def test_the_line_of_cells_and_lost_state_are_seen_and_mended(hand: Hand) -> None:
    page = hand.page
    id = hand.open("base = 40", "print(base + 2)")
    page.request.post(f"/api/jupyter/kernel/{id}/release")
    for n, at in enumerate((1, 0, 1, 0), 1):
        hand.attend(cells(page).nth(at))
        hand.press(cells(page).nth(at).get_by_role("button", name="Run cell").first)
        expect(cells(page).nth(at).get_by_label(f"Run {n}")).to_be_attached()
        ended(cells(page).nth(at), "error" if n == 1 else "ok")
    page.request.post(f"/api/jupyter/kernel/{id}/restart")
    hand.attend(cells(page).nth(1))
    hand.press(cells(page).nth(1).get_by_role("button", name="Run cell").first)
    ended(cells(page).nth(1), "error")
    hand.press(page.get_by_role("status").get_by_role("button", name="Run all above"))
    expect(cells(page).nth(0).get_by_label("Run 2")).to_be_attached()
    ended(cells(page).nth(0), "ok")
    expect(page.locator("[data-kernel=idle]")).to_be_visible()
    endless = {"kernel_id": id, "code": "while True: pass"}
    for more in (endless, {"kernel_id": id, "code": "later = 1"}):
        page.request.post("/api/jupyter/execute", data=more, headers={"Prefer": "respond-async"})
    expect(cells(page).nth(3)).to_contain_text("Next in line")
    expect(page.locator("[data-kernel=busy]")).to_contain_text("1 waiting")
    expect(cells(page).nth(2).get_by_text(re.compile(r"^\d+\.\d s$"))).to_be_visible()
    expect(cells(page).nth(2).get_by_text(re.compile(r"^\d+(\.\d)? MiB$"))).to_be_visible()
    if hand.kind == "keys":
        cells(page).nth(2).focus()
        twice(page, "i")
    else:
        hand.press(cells(page).nth(2).get_by_role("button", name="Interrupt"))
    ended(cells(page).nth(2), "interrupted")
    ended(cells(page).nth(3), "ok")


def test_files_are_folded_brought_taken_along_and_opened(hand: Hand, tmp_path: Path) -> None:
    page = hand.page
    id = hand.open()
    text = {"cell_type": "markdown", "metadata": {}, "source": "# Brought along"}
    notebook = json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [text]})
    for path, body in (("data/notes.txt", "a note"), ("sales.csv", SALES), ("other.ipynb", notebook)):
        assert page.request.put(f"/api/jupyter/kernel/{id}/files/{path}", data=body.encode()).ok
    hand.show("Files")
    files = page.locator("[data-files]")
    for name in ("Download sales.csv", "All as zip"):
        with page.expect_download() as download:
            hand.press(files.get_by_role("link", name=name))
        assert Path(download.value.path()).stat().st_size > 100
    (tmp_path / "mine.csv").write_text(SALES)
    with page.expect_file_chooser() as chooser:
        hand.press(files.get_by_role("button", name="Upload"))
    chooser.value.set_files(tmp_path / "mine.csv")
    expect(files.get_by_role("button", name="mine.csv", exact=True)).to_be_visible()
    (tmp_path / "big.csv").write_text("x" * (2 << 20))
    expect(files).to_contain_text("Files up to 1 MiB each, 1 GiB in all.")
    with page.expect_file_chooser() as chooser:
        hand.press(files.get_by_role("button", name="Upload"))
    chooser.value.set_files(tmp_path / "big.csv")
    expect(files.locator("[data-upload=failed]")).to_contain_text("2 MiB is more than the limit of 1 MiB")
    hand.press(files.get_by_role("button", name="Put away big.csv"))
    expect(page.locator("[data-upload=failed]")).to_have_count(0)
    if hand.kind == "keys":
        expect(files.get_by_role("button", name="Upload")).to_be_focused()
    hand.press(files.get_by_role("button", name=re.compile("^data")))
    expect(files.get_by_role("button", name="notes.txt", exact=True)).to_have_count(0)
    hand.press(files.get_by_role("button", name="Delete data", exact=True))
    hand.press(page.get_by_role("dialog").get_by_role("button", name="Delete"))
    expect(files).to_contain_text("3 files")
    hand.press(files.get_by_role("button", name="other.ipynb", exact=True))
    hand.press(page.get_by_role("button", name="Open as this notebook"))
    expect(page.get_by_role("heading", name="Brought along")).to_be_visible(timeout=30_000)
    (tmp_path / "mine.ipynb").write_text(notebook.replace("Brought along", "From home"))
    with page.expect_file_chooser() as chooser:
        hand.overall("Open a notebook in place of this one")
    chooser.value.set_files(tmp_path / "mine.ipynb")
    expect(page.get_by_role("heading", name="From home")).to_be_visible()
