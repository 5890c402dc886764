"""What code does at every level, as root and as an ordinary user: it works, it is limited, and it leaves nothing."""

import os
from typing import Any

import pytest
from conftest import ORDINARY, ROOT, Scenes
from scenarios import NEEDS_NAMESPACES, WORKS


def shown(found: dict[str, Any], name: str) -> str:
    result = found["works"][name]
    assert result["status"] == "ok", result["text"]
    return str(result["text"])


EXPECTED = {
    "a shell command": "from-a-shell",
    "threads": "[1, 2]",
    "a forked child prints": "from a child",
    "a program's output": "from a program",
    "files": "hi",
    "a database": "ok",
    "await": "async",
    "a question": "somebody",
    "processes and pipes": "fork\nspawn",
    "pandas": "3",
    "threads of a library": f"{min(2, os.cpu_count() or 1)} {min(2, os.cpu_count() or 1)}",
    "a plot": "",
    "an import that was not preloaded": "wave",
    "the home is not the workspace": "True",
}


@pytest.mark.parametrize("name", WORKS)
def test_ordinary_code_works(found: dict[str, Any], name: str) -> None:
    assert EXPECTED[name] in shown(found, name)


@pytest.mark.parametrize("name", NEEDS_NAMESPACES)
def test_what_needs_namespaces_works_with_them_and_is_refused_without(
    found: dict[str, Any], level: str, name: str
) -> None:
    error, said = found["lacks"][name]
    if level == "full":
        assert (error, said) == ("", "True\n")
    else:
        assert error in {"PermissionError", "OSError"}


def test_a_plot_is_one_image(found: dict[str, Any]) -> None:
    assert found["works"]["a plot"]["images"] == 1


def test_the_level_asked_for_is_the_level_in_force(found: dict[str, Any], level: str) -> None:
    assert found["level"] == level


def test_all_warming_cells_succeeded(found: dict[str, Any]) -> None:
    assert found["warming"] == []


def test_a_fork_bomb_is_held_and_the_kernel_lives(found: dict[str, Any]) -> None:
    kind, count = found["bombs"]["fork bomb"].split()
    assert kind == "BlockingIOError"
    assert int(count) <= 40
    assert found["bombs"]["after"] == "2"


def test_a_memory_bomb_ends_in_a_memory_error_or_in_out_of_memory(found: dict[str, Any]) -> None:
    assert found["bombs"]["memory"] in {"MemoryError", "-9 out of memory"}


def test_memory_in_many_children_is_limited_too(found: dict[str, Any]) -> None:
    killed_child = found["shared"]["child"].startswith("9")
    killed_kernel = found["shared"]["kernel"] == "-9 out of memory"
    assert killed_child != killed_kernel


def test_a_child_killed_for_memory_does_not_make_a_later_exit_out_of_memory(found: dict[str, Any]) -> None:
    assert found["shared"].get("later", "7") == "7"


def test_processes_that_want_to_outlive_the_kernel_do_not(found: dict[str, Any]) -> None:
    assert found["leftovers"] == {"inside": 3, "after": 0}


def test_a_kernel_outlives_its_server_and_ends_with_the_next(found: dict[str, Any]) -> None:
    story = found["handover"]
    assert (story["same"], story["survivor"].strip()) == (True, "here")
    assert (story["inside"], story["after"], story["death"], story["left"]) == (1, 0, -9, [])


def test_code_can_neither_reach_nor_hold_the_place_where_servers_meet_the_fork_server(
    found: dict[str, Any], level: str
) -> None:
    story = found["handover"]
    assert story["reached"].strip() == ("FileNotFoundError" if level == "full" else "PermissionError")
    assert {name[:2] for name in story["listening"].split()} == {"k-"}  # its own channels
    assert story["key told"] == ""  # by the fork server, whose memory kernels are born with


@pytest.mark.skipif(not ROOT, reason="the filter that plays the container needs no_new_privs or root")
@pytest.mark.parametrize("user", [0, ORDINARY], ids=["root", "user"])
def test_where_namespaces_are_forbidden_auto_means_unprivileged(scenes: Scenes, user: int) -> None:
    found = scenes(user, "auto", "works", confined=True)
    assert found["level"] == "unprivileged"
    assert "3" in shown(found, "pandas")
