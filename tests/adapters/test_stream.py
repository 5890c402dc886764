"""Events on the wire: one write each, pings in between, and an end for everybody when the server stops."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from cellblock.adapters import stream, wire


def event(seq: int, kind: str = "stream", **content: Any) -> dict[str, Any]:
    return {"seq": seq, "event": kind, "execution_id": "e", "kernel_id": None, "cell_id": None, "content": content}


async def some(*events: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    for one in events:
        yield one


def test_a_server_sent_event_has_id_type_and_one_line_of_data() -> None:
    text = stream.sse_event(event(3, text="a\nb")).decode()
    first, second, third, *rest = text.split("\n")
    assert (first, second, rest) == ("id: 3", "event: stream", ["", ""])
    data = json.loads(third.removeprefix("data: "))
    assert data["content"] == {"text": "a\nb"}
    assert "event" not in data


def test_an_ndjson_event_is_one_line_with_its_type() -> None:
    line = stream.ndjson_event(event(1, text="ü\n"))
    assert line.count(b"\n") == 1
    assert json.loads(line)["event"] == "stream"


async def test_a_ping_comes_when_nothing_happens() -> None:
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[dict[str, Any]]:
        await go_on.wait()
        yield event(1)

    chunks = stream.sse(slow(), ping=0.001)
    assert await anext(chunks) == b": ping\n\n"
    assert await anext(chunks) == b": ping\n\n"
    go_on.set()
    while (chunk := await anext(chunks)) == stream.PING:
        pass
    assert chunk.startswith(b"id: 1\n")
    with pytest.raises(StopAsyncIteration):
        await anext(chunks)


async def test_closing_a_paced_stream_closes_its_source() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            await asyncio.Event().wait()
            yield b"1"
        finally:
            closed.set()

    paced = stream.paced(endless(), bytes, 0.001)
    assert await anext(paced) is None
    await paced.aclose()
    assert closed.is_set()


async def test_an_error_of_the_source_reaches_the_reader() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"1"
        raise RuntimeError("broken")

    paced = stream.paced(broken(), bytes, 1)
    assert await anext(paced) == b"1"
    with pytest.raises(RuntimeError, match="broken"):
        await anext(paced)


async def test_what_comes_together_is_written_together_and_in_order() -> None:
    chunks = [chunk async for chunk in stream.ndjson(some(*(event(seq) for seq in range(1, 100))))]
    assert len(chunks) < 99
    assert [json.loads(line)["seq"] for line in b"".join(chunks).splitlines()] == list(range(1, 100))


async def test_a_reader_that_does_not_read_holds_the_source_back_and_lets_it_go_in_the_end() -> None:
    given, closed = [], asyncio.Event()

    async def flood() -> AsyncIterator[bytes]:
        try:
            while True:
                given.append(1)
                yield b"x" * 1000
        finally:
            closed.set()

    paced = stream.paced(flood(), bytes, None)
    first = await anext(paced)
    assert first is not None
    assert len(first) < stream.CHUNK + 1000
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(given) * 1000 <= len(first) + stream.CHUNK + 1000
    await paced.aclose()
    assert closed.is_set()


class Wire:
    """An ASGI client: keeps what is sent; `leave` is its disconnect."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.leave = asyncio.Event()
        self.first_chunk = asyncio.Event()

    async def receive(self) -> Message:
        await self.leave.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        if message.get("body"):
            self.first_chunk.set()

    @property
    def ended(self) -> bool:
        return self.sent[-1].get("more_body") is False


async def endless() -> AsyncIterator[dict[str, Any]]:
    yield event(1)
    await asyncio.Event().wait()


async def test_a_response_ends_with_its_events() -> None:
    client = Wire()
    response = stream.EventResponse(stream.sse(some(event(1), event(2))), stream.SSE, asyncio.Event())
    await response({"type": "http"}, client.receive, client.send)
    assert b"".join(m.get("body", b"") for m in client.sent).count(b"\nevent: stream\n") == 2
    assert client.ended
    headers = dict(client.sent[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"cache-control"] == b"no-cache"
    assert b"content-length" not in headers


async def test_a_client_that_leaves_is_told_to_whoever_asked() -> None:
    client, left = Wire(), asyncio.Event()

    async def on_cut() -> None:
        left.set()

    response = stream.EventResponse(stream.sse(endless()), stream.SSE, asyncio.Event(), on_cut=on_cut)
    answering = asyncio.create_task(response({"type": "http"}, client.receive, client.send))
    await client.first_chunk.wait()
    client.leave.set()
    await answering
    assert left.is_set()


async def test_a_stopping_server_ends_open_streams_and_interrupts_nothing() -> None:
    client, left, closing = Wire(), asyncio.Event(), asyncio.Event()

    async def on_cut() -> None:
        left.set()

    response = stream.EventResponse(stream.sse(endless()), stream.SSE, closing, on_cut=on_cut)
    answering = asyncio.create_task(response({"type": "http"}, client.receive, client.send))
    await client.first_chunk.wait()
    closing.set()
    await answering
    assert client.ended
    assert not left.is_set()


async def test_the_first_of_several_ends_the_others() -> None:
    cancelled = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async def work() -> int:
        return 7

    assert await stream.first_of(work(), forever()) == 7
    assert await stream.first_of(forever(), work()) is None
    assert cancelled.is_set()


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ({"a": [1, "ü", None]}, {"a": [1, "ü", None]}),
        ({"a": "half \ud83d pair"}, {"a": "half ? pair"}),
        ({"\udcff": float("nan"), "b": "\ud83d"}, {"?": None, "b": "?"}),
        ([float("inf"), 1.5], [None, 1.5]),
    ],
)
def test_whatever_a_kernel_says_becomes_json(value: object, read: object) -> None:
    line = wire.dumps(value)
    assert b"\n" not in line
    assert json.loads(line, parse_constant=lambda name: pytest.fail(name)) == read
