"""What a model gets of a Result: whole where it is short, honest where it is cut."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from cellblock.adapters import tool
from cellblock.execution import Result

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + b"\x08\x06\x00\x00\x00" + b"\0" * 20


def result(*outputs: dict[str, Any], **changes: Any) -> Result:
    made: dict[str, Any] = {
        "id": "e1",
        "kernel_id": "k1",
        "cell_id": "c1",
        "status": "ok",
        "kernel_state": "kept",
        "execution_count": 1,
        "outputs": list(outputs),
        "error": None,
        "truncated": False,
        "spill": None,
        "files": [],
        "code_sha256": "0" * 64,
        "timing": {"queued_ms": 0.0, "run_ms": 1.0, "total_ms": 1.0},
        "usage": {"cpu_ms": None, "memory_peak_bytes": None},
        "limit": None,
        "notice": None,
    }
    return {**made, **changes}  # type: ignore[typeddict-item]


def stream(text: str, name: str = "stdout") -> dict[str, Any]:
    return {"output_type": "stream", "name": name, "text": text}


def display(kind: str = "display_data", **data: Any) -> dict[str, Any]:
    bundle = {mime.replace("__", "+").replace("_", "/", 1).replace("_", "."): value for mime, value in data.items()}
    return {"output_type": kind, "data": bundle, "metadata": {}}


def failed(ename: str, evalue: str, traceback: list[str]) -> dict[str, Any]:
    return {
        "status": "error",
        "outputs": [{"output_type": "error", "ename": ename, "evalue": evalue, "traceback": traceback}],
        "error": {"ename": ename, "evalue": evalue, "traceback": traceback},
    }


def seen(made: Result, *, vision: bool = True) -> str:
    return tool.for_model(made, vision=vision).text


def test_text_and_the_last_expression_are_given_by_name() -> None:
    made = result(stream("3 rows\n"), display("execute_result", text_plain="42"))
    assert seen(made) == snapshot("""\
status: ok

stdout:
3 rows

result:
42

state: after [1]\
""")


def test_a_dataframe_becomes_rows_without_markup() -> None:
    html = (
        "<div><style>td {color: red}</style><table><thead><tr><th></th><th>region</th><th>revenue</th></tr></thead>"
        "<tbody><tr><th>0</th><td>North &amp; West</td><td>10.5</td></tr><tr><th>1</th><td>South</td><td>7</td></tr>"
        "</tbody></table><p>2 rows × 2 columns</p></div>"
    )
    made = result(display("execute_result", text_html=html, text_plain="  region  revenue\n0 ..."))
    assert seen(made) == snapshot("""\
status: ok

result:
 | region | revenue
0 | North & West | 10.5
1 | South | 7
2 rows × 2 columns

state: after [1]\
""")


def test_a_long_table_keeps_its_first_and_last_rows() -> None:
    rows = "".join(f"<tr><td>{n}</td></tr>" for n in range(500))
    text = seen(result(display(text_html=f"<table>{rows}</table>")))
    assert "… 460 rows are left out here …" in text
    assert "\n499" in text
    assert text.count("\n") < 60


def test_progress_bars_and_colours_are_what_a_terminal_would_show_in_the_end() -> None:
    made = result(stream("\x1b[32m 10%\r 50%\r100%\x1b[0m\ndone\x07\n", "stderr"))
    assert seen(made) == snapshot("""\
status: ok

stderr:
100%
done

state: after [1]\
""")


def test_a_long_text_keeps_head_and_tail_and_says_what_is_gone() -> None:
    text = seen(result(stream("".join(f"line {n}\n" for n in range(20_000)))))
    assert text.startswith("status: ok\n\nstdout:\nline 0\n")
    assert text.endswith("line 19999\n\nstate: after [1]")
    assert "characters are left out here …" in text
    assert len(text) <= tool.TEXT


@pytest.mark.parametrize("short", [0, 20])
def test_several_long_texts_share_what_a_model_gets(short: int) -> None:
    long = "".join(f"line {n}\n" for n in range(5_000))
    text = seen(result(*[stream("short\n")] * short, *[stream(long, name) for name in ("stdout", "stderr", "stdout")]))
    assert tool.TEXT * 0.95 < len(text) <= tool.TEXT
    assert text.count("short") == short
    assert text.count("line 4999") == text.count("characters are left out here") == 3


def test_an_error_keeps_the_persons_own_lines_and_one_line_of_each_library_frame() -> None:
    rule = "\x1b[31m" + "-" * 75 + "\x1b[39m"
    traceback = [
        rule,
        "\x1b[31mKeyError\x1b[39m                                  Traceback (most recent call last)",
        "\x1b[36mCell\x1b[39m\x1b[36m \x1b[39m\x1b[32mIn[3]\x1b[39m\x1b[32m, line 2\x1b[39m\n"
        "      1 import pandas as pd\n----> 2 df['revenu']",
        "\x1b[36mFile \x1b[39m\x1b[32m/usr/lib/pandas/frame.py:4378\x1b[39m, in DataFrame.__getitem__(self, key)\n"
        "   4376 ...\n   4378 indexer = self.columns.get_loc(key)",
        "\x1b[31mKeyError\x1b[39m: 'revenu'",
    ]
    assert seen(result(**failed("KeyError", "'revenu'", traceback))) == snapshot("""\
status: error: the code raised

error:
Cell In[3], line 2
      1 import pandas as pd
----> 2 df['revenu']
File /usr/lib/pandas/frame.py:4378, in DataFrame.__getitem__(self, key) …
KeyError: 'revenu'

state: after [1]\
""")


def test_a_missing_package_comes_with_the_operators_step() -> None:
    made = result(**failed("ModuleNotFoundError", "No module named 'sklearn.ensemble'", []))
    assert seen(made) == snapshot("""\
status: error: the code raised

error:
ModuleNotFoundError: No module named 'sklearn.ensemble'

hint: the package `scikit-learn` is not installed in this environment and cannot be from here: there is no network. Do it with the packages that are installed, or tell the person that the server's operator can add it: `PYTHON -m pip install scikit-learn`, where PYTHON is the environment's `python` in environments.toml (the server's own Python without that file), and then a restart of the server.

state: after [1]\
""")  # noqa: E501


def test_a_picture_is_an_image_for_a_model_that_sees_and_a_sentence_for_one_that_does_not() -> None:
    encoded = base64.b64encode(PNG).decode()
    made = result(display(image_png=encoded, text_plain="<Figure size 640x480 with 1 Axes>"))
    assert tool.for_model(made, vision=True) == snapshot(
        tool.ForModel(
            text="""\
status: ok

[PNG image 640×480: image 1 below, shown to the person]

state: after [1]\
""",
            images=(tool.Image(media_type="image/png", data=PNG),),
        )
    )
    assert tool.for_model(made, vision=False) == snapshot(
        tool.ForModel(
            text="""\
status: ok

[PNG image 640×480, shown to the person; you cannot see it]

state: after [1]\
""",
            images=(),
        )
    )


def test_of_many_pictures_the_last_ones_are_seen() -> None:
    pictures = [display(image_png=base64.b64encode(PNG + bytes([n])).decode()) for n in range(6)]
    got = tool.for_model(result(*pictures), vision=True)
    assert [image.data[-1] for image in got.images] == [2, 3, 4, 5]
    assert got.text.count("you cannot see it") == 2


def test_a_picture_too_large_to_send_is_a_sentence() -> None:
    huge = base64.b64encode(PNG + b"\0" * tool.IMAGE_BYTES).decode()
    got = tool.for_model(result(display(image_png=huge)), vision=True)
    assert got.images == ()
    assert "you cannot see it" in got.text


def test_interactive_charts_are_told_by_what_they_show() -> None:
    vega = {"mark": {"type": "bar"}, "encoding": {"x": {"field": "region"}, "y": {"field": "revenue"}}}
    figure = {"data": [{"type": "bar"}, {"type": "scatter"}], "layout": {"title": {"text": "Revenue"}}}
    bundles = [
        {
            "output_type": "display_data",
            "data": {"application/vnd.vegalite.v6.json": vega, "text/plain": "Chart"},
        },
        {"output_type": "display_data", "data": {"application/vnd.plotly.v1+json": figure, "text/html": "<div>"}},
    ]
    assert seen(result(*bundles)) == snapshot("""\
status: ok

display:
[interactive chart, shown to the person only: bar; x: region, y: revenue]

display:
[interactive chart, shown to the person only: bar, scatter; Revenue]

state: after [1]\
""")


def test_scripts_and_svg_are_only_named() -> None:
    made = result(display(text_html="<script>alert(1)</script>"), display(image_svg__xml="<svg/>"))
    assert seen(made) == snapshot("""\
status: ok

display:
[HTML, shown to the person only]

display:
[SVG image, shown to the person only]

state: after [1]\
""")


def test_lost_state_limits_files_and_cut_output_are_said() -> None:
    made = result(
        stream("x"),
        status="timeout",
        kernel_state="lost",
        truncated=True,
        spill=".cellblock/e1.txt",
        limit={"name": "timeout", "value": 60},
        files=[
            {"path": "chart.png", "size": 12_345, "change": "created"},
            {"path": "old.csv", "size": 0, "change": "deleted"},
        ],
    )
    assert seen(made) == snapshot("""\
status: timeout: stopped for taking too long (limit: timeout 60)

stdout:
x

notice: the kernel was started afresh. All variables and imports are lost; files are still there.

note: the output was too long and its middle was left out; the whole text is in the workspace file .cellblock/e1.txt. Print less.

files: created chart.png (12.3 kB), deleted old.csv

state: empty\
""")


def test_a_notice_of_the_host_stands_in_its_own_words() -> None:
    assert "notice: A fresh kernel." in seen(result(notice="A fresh kernel.", kernel_state="lost"))


@pytest.mark.parametrize(
    ("state", "count", "line"),
    [
        ("kept", 3, "state: after [3]"),
        ("restored", 3, "state: before [3], which is undone"),
        ("restored", None, "state: before this call, which is undone"),
        ("lost", 3, "state: empty"),
    ],
)
def test_the_last_line_says_what_state_the_kernel_stands_on(state: str, count: int | None, line: str) -> None:
    assert seen(result(kernel_state=state, execution_count=count)).split("\n\n")[-1] == line


def test_code_that_never_ran_says_nothing_of_a_state() -> None:
    assert "state:" not in seen(result(status="cancelled", execution_count=None))


def test_an_error_that_is_no_output_is_still_told() -> None:
    error = {"ename": "SyntaxError", "evalue": "invalid syntax (line 1)", "traceback": []}
    assert "SyntaxError: invalid syntax (line 1)" in seen(result(status="error", error=error))


def test_of_very_many_outputs_the_middle_is_left_out() -> None:
    text = seen(result(*(stream(f"n{n}", "stdout" if n % 2 else "stderr") for n in range(1000))))
    assert "970 outputs are left out here" in text
    assert "n999" in text


def test_the_schema_is_a_json_schema_of_code_and_title() -> None:
    assert json.loads(json.dumps(tool.SCHEMA))["required"] == ["code"]
    assert set(tool.SCHEMA["properties"]) == {"title", "code"}


LINES = st.text(st.characters(codec="utf-8"), max_size=300)
OUTPUTS = st.lists(
    st.one_of(
        st.builds(stream, LINES),
        st.builds(lambda html: display(text_html=html), LINES),
        st.builds(lambda html: display(text_html=f"<table><tr><td>{html}"), LINES),
        st.builds(lambda raw: display(image_png=raw), LINES),
        st.builds(
            lambda name, value: {"output_type": "error", "ename": name, "evalue": value, "traceback": [value]},
            LINES,
            LINES,
        ),
        st.dictionaries(st.sampled_from(["output_type", "data", "text"]), st.none() | LINES),
    ),
    max_size=60,
)


@given(OUTPUTS, st.booleans())
def test_whatever_comes_out_is_text_of_bounded_length_without_escapes(outputs: list[Any], vision: bool) -> None:
    got = tool.for_model(result(*outputs), vision=vision)
    assert len(got.text) <= tool.TEXT
    assert "\x1b" not in got.text
    assert len(got.images) <= tool.IMAGES


@pytest.mark.parametrize(("text", "limit"), [("abc", 10), ("a" * 100, 100)])
def test_what_fits_is_not_cut(text: str, limit: int) -> None:
    assert tool.cut(text, limit) == text
