"""Kernels that come back, at every level, as root and as an ordinary user."""

from typing import Any

import pytest
from test_pages import UNABLE, able
from travels import ATTACKS, ENOUGH, STATES

Found = dict[str, Any]


@pytest.mark.parametrize(("how", "status"), [("fault", -11), ("kill", -9)])
def test_a_kernel_that_dies_comes_back_with_the_variables_of_before(travelled: Found, how: str, status: int) -> None:
    assert travelled["deaths"][how] == ["before\n", status, False, 51]


def test_a_kernel_that_ran_out_of_memory_comes_back_with_the_variables_of_before(travelled: Found) -> None:
    assert travelled["deaths"]["memory"] == ["before\n", -9, True, 51]


@pytest.mark.parametrize("name", [case.name for case in STATES])
def test_a_state_survives(travelled: Found, name: str) -> None:
    found = travelled["kept"]
    assert {found["made"][name], found["disturbed"][name]} <= {"true", "untrue"}
    assert found["asked"][name] != "true"  # the control
    assert found["undone"][name] == "true"


def test_a_sleeping_snapshot_holds_no_pipe_open(travelled: Found) -> None:
    assert travelled["usable"]["piped"] == "b''\n"


def test_a_revived_kernel_asks_completes_and_is_interrupted(travelled: Found) -> None:
    found = travelled["usable"]
    assert found["answered"] == ["answer", "shell"]
    assert found["matches"] == ["abcdef"]
    assert found["interrupted"] == "KeyboardInterrupt"


def test_a_revival_of_what_is_not_there_leaves_the_kernel_as_it_is(travelled: Found) -> None:
    assert "no such snapshot" in travelled["usable"]["not there"]
    assert travelled["usable"]["lives"] == "1"


@pytest.mark.parametrize(("how", "same"), [("itself", True), ("a copy", False)])
def test_a_kernel_that_makes_way_is_kept_without_its_locks_and_alarms(travelled: Found, how: str, same: bool) -> None:
    found = travelled["lies_down"][how]
    assert found["said"] == ["before\n", ["later", "0.0", "False"], "before\n"]
    assert found["same"] is same


@pytest.mark.parametrize("how", ["itself", "a copy"])
def test_the_end_of_a_state_that_was_a_kernel_is_not_taken_for_the_kernels(travelled: Found, how: str) -> None:
    assert travelled["lies_down"][how]["death"] == 3


def test_a_kernel_that_does_not_make_way_is_ended(travelled: Found) -> None:
    assert travelled["lies_down"]["deaf"] == ["before\n", []]


@pytest.mark.skipif(not able(), reason=UNABLE)
def test_an_idle_kernel_makes_its_small_pages_huge_where_it_can_see_them(travelled: Found, level: str) -> None:
    found = travelled["condenses"]
    assert (found["huge"] >= ENOUGH) is (level == "full")
    assert found["after"] == found["back"] == "{'a': 299999}\n"


def test_fifty_states_in_a_row_grow_neither_descriptors_nor_stack(travelled: Found) -> None:
    (first, depth), (last, final) = (map(int, travelled["chain"][end].split()) for end in ("first", "last"))
    assert abs(last - first) <= 1  # the process between may or may not have been reaped
    assert depth == final
    assert travelled["chain"]["sockets"] == 4


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_on_snapshots_costs_a_snapshot_at_most(travelled: Found, name: str) -> None:
    error, after, _, back = travelled["attacked"][name]
    assert (error, after) == ("", "lives\n")
    assert back == "before\n" or "snapshot" in back or "ended" in back
    assert travelled["attacked"]["neighbour"] == "42\n"


def test_stopped_snapshots_are_woken(travelled: Found) -> None:
    assert travelled["attacked"]["stops all it can"][3] == "before\n"


def test_registrations_are_limited_and_foreign_processes_refused(travelled: Found) -> None:
    assert len(travelled["attacked"]["floods init"][2]) <= 24
    assert travelled["attacked"]["names a process that is none of its own"][2] == ["s"]
    assert travelled["attacked"]["says that it sleeps"][2] == ["s"]


def test_what_cells_have_started_ends_with_them_and_dropped_snapshots_go(travelled: Found) -> None:
    found = travelled["leaves"]
    assert (found["started"], found["before"], found["after"]) == ("ok", ["a", "b", "c"], ["a", "c"])
    assert found["child"] == "gone\n"
    assert found["left"] == []
