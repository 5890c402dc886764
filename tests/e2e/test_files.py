"""Files of the workspace: a tree, a look at each kind, a folder away, a notebook opened."""

import base64
import json
import re
from pathlib import Path
from zipfile import ZipFile

from person import SALES, add_cell, at_rest, cells, run_cell
from playwright.sync_api import APIRequestContext, Page, expect

MAKE = """\
import os, wave
os.makedirs("data/deep")
open("data/deep/notes.txt", "w").write("a note\\n")
open("data/empty.csv", "w").close()
open("plain.bin", "wb").write(b"\\0\\1")
with wave.open("tone.wav", "wb") as tone:
    tone.setnchannels(1); tone.setsampwidth(1); tone.setframerate(8000); tone.writeframes(b"\\x80" * 800)
import matplotlib.pyplot as plt
plt.plot([1, 2]); plt.savefig("plot.png"); plt.savefig("plot.svg"); plt.close()
"""


def put(api: APIRequestContext, session: str, path: str, body: str) -> None:
    assert api.put(f"/api/jupyter/kernel/{session}/files/{path}", data=body.encode()).ok


def files(page: Page) -> None:
    page.get_by_role("tab", name=re.compile("^Files")).first.click()


def look(page: Page, name: str) -> None:
    page.locator("[data-files]").get_by_role("button", name=name, exact=True).click()


def test_files_are_a_tree_whose_folders_shut_and_go(page: Page, session: str) -> None:
    run_cell(page, MAKE)
    files(page)
    shown = page.locator("[data-files]")
    expect(shown.get_by_role("button", name="notes.txt", exact=True)).to_be_visible()
    expect(shown).to_contain_text("6 files")
    with page.expect_download() as download:
        page.get_by_role("link", name="All as zip").click()
    with ZipFile(download.value.path()) as all_of_it:
        assert all_of_it.read("data/deep/notes.txt") == b"a note\n"
        assert len([name for name in all_of_it.namelist() if not name.endswith("/")]) == 6
    shown.get_by_role("button", name=re.compile("^data")).click()
    expect(shown.get_by_role("button", name="notes.txt", exact=True)).to_have_count(0)
    shown.get_by_role("button", name="Delete data", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("2 files in it")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(shown).to_contain_text("4 files")


def test_each_kind_of_file_is_looked_at_in_its_way(page: Page, session: str, api: APIRequestContext) -> None:
    run_cell(page, MAKE)
    put(api, session, "sales.csv", SALES)
    files(page)
    look(page, "sales.csv")
    shown = page.get_by_role("dialog")
    expect(shown.get_by_role("columnheader", name="revenue")).to_be_visible()
    expect(shown.get_by_role("row")).to_have_count(7)
    number = shown.get_by_role("cell", name="960.50")
    assert number.evaluate("cell => getComputedStyle(cell).textAlign") == "right"
    page.keyboard.press("Escape")
    expect(shown).to_have_count(0)
    for name in ("plot.png", "plot.svg"):
        look(page, name)
        picture = shown.get_by_role("img", name=name)
        expect(picture).to_be_visible()
        page.wait_for_function("image => image.naturalWidth > 100", arg=picture.element_handle())
        page.keyboard.press("Escape")
    look(page, "notes.txt")
    expect(shown).to_contain_text("a note")
    page.keyboard.press("Escape")
    look(page, "empty.csv")
    expect(shown).to_contain_text("The file is empty.")
    page.keyboard.press("Escape")
    look(page, "tone.wav")
    sound = shown.locator("audio")
    page.wait_for_function("sound => sound.duration > 0.05", arg=sound.element_handle())
    page.keyboard.press("Escape")
    look(page, "plain.bin")
    expect(shown).to_contain_text("There is no preview for this kind of file.")
    expect(shown.get_by_role("link", name="Download plain.bin")).to_be_visible()


def test_a_page_in_a_file_is_text_and_runs_nowhere(page: Page, session: str, api: APIRequestContext) -> None:
    put(api, session, "evil.html", "<script>document.title = 'owned'</script><h1>evil</h1>")
    files(page)
    look(page, "evil.html")
    expect(page.get_by_role("dialog")).to_contain_text("<h1>evil</h1>")
    assert page.title() != "owned"


def test_a_notebook_among_the_files_is_opened(page: Page, session: str, api: APIRequestContext) -> None:
    picture = base64.b64encode(b"\x89PNG").decode()
    display = {"output_type": "display_data", "data": {"image/png": picture, "text/plain": "p"}, "metadata": {}}
    code = {"cell_type": "code", "metadata": {}, "source": "6 * 7", "execution_count": 3, "outputs": [display]}
    text = {"cell_type": "markdown", "metadata": {}, "source": "# Brought along"}
    notebook = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [text, code]}
    put(api, session, "other.ipynb", json.dumps(notebook))
    put(api, session, "broken.ipynb", "no notebook")
    add_cell(page, "mine = 1")
    files(page)
    look(page, "broken.ipynb")
    page.get_by_role("button", name="Open as this notebook").click()
    expect(page.get_by_role("alert")).to_contain_text("broken.ipynb is no notebook.")
    expect(cells(page)).to_have_count(1)
    files(page)
    look(page, "other.ipynb")
    page.get_by_role("button", name="Open as this notebook").click()
    brought = page.get_by_role("heading", name="Brought along")
    expect(brought).to_be_visible(timeout=30_000)  # the first notebook loads its schema
    expect(cells(page)).to_have_count(2)
    expect(cells(page).nth(1)).to_contain_text("6 * 7")
    page.reload()
    expect(page.get_by_role("heading", name="Brought along")).to_be_visible()


def test_a_notebook_of_ones_own_machine_is_opened(page: Page, session: str, tmp_path: Path) -> None:
    text = {"cell_type": "markdown", "metadata": {}, "source": "# From home"}
    (tmp_path / "mine.ipynb").write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [text]})
    )
    (tmp_path / "broken.ipynb").write_text("{")
    (tmp_path / "other.ipynb").write_text('{"a": 1}')
    page.get_by_role("button", name="Download and more").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("menuitem", name="Open a notebook in place of this one").click()
    chooser.value.set_files(tmp_path / "mine.ipynb")
    brought = page.get_by_role("heading", name="From home")
    expect(brought).to_be_visible(timeout=30_000)  # the first notebook loads its schema
    (tmp_path / "list.ipynb").write_text("[]")
    for name, problem in {
        "broken.ipynb": "broken.ipynb is no notebook.",
        "other.ipynb": "This is no notebook",
        "list.ipynb": "list.ipynb is no notebook.",
    }.items():
        page.get_by_test_id("notebook-input").set_input_files(tmp_path / name)
        expect(page.get_by_role("alert")).to_contain_text(problem)
    expect(brought).to_be_visible()
    page.get_by_test_id("notebook-input").set_input_files(tmp_path / "mine.ipynb")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_notebook_that_cannot_be_opened_leaves_what_can_be_taken_back(
    page: Page, session: str, tmp_path: Path
) -> None:
    add_cell(page, "kept = 1")
    (tmp_path / "other.ipynb").write_text('{"a": 1}')
    page.get_by_test_id("notebook-input").set_input_files(tmp_path / "other.ipynb")
    expect(page.get_by_role("alert")).to_contain_text("This is no notebook")
    cells(page).first.focus()
    page.keyboard.press("z")
    expect(cells(page)).to_have_count(0)


def test_a_file_that_takes_the_place_of_another_says_so(page: Page, session: str, tmp_path: Path) -> None:
    chip = page.locator("[data-upload=done]").locator("visible=true")
    for text, more in (("a,b", False), ("a,b\n1,2", True)):
        (tmp_path / "sales.csv").write_text(text)
        page.get_by_test_id("file-input").set_input_files(tmp_path / "sales.csv")
        expect(chip.last).to_contain_text("sales.csv")
        expect(chip.filter(has_text="replaced")).to_have_count(int(more))
    said = page.get_by_role("status").filter(has_text="sales.csv took the place of a file of that name.")
    expect(said).to_have_count(1)


PICTURE = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
DRAWN = "image => image.complete && image.naturalWidth === 1"


def test_pictures_that_a_text_brings_along_are_shown_and_exported(
    page: Page, session: str, api: APIRequestContext, tmp_path: Path
) -> None:
    held = PICTURE.partition(",")[2]
    source = (
        "![dot](attachment:a%20dot.png) ![page](attachment:page.html) ![far](http://elsewhere.test/x.png)\n\n"
        "![ref][r]\n\n[r]: attachment:a%20dot.png"
    )
    text = {
        "cell_type": "markdown",
        "metadata": {},
        "source": source,
        "attachments": {"a dot.png": {"image/png": held}, "page.html": {"text/html": "<b>x</b>"}},
    }
    (tmp_path / "mine.ipynb").write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [text]})
    )
    page.get_by_test_id("notebook-input").set_input_files(tmp_path / "mine.ipynb")
    for name in ("dot", "ref"):
        picture = cells(page).first.get_by_role("img", name=name)
        expect(picture).to_have_attribute("src", PICTURE)
        page.wait_for_function(DRAWN, arg=picture.element_handle())
    expect(cells(page).first.get_by_role("img")).to_have_count(2)
    expect(cells(page).first).to_contain_text("page far")
    notebook = f"/api/jupyter/kernel/{session}/notebook?format="
    assert api.get(f"{notebook}ipynb").json()["cells"][0]["attachments"] == text["attachments"]
    for format in ("md", "html"):
        assert api.get(notebook + format).text().count(PICTURE) == 2


def test_a_file_is_dropped_on_an_output_as_anywhere_else(page: Page, session: str, tmp_path: Path) -> None:
    cell = run_cell(page, "from IPython.display import HTML\nHTML('<p style=\"height: 300px\">high</p>')")
    expect(page.frame_locator("[data-outputs] iframe").get_by_text("high")).to_be_visible()
    at_rest(page)
    box = cell.locator("iframe").bounding_box()
    assert box is not None
    (tmp_path / "dropped.csv").write_text(SALES)
    data = {"items": [], "files": [str(tmp_path / "dropped.csv")], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)

    def drag(kind: str, x: float, y: float) -> None:
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})

    drag("dragEnter", box["x"], 10)
    expect(page.get_by_text("Drop the files here")).to_be_visible()
    for kind in ("dragOver", "dragOver", "drop"):
        drag(kind, box["x"] + 40, box["y"] + 100)
    expect(page.locator("[data-upload=done]")).to_contain_text("dropped.csv")
    expect(page.get_by_text("Drop the files here")).to_have_count(0)


def test_a_folder_that_is_dropped_says_what_it_is(page: Page, session: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    data = {"items": [], "files": [str(tmp_path / "folder")], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    expect(page.locator("[data-upload=failed]")).to_contain_text("It is a folder")


def test_the_focus_stays_among_the_files_when_one_is_deleted(page: Page, session: str, api: APIRequestContext) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        put(api, session, name, "text")
    files(page)
    for name, then in (("b.txt", "Delete c.txt"), ("c.txt", "Delete a.txt"), ("a.txt", "Upload")):
        page.get_by_role("button", name=f"Delete {name}").press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="Delete").press("Enter")
        expect(page.get_by_role("button", name=then, exact=True)).to_be_focused()


def test_a_picture_that_was_drawn_anew_is_looked_at_as_it_is_now(page: Page, session: str) -> None:
    for width in (30, 70):
        run_cell(page, f"from PIL import Image\nImage.new('RGB', ({width}, 30)).save('drawn.png')")
        files(page)
        look(page, "drawn.png")
        expect(page.get_by_role("dialog").locator("img")).to_have_js_property("naturalWidth", width)
        page.keyboard.press("Escape")
        page.get_by_role("tab", name="Notebook").locator("visible=true").click()
