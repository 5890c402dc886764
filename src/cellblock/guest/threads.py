"""How many threads numeric libraries use: one in the template, which is forked; in a kernel what its cpu limit grants.

A library that a kernel imports itself reads that from the environment. One that came with the template is told by a
call, and starts nothing yet: OpenBLAS makes its threads anew when a product of matrices is the first to ask for them.
"""

import ctypes
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cellblock.guest import linux
from cellblock.messages import Policy

COUNTED = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",  # joblib's, and so what n_jobs=-1 means
    "PYTHON_CPU_COUNT",  # of a Python that a cell starts, from 3.13
)
SETTERS = {
    "openblas": tuple(f"{build}openblas_set_num_threads{width}" for build in ("", "scipy_") for width in ("", "64_")),
    "libgomp": ("omp_set_num_threads",),
    "libomp": ("omp_set_num_threads",),
    "libiomp5": ("omp_set_num_threads",),
}
PAUSE_SOFT = 1  # omp_pause_soft
LOOKS, LOOK_SECONDS = 4, 0.0005
END_THREADS = "blas_thread_shutdown_"  # OpenBLAS runs it itself before each fork

_loaded: list[Callable[[int], None]] = []


def granted(policy: Policy) -> int:
    """Cores, a part of one counted as one; no more than the host has, nor than a quarter of the processes allowed."""
    return max(1, min(math.ceil(policy.cpus), os.cpu_count() or 1, policy.processes // 4))


def environment(count: int) -> dict[str, str]:
    return dict.fromkeys(COUNTED, str(count))


def find() -> None:
    """In the template, while /proc can be read: the libraries that a kernel will have without importing them."""
    paths = {line.split(maxsplit=5)[-1] for line in linux.read("/proc/self/maps").splitlines()}
    for path in sorted(paths):
        for library, names in SETTERS.items():
            if library in os.path.basename(path):
                _loaded.extend(_setters(path, names))
    if "pyarrow" in sys.modules:
        _loaded.append(sys.modules["pyarrow"].set_cpu_count)


def _setters(path: str, names: tuple[str, ...]) -> Iterator[Callable[[int], None]]:
    library = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    end_threads = getattr(library, END_THREADS, lambda: None)

    def tell(count: int, name: str) -> None:
        getattr(library, name)(count)
        end_threads()

    for name in names:
        if hasattr(library, name):
            yield partial(tell, name=name)


def grant(count: int) -> None:
    """In the kernel, before it has threads: libraries, and what Python says of the machine."""
    for tell in _loaded if count > 1 else ():
        tell(count)
    for name in ("cpu_count", "process_cpu_count"):
        if hasattr(os, name):
            setattr(os, name, lambda: count)


# --- before a fork of a kernel that has run --------------------------------------------------------------------------


class _Library(ctypes.Structure):
    """The beginning of a dl_phdr_info; `adds`: how many libraries have been loaded so far."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("headers", ctypes.c_void_p),
        ("count", ctypes.c_uint16),
        ("adds", ctypes.c_ulonglong),
    )


_VISIT = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Library), ctypes.c_size_t, ctypes.c_void_p)


def no_more_than(count: int) -> bool:
    """Whether this process has so many threads at most. Not by a listing, which may be closed to a kernel; those that have
    just been ended are on their way out for some microseconds."""
    for _ in range(LOOKS):
        if os.stat("/proc/self/task").st_nlink - 2 <= count:
            return True
        time.sleep(LOOK_SECONDS)
    return False


class Runtimes:
    """GCC's OpenMP, in as many copies as libraries bring along. Its threads are not there after a fork, and it would wait
    for them for ever; OpenBLAS and LLVM's OpenMP see to that themselves, but a kernel may lie down without a fork."""

    def __init__(self) -> None:
        self._adds = -1
        self._pauses: list[Callable[[], object]] = []

    def rest(self) -> None:
        """They end the threads they have; the next parallel region makes new ones."""
        self._look()
        for pause in self._pauses:
            pause()

    def _look(self) -> None:
        """Not through /proc, which may be closed to a kernel; and only when something has been loaded since."""
        found: list[str] = []

        def visit(each: Any, _size: int, _data: object) -> int:
            if each.contents.adds == self._adds:
                return 1
            found.append(os.fsdecode(each.contents.name or b""))
            return 0

        if linux.libc.dl_iterate_phdr(_VISIT(visit), None):
            return
        self._adds = self._loads()
        self._pauses = [pause for path in found for pause in _pauses(path)]

    def _loads(self) -> int:
        counts: list[int] = []

        def visit(each: Any, _size: int, _data: object) -> int:
            counts.append(int(each.contents.adds))
            return 1

        linux.libc.dl_iterate_phdr(_VISIT(visit), None)
        return counts[0]


def _pauses(path: str) -> Iterator[Callable[[], object]]:
    """What ends a library's threads."""
    name = os.path.basename(path)
    if "libgomp" not in name and "openblas" not in name:
        return
    library = ctypes.CDLL(path, mode=os.RTLD_NOW | os.RTLD_NOLOAD)
    if hasattr(library, "omp_pause_resource_all"):
        yield partial(library.omp_pause_resource_all, PAUSE_SOFT)
    if hasattr(library, END_THREADS):
        yield library.blas_thread_shutdown_
