"""A process that goes on as its own child, with the very memory it had: no page is copied for that, and none is torn down.

vfork(2) lends its child our memory and has us wait. Ended while we wait, we leave it to the child alone, which goes on where we
were. What a fork by the C library would have told the system of the child's one thread is told here.
"""

import ctypes
import os
import signal

from cellblock.guest import linux

RSEQ_SIGNATURE = {"x86_64": 0x53053053, "aarch64": 0xD428BC00}
RSEQ_SIZE = 32  # bytes that the system asks for; a C library that knows more of them has put aside more

_c = ctypes.PyDLL(None)  # calls keep Python's lock: the thread that would take it back is another one
_c.pthread_self.restype = ctypes.c_void_p


def _described(name: str) -> int | None:
    """What glibc tells debuggers of its threads; None where there is no such thing."""
    try:
        return int((ctypes.c_uint32 * 3).in_dll(_c, name)[2])
    except ValueError:
        return None


def _told(kind: type[ctypes.c_uint32] | type[ctypes.c_ssize_t], name: str) -> int:
    try:
        return int(kind.in_dll(_c, name).value)
    except ValueError:
        return 0


NUMBER = _described("_thread_db_pthread_tid")  # where in what is kept of a thread its number is
SIZE = _told(ctypes.c_uint32, "_thread_db_sizeof_pthread")
RSEQ = _told(ctypes.c_ssize_t, "__rseq_offset") if _told(ctypes.c_uint32, "__rseq_size") else None


def go_on() -> None:
    """Returns in a child of this process, which has ended or will at once. Only where there is one thread. OSError.

    Where the C library is not glibc, the child is forked: that costs what a fork does, and the end of a process.
    """
    if NUMBER is None:
        if os.fork():
            os._exit(0)
        return
    before, robust = os.getpid(), _forgotten()
    child = _c.vfork()
    if child < 0:
        raise OSError("vfork failed")
    os.kill(before, signal.SIGKILL)
    _introduce(NUMBER, robust)


def _forgotten() -> tuple[ctypes.c_void_p, ctypes.c_size_t]:
    """The system is told to leave our memory alone when we end: it would write there that this thread has gone.

    The list of locks in shared memory that are let go of when the thread ends, which is the heir's from now on.
    """
    head, size = ctypes.c_void_p(), ctypes.c_size_t()
    linux.syscall("get_robust_list", 0, ctypes.byref(head), ctypes.byref(size))
    linux.syscall("set_robust_list", None, size)
    linux.syscall("set_tid_address", None)
    return head, size


def _introduce(number: int, robust: tuple[ctypes.c_void_p, ctypes.c_size_t]) -> None:
    """The thread has another number now, and of a thread that is new the system knows nothing else."""
    thread = _c.pthread_self()
    place = ctypes.c_int.from_address(thread + number)
    place.value = linux.syscall("set_tid_address", ctypes.byref(place))
    linux.syscall("set_robust_list", *robust)
    if RSEQ is not None:
        machine = os.uname().machine
        pointer = thread + (SIZE if machine == "aarch64" else 0)  # there a thread's pointer is to its end
        linux.syscall("rseq", ctypes.c_void_p(pointer + RSEQ), RSEQ_SIZE, 0, RSEQ_SIGNATURE[machine])
