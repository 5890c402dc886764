"""Whose files are counted: all processes of a sandbox, found by what each knows of its children, or by everybody's parents."""

import os
import subprocess
import sys
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
    assert footprint.nameless((), 0, footprint.Mappings()) == 0


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


MAPPED = """
import mmap, os, sys
def mapped(name):
    with open(name, "wb+") as file:
        file.truncate(1 << 20)
        return mmap.mmap(file.fileno(), 1 << 20)
for line in sys.stdin:
    exec(line)
    print("done", flush=True)
"""


@pytest.fixture
def mapper(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that does a line of Python when told to, and sleeps."""
    command = [sys.executable, "-c", MAPPED]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=tmp_path) as process:
        yield process
        process.kill()


def does(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin
    assert process.stdout
    print(line, file=process.stdin, flush=True)
    assert process.stdout.readline() == "done\n"


HEADLESS = """
import ctypes, mmap, os, sys, threading
def hold():
    files = []
    for name in ("open", "mapped"):
        files.append(open(name, "wb+"))
        os.posix_fallocate(files[-1].fileno(), 0, 1 << 20)
        os.unlink(name)
    mapped = mmap.mmap(files[1].fileno(), 1 << 20)
    files.pop().close()
    main.join(0.1)
    print("done", flush=True)
    sys.stdin.read()
main = threading.main_thread()
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)
"""


def test_what_a_process_holds_counts_when_its_first_thread_has_ended(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HEADLESS]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=tmp_path) as process:
        assert process.stdout
        assert process.stdout.readline() == "done\n"
        while Path(f"/proc/{process.pid}/stat").read_text().split()[2] != "Z":
            assert process.poll() is None
        assert footprint.nameless({process.pid}, os.stat(tmp_path).st_dev, footprint.Mappings()) == 2 << 20
        process.kill()


def test_mappings_are_read_again_of_who_has_run_since(
    mapper: "subprocess.Popen[str]", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, read, real = os.stat(tmp_path).st_dev, list[int](), footprint._mapped
    monkeypatch.setattr(footprint, "_mapped", lambda pid, device: (read.append(pid), real(pid, device))[1])
    does(mapper, "pass")
    mappings = footprint.Mappings()

    def looks() -> list[int]:
        """Once, and until nothing has to be read for it: the process has slept."""
        first = again = list(mappings.nameless({mapper.pid}, device).values())
        while read:
            read.clear()
            again = list(mappings.nameless({mapper.pid}, device).values())
        assert first == again
        return first

    assert looks() == []
    does(mapper, "one = mapped('one'); os.unlink('one')")
    assert looks() == [1 << 20]
    does(mapper, "one.close()")
    assert looks() == []


def test_a_file_that_loses_its_name_while_who_has_mapped_it_sleeps_counts(
    mapper: "subprocess.Popen[str]", tmp_path: Path
) -> None:
    device, mappings = os.stat(tmp_path).st_dev, footprint.Mappings()
    does(mapper, "pass")
    assert mappings.nameless({mapper.pid}, device) == {}
    does(mapper, "one = mapped('one')")
    for _ in range(2):
        assert mappings.nameless({mapper.pid}, device) == {}
    (tmp_path / "one").rename(tmp_path / "other")
    (tmp_path / "one").touch()
    assert mappings.nameless({mapper.pid}, device) == {}
    (tmp_path / "other").unlink()
    assert list(mappings.nameless({mapper.pid}, device).values()) == [1 << 20]
