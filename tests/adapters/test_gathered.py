"""What a WebSocket says within one turn of the loop is one write; none of it is late, lost or out of order."""

import asyncio

from cellblock.cli.gathered import ENOUGH, Gathered


class Sink(asyncio.Transport):
    """Keeps each write, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


async def turn() -> None:
    await asyncio.sleep(0)


async def test_what_is_said_in_one_turn_is_one_write() -> None:
    sink = Sink()
    gathered = Gathered(sink)
    gathered.write(b"one ")
    gathered.write(b"two")
    assert sink.written == []
    await turn()
    gathered.write(b"three")
    await turn()
    assert sink.written == [b"one two", b"three"]
    await turn()
    assert len(sink.written) == 2


async def test_much_waits_for_nothing_so_that_a_slow_reader_is_noticed() -> None:
    sink = Sink()
    gathered = Gathered(sink)
    gathered.write(b"small")
    gathered.write(b"x" * ENOUGH)
    assert sink.written == [b"small" + b"x" * ENOUGH]
    gathered.write(b"after")
    await turn()
    assert sink.written[1:] == [b"after"]


async def test_a_close_sends_what_was_said_before_it_and_nothing_after() -> None:
    sink = Sink()
    gathered = Gathered(sink)
    gathered.write(b"last words")
    gathered.close()
    assert (sink.written, sink.closed) == ([b"last words"], True)
    gathered.write(b"too late")
    await turn()
    assert sink.written == [b"last words"]


async def test_it_is_the_transport_in_everything_else() -> None:
    sink = Sink()
    assert Gathered(sink).is_closing() is False
    sink.closed = True
    assert Gathered(sink).is_closing() is True
