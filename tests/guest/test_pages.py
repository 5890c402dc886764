"""Small pages become huge ones where nearly all of them are in use and nobody else has them; in this process' own memory."""

import ctypes
import mmap
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellblock.guest import mapped, pages

SIZE = 4 * pages.HUGE
LIBC = mapped.linux.libc
DONTDUMP = 16  # a mark by which Linux keeps it apart from its neighbours


def taken() -> int:
    """The address of memory of our own, of which nothing is in use."""
    how = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    address = int(LIBC.mmap(None, SIZE, mmap.PROT_READ | mmap.PROT_WRITE, how, -1, 0))
    LIBC.madvise(address, SIZE, DONTDUMP)
    LIBC.madvise(address, SIZE, mmap.MADV_NOHUGEPAGE)
    return address


def fill(address: int, share: float = 1.0) -> None:
    """Touches that share of it, in small pages, which from then on may be made huge."""
    for at in range(0, SIZE, pages.HUGE):
        ctypes.memset(address + at, 1, int(pages.HUGE * share))
    LIBC.madvise(address, SIZE, mmap.MADV_HUGEPAGE)


def huge(address: int) -> int:
    """Bytes of it in huge pages."""
    own = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *rest = line.split()
        if not name.endswith(":"):
            own = int(name.split("-")[0], 16) <= address < int(name.split("-")[1], 16)
        elif own and name == "AnonHugePages:":
            return int(rest[0]) * 1024
    raise AssertionError("it is not mapped")


def able() -> bool:
    address = taken()
    fill(address)
    first = -(-address // pages.HUGE) * pages.HUGE
    made: int = LIBC.madvise(first, pages.HUGE, 25)
    LIBC.munmap(ctypes.c_void_p(address), ctypes.c_size_t(SIZE))
    return made == 0


UNABLE = "Linux makes no huge pages when asked: it is older than 6.1, or has none"
pytestmark = pytest.mark.skipif(not able(), reason=UNABLE)


@pytest.fixture
def memory() -> Iterator[int]:
    address = taken()
    yield address
    LIBC.munmap(ctypes.c_void_p(address), ctypes.c_size_t(SIZE))


def test_memory_in_use_is_made_huge_step_by_step_and_keeps_its_content(memory: int) -> None:
    fill(memory)
    steps = list(pages.condensed())
    assert steps == sorted(steps)
    assert huge(memory) >= SIZE - pages.HUGE
    assert ctypes.string_at(memory, SIZE) == b"\1" * SIZE


def test_memory_that_is_hardly_in_use_does_not_grow(memory: int) -> None:
    fill(memory, 0.5)
    list(pages.condensed())
    assert huge(memory) == 0


def test_memory_that_a_copy_of_the_process_has_too_is_left_alone(memory: int) -> None:
    fill(memory)
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(writer)
        os.read(reader, 1)  # until the test has looked
        os._exit(0)
    os.close(reader)
    list(pages.condensed())
    found = huge(memory)
    os.close(writer)
    os.waitpid(pid, 0)
    assert found == 0


def test_memory_that_cannot_be_made_ones_own_is_an_error_and_stays_as_it_is() -> None:
    shared = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(shared)) + 1  # where nothing can be mapped
    with pytest.raises(OSError, match="mmap"):
        mapped.Shared(address, b"another life", anonymous=True).give_back(alone=True)
    assert shared[:16] == bytes(16)
