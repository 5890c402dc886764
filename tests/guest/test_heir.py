"""A process that goes on as its own child: with its memory, and with all that the C library and the system know of its thread."""

import json
import subprocess
import sys
from typing import Any

import pytest

HEIR = """
import ctypes, errno, json, os, signal, threading
from cellblock.guest import heir, linux, snapshots

linux.prctl(linux.CHILD_SUBREAPER, 1)
ours, theirs = os.pipe()
held = bytearray(b"mine")
turns = TURNS


def robust():
    head, size = ctypes.c_void_p(), ctypes.c_size_t()
    linux.syscall("get_robust_list", 0, ctypes.byref(head), ctypes.byref(size))
    return head.value


def signalled():
    # The C library finds the thread that is meant by the number it keeps of it.
    heard = []
    signal.signal(signal.SIGUSR1, lambda *_: heard.append(threading.get_native_id()))
    other = threading.Thread(target=signal.pthread_kill, args=(threading.main_thread().ident, signal.SIGUSR1))
    other.start()
    other.join()
    return heard == [os.getpid()]


def registered():
    try:
        heir._introduce(heir.NUMBER, (ctypes.c_void_p(robust()), ctypes.c_size_t(24)))
    except OSError as problem:
        return problem.errno in (errno.EBUSY, errno.EINVAL)  # it is there already
    return heir.RSEQ is None


def locks():
    # A lock of the C library's that knows its writer by that number.
    import locale
    locale.setlocale(locale.LC_ALL, "C")
    return os.strerror(2)


before = robust()
for turn in range(turns):
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        if turn == 0:
            break
        os._exit(0)
    between = os.getpid()
    heir.go_on()
    snapshots.ended(between)
    locks()
    held += b"!"
else:
    told = {"pid": os.getpid(), "parent": os.getppid(), "held": held.decode(), "robust": robust() == before}
    told |= {"signalled": signalled(), "registered": registered(), "locks": locks()}
    os.write(theirs, json.dumps(told).encode())
    os._exit(0)
os.close(theirs)
found = json.loads(os.read(ours, 1000)) | {"first": pid, "status": status, "us": os.getpid()}
print(json.dumps(found))
"""


@pytest.fixture(scope="module", params=[1, 20])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What an heir says of itself, and one that has inherited from heirs."""
    program = HEIR.replace("TURNS", str(request.param))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout) | {"turns": request.param}
    return said


def test_it_is_a_child_of_who_takes_orphans_in(found: dict[str, Any]) -> None:
    assert found["parent"] == found["us"]
    assert found["pid"] != found["first"]
    assert found["status"] == 9


def test_it_has_the_memory(found: dict[str, Any]) -> None:
    assert found["held"] == "mine" + "!" * found["turns"]


def test_a_thread_of_its_own_can_signal_the_first(found: dict[str, Any]) -> None:
    assert found["signalled"]


def test_the_system_knows_its_lists(found: dict[str, Any]) -> None:
    assert found["robust"]
    assert found["registered"]


def test_locks_that_know_who_has_them_are_had_and_left(found: dict[str, Any]) -> None:
    assert found["locks"] == "No such file or directory"


LEFT_ALONE = """
import ctypes, os
from cellblock.guest import heir, linux

GET_TID_ADDRESS = 40
place = ctypes.c_void_p()


def written_at_the_end():
    linux.libc.prctl(GET_TID_ADDRESS, ctypes.byref(place), 0, 0, 0)
    return place.value


if pid := os.fork():
    assert os.waitpid(pid, 0)[1] == 0
else:
    before = written_at_the_end()
    heir._forgotten()
    print(bool(before), written_at_the_end())
"""


def test_the_end_of_who_leaves_it_writes_nothing_into_the_memory_that_the_heir_has() -> None:
    """The C library asks for a zero where it keeps the thread's number: it comes when the heir has put its own there."""
    done = subprocess.run([sys.executable, "-c", LEFT_ALONE], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout in ("True None\n", "False None\n")  # False: a system that does not say where
