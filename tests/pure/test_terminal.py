"""What a terminal shows, and that it stays small."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellblock.terminal import ROWS, WIDTH, Terminal


def show(*chunks: str) -> str:
    terminal = Terminal()
    return "".join(terminal.feed(chunk) for chunk in chunks) + terminal.close()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain\ntext", "plain\ntext"),
        ("10%\r20%\r100%\n", "100%\n"),
        ("longer\rno", "nonger"),
        ("abc\b\bX", "aXc"),
        ("one\ntwo\x1b[1A\rONE", "ONE\ntwo"),
        ("a\nb\nc\x1b[2F#\x1b[2E!", "#\nb\n!"),
        ("half done\r\x1b[K", ""),
        ("keep this\x1b[5D\x1b[K", "keep"),
        ("keep\x1b[2Kgone", "    gone"),
        ("rows\nbelow\x1b[A\r\x1b[J", ""),
        ("\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"),
        ("\x1b[?25lhidden cursor\x1b[?25h", "hidden cursor"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x07", "link"),
        ("bell\x07", "bell"),
        ("col\x1b[8Gumn", "col    umn"),
        ("\x1b[99;99Hx", "x"),
        ("\r\n\r\n", "\n\n"),
    ],
)
def test_controls_do_what_a_terminal_does(written: str, shown: str) -> None:
    assert show(written) == shown


def test_a_progress_bar_of_a_million_redraws_is_one_line() -> None:
    terminal = Terminal()
    for step in range(100_000):
        assert terminal.feed(f"\r{step:6d}/100000 |{'#' * (step // 10_000):10}|") == ""
    assert terminal.text == " 99999/100000 |######### |"


def test_several_bars_that_move_the_cursor_keep_their_rows() -> None:
    draw = [f"\rfirst {n}\n\rsecond {n}\x1b[A" for n in range(50)]
    assert show(*draw) == "first 49\nsecond 49"


def test_rows_that_left_the_top_are_final() -> None:
    terminal = Terminal()
    final = terminal.feed("".join(f"{n}\n" for n in range(100)))
    assert final == "".join(f"{n}\n" for n in range(100 - ROWS + 1))
    assert terminal.feed(f"\x1b[{ROWS * 2}AX") == ""
    assert terminal.text.startswith(f"X{100 - ROWS + 1}"[:1] + str(100 - ROWS + 1)[1:] + "\n")


def test_a_row_longer_than_the_width_is_kept_whole() -> None:
    assert show("x" * (3 * WIDTH) + "y", "z" * WIDTH) == "x" * (3 * WIDTH) + "y" + "z" * WIDTH


PIECES = st.sampled_from(
    [
        "a",
        "bc",
        "é",
        "\n",
        "\r",
        "\b",
        "\x1b[A",
        "\x1b[2B",
        "\x1b[3C",
        "\x1b[2K",
        "\x1b[K",
        "\x1b[31m",
        "\x1b[0m",
        "\x1b",
        *("\x1b[", "\x1b]0;t\x07", "\x1b]", "\x07", "\x1b[9999999999G", "x" * 100, "\x1b[J", "\x1b\\"),
    ]
)


@given(st.lists(PIECES, max_size=200).map("".join), st.lists(st.integers(0, 400), max_size=10))
def test_where_the_chunks_are_cut_makes_no_difference(text: str, cuts: list[int]) -> None:
    at = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert show(*(text[a:b] for a, b in itertools.pairwise(at))) == show(text)


@given(st.text(alphabet="abc \n", max_size=3000))
def test_plain_text_passes_unchanged(text: str) -> None:
    assert show(text) == text


@given(st.lists(PIECES, max_size=300).map("".join))
def test_only_colours_are_left_of_escape_sequences(text: str) -> None:
    assert "\x1b" not in re.sub(r"\x1b\[[0-9;:]*m", "", show(text))


@given(st.lists(PIECES, max_size=2000).map("".join))
def test_what_can_still_change_is_bounded(text: str) -> None:
    terminal = Terminal()
    terminal.feed(text)
    assert len(terminal.text) <= ROWS * (WIDTH + 300)
