"""Any question about any columns: the analyst never crashes, and what it writes always compiles."""

import ast
import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cellblock.adapters.analyst.outputs import parse
from cellblock.adapters.analyst.question import FENCE, Turn
from cellblock.adapters.analyst.respond import Attempt, respond
from cellblock.adapters.analyst.schema import DataFile, find_context, to_file

WORDS = st.sampled_from(
    """
    revenue by region bar chart line pie scatter histogram box plot of average total median count min max top bottom 5 10
    where is in the North South above 100 between and 2023 March Q1 per month year quarter week day share percentage
    unique missing correlation describe sort ascending not over under at least how many which highest lowest > < = "x"
    a's {b} for only excluding vs over time distribution p95 95th percentile rate last first rows by by 'quoted words'
    """.split()
)
QUESTIONS = st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=14).map(" ".join))
NASTY = [
    'a"b',
    "it's",
    "new\nline",
    "{x}",
    "back\\slash",
    "ünï",
    "日本",
    "",
    " ",
    "\ud800",
    "x" * 130,
    "%s",
    "#",
    "count",
    "df",
    "by",
    "total",
    "rows",
    "import os",
    '"""',
    "a | b",
    "`code`",
    "{0}",
    "\x00",
    "month",
    "Highest: x with 1",
]
NAMES = st.one_of(
    st.sampled_from(NASTY), st.sampled_from("region revenue units date age status".split()), st.text(max_size=12)
)
VALUES = st.one_of(
    st.text(max_size=12),
    st.integers(-(10**12), 10**12),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from(["North", "1.234,50 €", "$1,000", "2024-01-05", "05/13/2024", *NASTY]),
)
DTYPES = st.sampled_from(
    ["str", "object", "int64", "float64", "bool", "datetime64[us]", "datetime64[us, UTC]", "category", ""]
)
COLUMN = st.fixed_dictionaries(
    {"name": NAMES, "dtype": DTYPES, "sample": st.lists(VALUES, max_size=4)},
    optional={"missing": st.integers(0, 9), "unique": st.one_of(st.none(), st.integers(0, 99))},
)
KINDS = st.sampled_from(["csv", "tsv", "excel", "json", "jsonl", "parquet", "", "image"])
READ = st.dictionaries(
    st.sampled_from(["encoding", "sep", "sheet", "lines", "json_normalize", "on_bad_lines"]), VALUES, max_size=3
)
FILE = st.fixed_dictionaries(
    {"path": NAMES, "kind": KINDS, "columns": st.lists(COLUMN, max_size=5)},
    optional={"rows": st.integers(0, 99), "read": READ, "error": st.text(max_size=9), "records": NAMES},
)
MANY = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def files_of(raw: list[dict[str, Any]]) -> list[DataFile]:
    return [to_file(entry) for entry in raw]


@MANY
@given(question=QUESTIONS, raw=st.lists(FILE, max_size=2))
@example(
    question="total units by region",
    raw=[
        {
            "path": 'x"\n.csv',
            "kind": "csv",
            "columns": [
                {"name": "region\n", "dtype": "str", "sample": ["a"]},
                {"name": 'units"""', "dtype": "int64", "sample": [1]},
            ],
        }
    ],
)
def test_every_question_gets_words_or_code_that_compiles(question: str, raw: list[dict[str, Any]]) -> None:
    step = respond(question, files_of(raw))
    assert step.text or step.code
    step.text.encode()
    step.title.encode()
    if step.code and "```" not in question:
        ast.parse(step.code)


@MANY
@given(questions=st.lists(QUESTIONS, min_size=2, max_size=4), raw=st.lists(FILE, min_size=1, max_size=2))
def test_a_conversation_never_crashes(questions: list[str], raw: list[dict[str, Any]]) -> None:
    *before, last = questions
    step = respond(last, files_of(raw), [Turn(question, "") for question in before])
    if step.code and "```" not in last:
        ast.parse(step.code)


@MANY
@given(question=QUESTIONS, raw=st.lists(FILE, min_size=1, max_size=1), output=st.text(max_size=200))
@example(
    question="total", raw=[{"path": "a.csv", "kind": "csv", "columns": []}], output="status: ok\n\ndisplay:\n | a\n | "
)
def test_any_output_can_be_answered(question: str, raw: list[dict[str, Any]], output: str) -> None:
    """What the tool says is made by hostile code: the analyst says something, or tries once more with code that compiles."""
    for text in (
        output,
        f"status: ok\n\nstdout:\n{output}\n\ndisplay:\n{output}",
        f"status: error\n\nerror:\n{output}",
    ):
        attempts = [Attempt("x", text)]
        step = respond(question, files_of(raw), (), attempts)
        step.text.encode()
        if step.code and "```" not in question:
            ast.parse(step.code)
            assert not respond(question, files_of(raw), (), [*attempts, Attempt(step.code, text)]).code


@given(texts=st.lists(st.text(max_size=60), max_size=3))
@example(texts=["data_context" + '{"a":' * 3000])
@example(texts=['data_context {"files": [1, null, {"path": 3}, {"path": "a", "columns": [1, {"name": null}]}]}'])
def test_any_instructions_give_a_context(texts: list[str]) -> None:
    assert all(isinstance(file, DataFile) for file in find_context([f"data_context {text}" for text in texts] + texts))


@given(
    raw=st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["files", "path", "columns", "name", "sample", "read"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_gives_a_context(raw: Any) -> None:
    find_context([f"data_context {json.dumps(raw)}"])


@given(text=st.text(max_size=300))
def test_any_text_is_read_as_outputs(text: str) -> None:
    parse(text)


def test_a_fence_that_is_none_takes_no_longer_than_its_length() -> None:
    """All that a question may have, twice over; in all ways to divide it this took minutes, and the server stood still."""
    assert FENCE.search("```" + " \t" * 100_000 + "x") is None
    assert FENCE.search("``` \t" * 40_000) is None
