"""The event log: numbered from one, bounded, read by many at their own speed."""

import asyncio

from cellblock.host.log import EventLog, Gap, weight


async def drained(log: EventLog[str], after: int = 0) -> list[object]:
    return [entry async for entry in log.tail(after)]


async def test_a_reader_that_comes_late_gets_everything_from_the_start() -> None:
    log = EventLog[str]()
    for word in ("a", "b", "c"):
        log.append(word)
    log.close()
    assert await drained(log) == [(1, "a"), (2, "b"), (3, "c")]


async def test_a_reader_goes_on_after_the_number_it_names() -> None:
    log = EventLog[str]()
    for word in ("a", "b", "c"):
        log.append(word)
    log.close()
    assert await drained(log, after=2) == [(3, "c")]
    assert await drained(log, after=3) == []
    assert await drained(log, after=99) == []


async def test_many_readers_hear_what_is_appended_while_they_wait() -> None:
    log = EventLog[str]()
    readers = [asyncio.create_task(drained(log)) for _ in range(5)]
    await asyncio.sleep(0)
    log.append("a")
    await asyncio.sleep(0)
    log.append("b")
    log.close()
    assert await asyncio.gather(*readers) == [[(1, "a"), (2, "b")]] * 5


async def test_a_reader_that_is_cancelled_leaves_the_others_alone() -> None:
    log = EventLog[str]()
    gone, stays = asyncio.create_task(drained(log)), asyncio.create_task(drained(log))
    await asyncio.sleep(0)
    gone.cancel()
    log.append("a")
    log.close()
    assert await stays == [(1, "a")]


async def test_entries_beyond_the_bound_are_a_gap_up_to_now() -> None:
    log = EventLog[str](max_items=2)
    for word in "abcde":
        log.append(word)
    tail = log.tail()
    assert await anext(tail) == Gap(1, 5)
    log.append("f")
    assert await anext(tail) == (6, "f")


async def test_the_gap_of_a_closed_log_leaves_the_last_entry() -> None:
    log = EventLog[str](max_items=2)
    for word in "abcde":
        log.append(word)
    log.close()
    assert await drained(log) == [Gap(1, 4), (5, "e")]


async def test_a_reader_that_falls_behind_is_told() -> None:
    log = EventLog[str](max_items=2)
    log.append("a")
    tail = log.tail()
    assert await anext(tail) == (1, "a")
    for word in "bcdef":
        log.append(word)
    log.close()
    assert [entry async for entry in tail] == [Gap(2, 5), (6, "f")]


async def test_bytes_are_bounded_but_one_entry_always_stays() -> None:
    log = EventLog[str](max_bytes=100)
    log.append("x" * 90)
    log.append("y" * 500)
    assert log.bytes == weight("y" * 500)
    assert (log.first, log.last) == (2, 2)


async def test_skipped_entries_are_counted_and_not_kept() -> None:
    log = EventLog[str]()
    log.append("a")
    assert log.skip() == 2
    assert (log.first, log.last, log.bytes) == (3, 2, 0)
    with log.reader():
        assert log.readers == 1
    assert log.readers == 0
