"""The lies on the wire once more, told to a server that is an ordinary user's; see test_lies.py."""

import os

import pytest
from leveled import LEVELS, as_ordinary_user
from lies import FAMILIES

AS_USER = [f"{level}/{family}/" for level in LEVELS for family in FAMILIES]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(os.getuid() != 0, reason="the tests do not run as root: all of these have been an ordinary user's")
@pytest.mark.parametrize("selected", AS_USER)
def test_lies_in_kernels_of_an_ordinary_user_end_as_they_should(selected: str) -> None:
    said = as_ordinary_user("attacks/test_lies.py", f"{selected} and test_a_lie", patience=500)
    _, family, _ = selected.split("/")
    assert f"{len(FAMILIES[family])} passed" in said
