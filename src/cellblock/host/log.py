"""An append-only log in bounded memory, tailed by many readers at their own speed: who falls behind is told."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

T = TypeVar("T")

BATCH = 256


@dataclass(frozen=True, slots=True)
class Gap:
    """Entries `first` to `last`, both included, are not to be had from the log."""

    first: int
    last: int


def weight(value: Any) -> int:
    """Roughly the bytes a JSON value takes: cheap, and right where it is large, in its strings."""
    total, rest = 0, [value]
    while rest:
        item = rest.pop()
        kind = type(item)  # of every event of every execution: isinstance takes three times as long
        if kind is str or kind is bytes:
            total += len(item) + 4
        elif kind is dict:
            total += 16 * len(item)
            rest += item.values()
        elif kind is list or kind is tuple:
            rest += item
        else:
            total += 8
    return total


class EventLog(Generic[T]):
    """Entries numbered from 1; the oldest are dropped beyond `max_items` entries or `max_bytes` (by `size`).

    One event loop only: `append` and `close` are plain calls, `tail` may be iterated by any number of tasks.
    """

    def __init__(
        self, *, max_items: int = 8192, max_bytes: int = 4 << 20, size: Callable[[T], int] = weight, last: int = 0
    ) -> None:
        self.max_items, self.max_bytes, self._size = max_items, max_bytes, size
        self.last = last
        self.bytes = 0
        self.readers = 0
        self.closed = False
        self._items: deque[tuple[T, int]] = deque()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def first(self) -> int:
        """The number of the oldest entry still here; `last + 1` when there is none."""
        return self.last - len(self._items) + 1

    def append(self, item: T) -> int:
        """Adds an entry and returns its number."""
        size = self._size(item)
        self._items.append((item, size))
        self.bytes += size
        self.last += 1
        while len(self._items) > self.max_items or (self.bytes > self.max_bytes and len(self._items) > 1):
            self.bytes -= self._items.popleft()[1]
        self._wake()
        return self.last

    def close(self) -> None:
        """No more entries: readers end after the last one."""
        self.closed = True
        self._wake()

    def skip(self) -> int:
        """Counts an entry that nobody reads, keeping nothing; returns its number."""
        self._items.clear()
        self.bytes = 0
        self.last += 1
        return self.last

    def drop(self, number: int) -> None:
        """Forgets the entries up to `number`, which everybody has read."""
        while self._items and self.first <= number:
            self.bytes -= self._items.popleft()[1]

    def after(self, number: int, limit: int = BATCH) -> list[tuple[int, T]]:
        """The entries that follow entry `number`, as far as they are here, at most `limit`."""
        start = max(number + 1, self.first)
        skipped = start - self.first
        found = islice(self._items, skipped, skipped + limit)
        return [(start + index, item) for index, (item, _) in enumerate(found)]

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Counts a reader as long as the block lasts."""
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1

    async def tail(self, after: int = 0) -> AsyncIterator[tuple[int, T] | Gap]:
        """Entries after number `after`, live until the log is closed.

        Where entries are missing, one `Gap` stands for everything up to now, but for the last entry of a closed log:
        whoever reads on needs a picture of the whole at that point, and what the picture shows must not follow it.
        """
        while True:
            if after + 1 < self.first:
                until = self.last - 1 if self.closed and self._items else self.last
                yield Gap(after + 1, until)
                after = until
            for number, item in self.after(after):
                if number > after + 1:  # dropped while the reader was away
                    break
                after = number
                yield number, item
            if after < self.last:
                continue
            if self.closed:
                return
            await self._changed()

    async def _changed(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
