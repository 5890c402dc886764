"""The sandbox verdict table at every level, as root and as an ordinary user; at `off` it must find everything open."""

from typing import Any

import pytest
from conftest import ROOT, Scenes
from verdicts import TABLE, Row

NOT_HERE = {"ENOSYS", "EAFNOSUPPORT", "ENODEV", "ENOENT"}  # this kernel was built without it


def ids(row: Row) -> str:
    return row.name


@pytest.mark.parametrize("row", TABLE, ids=ids)
def test_each_attempt_gets_the_verdict_of_its_level(row: Row, level: str, found: dict[str, Any]) -> None:
    verdict, seen = found["verdicts"]["rows"][row.name]
    assert verdict == getattr(row, level), seen


def test_processes_and_files_of_the_host_are_as_they_were(found: dict[str, Any]) -> None:
    assert found["verdicts"]["untouched"]


@pytest.mark.skipif(not ROOT, reason="only root is allowed everything where nothing is shut")
@pytest.mark.parametrize("row", TABLE, ids=ids)
def test_without_a_sandbox_the_same_attempt_gets_through(row: Row, scenes: Scenes) -> None:
    verdict, seen = scenes(0, "off", "verdicts")["verdicts"]["rows"][row.name]
    if verdict == "blocked" and seen in NOT_HERE and row.off == "allowed" and not row.code.startswith("open(HOST"):
        pytest.skip(f"this kernel does not have it: {seen}")
    assert verdict == row.off, seen


def test_the_table_is_long_and_its_names_are_unique() -> None:
    assert len(TABLE) >= 30
    assert len({row.name for row in TABLE}) == len(TABLE)
