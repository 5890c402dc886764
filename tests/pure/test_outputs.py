"""Outputs fold as they come, and stay small whatever comes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from cellblock.content import (
    MAX_ERROR,
    SHOWN_DEPTH,
    TOO_DEEP,
    Malformed,
    bundle,
    clean,
    cut,
    error_output,
    plain,
    shortened,
)
from cellblock.outputs import MAX_DISPLAYS, MAX_ERRORS, SPILL_LIMIT, Outputs

LIMIT = 4096


def display(data: dict[str, Any]) -> dict[str, Any]:
    return {"output_type": "display_data", "data": data, "metadata": {}}


def test_pieces_of_one_stream_are_one_output() -> None:
    outputs = Outputs(LIMIT)
    outputs.stream("stdout", "a")
    outputs.stream("stdout", "b\n")
    outputs.stream("stderr", "\r10%")
    outputs.stream("stderr", "\r20%")
    outputs.stream("stdout", "c")
    assert outputs.outputs() == snapshot(
        [
            {"output_type": "stream", "name": "stdout", "text": "ab\n"},
            {"output_type": "stream", "name": "stderr", "text": "20%"},
            {"output_type": "stream", "name": "stdout", "text": "c"},
        ]
    )
    assert not outputs.truncated


def test_of_too_much_text_head_and_tail_stay_and_a_line_says_how_much_is_missing() -> None:
    outputs = Outputs(600, "out.txt")
    for n in range(1000):
        outputs.stream("stdout", f"line {n}\n")
    outputs.close()
    [only] = outputs.outputs()
    assert only["text"].startswith("line 0\nline 1\n")
    assert only["text"].endswith("line 998\nline 999\n")
    [notice] = [line for line in only["text"].splitlines() if line.startswith("[…")]
    whole = sum(len(f"line {n}\n") for n in range(1000))
    kept = len(only["text"]) - len(notice) - 2
    assert notice == f"[… {whole - kept:,} bytes of text left out; the whole text is in out.txt …]"
    assert len(only["text"]) <= 800
    assert outputs.truncated


def test_the_spill_holds_the_whole_text_once_text_is_cut() -> None:
    outputs = Outputs(600, "out.txt")
    spilled = b""
    for n in range(1000):
        outputs.stream("stdout", f"line {n}\n")
        spilled += outputs.spill.take()
    outputs.close()
    spilled += outputs.spill.take()
    assert spilled.decode() == "".join(f"line {n}\n" for n in range(1000))


def test_the_spill_stops_at_its_limit_and_says_so() -> None:
    outputs = Outputs(1000, "out.txt")
    spilled, last = 0, b""
    for _ in range(80):
        outputs.stream("stdout", "x" * (1 << 20) + "\n")
        last = outputs.spill.take() or last
        spilled += len(last)
    assert spilled >= SPILL_LIMIT
    assert last.endswith("[… this file stops here, after 64 MiB …]\n".encode())
    assert outputs.spill.take() == b""


def test_nothing_is_spilled_while_everything_fits() -> None:
    outputs = Outputs(LIMIT, "out.txt")
    outputs.stream("stdout", "x" * 100)
    outputs.close()
    assert outputs.spill.take() == b""
    assert not outputs.spill.begun


def test_a_display_between_cut_texts_stays_where_it_was() -> None:
    outputs = Outputs(600)
    for part in ("before", "between", "after"):
        for n in range(100):
            outputs.stream("stdout", f"{part} {n}\n")
        outputs.display(display({"text/plain": part}))
    kinds = [output["output_type"] for output in outputs.outputs()]
    assert kinds == ["stream", "display_data", "display_data", "stream", "display_data"]
    assert outputs.outputs()[3]["text"].endswith("after 99\n")


def test_alternating_streams_cannot_multiply_outputs_without_bound() -> None:
    outputs = Outputs(LIMIT)
    for _ in range(5000):
        outputs.stream("stdout", "a")
        outputs.stream("stderr", "b")
    assert len(outputs.outputs()) <= LIMIT // 64
    assert outputs.truncated


def test_a_display_that_does_not_fit_keeps_its_text_and_names_what_is_missing() -> None:
    outputs = Outputs(LIMIT)
    kept = outputs.display(display({"text/plain": "<Figure>", "image/png": "A" * 5000}))
    assert kept == snapshot(
        {
            "output_type": "display_data",
            "data": {
                "text/plain": """\
<Figure>
[… left out, the displays of one execution may have 4,096 bytes: image/png (5,000 bytes) …]\
"""
            },
            "metadata": {},
        }
    )
    assert outputs.truncated


def test_long_text_of_a_display_is_cut_and_spilled_whole() -> None:
    outputs = Outputs(LIMIT, "out.txt")
    kept = outputs.display(display({"text/plain": "y" * 10_000}))
    assert kept is not None
    assert len(kept["data"]["text/plain"]) < LIMIT
    assert "bytes of text left out" in kept["data"]["text/plain"]
    assert outputs.spill.take().decode().strip() == "y" * 10_000


def test_displays_that_are_not_kept_are_counted() -> None:
    outputs = Outputs(1 << 20)
    for _ in range(MAX_DISPLAYS + 7):
        outputs.display(display({"text/plain": "x"}))
    assert outputs.outputs()[-1]["text"] == "\n[… 7 outputs left out …]\n"


def test_an_update_replaces_every_display_with_its_id() -> None:
    outputs = Outputs(LIMIT)
    for _ in range(2):
        outputs.display(display({"text/plain": "old"}), "d")
    outputs.display(display({"text/plain": "other"}), "e")
    outputs.update("d", {"text/plain": "new"}, {})
    assert [output["data"]["text/plain"] for output in outputs.outputs()] == ["new", "new", "other"]
    assert outputs.display_ids() == ["d", "d", "e"]


def test_updates_do_not_use_up_the_budget() -> None:
    outputs = Outputs(LIMIT)
    outputs.display(display({"text/plain": ""}), "d")
    for n in range(100):
        outputs.update("d", {"text/plain": f"{n:1000}"}, {})
    assert outputs.outputs()[0]["data"]["text/plain"] == f"{99:1000}"
    assert not outputs.truncated


def test_clear_output_clears_now_or_with_the_next_output() -> None:
    outputs = Outputs(LIMIT)
    outputs.stream("stdout", "first")
    outputs.clear(wait=True)
    assert len(outputs.outputs()) == 1
    outputs.stream("stdout", "second")
    assert [output["text"] for output in outputs.outputs()] == ["second"]
    outputs.clear(wait=False)
    assert outputs.outputs() == []


def test_an_animation_by_clear_output_does_not_use_up_the_budget() -> None:
    outputs = Outputs(LIMIT)
    for n in range(100):
        outputs.clear(wait=True)
        outputs.display(display({"image/png": "A" * 3000, "text/plain": str(n)}))
    assert outputs.outputs()[0]["data"] == {"image/png": "A" * 3000, "text/plain": "99"}
    assert not outputs.truncated


def test_of_a_huge_error_the_last_lines_stay() -> None:
    error = error_output("E" * 1000, "v" * 1_000_000, [f"line {n} " + "x" * 1000 for n in range(5000)])
    assert len(json.dumps(error)) < 2 * MAX_ERROR
    assert error["traceback"][-1].startswith("line 4999")
    assert error["traceback"][0] == "[… lines left out …]"


def test_errors_beyond_a_few_are_counted() -> None:
    outputs = Outputs(LIMIT)
    for _ in range(MAX_ERRORS + 2):
        outputs.error("E", "v", [])
    assert outputs.outputs()[-1]["text"] == "\n[… 2 outputs left out …]\n"


def test_cut_says_what_is_missing() -> None:
    assert cut("a" * 10 + "b" * 1000 + "c" * 10, 20) == f"{'a' * 10}\n[… 1,000 bytes of text left out …]\n{'c' * 10}"


def test_lone_surrogates_become_replacement_characters() -> None:
    assert clean("a\ud800b") == "a\ufffdb"
    assert clean("\ud83d\ude00") == "\U0001f600"


def test_json_that_is_none_is_told() -> None:
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    for value in (deep, {1: 2}, object(), b"x"):
        with pytest.raises(Malformed):
            plain(value)
    assert plain({"a": [float("nan"), float("-inf"), 1.5]}) == {"a": [None, None, 1.5]}


def nested(levels: int) -> Any:
    made: Any = "the bottom"
    for _ in range(levels):
        made = [{"a": made}]
    return made


def test_what_is_shown_is_cut_where_it_is_nested_too_deep() -> None:
    assert shortened(nested(SHOWN_DEPTH // 2)) == nested(SHOWN_DEPTH // 2)
    whole = bundle({"application/json": nested(200), "text/plain": "x"})
    text = json.dumps(whole["application/json"], ensure_ascii=False)
    assert text.count("[{") == SHOWN_DEPTH // 2
    assert TOO_DEEP in text
    assert whole["text/plain"] == "x"
    for value in ({1: [nested(200)]}, [object()], {"a": b"x"}):
        with pytest.raises(Malformed):
            shortened(value)
    assert shortened([float("nan"), "a\ud800", None, True]) == [None, "a\ufffd", None, True]


def test_a_display_with_very_many_representations_is_malformed() -> None:
    assert len(bundle({f"text/{n}": "x" for n in range(64)})) == 64
    with pytest.raises(Malformed):
        bundle({f"text/{n}": "x" for n in range(65)})


def test_a_bundle_is_as_nbformat_wants_it() -> None:
    raw = {"text/plain": ["a\n", "b"], "application/vnd.plotly.v1+json": {"x": [1]}, "image/png": None, "text/html": 5}
    assert bundle(raw) == {"text/plain": "a\nb", "application/vnd.plotly.v1+json": {"x": [1]}, "text/html": "5"}


TEXT = st.one_of(
    st.text(max_size=50), st.sampled_from(["x" * 3000, "line\n" * 400, "\r", "é" * 700, "\x1b[31m", "\n", "\x1b[5A"])
)
STEP = st.one_of(
    st.tuples(st.just("stdout"), TEXT),
    st.tuples(st.just("stderr"), TEXT),
    st.tuples(st.just("display"), TEXT),
    st.tuples(st.just("image"), TEXT),
    st.tuples(st.just("update"), TEXT),
    st.tuples(st.just("error"), TEXT),
    st.tuples(st.just("clear"), st.sampled_from(["", "wait"])),
)


def play(outputs: Outputs, steps: list[tuple[str, str]]) -> None:
    for what, text in steps:
        if what == "stdout" or what == "stderr":
            outputs.stream("stdout" if what == "stdout" else "stderr", clean(text))
        elif what == "display":
            outputs.display(display({"text/plain": clean(text)}), "d")
        elif what == "image":
            outputs.display(display({"image/png": clean(text), "text/plain": "i"}))
        elif what == "update":
            outputs.update("d", {"text/plain": clean(text)}, {})
        elif what == "error":
            outputs.error("E", clean(text), [clean(text)])
        else:
            outputs.clear(wait=bool(text))


@given(st.lists(STEP, max_size=60), st.sampled_from([0, 200, 1000, 5000]))
def test_whatever_comes_the_outputs_stay_bounded_and_can_be_written(steps: list[tuple[str, str]], limit: int) -> None:
    outputs = Outputs(limit, "out.txt")
    play(outputs, steps)
    outputs.close()
    made = outputs.outputs()
    json.dumps(made, ensure_ascii=False).encode()
    text = sum(len(output["text"].encode()) for output in made if output["output_type"] == "stream")
    notices = 200 * sum(output["output_type"] == "stream" for output in made)
    assert text <= limit + notices
    shown = sum(len(json.dumps(output["data"], ensure_ascii=False).encode()) for output in made if "data" in output)
    assert shown <= 2 * limit + 70_000
    assert len(outputs.display_ids()) == len(made)


@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), TEXT), max_size=40))
def test_what_fits_is_whole_and_what_does_not_is_called_truncated(steps: list[tuple[str, str]]) -> None:
    small, large = Outputs(3000), Outputs(10**9)
    play(small, steps)
    play(large, steps)
    small.close()
    large.close()
    assert not large.truncated
    assert small.truncated == (small.outputs() != large.outputs())
