"""What the kernel does and holds, to be seen: memory, the line of cells, variables and the rows of a table."""

import re

from person import add_cell, cells, ended, run_cell
from playwright.sync_api import Page, expect

TABLE = """\
import pandas as pd
orders = pd.DataFrame({"city": [f"city {n % 7}" for n in range(120)], "sum": range(120)})
greeting = "hello " * 3
"""


def variables(page: Page) -> None:
    page.get_by_role("tab", name="Variables").first.click()


def test_variables_have_type_shape_and_size_and_follow_every_run(page: Page, session: str) -> None:
    run_cell(page, TABLE)
    variables(page)
    row = page.locator("[data-variables]").get_by_role("row").filter(has_text="orders")
    expect(row).to_contain_text("DataFrame")
    expect(row).to_contain_text("120 × 2")
    expect(row).to_contain_text("KiB")
    expect(page.locator("[data-variables]")).to_contain_text("'hello hello hello '")
    page.get_by_role("tab", name="Notebook").first.click()
    run_cell(page, "del orders; later = [1, 2, 3]")
    variables(page)
    expect(page.locator("[data-variables]")).to_contain_text("later")
    expect(row).to_have_count(0)


def test_a_large_table_comes_page_by_page_and_is_ordered_by_a_column(page: Page, session: str) -> None:
    run_cell(page, TABLE)
    variables(page)
    page.get_by_role("button", name="orders", exact=True).click()
    table = page.locator("[data-variable=orders]")
    expect(table.locator("[data-rows]")).to_have_text("1–50 of 120")
    table.get_by_role("button", name="Rows after").click()
    expect(table.locator("[data-rows]")).to_have_text("51–100 of 120")
    expect(table.get_by_role("rowheader").first).to_have_text("50")
    table.get_by_role("button", name=re.compile("^sum")).click()
    table.get_by_role("button", name=re.compile("^sum")).click()
    expect(table.get_by_role("columnheader", name=re.compile("^sum"))).to_have_attribute("aria-sort", "descending")
    expect(table.get_by_role("rowheader").first).to_have_text("119")
    number = table.get_by_role("cell").nth(1)
    assert number.evaluate("cell => getComputedStyle(cell).textAlign") == "right"
    table.get_by_role("button", name="All variables").click()
    page.get_by_role("button", name="greeting").click()
    expect(page.locator("[data-variable=greeting]")).to_contain_text("hello hello hello")


def test_a_sleeping_kernel_says_that_it_holds_nothing(page: Page, session: str) -> None:
    run_cell(page, "x = 1")
    page.request.post(f"/api/jupyter/kernel/{session}/release")
    variables(page)
    expect(page.get_by_text("The kernel is asleep and holds no variables.")).to_be_visible()


def test_time_and_memory_of_a_running_cell_and_the_line_behind_it_are_seen(page: Page, session: str) -> None:
    running = add_cell(page, "held = bytearray(64 << 20)\nprint(input('Go on? '))")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_label("Go on?")).to_be_visible()
    for source, place in (("second = 2", "Next in line"), ("third = 3", "Waiting, 1 cell before it")):
        cell = add_cell(page, source)
        page.keyboard.press("Control+Enter")
        expect(cell).to_contain_text(place)  # which moves what is below it
    expect(page.locator("[data-kernel=busy]")).to_contain_text("2 waiting")
    expect(page.locator("[data-memory]")).to_have_text(re.compile(r"^\d+(\.\d)? MiB$"))
    expect(running.get_by_text(re.compile(r"^\d+(\.\d)? MiB$"))).to_be_visible()
    expect(running.get_by_text(re.compile(r"^\d+\.\d s$"))).to_be_visible()
    page.get_by_label("Go on?").fill("yes")
    page.keyboard.press("Enter")
    ended(cells(page).nth(2), "ok")
    expect(page.locator("[data-kernel=idle]")).to_be_visible()


def test_a_table_that_has_become_shorter_is_shown_where_it_ends(page: Page, session: str) -> None:
    run_cell(page, "import pandas\ntable = pandas.DataFrame({'n': range(120)})")
    page.get_by_role("tab", name="Variables").locator("visible=true").click()
    page.get_by_role("button", name="table", exact=True).click()
    for _ in range(2):
        page.get_by_role("button", name="Rows after").click()
    told = page.locator("[data-rows]")
    expect(told).to_have_text("101–120 of 120")
    for rows, shown in ((60, "51–60 of 60"), (3, "1–3 of 3"), (0, "No rows")):
        page.request.post("/api/jupyter/execute", data={"kernel_id": session, "code": f"table = table.head({rows})"})
        expect(told).to_have_text(shown)
