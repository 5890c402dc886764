"""Branches once more, of kernels of a server that is an ordinary user's; see test_branch.py."""

import os

import pytest
from leveled import LEVELS, as_ordinary_user

ONE_OF_EACH = (
    "test_a_branch_may_begin_behind_an_execution_whose_state_is_kept",
    "test_a_path_of_the_original_is_refused_in_a_branch",
    "test_a_branch_undoes_and_redoes_on_its_own",
    "test_a_kill_of_either_kernel_is_that_ones_alone",
)

pytestmark = pytest.mark.skipif(
    os.getuid() != 0, reason="the tests do not run as root: all of these have been an ordinary user's"
)


@pytest.mark.timeout(300)
def test_what_branches_are_holds_for_an_ordinary_user() -> None:
    said = as_ordinary_user("test_branch.py", " or ".join(ONE_OF_EACH), patience=250)
    assert f"{len(ONE_OF_EACH) * len(LEVELS)} passed" in said


SELECTED = {
    "test_branch.py": "{level}",
    "test_branch_disk.py": "{level}",
    # without cgroups, which a user may not make, what asks for too much gets a MemoryError and lives
    "test_travel.py": "{level} and not out_of_memory and not nearly_all_memory",
}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", SELECTED)
@pytest.mark.parametrize("level", LEVELS)
def test_all_that_is_true_of_branches_and_travels_is_for_an_ordinary_user(level: str, file: str) -> None:
    said = as_ordinary_user(file, SELECTED[file].format(level=level), patience=500)
    assert " passed" in said
