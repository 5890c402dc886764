"""Kernels that branch, at every level, as root and as an ordinary user."""

from typing import Any

import pytest
from branches import HARM, LIES, SYSTEM

Found = dict[str, Any]


@pytest.mark.parametrize("name", HARM)
def test_a_branch_cannot_harm_the_one_it_was_made_of(branching: Found, name: str) -> None:
    error, after, states = branching["branches_attack"][name]
    assert error in ("PermissionError", "FileNotFoundError", "it ended itself") or (error, name) == (
        "",
        "kills all it can",
    )
    assert after == "lives None ['own']\n"
    assert states == ["s"]


@pytest.mark.parametrize("name", LIES)
def test_a_lie_about_a_twin_is_no_branch_and_costs_the_original_nothing(branching: Found, name: str) -> None:
    error, why, after, alone = branching["lies_about_twins"][name]
    assert (error, after, alone) == ("", "lives\n", True)
    assert why == "branched, and silent" or "snapshot" in why or "ended" in why, why


@pytest.mark.parametrize("name", [case.name for case in SYSTEM])
def test_a_state_of_the_system_is_a_branchs_own(branching: Found, name: str) -> None:
    found = branching["states_apart"]
    assert (found["original"][name], found["branch"][name]) == ("true", "true")


def test_each_ends_what_it_has_started_and_nothing_else(branching: Found) -> None:
    found = branching["ends"]
    assert (found["beside"], found["other way"]) == ("runs None\n", "runs None\n")
    assert (found["states"], found["after"]) == (["s"], "1\n")
    assert (found["sockets"], found["left"]) == (4, [])


def test_a_branch_cannot_hold_up_its_original_for_ever(branching: Found) -> None:
    assert branching["delays"] == {"error": "", "original": "before\n", "branch": "lives\n"}


def test_a_sandbox_lives_as_long_as_a_session_in_it(branching: Found) -> None:
    assert branching["last_one"] == {"lives": "lives\n", "box": True, "gone": False, "ended": True, "home": True}
