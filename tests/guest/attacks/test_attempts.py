"""Every attempt of the catalogue at every level, as root and as an ordinary user; and that its control is allowed."""

from typing import Any

import pytest
from conftest import ROOT, Scenes

from attacks import Attempt
from attacks.catalogue import ATTEMPTS, FAMILIES

NOT_HERE = {"ENOSYS", "EAFNOSUPPORT", "EPROTONOSUPPORT", "ENODEV", "ENOENT"}  # this kernel was built without it
OUTSIDE = [attempt for attempt in ATTEMPTS if attempt.off]


@pytest.fixture(scope="session")
def found(scenes: Scenes, user: int, level: str) -> dict[str, Any]:
    """Every attempt, for one user at one level."""
    return scenes(user, level, "verdicts")["verdicts"]


def ids(attempt: Attempt) -> str:
    return attempt.name


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=ids)
def test_each_attempt_gets_the_verdict_of_its_level(attempt: Attempt, level: str, found: dict[str, Any]) -> None:
    verdict, seen, *control = found["rows"][attempt.name]
    assert verdict == getattr(attempt, level), seen
    if control and verdict == "blocked":
        assert control[0] == "allowed", f"the control is not: {control[1]}"


@pytest.mark.skipif(not ROOT, reason="only root is allowed everything where nothing is shut")
@pytest.mark.parametrize("attempt", OUTSIDE, ids=ids)
def test_without_a_sandbox_the_same_attempt_gets_through(attempt: Attempt, scenes: Scenes) -> None:
    verdict, seen, *_ = scenes(0, "off", "verdicts")["verdicts"]["rows"][attempt.name]
    missing = verdict == "blocked" and seen in NOT_HERE and attempt.off == "allowed"
    if missing and attempt.code.startswith(("call(", "socket.socket(", "open('/dev")):
        pytest.skip(f"this kernel does not have it: {seen}")
    assert verdict == attempt.off, seen


def test_processes_and_files_of_the_host_are_as_they_were(found: dict[str, Any]) -> None:
    assert found["untouched"]


def test_a_neighbour_keeps_its_variables_and_answers(found: dict[str, Any]) -> None:
    assert found["neighbour"] == "42\n"


def test_the_catalogue_is_long_and_its_names_are_unique() -> None:
    assert len(ATTEMPTS) >= 100
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_attempt_is_without_a_control(family: str) -> None:
    lonely = [
        a.name
        for a in FAMILIES[family]
        if not a.control and a.off != "allowed" and "blocked" in (a.full, a.unprivileged)
    ]
    assert lonely == []
