"""The rules of the filter, before they are compiled; what they do is in the verdict table."""

import struct

import pytest

from cellblock.guest import seccomp
from cellblock.messages import Level

LEVELS: list[Level] = ["full", "unprivileged"]


@pytest.mark.parametrize("level", LEVELS)
def test_a_program_is_whole_instructions_and_begins_by_refusing_unknown_calls(level: Level) -> None:
    program = seccomp.compile_filter(level)
    assert len(program) % 8 == 0
    load, compare, answer = (struct.unpack("=HBBI", program[n : n + 8]) for n in (0, 8, 16))
    assert load[0] == 0x20  # BPF_LD | BPF_W | BPF_ABS of the call's number
    assert compare == (0x25, 0, 1, seccomp.NEWEST)
    assert answer[3] & 0xFFFF == 38  # ENOSYS


def test_the_weaker_shell_has_the_stricter_filter() -> None:
    full, unprivileged = (
        {(rule.call, rule.when) for rule in seccomp.rules(level) if "socket" not in rule.call} for level in LEVELS
    )
    assert full < unprivileged


def test_arguments_of_32_bits_are_compared_as_such() -> None:
    for level in LEVELS:
        for rule in seccomp.rules(level):
            for _, operator, _, _ in rule.when:
                assert operator in {"masked", "ne", "ge"}  # `eq` would see what the caller put into the upper half


def test_a_name_that_libseccomp_does_not_know_is_an_error_unless_its_number_is_here() -> None:
    import pyseccomp

    program = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    seccomp._add(pyseccomp, program, seccomp.Rule("statmount"))
    with pytest.raises(OSError):
        seccomp._add(pyseccomp, program, seccomp.Rule("no_such_call"))


def test_nothing_is_installed_from_an_empty_program() -> None:
    with pytest.raises(OSError, match="no seccomp program"):
        seccomp.install(b"")


def test_protocols_that_a_socket_would_load_into_the_hosts_kernel_are_refused_before_it_looks_for_them() -> None:
    """Not seen in the catalogue: a kernel that lacks them gives the same answer."""
    refused = {rule.when for rule in seccomp.rules("full") if rule.call == "socket"}
    for family in (2, 10):
        for protocol in seccomp.MODULES:
            assert ((0, "masked", family, seccomp.INT), (2, "masked", protocol, seccomp.INT)) in refused


def test_a_second_filter_refuses_one_call() -> None:
    program = seccomp.refusing("bind")
    codes = [struct.unpack("=HBBI", program[n : n + 8])[3] for n in range(0, len(program), 8)]
    assert codes == [0, seccomp.linux.number("bind"), 0x00050001, 0x7FFF0000]
