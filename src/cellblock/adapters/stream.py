"""Events to server-sent events or NDJSON: one write each, a ping when nothing happens, an end when the server stops."""

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
    async for event in paced(events, ping):
        yield PING if event is None else sse_event(event)


async def ndjson(events: AsyncIterator[AnyEvent]) -> AsyncGenerator[bytes, None]:
    """Newline-delimited JSON."""
    async for event in events:
        yield ndjson_event(event)


async def paced(events: AsyncIterator[T], seconds: float) -> AsyncGenerator[T | None, None]:
    """The items of `events`, and None whenever `seconds` pass without one."""
    step: asyncio.Future[T] | None = None
    try:
        while True:
            step = step or asyncio.ensure_future(anext(events))
            await asyncio.wait({step}, timeout=seconds)
            if not step.done():
                yield None
                continue
            try:
                item = step.result()
            except StopAsyncIteration:
                return
            step = None
            yield item
    finally:
        if step is not None and not step.done():
            step.cancel()
            await asyncio.wait({step})
        await close(events)


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
