"""axe-core finds nothing to complain of, on any view, in both themes; frames of outputs are views too."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from person import SALES, add_cell, ask, cells, choose_model, drop, ended, run_cell
from playwright.sync_api import APIRequestContext, Frame, Page, expect

AXE = (Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js").read_text()
ASK = """async () => {
  const { violations } = await axe.run(document, { iframes: false })
  return violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.map((node) => node.html.slice(0, 160)).join(' | ')}`)
}"""
OUTPUTS = """\
import pandas as pd, matplotlib.pyplot as plt
from IPython.display import HTML, JSON, Latex, Markdown, display
print("\\x1b[31mred\\x1b[0m and \\x1b[33myellow\\x1b[0m")
display(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), Markdown("# Text\\n\\n| a | b |\\n|---|---|\\n| 1 | 2 |"))
display(Latex("$x^2$"), JSON({"a": [1, {"b": None}]}))
plt.plot([1, 2]); plt.title("A line"); plt.show()
"""


SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def complaints(page: Page | Frame) -> list[str]:
    page.evaluate(AXE)
    found: list[str] = page.evaluate(ASK)
    return found


def in_both_themes(page: Page) -> Iterator[str]:
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        yield scheme


def no_complaints(page: Page, view: str = "") -> None:
    """Asks axe about the page as it is, in both themes."""
    for scheme in in_both_themes(page):
        assert complaints(page) == [], f"{view} {scheme}"


@pytest.fixture(params=SCHEMES)
def check(page: Page, request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Asks axe about the page as it is, which is drawn in one theme from its beginning."""
    page.emulate_media(color_scheme=request.param, reduced_motion="reduce")

    def ask_axe(view: str) -> None:
        assert complaints(page) == [], view

    return ask_axe


def test_the_start_and_an_answered_question(page: Page, check: Callable[[str], None]) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", name="What do you want to know?")).to_be_visible()
    check("start")
    page.get_by_role("button", name=re.compile("^Model: ")).click()
    check("models")
    page.keyboard.press("Escape")
    drop(page, "sales.csv", SALES)
    expect(page.locator("[data-upload=done]")).to_be_visible()
    check("a file attached")
    ask(page, "Analyze this CSV and create a bar chart of revenue by region")
    expect(page.locator("[data-turn=assistant][data-state=complete]")).to_be_visible(timeout=30_000)
    expect(page.locator("[data-kernel=idle]")).to_be_attached()
    expect(page.frame_locator("[data-outputs] iframe").first.locator("table.dataframe")).to_be_visible()
    check("answer")
    question = page.locator("[data-turn=user]")
    question.hover()
    question.get_by_role("button", name="Edit the question").click()
    check("question edited")


def test_the_notebook_and_its_outputs(page: Page, check: Callable[[str], None], session: str) -> None:
    check("empty notebook")
    run_cell(page, OUTPUTS)
    expect(page.frame_locator("[data-outputs] iframe").first.locator("table.dataframe")).to_be_visible()
    check("outputs")
    for frame in page.frames[1:]:
        # A table or a figure in its frame is part of the page, which has the heading.
        assert [one for one in complaints(frame) if not one.startswith("page-has-heading-one")] == []
    failed = run_cell(page, "def f():\n    return 1 / 0\nf()", status="error")
    check("error")
    failed.hover()
    failed.get_by_role("button", name="More for this cell").click()
    check("cell menu")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Download and more").click()
    check("notebook menu")
    page.keyboard.press("Escape")
    failed.focus()
    page.keyboard.press("o")
    expect(failed.get_by_role("button", name="1 output hidden")).to_be_visible()
    add_cell(page, "pri")
    page.keyboard.press("Control+Space")
    expect(page.locator(".cm-tooltip-autocomplete")).to_be_visible()
    check("completion")
    page.keyboard.press("Escape")
    page.keyboard.type("nt")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("tooltip")).to_be_visible()
    check("inspection")
    choose_model(page, "scripted")
    cells(page).nth(1).get_by_role("button", name="Fix with AI").click()
    expect(page.locator("[data-turn=assistant][data-state=complete]")).to_be_visible()
    expect(page.get_by_role("group", name="Proposed change")).to_be_visible()
    check("proposed change")
    asking = add_cell(page, "input('Name? ')")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_label("Name?")).to_be_visible()
    check("input")
    page.keyboard.press("Enter")
    ended(asking, "ok")
    page.get_by_role("button", name="Restart the kernel").click()
    expect(page.get_by_role("status").filter(has_text="Run all")).to_be_visible()
    cells(page).last.focus()
    page.keyboard.press("d")
    page.keyboard.press("d")
    expect(page.get_by_role("button", name="Undo", exact=True)).to_be_visible()
    check("restarted, and a cell deleted")


def test_files_variables_and_dialogs(
    page: Page, session: str, api: APIRequestContext, check: Callable[[str], None]
) -> None:
    run_cell(
        page, "import os, pandas as pd\nos.makedirs('d')\nopen('d/a.txt', 'w').write('x')\nt = pd.DataFrame({'n': [1]})"
    )
    api.put(f"/api/jupyter/kernel/{session}/files/sales.csv", data=SALES.encode())
    page.get_by_role("tab", name=re.compile("^Files")).first.click()
    expect(page.locator("[data-files]")).to_contain_text("2 files")
    check("files")
    page.locator("[data-files]").get_by_role("button", name="sales.csv", exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("columnheader").first).to_be_visible()
    check("preview of a table")
    page.keyboard.press("Escape")
    page.locator("[data-files]").get_by_role("button", name="a.txt", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("x")
    check("preview of a text")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Delete sales.csv").click()
    check("question before a deletion")
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Variables").first.click()
    expect(page.locator("[data-variables]")).to_be_visible()
    check("variables")
    page.get_by_role("button", name="t", exact=True).click()
    expect(page.get_by_role("rowheader").first).to_be_visible()
    check("a table of the kernel")
    page.keyboard.press("Control+k")
    check("palette")
    page.keyboard.type("shortcuts")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    check("shortcuts")


def test_what_is_not_there_and_what_is_locked(page: Page, check: Callable[[str], None]) -> None:
    page.goto("/c/00000000-0000-4000-8000-000000000000")
    expect(page.get_by_role("heading", name="There is no such conversation")).to_be_visible()
    check("missing")
    page.route("**/api/chat?*", lambda route: route.fulfill(status=401, json=LOCKED))
    page.goto("/")
    expect(page.get_by_role("heading", name="This server asks for its token")).to_be_visible()
    check("locked")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_tab_on_a_phone(phone: Page, scheme: Literal["light", "dark"]) -> None:
    phone.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    phone.goto("/")
    phone.get_by_role("button", name="Try it with sales.csv").click()
    phone.get_by_role("log").get_by_role("button", name="Analyze this CSV").click()
    expect(phone.locator("[data-turn=assistant][data-state=complete]")).to_be_visible(timeout=30_000)
    for tab in ("Chat", "Notebook", "Files", "Variables"):
        phone.get_by_role("tab", name=re.compile(f"^{tab}")).first.click()
        assert complaints(phone) == [], tab
        assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390, tab
    phone.get_by_role("button", name="Show conversations").click()
    assert complaints(phone) == [], "conversations"


LOCKED: Any = {"error": {"code": "unauthorized", "message": "No token.", "hint": "", "fields": []}}
