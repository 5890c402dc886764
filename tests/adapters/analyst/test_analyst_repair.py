"""Code that fails is repaired once, visibly; the context is wrong here in all the ways a context can be wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from analyst_lab import Run, ask, survey

from cellblock.adapters.analyst.schema import DataFile, to_file


def entry(path: str, kind: str, columns: dict[str, tuple[str, list[Any]]], **more: Any) -> DataFile:
    """A context's word on a file, whatever the file holds."""
    listed = [
        {"name": name, "dtype": dtype, "sample": sample, "unique": 9} for name, (dtype, sample) in columns.items()
    ]
    return to_file({"path": path, "kind": kind, "rows": 9, "columns": listed, **more})


SALES = {"Stadt": ("str", ["Bonn"]), "Umsatz": ("float64", [1.5])}
TEXT = "Stadt;Umsatz\nKöln;1234.5\nBonn;7\nKöln;10\n"


def repaired(run: Run) -> str:
    """The code of the second attempt, after checks on how the analyst got there."""
    assert len(run.attempts) == 2, run.answer
    assert run.steps[1].text.startswith("The first attempt")
    assert run.steps[1].title.endswith("(second attempt)")
    assert run.attempts[1].output.startswith("status: ok"), run.attempts[1].output
    return run.attempts[1].code


def test_a_wrong_encoding(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_bytes(TEXT.encode("cp1252"))
    run = ask("Umsatz by Stadt", [entry("u.csv", "csv", SALES, read={"sep": ";"})], tmp_path)
    assert "UnicodeDecodeError" in run.attempts[0].output
    assert "cp1252" in repaired(run)
    assert "**Köln** is highest with 1,244.50" in run.answer


def test_a_wrong_separator(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text(TEXT)
    run = ask("bar chart of Umsatz by Stadt", [entry("u.csv", "csv", SALES)], tmp_path)
    assert "KeyError" in run.attempts[0].output
    repaired(run)
    assert "**Köln** is highest with 1,244.50" in run.answer
    assert "The bar chart is in the notebook." in run.answer


@pytest.mark.parametrize(
    ("written", "total"),
    [
        (["1,234.50 €", "10", "(4.50)"], "1,240.00"),
        (["1.234,50 €", "5,50 €", "0,25 €"], "1,240.25"),
        (["$1,000", "$2,500.75", "n/a"], "3,500.75"),
        (["1 234,00 kr", "6,00 kr", "-40,00 kr"], "1,200.00"),
    ],
)
def test_numbers_written_as_text_that_the_sample_did_not_show(tmp_path: Path, written: list[str], total: str) -> None:
    lines = "".join(f'x;"{text}"\n' for text in written)
    (tmp_path / "n.csv").write_text("k;amount\n" + lines, encoding="utf-8")
    file = entry("n.csv", "csv", {"k": ("str", ["x"]), "amount": ("float64", [1.0])}, read={"sep": ";"})
    run = ask("total amount", [file], tmp_path)
    assert "to_number" in repaired(run)
    assert f"**{total}**" in run.answer


def test_a_text_column_without_a_sample_is_taken_for_the_amount_its_name_says(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text('k,revenue\nx,"1,000.50 €"\ny,"2,000 €"\n')
    file = entry("n.csv", "csv", {"k": ("str", []), "revenue": ("str", [])})
    run = ask("revenue by k", [file], tmp_path)
    repaired(run)
    assert "**y** is highest with 2,000.00" in run.answer


def test_dates_of_several_forms(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("day,n\n2024-01-05,1\n7 Feb 2024,2\nnever,4\n")
    file = entry("d.csv", "csv", {"day": ("str", ["2024-01-05"]), "n": ("int64", [1])})
    run = ask("total n by month", [file], tmp_path)
    assert 'errors="coerce"' in repaired(run)
    assert "2024-02" in run.answer


def test_json_of_another_shape(tmp_path: Path) -> None:
    (tmp_path / "j.json").write_text('{"meta": 1, "rows": [{"k": "a", "n": 1}, {"k": "b", "n": 5}]}')
    file = entry("j.json", "json", {"k": ("str", ["a"]), "n": ("int64", [1])})
    run = ask("n by k", [file], tmp_path)
    repaired(run)
    assert "**b** is highest with 5" in run.answer


def test_json_lines_under_the_name_of_json(tmp_path: Path) -> None:
    (tmp_path / "j.json").write_text('{"k": "a", "n": 1}\n{"k": "b", "n": 5}\n')
    run = ask("n by k", [entry("j.json", "json", {"k": ("str", ["a"]), "n": ("int64", [1])})], tmp_path)
    repaired(run)
    assert "**b** is highest with 5" in run.answer


def test_a_file_read_with_the_wrong_separator_is_understood_at_once(tmp_path: Path) -> None:
    """The context itself shows one column `a;b`: no repair is needed."""
    (tmp_path / "u.csv").write_text(TEXT)
    run = ask("Umsatz by Stadt", [entry("u.csv", "csv", {"Stadt;Umsatz": ("str", ["Bonn;7", "Köln;10"])})], tmp_path)
    assert len(run.attempts) == 1
    assert "**Köln** is highest with 1,244.50" in run.answer


def test_after_two_failures_it_gives_up_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text("a,b\n1,2\n")
    run = ask("Umsatz by Stadt", [entry("u.csv", "csv", SALES)], tmp_path)
    assert len(run.attempts) == 2
    assert "That did not work: `KeyError: 'Umsatz'`" in run.answer


def test_a_file_that_is_gone_is_told_and_not_invented(tmp_path: Path) -> None:
    run = ask("Umsatz by Stadt", [entry("gone.csv", "csv", SALES)], tmp_path)
    assert "FileNotFoundError" in run.answer


def test_a_file_the_survey_did_not_reach_is_profiled_carefully(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_bytes(TEXT.encode("cp1252"))
    busy = to_file({"path": "u.csv", "kind": "csv", "error": "not examined: the kernel is busy"})
    run = ask("Umsatz by Stadt", [busy], tmp_path)
    assert "3 rows and 2 columns" in run.answer
    assert "Please ask again" in run.answer


@pytest.mark.parametrize("error", ["the file is empty", "ValueError: binary data, not text", "BadZipFile: no zip"])
def test_a_file_that_cannot_be_read_is_told_in_words(tmp_path: Path, error: str) -> None:
    run = ask("describe this file", [to_file({"path": "u.csv", "kind": "csv", "error": error})], tmp_path)
    assert error in run.answer
    assert not run.attempts


def test_a_clean_file_needs_no_repair(tmp_path: Path) -> None:
    (tmp_path / "u.csv").write_text(TEXT)
    file = survey(tmp_path, ["u.csv"])[0]
    assert len(ask("Umsatz by Stadt", [file], tmp_path).attempts) == 1
    assert len(ask("Umsatz by Stadt", [replace(file, rows=None)], tmp_path).attempts) == 1
