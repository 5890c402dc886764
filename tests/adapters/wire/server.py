"""A small HTTP/1.1 server that answers from a script: streams, errors, silence, a cut connection."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Asked:
    """A request as it came over the wire."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass(frozen=True)
class Stream:
    """Server-sent events, each its own chunk; `cut` closes the socket instead of ending the body.

    `hold`, when given, is awaited before the last piece, so that a test decides when it comes.
    """

    events: Sequence[str]
    cut: bool = False
    hold: asyncio.Event | None = None


@dataclass(frozen=True)
class Status:
    """An error answer."""

    code: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Silence:
    """No answer at all, until the client gives up."""


Reply = Stream | Status | Silence


class WireServer:
    """Answers the n-th request with the n-th reply; `check` refuses a wrong request, as the provider would."""

    def __init__(self, replies: Sequence[Reply], check: Callable[[Asked], Status | None]) -> None:
        self.replies = list(replies)
        self.asked: list[Asked] = []
        self._check = check
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while asked := await read(reader):
                self.asked.append(asked)
                wrong = self._check(asked)
                reply = wrong or (self.replies.pop(0) if self.replies else unscripted())
                if not await answer(writer, reader, reply):
                    return
        except (ConnectionError, asyncio.CancelledError):
            return  # the client has gone, or the test has ended
        finally:
            writer.close()
            self._tasks.discard(task)


def unscripted() -> Status:
    return Status(418, {"error": {"message": "the script has no more replies", "code": 418}})


async def read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    request, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(request.split()[1], headers, json.loads(body or b"{}"))


async def answer(writer: asyncio.StreamWriter, reader: asyncio.StreamReader, reply: Reply) -> bool:
    """Writes a reply; whether the connection may be used again."""
    if isinstance(reply, Silence):
        await reader.read()
        return False
    if isinstance(reply, Status):
        body = json.dumps(reply.body).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        head = f"HTTP/1.1 {reply.code} X\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    for n, event in enumerate(reply.events):
        if reply.hold is not None and n == len(reply.events) - 1:
            await writer.drain()
            await reply.hold.wait()
        data = event.encode()
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await writer.drain()
    if reply.cut:
        return False
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True
