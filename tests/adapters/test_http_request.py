"""What headers and paths say, as pure functions."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellblock.adapters.http.request import Span, after, inside, media, revision, span, wants_async
from cellblock.errors import CellblockError, InvalidPath, InvalidRequest, RangeNotSatisfiable


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("Application/X-NDJSON", "application/x-ndjson"),
        ("application/json, text/event-stream", "application/json"),
        ("application/json;q=0.5, text/event-stream;q=0.9", "text/event-stream"),
        ("text/event-stream;q=0, application/json", "application/json"),
        ("text/event-stream;q=much", "application/json"),
    ],
)
def test_the_best_offered_type_is_chosen(accept: str | None, wanted: str) -> None:
    assert media(accept) == wanted


def test_respond_async_is_found_among_preferences() -> None:
    assert wants_async("wait=10, Respond-Async")
    assert not wants_async("return=minimal")
    assert not wants_async(None)


@pytest.mark.parametrize("header", ["3", '"3"', 'W/"3"', ' "3" '])
def test_a_revision_is_a_number_quoted_or_not(header: str) -> None:
    assert revision(header) == 3


@pytest.mark.parametrize("header", [None, "*"])
def test_no_revision_takes_any(header: str | None) -> None:
    assert revision(header) is None


@pytest.mark.parametrize("header", ["", "x", "-1", '"1", "2"', "٣"])
def test_another_revision_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        revision(header)
    assert refused.value.fields[0]["path"] == "header.if-match"


def test_the_resume_point_is_a_number() -> None:
    assert (after(None), after(""), after("12")) == (0, 0, 12)
    with pytest.raises(InvalidRequest):
        after("abc")


@pytest.mark.parametrize("path", ["a.csv", "data/a b.csv", "..hidden", "a/...", "100%.txt", "%41"])
def test_a_path_inside_stays_as_it_is(path: str) -> None:
    assert inside(path) == path


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a", "a/../../b", "a/..", "..", "a\0b", "", "/", "\\\\host", "a\\..\\b"]
)
def test_a_path_that_leaves_is_refused_in_any_encoding(path: str) -> None:
    for encoded in (path, quote(path, safe=""), quote(quote(path, safe=""), safe="")):
        with pytest.raises(InvalidPath):
            inside(encoded)


@given(st.text())
def test_a_path_is_taken_as_it_is_or_refused(path: str) -> None:
    try:
        assert inside(path) == path
    except InvalidPath:
        return
    assert ".." not in path.split("/")


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=2-", Span(2, 10)),
        ("bytes=-3", Span(7, 10)),
        ("bytes=-99", Span(0, 10)),
        ("bytes=5-99", Span(5, 10)),
        ("bytes=5-2", None),
        ("bytes=0-1,4-5", None),
        ("lines=1-2", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
    ],
)
def test_a_range_is_a_part_of_the_file(header: str | None, part: Span | None) -> None:
    assert span(header, 10) == part


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_with_nothing_in_it_is_not_satisfiable(header: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable):
        span(header, size)


@given(st.text(), st.integers(0, 100))
def test_a_range_never_leaves_the_file(header: str, size: int) -> None:
    try:
        part = span("bytes=" + header, size)
    except CellblockError:
        return
    assert part is None or 0 <= part.start < part.end <= size
