"""What is there to be looked at, without a mouse: with keys alone, and on a phone 390 pixels wide, where it all fits."""

import base64
import re
from collections.abc import Iterator

import pytest
import scripted_model
from hands import Hand
from person import ask, at_rest, cells, choose_model, ended, saved
from playwright.sync_api import FrameLocator, Locator, Page, expect
from test_outputs import FILM, WAV

COMPLETE = "[data-turn=assistant][data-state=complete]"


@pytest.fixture(params=["keys", "finger"])
def hand(request: pytest.FixtureRequest) -> Hand:
    return Hand(request.getfixturevalue("phone" if request.param == "finger" else "page"), request.param)


@pytest.fixture
def held_back() -> Iterator[None]:
    """A model asked to wait does so until it is let go."""
    scripted_model.GO.clear()
    yield
    scripted_model.GO.set()


def fits(page: Page) -> None:
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


WRITTEN = """\
| city | sum |
|---|---|
| Oslo | 12.5 |

The mean is $\\bar{x} = 3$. WAIT And `that` was all of it."""


def test_an_answer_is_read_while_it_is_written(hand: Hand, held_back: None) -> None:
    page = hand.page
    page.goto("/")
    choose_model(page, "scripted")
    ask(page, f"Say: {WRITTEN}")
    answer = page.locator("[data-turn=assistant]")
    expect(answer.get_by_role("cell", name="12.5")).to_have_css("text-align", "right")
    expect(answer.locator(".katex")).to_be_visible()
    expect(page.locator(COMPLETE)).to_have_count(0)
    expect(answer).not_to_contain_text("that was all")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    scripted_model.GO.set()
    expect(page.locator(COMPLETE)).to_contain_text("And that was all of it.")
    fits(page)
    page.reload()
    expect(page.locator(COMPLETE).get_by_role("cell", name="12.5")).to_be_visible()


def test_code_is_seen_while_it_is_written_and_is_the_persons_then(hand: Hand, held_back: None) -> None:
    page = hand.page
    page.goto("/")
    choose_model(page, "scripted")
    ask(page, "Run:\n```python\nfirst = 6\n# WAIT\nprint(first * 7)\n```")
    if hand.kind == "finger":
        hand.show("Notebook")
    draft = page.locator("[data-draft]")
    expect(draft).to_contain_text("first = 6")
    expect(draft).to_contain_text("Being written")
    expect(draft).not_to_contain_text("print")
    expect(cells(page)).to_have_count(0)
    scripted_model.GO.set()
    ended(cells(page).first, "ok")
    expect(draft).to_have_count(0)
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("42")
    expect(page.locator(COMPLETE)).to_be_attached()
    hand.attend(cells(page).first)
    if hand.kind == "keys":
        page.keyboard.press("Enter")
    expect(cells(page).first.locator(".cm-content")).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.press("Enter")
    page.keyboard.type("print('mine')")
    hand.press(cells(page).first.get_by_role("button", name="Run cell").first)
    expect(cells(page).first.locator("[data-outputs]")).to_contain_text("mine")
    saved(page, page.request, page.url.rpartition("/")[2], ["first = 6\n# WAIT\nprint(first * 7)\nprint('mine')"])


KINDS = """\
import sys, time, matplotlib.pyplot as plt
from IPython.display import HTML, Image, Latex, Markdown, clear_output, display
print("gone"); clear_output()
for n in range(101): print(f"\\rloading {n} of 100", end="", flush=True)
print("\\n\\x1b[31mred\\x1b[0m plain")
handle = display(Markdown("a **first** word"), display_id=True)
plt.plot([1, 2]); plt.title("Growth"); plt.show()
print("between", flush=True)
print("a warning", file=sys.stderr, flush=True)
display(HTML("<p id='framed'>framed</p>"), Latex("$x^2$"))
handle.update(Markdown("a **second** word"))
1 / 0
"""
TOP = "piece => piece.getBoundingClientRect().top"
COLOUR = "text => getComputedStyle(text).color"


def test_outputs_of_every_kind_stand_in_the_order_they_came(hand: Hand) -> None:
    page = hand.page
    hand.open(KINDS)
    shown = cells(page).first.locator("[data-outputs]")
    red = shown.get_by_text("red", exact=True)
    pieces = [
        shown.get_by_text("loading 100 of 100"),
        red,
        shown.locator("strong", has_text="second"),
        shown.get_by_role("img", name="Figure: Growth"),
        shown.get_by_text("between"),
        shown.get_by_text("a warning"),
        shown.locator("iframe"),
        shown.locator(".katex").first,
        shown.get_by_role("group", name="Error: ZeroDivisionError"),
    ]
    cells(page).first.scroll_into_view_if_needed()
    for piece in pieces:
        expect(piece.first).to_be_visible()
    at_rest(page)
    tops = [piece.first.evaluate(TOP) for piece in pieces]
    assert tops == sorted(tops)
    assert len(set(tops)) == len(tops)
    expect(shown.frame_locator("iframe").locator("#framed")).to_have_text("framed")
    text = shown.inner_text()
    assert "gone" not in text
    assert "first" not in text
    assert text.count("loading") == 1
    assert red.evaluate(COLOUR) != red.locator("..").evaluate(COLOUR)
    expect(cells(page).first.get_by_label("Run 1", exact=True)).to_be_attached()
    if hand.kind == "finger":
        expect(cells(page).first.locator("[data-count]")).to_have_text("[1]")
    expect(cells(page).first.get_by_text(re.compile(r"^\d+ ms$|^\d+\.\d s$"))).to_be_visible()
    fits(page)


WIDE = "import pandas as pd\npd.DataFrame([range(1000, 1040)] * 3, columns=[f'column {n}' for n in range(40)])"


def test_a_wide_table_scrolls_in_itself(hand: Hand) -> None:
    page = hand.page
    hand.open(WIDE)
    frame = page.frame_locator("[data-outputs] iframe")
    last = frame.get_by_role("columnheader", name="column 39")
    expect(last).to_be_attached()
    cells(page).first.scroll_into_view_if_needed()
    at_rest(page)
    expect(last).not_to_be_in_viewport()
    first = frame.get_by_role("columnheader", name="column 0", exact=True)
    if hand.kind == "keys":
        frame.locator("[tabindex='0']").first.focus()
    for _ in range(120):
        if hidden(page, last):
            page.keyboard.press("ArrowRight") if hand.kind == "keys" else swipe(page, frame.locator("thead"))
    expect(last).to_be_in_viewport()
    expect(first).not_to_be_in_viewport()
    fits(page)


def hidden(page: Page, place: Locator) -> bool:
    """Whether it lies to the right of what is seen."""
    box = place.bounding_box()
    assert box is not None
    assert page.viewport_size is not None
    return box["x"] + box["width"] > page.viewport_size["width"]


def swipe(page: Page, place: Locator) -> None:
    """A finger that moves to the left: how far depends on its pace, and on whether what it moves goes on by itself."""
    box = place.bounding_box()
    assert box is not None
    touch = page.context.new_cdp_session(page)
    x, y = 300.0, box["y"] + box["height"] / 2
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in range(1, 11):
        point = {"x": x - 25 * step, "y": y}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    touch.detach()


BEGAN = """media => new Promise((done) => {
  media.ontimeupdate = () => media.currentTime > 0 && done(true)
  media.ontimeupdate()
})"""


def plays(hand: Hand, media: Locator) -> None:
    """By the browser's own controls."""
    expect(media).to_be_visible()
    media.evaluate("media => { media.muted = true }")
    if hand.kind == "keys":
        media.focus()
        hand.page.keyboard.press("Space")
    else:
        at_rest(hand.page)
        box = media.bounding_box()
        assert box is not None
        media.tap(position={"x": 28, "y": box["height"] - 28})
    assert media.evaluate(BEGAN)


def test_sound_and_film_play(hand: Hand) -> None:
    page = hand.page
    page.goto("/")
    film = base64.b64decode(page.evaluate(FILM.replace("32", "240")))  # large enough for a finger
    id = hand.open()
    assert page.request.put(f"/api/jupyter/kernel/{id}/files/film.webm", data=film).ok
    codes = [
        WAV + "display({'audio/wav': base64.b64encode(file.getvalue()).decode()}, raw=True)",
        "display({'video/webm': base64.b64encode(open('film.webm', 'rb').read()).decode()}, raw=True)",
        WAV + "Audio(file.getvalue())",
        "from IPython.display import Video\nVideo('film.webm', embed=True)",
    ]
    for code in codes:
        page.request.post("/api/jupyter/execute", data={"kernel_id": id, "code": code})
    expect(cells(page)).to_have_count(4)
    for at, tag in enumerate(("audio", "video", "audio", "video")):
        cell = cells(page).nth(at)
        cell.scroll_into_view_if_needed()
        where: Locator | FrameLocator = cell.frame_locator("iframe") if at > 1 else cell.locator("[data-outputs]")
        plays(hand, where.locator(tag))
    fits(page)


def test_a_figure_is_told_by_its_title_its_axes_and_what_the_model_called_its_step(hand: Hand) -> None:
    page = hand.page
    page.goto("/")
    choose_model(page, "scripted")
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.title('Growth'); plt.xlabel('year'); plt.show()"
    ask(page, f"Run:\n```python\n{plot}\n```")
    expect(page.locator(COMPLETE)).to_be_attached()
    hand.show("Notebook")
    name = "Figure: Growth (x: year). As told"
    expect(cells(page).first.get_by_role("img", name=name, exact=True)).to_be_visible()


def test_a_notice_is_in_view_wherever_a_person_has_scrolled(hand: Hand) -> None:
    page = hand.page
    hand.open("print('\\n' * 200)", "1")
    cells(page).last.scroll_into_view_if_needed()
    hand.press(page.get_by_role("button", name="Restart the kernel"))
    told = page.get_by_role("status").filter(has_text="Run all")
    expect(told).to_be_in_viewport()
    expect(cells(page).last).to_be_in_viewport()
    fits(page)
