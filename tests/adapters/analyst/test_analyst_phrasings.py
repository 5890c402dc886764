"""Questions in many words over files of many domains: the code runs, and the figures are compared with our own."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from analyst_lab import DATA, Run, ask, make_files, numbers, survey

from cellblock.adapters.analyst.outputs import parse
from cellblock.adapters.analyst.plan import Plan

HERE = Path(__file__).parent


def cases() -> Iterator[Any]:
    for source in ("phrasings.toml", "held_out.toml"):
        path = HERE / source
        if path.exists():
            for case in tomllib.loads(path.read_text())["ask"]:
                yield pytest.param(case, id=f"{source[:4]}-{case['question'][:60]}")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("analyst")
    make_files(made)
    return made


def frame(folder: Path, name: str) -> pd.DataFrame:
    """A file read cleanly, by hand."""
    match name:
        case "sales.csv":
            return pd.read_csv(folder / name, parse_dates=["order_date"])
        case "weather.tsv":
            return pd.read_csv(folder / name, sep="\t", parse_dates=["date"])
        case "employees.xlsx":
            return pd.read_excel(folder / name)
        case "access.jsonl":
            read = pd.DataFrame([json.loads(line) for line in (folder / name).read_text().splitlines()])
            return read.assign(timestamp=pd.to_datetime(read.timestamp).dt.tz_localize(None))
        case "patients.parquet":
            return pd.read_parquet(folder / name)
        case "umsatz.csv":
            read = pd.read_csv(folder / name, sep=";", encoding="cp1252")
            figures = [float(text.split()[0].replace(".", "").replace(",", ".")) for text in read.Umsatz]
            return read.assign(Umsatz=figures, Datum=pd.to_datetime(read.Datum, format="%d.%m.%Y"))
        case "orders.json":
            read = pd.json_normalize(json.loads((folder / name).read_text())["orders"])
            return read.assign(placed=pd.to_datetime(read.placed))
        case _:
            return pd.read_csv(folder / name)


def carried_out(case: dict[str, Any], folder: Path) -> Run:
    return ask(case["question"], survey(folder, case.get("files", [case["file"]])), folder, case.get("after", ()))


@pytest.mark.parametrize("case", list(cases()))
def test_a_question_gets_the_figures_we_compute_ourselves(case: dict[str, Any], folder: Path) -> None:
    run = carried_out(case, folder)
    if "asks" in case:
        assert not run.code, run.code
        assert case["asks"].casefold() in run.answer.casefold()
        return
    assert run.code, run.answer
    assert len(run.attempts) == 1, run.attempts[0].output
    assert "expect" in case or "chart" in case, "a case that expects nothing"
    if "expect" in case:
        expected = eval(case["expect"], {"df": frame(folder, case["file"]), "pd": pd, "np": np, "round": round})
        check(expected, run)
    assert case.get("says", "").casefold() in run.answer.casefold()
    if "chart" in case:
        assert isinstance(run.reply, Plan)
        assert (run.reply.chart if run.figures else "") == case["chart"]
    assert set(numbers(run.answer)) <= set(numbers(run.outputs)), run.answer


def check(expected: Any, run: Run) -> None:
    """Compare what we computed with the answer, or with the table the answer was made from."""
    tables = parse(run.attempts[-1].output).tables
    match expected:
        case pd.Series():
            shown = {row[0]: figure(row[1]) for row in tables[0].rows}
            wanted = {key_of(key): float(value) for key, value in expected.items() if not pd.isna(value)}
            if len(wanted) > len(shown) >= 30:
                wanted = {key: wanted[key] for key in shown}
            near = {key: pytest.approx(value, rel=1e-3, abs=6e-3) for key, value in wanted.items()}
            columns = [{row[0]: figure(row[n]) for row in tables[0].rows} for n in range(1, len(tables[0].columns))]
            assert near in columns, (wanted, columns, run.code)
        case list():
            columns = [[figure(row[n]) for row in tables[0].rows] for n in range(len(tables[0].columns))]
            assert any(c == pytest.approx(expected, rel=1e-3, abs=6e-3, nan_ok=True) for c in columns), (
                columns,
                run.code,
            )
        case dict():
            for value in expected.values():
                check(value, run)
        case _:
            said = [float(number) for number in numbers(run.answer)]
            assert any(one == pytest.approx(abs(float(expected)), rel=1e-3, abs=6e-3) for one in said), run.answer


def key_of(key: Any) -> str:
    return str(key)


def figure(cell: str) -> float:
    try:
        return float(cell.replace(",", "").rstrip("%"))
    except ValueError:
        return float("nan")


def test_there_are_enough_phrasings_over_enough_files() -> None:
    asked = [case.values[0] for case in cases()]
    assert len(asked) >= 100
    assert len({case["file"] for case in asked}) >= 5
    assert DATA.is_dir()
