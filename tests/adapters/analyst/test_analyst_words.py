"""Words, names, kinds of columns, and which words name which columns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellblock.adapters.analyst.columns import find
from cellblock.adapters.analyst.outputs import parse
from cellblock.adapters.analyst.schema import Column, to_column, to_file
from cellblock.adapters.analyst.words import (
    clean,
    distance,
    human,
    is_typo,
    parse_number,
    pieces,
    singular,
    stems,
    tokenise,
)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("orderDate", ("order", "date")),
        ("order_date", ("order", "date")),
        ("Order Dates", ("order", "date")),
        ("HTTPStatus", ("http", "status")),
        ("Response Time (ms)", ("response", "time", "ms")),
        ("Verkäufer", ("verkaufer",)),
        ("categories", ("category",)),
        ("q1Sales", ("q", "1", "sale")),
        ("日本", ("日本",)),
    ],
)
def test_a_name_is_its_words_however_it_is_written(name: str, words: tuple[str, ...]) -> None:
    assert stems(name) == words


@pytest.mark.parametrize(
    ("text", "number"),
    [("1,234.5", 1234.5), ("1.234,5", 1234.5), ("50k", 50_000), ("2m", 2e6), ("3,5", 3.5), ("1,000", 1000), ("-7", -7)],
)
def test_numbers_in_questions_are_read_in_both_ways_of_writing(text: str, number: float) -> None:
    assert parse_number(text) == number


def test_a_point_of_thousands_is_read_as_its_column_writes_them() -> None:
    assert (parse_number("1.000"), parse_number("1.000", european=True)) == (1, 1000)


@given(a=st.text("abcd", max_size=8), b=st.text("abcd", max_size=8))
def test_distance_is_symmetric_and_zero_only_for_equals(a: str, b: str) -> None:
    assert distance(a, b, 8) == distance(b, a, 8)
    assert (distance(a, b, 8) == 0) == (a == b)
    assert distance(a, b, 2) == min(distance(a, b, 8), 3)


@pytest.mark.parametrize(("a", "b"), [("regoin", "region"), ("reveneu", "revenue"), ("departmnt", "department")])
def test_a_few_letters_may_be_wrong(a: str, b: str) -> None:
    assert is_typo(a, b)


@pytest.mark.parametrize(("a", "b"), [("cost", "cast"), ("sales", "males"), ("north", "south"), ("age", "ages")])
def test_other_words_are_no_typos(a: str, b: str) -> None:
    assert not is_typo(a, b)


@given(st.text(max_size=300))
def test_shown_text_is_one_line_that_can_be_sent(text: str) -> None:
    shown = clean(text)
    assert shown.encode().decode() == shown
    assert len(shown) <= 120
    assert not set(shown) & set("\n\r\t`\x00")


@given(st.text(max_size=60))
def test_tokens_stand_where_they_say(text: str) -> None:
    for token in tokenise(text):
        assert token.text in text[token.start : token.end]


def test_names_are_shown_as_words() -> None:
    assert [human(name) for name in ("unit_price", "orderDate", "Annual Salary", "BMI", "Umsatz")] == [
        "unit price",
        "order date",
        "Annual Salary",
        "BMI",
        "Umsatz",
    ]
    assert singular("statuses") == "statuse"  # rough, and the same on both sides
    assert pieces("") == ()


# --- kinds of columns ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dtype", "sample", "kind", "detail"),
    [
        ("a", "int64", [1, 2], "number", ""),
        ("a", "str", ["$1,234.50", "$7"], "number", "us"),
        ("a", "str", ["1.234,50 €", "7,00 €"], "number", "eu"),
        ("a", "str", ["1.234 €", "20 €"], "number", "eu"),
        ("a", "str", ["12%", "7.5%"], "number", "us"),
        ("a", "object", ["5", "n/a", "7"], "number", "us"),
        ("a", "str", ["(1,200.00)", "300.00"], "number", "us"),
        ("zip", "str", ["01234", "99999"], "text", ""),
        ("code", "str", ["007", "12"], "text", ""),
        ("host", "str", ["192.168.1.10", "10.0.0.1"], "text", ""),
        ("version", "str", ["1.2.3", "2.0.1"], "text", ""),
        ("a", "str", ["2024-01-05", "2024-02-06"], "date", "ISO8601"),
        ("a", "str", ["2024-01-05T10:00:00Z"], "date", "ISO8601 utc"),
        ("a", "str", ["05.01.2024", "13.02.2024"], "date", "%d.%m.%Y"),
        ("a", "str", ["01/02/2024", "01/13/2024"], "date", "%m/%d/%Y"),
        ("a", "str", ["01/02/2024", "13/02/2024"], "date", "%d/%m/%Y"),
        ("a", "str", ["Jan 5, 2024", "Feb 6, 2024"], "date", "mixed"),
        ("created", "int64", [1_700_000_000], "date", "s"),
        ("date", "int64", [20240131], "date", "%Y%m%d"),
        ("amount", "int64", [20240131], "number", ""),
        ("a", "datetime64[us, UTC]", ["2024-01-05T00:00:00"], "date", ""),
        ("a", "bool", [True], "bool", ""),
        ("a", "str", ["North", "South"], "text", ""),
        ("a", "str", ["12 Main St", "7 Oak Rd"], "text", ""),
    ],
)
def test_a_column_is_what_its_values_are(name: str, dtype: str, sample: list[Any], kind: str, detail: str) -> None:
    column = to_column({"name": name, "dtype": dtype, "sample": sample}, None)
    assert (column.kind, column.style or column.date_format) == (kind, detail)


# --- words to columns ------------------------------------------------------------------------------------------------

SHOP = to_file(
    {
        "path": "shop.csv",
        "columns": [
            {"name": name, "dtype": "float64" if name in ("revenue", "unit_price", "temp_max_c", "Qty") else "str"}
            for name in ("revenue", "unit_price", "order_date", "Region", "customerName", "temp_max_c", "Qty", "Dept")
        ],
    }
)


@pytest.mark.parametrize(
    ("words", "column"),
    [
        ("revenue", "revenue"),
        ("REVENUES", "revenue"),
        ("sales", "revenue"),
        ("turnover", "revenue"),
        ("unit price", "unit_price"),
        ("Unit-Prices", "unit_price"),
        ("unitprice", "unit_price"),
        ("price", "unit_price"),
        ("regoin", "Region"),
        ("areas", "Region"),
        ("customer", "customerName"),
        ("customer name", "customerName"),
        ("max temperature", "temp_max_c"),
        ("temperature", "temp_max_c"),
        ("quantity", "Qty"),
        ("department", "Dept"),
        ("date", "order_date"),
        ('"revenue"', "revenue"),
    ],
)
def test_words_name_the_column_they_mean(words: str, column: str) -> None:
    [mention] = find(tokenise(words), SHOP.columns)
    assert [found.name for found in mention.columns] == [column]


@pytest.mark.parametrize("words", ["profit", "weather", "the", "by", "chart", "people", "5", "?"])
def test_other_words_name_no_column(words: str) -> None:
    assert find(tokenise(words), SHOP.columns) == []


def test_a_word_of_two_columns_is_ambiguous() -> None:
    columns = [Column("temp_max", "number"), Column("temp_min", "number")]
    [mention] = find(tokenise("temperature"), columns)
    assert mention.ambiguous


# --- outputs ---------------------------------------------------------------------------------------------------------


def test_the_tools_text_is_taken_apart() -> None:
    text = (
        "status: ok\n\nstdout:\nTotal n by k\nRows: 3\n\ndisplay:\n | Total n\nk | \na b | 1,000.00\n | 2.00\n\n"
        "stdout:\nHighest: a b with 1,000.00\n\n[PNG image 800×450, shown to the person; you cannot see it]\n\n"
        "files: created x.csv (3 B)"
    )
    outputs = parse(text)
    assert outputs.ok
    assert outputs.fact("Rows") == "3"
    assert outputs.fact("Highest") == "a b with 1,000.00"
    assert outputs.tables[0].columns == ("k", "Total n")
    assert outputs.tables[0].rows == (("a b", "1,000.00"), ("", "2.00"))
    assert outputs.pictures == 1


def test_an_error_is_its_last_line() -> None:
    outputs = parse("status: error: the code raised\n\nerror:\nCell In[1], line 2\n----> 2 x\nKeyError: 'x'")
    assert (outputs.status, outputs.error) == ("error", "KeyError: 'x'")


@pytest.mark.parametrize(
    "stands",
    [
        "state: after [2]",
        "state: empty",
        "state: before [3], which is undone",
        "state: before this call, which is undone",
    ],
)
def test_what_state_the_kernel_stands_on_was_not_printed(stands: str) -> None:
    assert parse(f"status: ok\n\nstdout:\n0\n1\n\n{stands}").lines == ["0", "1", ""]


def test_a_line_that_only_looks_like_it_was() -> None:
    assert parse("status: ok\n\nstdout:\nstate: Ohio\nstate: after all\nsum: 1").lines == [
        "state: Ohio",
        "state: after all",
        "sum: 1",
    ]
