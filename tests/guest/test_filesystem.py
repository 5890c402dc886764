"""What of the host a kernel may read: decided from paths."""

import pytest

from cellblock.guest import filesystem


@pytest.mark.parametrize("prefix", ["/home/ada/project/.venv", "/opt/python", "/usr", "/home/adam"])
def test_a_prefix_apart_from_the_home_is_taken_whole(prefix: str) -> None:
    assert filesystem.narrowed(prefix, "/home/ada") == [prefix]


@pytest.mark.parametrize("prefix", ["/home/ada", "/home", "/"])
def test_of_a_prefix_that_holds_the_home_only_programs_and_libraries_are_shown(prefix: str) -> None:
    shown = filesystem.narrowed(prefix, "/home/ada")
    assert {path.rsplit("/", 1)[1] for path in shown} == {"bin", "lib", "lib64"}
    assert all(path.startswith(prefix) and "//" not in path for path in shown)


def test_the_interpreter_and_the_guest_are_among_the_prefixes() -> None:
    import sys

    found = filesystem.interpreter_prefixes()
    assert sys.prefix in found
    assert any(filesystem.__file__.startswith(f"{path}/") for path in found)


def test_without_mounts_neither_proc_nor_the_home_directory_is_granted() -> None:
    rules = filesystem.unprivileged_rules("/data/kernels/one", ["/opt/python"])
    assert "/proc" not in rules
    assert "/data/kernels/one" not in rules
    assert rules["/data/kernels/one/files"] == filesystem.EVERYTHING
    assert not any(path.startswith("/home") for path in rules)
