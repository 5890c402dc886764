"""Whose files are counted: all processes of a sandbox, found by what each knows of its children, or by everybody's parents."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from interpreting import Bench

from cellblock.host import footprint

INIT = "sh -c 'sleep 60 & echo $!; wait' & echo $!; sleep 60 & echo $!; wait"


@pytest.fixture
def sandbox() -> Iterator[tuple[int, set[int]]]:
    """An init, and all that it has: a child of it, and a child of that."""
    with subprocess.Popen(["sh", "-c", INIT], stdout=subprocess.PIPE, start_new_session=True) as init:
        assert init.stdout
        try:
            yield init.pid, {int(init.stdout.readline()) for _ in range(3)}
        finally:
            os.killpg(init.pid, 9)


@pytest.mark.parametrize("lists", [footprint.CHILDREN, Path("/nowhere")], ids=["children", "parents"])
def test_all_processes_of_a_sandbox_are_found_and_no_others(
    sandbox: tuple[int, set[int]], lists: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(footprint, "CHILDREN", lists)
    init, expected = sandbox
    kernels = [pid for pid in expected if footprint._parent(pid) == init]
    assert len(kernels) == 2
    assert [footprint.family(pid, init) for pid in kernels] == [expected, expected]


def test_a_kernel_that_has_gone_has_no_family() -> None:
    assert footprint.family(0, 0) == set()
    assert footprint.nameless((), 0) == 0


@pytest.mark.asyncio(loop_scope="session")
async def test_a_kernel_has_no_relatives_among_other_kernels(bench: Bench) -> None:
    """At level full all kernels of an environment have one parent."""
    found = []
    for kernel_id in (await bench.kernel(), await bench.kernel()):
        await bench.run("import subprocess; left = subprocess.Popen(['sleep', '60'])", kernel_id)
        process = bench.process(kernel_id)
        found.append(footprint.family(process.pid, process.init))
    one, other = found
    assert len(one) == len(other) == 2
    assert not one & other
