"""Events to server-sent events or NDJSON: written as they come, a ping when nothing happens, an end when the server stops."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cellblock.adapters.wire import dumps

T = TypeVar("T")
AnyEvent = Mapping[str, object]

SSE = "text/event-stream"
NDJSON = "application/x-ndjson"
PING_S = 15.0
PING = b": ping\n\n"
CHUNK = 64 << 10  # bytes; what has come meanwhile goes out in one write
# No cache and no proxy may hold events back.
UNBUFFERED = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def sse_event(event: AnyEvent) -> bytes:
    """`id`, `event` and one line of `data` with the rest."""
    data = {name: value for name, value in event.items() if name != "event"}
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (int(str(event["seq"])), str(event["event"]).encode(), dumps(data))


def ndjson_event(event: AnyEvent) -> bytes:
    """The event as one line."""
    return dumps(event) + b"\n"


async def sse(events: AsyncIterator[AnyEvent], ping: float = PING_S) -> AsyncGenerator[bytes, None]:
    """Server-sent events; `: ping` after `ping` seconds without one."""
    async for chunk in paced(events, sse_event, ping):
        yield PING if chunk is None else chunk


async def ndjson(events: AsyncIterator[AnyEvent]) -> AsyncGenerator[bytes, None]:
    """Newline-delimited JSON."""
    async for chunk in paced(events, ndjson_event, None):
        if chunk is not None:
            yield chunk


async def paced(
    items: AsyncIterator[T], encode: Callable[[T], bytes], seconds: float | None
) -> AsyncGenerator[bytes | None, None]:
    """What has come of `items`, encoded and joined, as it comes; None whenever `seconds` pass without any.

    Of what a slow reader has not taken yet, no more than CHUNK bytes and one item are held.
    """
    held: list[bytes] = []
    come, taken = asyncio.Event(), asyncio.Event()

    async def pump() -> None:
        async for item in items:
            held.append(encode(item))
            come.set()
            while sum(map(len, held)) >= CHUNK:
                taken.clear()
                await taken.wait()

    pumping = asyncio.create_task(pump())
    pumping.add_done_callback(lambda _: come.set())
    try:
        while not pumping.done() or held:
            if not await came(come, seconds):
                yield None
                continue
            come.clear()
            if chunk := b"".join(held):
                held.clear()
                taken.set()
                yield chunk
        pumping.result()
    finally:
        pumping.cancel()
        await asyncio.wait({pumping})
        await close(items)


async def came(event: asyncio.Event, seconds: float | None) -> bool:
    """Waits for an event; False when it takes longer."""
    if event.is_set():
        return True
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def close(events: AsyncIterator[Any]) -> None:
    """Ends an iterator that is a generator."""
    if isinstance(events, AsyncGenerator):
        await events.aclose()


async def first_of(work: Coroutine[Any, Any, T], *ends: Coroutine[Any, Any, object]) -> T | None:
    """What `work` returns, or None when one of `ends` came first; whatever is left is cancelled."""
    main = asyncio.ensure_future(work)
    others = [asyncio.ensure_future(end) for end in ends]
    try:
        await asyncio.wait({main, *others}, return_when=asyncio.FIRST_COMPLETED)
        return main.result() if main.done() else None
    finally:
        for task in (main, *others):
            task.cancel()
        await asyncio.gather(main, *others, return_exceptions=True)


async def disconnected(receive: Receive) -> None:
    """Returns when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class EventResponse(Response):
    """Sends chunks as they come until they end, the client leaves (then `on_cut` is awaited) or `closing` is set."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None],
        media_type: str,
        closing: asyncio.Event,
        headers: Mapping[str, str] | None = None,
        on_cut: Callable[[], Awaitable[object]] | None = None,
        status_code: int = 200,  # FastAPI reads its default for OpenAPI
    ) -> None:
        super().__init__(None, status_code, {**UNBUFFERED, **(headers or {})}, f"{media_type}; charset=utf-8")
        del self.headers["content-length"]
        self.chunks, self.closing, self.on_cut = chunks, closing, on_cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            complete = await first_of(self._send_all(send), disconnected(receive), self.closing.wait())
        finally:
            await self.chunks.aclose()
        if complete or self.closing.is_set():
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        elif self.on_cut is not None:
            await self.on_cut()

    async def _send_all(self, send: Send) -> bool:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        return True
