"""Outputs of a cell looked at closer: more rows of a table, a figure as SVG, for as long as the kernel holds them."""

from typing import Any

import httpx2
import pytest
from live_server import Live

TABLE = "import pandas as pd\ntable = pd.DataFrame({'n': range(200), 'word': [f'w{n % 3}' for n in range(200)]})\n"
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 4], label='line')\nplt.title('Growth')\nplt.show()"


def ran(live: Live, kernel: str, code: str) -> dict[str, Any]:
    """The Result of code that ended well."""
    result: dict[str, Any] = live.post("/api/jupyter/execute", json={"code": code, "kernel_id": kernel}).json()
    assert result["status"] == "ok", result
    return result


def closer(live: Live, kernel: str, result: dict[str, Any], form: str, at: int = 0, **how: Any) -> httpx2.Response:
    place = f"/api/jupyter/kernel/{kernel}/notebook/cells/{result['cell_id']}/outputs/{at}/{form}"
    return live.get(place, params=how)


@pytest.mark.parametrize("shown", ["table", "display(table)"])
def test_a_table_is_read_on_in_any_order(live: Live, kernel: str, shown: str) -> None:
    result = ran(live, kernel, TABLE + shown)
    page = closer(live, kernel, result, "rows", offset=100, limit=2).json()
    assert (page["total"], page["index"], page["rows"]) == (200, ["100", "101"], [["100", "w1"], ["101", "w2"]])
    last = closer(live, kernel, result, "rows", limit=1, sort=0, descending=True).json()
    assert last["rows"] == [["199", "w1"]]


def test_a_table_that_was_changed_or_let_go_since_is_not_taken_for_the_one_shown(live: Live, kernel: str) -> None:
    changed = ran(live, kernel, TABLE + "display(table)")
    passing = ran(live, kernel, "display(table.head(100) * 2)\nimport gc; gc.collect();")
    ran(live, kernel, "table.loc[0, 'n'] = -1")
    for result in (changed, passing):
        answer = closer(live, kernel, result, "rows")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "output_not_found")


def test_a_figure_is_drawn_as_svg_after_its_cell_has_ended(live: Live, kernel: str) -> None:
    result = ran(live, kernel, PLOT)
    ran(live, kernel, "import gc; gc.collect()")
    drawn = closer(live, kernel, result, "svg")
    assert drawn.status_code == 200, drawn.text
    assert drawn.headers["content-disposition"].startswith("attachment")
    assert drawn.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert drawn.text.startswith("<?xml")
    assert "</svg>" in drawn.text


@pytest.mark.parametrize(
    "figure",
    [
        "import numpy as np\nf, ax = plt.subplots(2, 2, layout='constrained'); ax[0][0].imshow(np.eye(5))\nplt.show()",
        "plt.figure(figsize=(4, 3)); plt.pie([1, 2, 3], labels=list('abc')); plt.tight_layout(); plt.show()",
        "f, ax = plt.subplots(); ax.bar(['x', 'y'], [1, 2]); f",
    ],
)
def test_figures_of_every_make_are_known_again(live: Live, kernel: str, figure: str) -> None:
    result = ran(live, kernel, "import matplotlib.pyplot as plt\n" + figure)
    assert closer(live, kernel, result, "svg").status_code == 200


def test_a_figure_drawn_on_since_is_not_taken_for_the_one_shown(live: Live, kernel: str) -> None:
    result = ran(live, kernel, "import matplotlib.pyplot as plt\nf, ax = plt.subplots(); ax.plot([1, 2]); plt.show()")
    ran(live, kernel, "ax.plot([9, 1])")
    assert closer(live, kernel, result, "svg").status_code == 404


def test_what_is_large_or_long_past_is_let_go(live: Live, kernel: str) -> None:
    large = ran(
        live,
        kernel,
        "import numpy as np, matplotlib.pyplot as plt, gc\nplt.imshow(np.zeros((1500, 1500))); plt.show(); gc.collect();",
    )
    first = ran(live, kernel, PLOT)
    many = "for n in range(9):\n    plt.plot([n, 1]); plt.show()\ngc.collect()"
    assert closer(live, kernel, first, "svg").status_code == 200
    ran(live, kernel, many)
    ran(live, kernel, "gc.collect()")
    assert [closer(live, kernel, one, "svg").status_code for one in (large, first)] == [404, 404]


def test_what_is_no_table_no_figure_or_not_there_says_so(live: Live, kernel: str) -> None:
    result = ran(live, kernel, "print('text')\n6 * 7")
    tries = [closer(live, kernel, result, form, at) for form in ("rows", "svg") for at in (0, 1, 2)]
    assert {answer.json()["error"]["code"] for answer in tries} == {"output_not_found"}
    unknown = live.get(f"/api/jupyter/kernel/{kernel}/notebook/cells/none/outputs/0/svg")
    assert unknown.json()["error"]["code"] == "cell_not_found"


def test_a_kernel_that_is_asleep_or_new_holds_nothing(live: Live, kernel: str) -> None:
    result = ran(live, kernel, TABLE + "table")
    live.post(f"/api/jupyter/kernel/{kernel}/restart")
    ran(live, kernel, "1")
    assert closer(live, kernel, result, "rows").status_code == 404
    live.post(f"/api/jupyter/kernel/{kernel}/release")
    assert closer(live, kernel, result, "rows").status_code == 404


HOSTILE = [
    "'no json'",
    "'null' * 2",
    "'\"AAAA\"'",
    "'[1, 2]'",
    "'\"' + __import__('base64').b64encode(__import__('zlib').compress(b'x' * (40 << 20))).decode() + '\"'",
    "1 / 0",
]


@pytest.mark.parametrize("says", HOSTILE)
def test_a_kernel_that_lies_about_its_figure_harms_nobody(live: Live, kernel: str, says: str) -> None:
    """The code has the registry in its own process: whatever it says is bounded and told as an error."""
    result = ran(live, kernel, PLOT)
    ran(live, kernel, f"import builtins\nbuiltins.print = lambda *a, inner=print: inner({says})")
    answer = closer(live, kernel, result, "svg")
    assert answer.status_code in (404, 500, 503), answer.text
    assert len(answer.content) < 2000
