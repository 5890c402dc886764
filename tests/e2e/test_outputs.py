"""Outputs of every kind are shown in their form, and can be had as files."""

import base64
import json
import re
from pathlib import Path
from typing import Any

import pytest
from person import add_cell, at_rest, ended, run_cell
from playwright.sync_api import APIRequestContext, Download, Locator, Page, expect
from test_accessibility import complaints

WAV = """\
import base64, io, wave
from IPython.display import Audio, display
file = io.BytesIO()
with wave.open(file, "wb") as tone:
    tone.setnchannels(1); tone.setsampwidth(1); tone.setframerate(8000); tone.writeframes(b"\\x80" * 4000)
"""


def outputs(cell: Locator) -> Locator:
    return cell.locator("[data-outputs]")


def saved(page: Page, button: Locator) -> Download:
    with page.expect_download() as download:
        button.click()
    return download.value


def head(download: Download, count: int) -> bytes:
    return Path(download.path()).read_bytes()[:count]


def test_a_figure_is_described_enlarged_copied_and_saved(page: Page, session: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    cell = run_cell(
        page,
        "%config InlineBackend.figure_formats = ['png', 'svg']\n"
        "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.title('Growth'); plt.xlabel('year'); plt.show()",
    )
    figure = outputs(cell).get_by_role("img", name="Figure: Growth (x: year)")
    expect(figure).to_be_visible()
    figure.hover()
    download = saved(page, cell.get_by_role("link", name="Download as PNG"))
    assert (download.suggested_filename, head(download, 4)) == ("figure.png", b"\x89PNG")
    download = saved(page, cell.get_by_role("link", name="Download as SVG"))
    assert (download.suggested_filename, head(download, 5)) == ("figure.svg", b"<?xml")
    cell.get_by_role("button", name="Copy the figure").click()
    expect(cell.get_by_role("button", name="Copied")).to_be_visible()
    kinds = page.evaluate("async () => (await navigator.clipboard.read()).flatMap((item) => item.types)")
    assert kinds == ["image/png"]
    cell.get_by_role("button", name=re.compile("^Enlarge")).click()
    large = page.get_by_role("dialog").get_by_role("img", name="Figure: Growth")
    expect(large).to_be_visible()
    page.keyboard.press("Escape")
    expect(large).to_have_count(0)


PLOTTED = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.title('Growth'); plt.show()"


def test_a_figure_that_came_as_a_picture_is_drawn_as_svg_when_asked(page: Page, session: str) -> None:
    cell = run_cell(page, PLOTTED)
    outputs(cell).locator("figure").hover()
    download = saved(page, cell.get_by_role("button", name="Download as SVG"))
    assert (download.suggested_filename, head(download, 5)) == ("figure.svg", b"<?xml")
    page.reload()
    outputs(cell).locator("figure").hover()
    assert head(saved(page, cell.get_by_role("button", name="Download as SVG")), 5) == b"<?xml"


def test_of_a_figure_the_kernel_no_longer_holds_svg_is_not_offered(page: Page, session: str) -> None:
    cell = run_cell(page, PLOTTED)
    page.get_by_role("button", name="Restart the kernel").click()
    expect(page.get_by_role("status").filter(has_text="Run all")).to_be_visible()
    ask = cell.get_by_role("button", name="Download as SVG")
    ask.focus()
    page.keyboard.press("Enter")
    expect(cell).to_contain_text("The kernel no longer holds this figure")
    expect(ask).to_have_count(0)
    expect(cell.get_by_role("link", name="Download as PNG")).to_be_attached()


def test_several_figures_of_a_cell_are_each_described(page: Page, session: str) -> None:
    one = "plt.plot([1, 2])\nplt.title('{}')\nplt.show()\n"
    cell = run_cell(page, "import matplotlib.pyplot as plt\n" + one.format("Costs") + one.format("Gains"))
    expect(outputs(cell).get_by_role("img", name="Figure: Costs")).to_be_visible()
    expect(outputs(cell).get_by_role("img", name="Figure: Gains")).to_be_visible()
    loop = run_cell(page, "for n in range(2):\n    plt.plot([n, 1]); plt.show()")
    expect(outputs(loop).get_by_role("img", name="Figure 2 of 2", exact=True)).to_be_visible()


DRAWN = {
    "plotly": "import plotly.graph_objects as go\nfig = go.Figure(go.Bar(x=['a', 'b'], y=[1, 2]))\nfig.show()",
    "vega": "import altair as alt, pandas as pd\nalt.renderers.enable('mimetype')\n"
    "alt.Chart(pd.DataFrame({'x': ['a', 'b'], 'y': [1, 2]})).mark_bar().encode(x='x', y='y')",
    "svg": "from IPython.display import SVG\n"
    'SVG(\'<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><rect width="60" height="40"/></svg>\')',
}


AREA = "drawn => { const { width, height } = drawn.getBoundingClientRect(); return width * height }"
GREATER = f"""(drawn, least) => new Promise((done) => {{
  const look = () => ({AREA})(drawn) > least ? done() : requestAnimationFrame(look)
  look()
}})"""


@pytest.mark.parametrize("kind", DRAWN)
def test_what_a_frame_draws_is_enlarged_and_saved(page: Page, session: str, kind: str) -> None:
    cell = run_cell(page, DRAWN[kind])
    expect(page.frame_locator("[data-outputs] iframe").locator("svg").first).to_be_visible(timeout=30_000)
    at_rest(page)
    outputs(cell).locator("figure").hover()
    download = saved(page, cell.get_by_role("button", name="Download as SVG"))
    assert download.suggested_filename == "figure.svg"
    assert head(download, 4) == b"<svg"
    download = saved(page, cell.get_by_role("button", name="Download as PNG"))
    assert head(download, 4) == b"\x89PNG"
    cell.get_by_role("button", name="Enlarge the figure").click()
    small = page.frame_locator("[data-outputs] iframe >> nth=0").locator("svg").first
    page.frame_locator("dialog iframe").locator("svg").first.evaluate(GREATER, 1.2 * small.evaluate(AREA))


def test_a_frame_cannot_save_what_nobody_asked_for(page: Page, session: str) -> None:
    downloads: list[Any] = []
    page.on("download", lambda one: downloads.append(one))
    code = (
        "from IPython.display import HTML\n"
        'HTML(\'<p>sent</p><script>for (const format of ["svg", "png"])'
        ' parent.postMessage({type: "saved", format, data: "AAAA"}, "*")</script>\')'
    )
    run_cell(page, code)
    expect(page.frame_locator("[data-outputs] iframe").locator("p")).to_have_text("sent")
    run_cell(page, "print('later')")
    assert downloads == []


PICTURES = """\
import io, matplotlib.pyplot as plt
from IPython.display import Image, SVG, display
plt.plot([1, 2])
for form in ("jpg", "svg"):
    file = io.BytesIO(); plt.savefig(file, format=form)
    display(Image(file.getvalue(), format="jpeg") if form == "jpg" else SVG(file.getvalue()))
plt.close()
"""


def test_a_photograph_stands_in_the_page_and_a_drawing_in_its_frame(page: Page, session: str) -> None:
    cell = run_cell(page, PICTURES)
    photograph = outputs(cell).locator("img[src^='data:image/jpeg;base64,']")
    expect(photograph).to_be_visible()
    assert photograph.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    expect(outputs(cell).frame_locator("iframe").locator("svg")).to_be_visible()


def test_colours_maths_and_marked_text_are_drawn(page: Page, session: str) -> None:
    drawn = "display(Latex('$x^2$'), Markdown('a **bold** word'))"
    cell = run_cell(page, f"from IPython.display import Latex, Markdown\nprint('\\x1b[31mred\\x1b[0m plain')\n{drawn}")
    red = outputs(cell).get_by_text("red", exact=True)
    assert red.evaluate(COLOUR) != red.locator("..").evaluate(COLOUR)
    expect(outputs(cell).locator(".katex")).to_have_count(1)
    expect(outputs(cell).locator("strong")).to_have_text("bold")
    expect(outputs(cell)).not_to_contain_text("[31m")


COLOUR = "text => getComputedStyle(text).color"
SIZE = "text => parseFloat(getComputedStyle(text).fontSize)"


def test_a_formula_is_set_as_one_and_scrolls_in_its_own_box_where_it_is_long(page: Page, session: str) -> None:
    long = " + ".join(f"x_{{{n}}}^{{{n}}}" for n in range(80))
    cell = run_cell(page, f"from IPython.display import Latex\nLatex(r'$${long}$$')")
    small = outputs(cell).locator(".katex .mtight").first
    expect(small).to_be_visible()
    assert small.evaluate(SIZE) < 0.8 * outputs(cell).locator(".katex").first.evaluate(SIZE)
    wider = "box => box.scrollWidth > box.clientWidth"
    assert outputs(cell).locator(".katex-display").evaluate(wider)
    assert not page.locator("[data-notebook]").evaluate(wider)


def test_json_is_a_tree_whose_branches_open(page: Page, session: str) -> None:
    value = "{'name': 'Ada', 'deep': {'inner': {'x': 1.5}}, 'many': list(range(250)), 'none': None}"
    cell = run_cell(page, f"from IPython.display import JSON\nJSON({value})")
    tree = outputs(cell).get_by_role("group", name="JSON")
    expect(tree).to_contain_text('"Ada"')
    expect(tree).not_to_contain_text("1.5")
    tree.get_by_role("button", name="inner").click()
    expect(tree).to_contain_text("1.5")
    tree.get_by_role("button", name="many").click()
    tree.get_by_role("button", name="150 more").click()
    expect(tree).to_contain_text("199")
    expect(tree.get_by_role("button", name="50 more")).to_be_visible()


def test_whole_numbers_of_any_size_are_shown_to_the_last_digit(page: Page, session: str) -> None:
    numbers = "[9007199254740993, -12345678901234567890, 0.1, 1e300, 42]"
    cell = run_cell(page, f"from IPython.display import JSON\nJSON({{'ids': {numbers}}})")
    for _ in range(2):
        for shown in ("9007199254740993", "-12345678901234567890", "0.1", "1e+300", "42"):
            expect(outputs(cell).get_by_text(shown, exact=True)).to_be_visible()
        page.reload()


def test_a_notebook_that_is_opened_keeps_its_numbers_to_the_last_digit(
    page: Page, session: str, api: APIRequestContext, tmp_path: Path
) -> None:
    shown = {"output_type": "display_data", "data": {"application/json": {"id": 2**60 + 1}}, "metadata": {}}
    code = {"cell_type": "code", "metadata": {}, "source": "1", "execution_count": 1, "outputs": [shown]}
    (tmp_path / "mine.ipynb").write_text(
        json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {"large": 2**63 + 1}, "cells": [code]})
    )
    page.get_by_test_id("notebook-input").set_input_files(tmp_path / "mine.ipynb")
    expect(page.get_by_text(str(2**60 + 1), exact=True)).to_be_visible()
    kept = api.get(f"/api/jupyter/kernel/{session}/notebook?format=ipynb").json()
    assert (kept["metadata"]["large"], kept["cells"][0]["outputs"]) == (2**63 + 1, [shown])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_on_any_colour_can_be_read_in_both_themes(page: Page, session: str, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    code = """\
names = [*range(8), *range(60, 68)]
for back in names:
    print('\\x1b[%dmalone\\x1b[0m' % (40 + back), end=' ')
    print('\\x1b[7;%dminverse\\x1b[0m' % (30 + back), end=' ')
    print(*('\\x1b[%d;%dmab\\x1b[0m' % (30 + fore, 40 + back) for fore in names if fore != back))
print('\\x1b[48;2;20;20;20mrgb\\x1b[0m \\x1b[48;5;231mcube\\x1b[0m \\x1b[7;38;2;9;9;9minverse\\x1b[0m \\x1b[7;44mback\\x1b[0m')
"""
    cell = run_cell(page, code)
    expect(outputs(cell)).to_contain_text("rgb")
    assert complaints(page) == []
    low = page.evaluate(CONTRASTS)
    assert [one for one in low if one[1] < 4.5] == []
    assert len(low) == 16 * 17 + 4


CONTRASTS = """() => {
  const ink = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const light = (colour) => {
    ink.fillStyle = colour
    ink.fillRect(0, 0, 1, 1)
    const parts = [...ink.getImageData(0, 0, 1, 1).data].map((byte) => byte / 255)
    const linear = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
  }
  return [...document.querySelectorAll('[data-outputs] pre span')].map((span) => {
    const { color, backgroundColor } = getComputedStyle(span)
    const [more, less] = [light(color), light(backgroundColor)].sort((a, b) => b - a)
    return [`${span.textContent} ${color} on ${backgroundColor}`, (more + 0.05) / (less + 0.05)]
  })
}"""


def test_sound_plays_and_a_document_is_a_card(page: Page, session: str) -> None:
    cell = run_cell(page, WAV + "display({'audio/wav': base64.b64encode(file.getvalue()).decode()}, raw=True)")
    sound = outputs(cell).locator("audio")
    page.wait_for_function("sound => sound.duration > 0.4", arg=sound.element_handle())
    run_cell(page, WAV + "Audio(file.getvalue())")
    within = page.frame_locator("[data-outputs] iframe").locator("audio")
    expect(within).to_be_visible()
    within.evaluate("sound => new Promise((done) => sound.readyState ? done() : (sound.onloadedmetadata = done))")
    assert within.evaluate("sound => sound.duration") == 0.5
    at_rest(page)
    paper = run_cell(page, "display({'application/pdf': base64.b64encode(b'%PDF-1.4').decode()}, raw=True)")
    download = saved(page, paper.get_by_role("link", name="PDF document"))
    assert (download.suggested_filename, head(download, 5)) == ("output.pdf", b"%PDF-")


# Drawn until something of it is there: how soon that is depends on the machine.
FILM = """async () => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 32, height: 32 })
  const brush = canvas.getContext('2d')
  const film = new MediaRecorder(canvas.captureStream(30), { mimeType: 'video/webm' })
  const pieces = []
  film.ondataavailable = (event) => event.data.size && pieces.push(event.data)
  const done = new Promise((resolve) => (film.onstop = resolve))
  film.start(50)
  for (let at = 0; at < 12 || !pieces.length; at++) {
    brush.fillStyle = `rgb(${at * 20 % 256} 0 0)`
    brush.fillRect(0, 0, 32, 32)
    await new Promise((next) => requestAnimationFrame(next))
  }
  film.stop()
  await done
  const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer())
  return btoa(String.fromCharCode(...bytes))
}"""


PLAYS = """film => new Promise((done) => {
  film.muted = true
  film.ontimeupdate = () => film.currentTime > 0 && done(true)
  film.play()
})"""


def test_a_film_plays_in_the_page_and_in_a_frame(page: Page, session: str, api: APIRequestContext) -> None:
    film = base64.b64decode(page.evaluate(FILM))
    assert api.put(f"/api/jupyter/kernel/{session}/files/film.webm", data=film).ok
    code = "import base64\nfrom IPython.display import Video, display\n"
    cell = run_cell(
        page, code + "display({'video/webm': base64.b64encode(open('film.webm', 'rb').read()).decode()}, raw=True)"
    )
    shown = outputs(cell).locator("video")
    assert shown.evaluate(PLAYS)
    assert shown.evaluate("film => film.videoWidth") == 32
    assert shown.evaluate("film => film.controls")
    run_cell(page, "Video('film.webm', embed=True)")
    within = page.frame_locator("[data-outputs] iframe").locator("video")
    assert within.evaluate(PLAYS)
    assert within.evaluate("film => film.videoWidth") == 32


MANY = "import pandas as pd\npd.DataFrame({'n': range(1200), 'word': [f'w{n % 3}' for n in range(1200)]})"


def test_a_long_table_is_paged_and_ordered_in_the_output_itself(page: Page, session: str) -> None:
    cell = run_cell(page, MANY)
    expect(page.frame_locator("[data-outputs] iframe").locator("table.dataframe")).to_be_visible()
    at_rest(page)  # what moves below a pointer is not clicked
    cell.get_by_role("button", name="All 1,200 rows").click()
    table = cell.locator("[data-table]")
    expect(table.locator("[data-rows]")).to_have_text("1–50 of 1,200")
    expect(table.get_by_role("row")).to_have_count(51)
    table.get_by_role("button", name="Rows after").click()
    expect(table.locator("[data-rows]")).to_have_text("51–100 of 1,200")
    expect(table.get_by_role("rowheader").first).to_have_text("50")
    table.get_by_role("button", name=re.compile("^n")).click()
    table.get_by_role("button", name=re.compile("^n")).click()
    expect(table.get_by_role("rowheader").first).to_have_text("1199")
    expect(table.get_by_role("columnheader", name=re.compile("^n"))).to_have_attribute("aria-sort", "descending")
    assert complaints(page) == []
    table.get_by_role("button", name="Back to the preview").click()
    expect(page.frame_locator("[data-outputs] iframe").locator("table.dataframe")).to_be_visible()


def test_a_long_table_is_paged_by_keys(page: Page, session: str) -> None:
    cell = run_cell(page, MANY)
    more = cell.get_by_role("button", name="All 1,200 rows")
    more.focus()
    page.keyboard.press("Enter")
    table = cell.locator("[data-table]")
    expect(table.get_by_role("button", name="Back to the preview")).to_be_focused()
    expect(table.locator("[data-rows]")).to_have_text("1–50 of 1,200")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # there is nothing before the first rows, and the focus stays
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(table.locator("[data-rows]")).to_have_text("51–100 of 1,200")
    expect(table.get_by_role("button", name="Rows after")).to_be_focused()
    page.keyboard.press("Tab")
    expect(table.get_by_role("group", name="Rows of the table")).to_be_focused()


def test_a_long_table_that_is_gone_says_so_and_keeps_its_preview(page: Page, session: str) -> None:
    cell = run_cell(page, MANY)
    page.get_by_role("button", name="Restart the kernel").click()
    expect(page.get_by_role("status").filter(has_text="Run all")).to_be_visible()
    cell.get_by_role("button", name="All 1,200 rows").click()
    expect(cell.get_by_role("alert")).to_contain_text("The kernel no longer holds this table")
    cell.get_by_role("button", name="Back to the preview").click()
    expect(page.frame_locator("[data-outputs] iframe").locator("table.dataframe")).to_be_visible()


def test_outputs_are_used_by_a_finger(phone: Page) -> None:
    id = phone.request.post("/api/jupyter/kernel", data={}).json()["id"]
    for code in (MANY, PLOTTED):
        phone.request.post("/api/jupyter/execute", data={"code": code, "kernel_id": id})
    phone.goto(f"/c/{id}")
    phone.get_by_role("tab", name=re.compile("^Notebook")).first.tap()
    expect(phone.frame_locator("[data-outputs] iframe").first.locator("table.dataframe")).to_be_visible()
    at_rest(phone)
    phone.get_by_role("button", name="All 1,200 rows").tap()
    phone.get_by_role("button", name="Rows after").tap()
    expect(phone.locator("[data-rows]")).to_have_text("51–100 of 1,200")
    assert head(saved(phone, phone.get_by_role("button", name="Download as SVG")), 5) == b"<?xml"
    phone.get_by_role("button", name=re.compile("^Enlarge")).tap()
    large = phone.get_by_role("dialog").get_by_role("img", name="Figure: Growth")
    expect(large).to_be_visible()
    phone.get_by_role("dialog").get_by_role("button", name="Close").tap()
    expect(large).to_have_count(0)
    assert phone.evaluate("() => document.documentElement.scrollWidth") <= 390


def test_a_table_is_ordered_by_the_heads_of_its_columns(page: Page, session: str) -> None:
    run_cell(page, "import pandas as pd\npd.DataFrame({'city': ['b', 'a', 'c'], 'sum': [10, 9, None]})")
    table = page.frame_locator("[data-outputs] iframe").locator("table.dataframe")
    first = table.locator("tbody tr").first.get_by_role("cell").first
    head = table.get_by_role("button", name="sum")
    expect(head).to_be_visible()
    at_rest(page)
    head.click()
    expect(first).to_have_text("a")
    head.click()
    expect(first).to_have_text("b")
    expect(table.get_by_role("columnheader", name="sum")).to_have_attribute("aria-sort", "descending")
    head.click()
    expect(first).to_have_text("b")
    table.get_by_role("button", name="city").click()
    expect(first).to_have_text("a")


def test_a_table_with_rows_left_out_offers_no_order(page: Page, session: str) -> None:
    run_cell(page, "import pandas as pd\npd.DataFrame({'n': range(200)})")
    table = page.frame_locator("[data-outputs] iframe").locator("table.dataframe")
    expect(table).to_be_visible()
    expect(table.get_by_role("button")).to_have_count(0)


def test_displays_are_updated_and_cleared_in_their_place(page: Page, session: str) -> None:
    cell = run_cell(
        page,
        "from IPython.display import clear_output, display\n"
        "print('gone'); clear_output()\nhandle = display('first', display_id=True)\nprint('between')\n"
        "handle.update('second')\nprint('after')",
    )
    text = outputs(cell).inner_text()
    assert [text.find(word) >= 0 for word in ("gone", "first")] == [False, False]
    assert text.index("second") < text.index("between") < text.index("after")
    run_cell(page, "handle.update('third')")
    expect(outputs(cell)).to_contain_text("third")


STEPS = """\
from IPython.display import clear_output, display
handle = display("begun", display_id=True)
input()
handle.update("further")
input()
clear_output(wait=True)
input()
print("all there is")
"""


def test_displays_are_updated_and_cleared_also_after_a_reload(page: Page, session: str) -> None:
    add_cell(page, STEPS)
    page.keyboard.press("Control+Enter")
    cell = page.locator("[data-cell]").first
    for shown in ("begun", "further", "further"):
        expect(outputs(cell)).to_contain_text(shown)
        expect(cell.locator("form input")).to_be_visible()
        page.reload()
        expect(outputs(cell)).to_contain_text(shown)
        cell.locator("form input").press("Enter")
    ended(cell, "ok")
    assert outputs(cell).inner_text().strip() == "all there is"


def test_a_display_of_before_the_page_was_loaded_is_updated(page: Page, session: str) -> None:
    cell = run_cell(page, "handle = display('first', display_id=True)")
    page.reload()
    expect(outputs(cell)).to_contain_text("first")
    run_cell(page, "handle.update('second')")
    expect(outputs(cell)).to_contain_text("second")


def test_a_chart_has_the_colours_of_the_theme_that_is_chosen_after_it(page: Page, session: str) -> None:
    run_cell(page, "import altair, pandas\naltair.Chart(pandas.DataFrame({'a': [1]})).mark_bar().encode(x='a:O')")
    text = page.frame_locator("[data-outputs] iframe").locator("svg text").first
    expect(text).to_have_css("fill", "rgb(0, 0, 0)")
    page.emulate_media(color_scheme="dark")
    expect(text).to_have_css("fill", "rgb(255, 255, 255)")


def test_a_link_in_an_output_does_not_take_it_away(page: Page, session: str) -> None:
    html = '<a href="https://example.com/"><b>away</b></a> <a href="#here">within</a> <p id="here">It stays</p>'
    cell = run_cell(page, f"from IPython.display import HTML\nHTML({html!r})")
    frame = page.frame_locator("[data-outputs] iframe")
    expect(frame.get_by_text("It stays")).to_be_visible()
    at_rest(page)
    frame.get_by_text("away").click()
    frame.get_by_text("within").click()
    expect(frame.get_by_text("It stays")).to_be_visible()
    within = cell.locator("iframe").element_handle().content_frame()
    assert within is not None
    assert within.url.endswith("/frame.html#here")
