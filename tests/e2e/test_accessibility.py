"""axe-core finds nothing to complain of, on any view, in both themes; frames of outputs are views too."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import pytest
from person import SALES, add_cell, ask, cells, choose_model, drawn, drop, ended, run_cell, saved, twice
from playwright.sync_api import APIRequestContext, Frame, Page, expect

AXE = (Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js").read_text()
ASK = """async () => {
  const drawn = new CSSStyleSheet()  // what is not drawn keeps the colours of the theme before
  drawn.replaceSync('* { content-visibility: visible !important }')
  document.adoptedStyleSheets.push(drawn)
  const ends = (one) => one.playState === 'running' && one.effect.getComputedTiming().endTime < Infinity
  await Promise.all(document.getAnimations().filter(ends).map((one) => one.finished.catch(() => {})))
  await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))
  const { violations } = await axe.run(document, { iframes: false })
  document.adoptedStyleSheets.pop()
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
    twice(page, "d")
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
    expect(page.get_by_role("combobox", name="Command")).to_be_focused()
    check("palette")
    page.keyboard.type("shortcuts")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    check("shortcuts")


KINDS = """\
from IPython.display import HTML, JSON, SVG, display
import altair as alt, base64, io, pandas as pd, plotly.graph_objects as go, wave
alt.renderers.enable("mimetype")
table = pd.DataFrame({"n": range(300), "word": ["w"] * 300})
file = io.BytesIO()
with wave.open(file, "wb") as tone:
    tone.setnchannels(1); tone.setsampwidth(1); tone.setframerate(8000); tone.writeframes(b"\\x80" * 400)
display(table, JSON({"deep": {"x": [1, None, True, "text"]}}))
display({"application/pdf": base64.b64encode(b"%PDF-1.4").decode()}, raw=True)
display({"audio/wav": base64.b64encode(file.getvalue()).decode()}, raw=True)
"""
DRAWN = (
    "go.Figure(go.Bar(x=['a', 'b'], y=[1, 2])).show()",
    "alt.Chart(table.head()).mark_bar().encode(x='word', y='n')",
    'SVG(\'<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><rect width="60" height="40"/></svg>\')',
)


def test_outputs_of_other_kinds_and_what_opens_from_them(
    page: Page, check: Callable[[str], None], session: str
) -> None:
    shown = run_cell(page, KINDS)
    shown.get_by_role("button", name="deep").click()
    check("tree, card and sound")
    shown.get_by_role("button", name="All 300 rows").focus()
    page.keyboard.press("Enter")
    expect(shown.locator("[data-rows]")).to_be_visible()
    check("a long table")
    for code in DRAWN:
        cell = run_cell(page, code)
        frame = cell.frame_locator("iframe")
        expect(frame.locator("svg").first).to_be_visible(timeout=30_000)
        drawn(page)
        within = cell.locator("iframe").element_handle().content_frame()
        assert within is not None
        assert [one for one in complaints(within) if not one.startswith("page-has-heading-one")] == [], code
        check(code)
    cell.get_by_role("button", name="Enlarge the figure").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    check("a figure enlarged")
    page.keyboard.press("Escape")
    long = run_cell(page, "for n in range(200_000): print('line', n)")
    long.get_by_role("button", name="Show the whole output").click()
    expect(page.locator("[data-long-text]")).to_contain_text("line 100")
    check("all of an output")


def test_what_goes_wrong_and_what_is_asked_then(
    page: Page, check: Callable[[str], None], session: str, api: APIRequestContext
) -> None:
    choose_model(page, "scripted")
    ask(page, f"Please refuse once, {uuid4()}")
    expect(page.get_by_role("alert").get_by_role("button", name="Try again")).to_be_visible()
    check("an answer that failed")
    drop(page, "big.csv", "x" * (2 << 20))
    expect(page.locator("[data-upload=failed]")).to_be_visible()
    check("a file too large")
    page.get_by_role("button", name="Theme").click()
    check("themes")
    page.keyboard.press("Escape")
    listed = page.get_by_role("navigation", name="Conversations")
    listed.locator("li").filter(has=page.locator("[aria-current=page]")).get_by_role("button").click()
    check("menu of a conversation")
    page.get_by_role("menuitem", name="Rename").click()
    expect(page.get_by_role("textbox", name="Title")).to_be_focused()
    check("a title being changed")
    page.keyboard.press("Escape")
    cell = add_cell(page, "x = 1")
    saved(page, api, session, ["x = 1"])
    page.route("**/notebook/**", lambda route: route.abort())
    cell.locator(".cm-content").press("Control+End")
    page.keyboard.type("2")
    api.patch(
        f"/api/jupyter/kernel/{session}/notebook/cells/{cell.get_attribute('data-cell')}", data={"source": "x = 3"}
    )
    expect(cell.get_by_role("alert")).to_contain_text("x = 3")
    check("two versions of a cell")


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
    for tab in ("Chat", "Notebook", "Files", "Variables", "Timeline"):
        phone.get_by_role("tab", name=re.compile(f"^{tab}")).first.click()
        assert complaints(phone) == [], tab
        assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390, tab
    phone.get_by_role("button", name="Show conversations").click()
    assert complaints(phone) == [], "conversations"


LOCKED: Any = {"error": {"code": "unauthorized", "message": "No token.", "hint": "", "fields": []}}
