"""A way to a server that can be cut: a TCP relay on loopback."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress


class Way:
    """Relays to `port` until it is `cut`; while it is `shut`, nobody comes through; no WebSocket while it is `narrow`."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._open = True
        self.narrow = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Way":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Breaks what is open; new connections come through, unless it is shut."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def shut(self, shut: bool = True) -> None:
        self._open = not shut
        if shut:
            self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if self._open:
                await self._relay(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self.narrow and b"upgrade: websocket" in head.lower():
            return
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.add(back)
        back.write(head)
        pumps: list[Callable[[], Awaitable[None]]] = [lambda: pump(reader, back), lambda: pump(there, writer)]
        tasks = [asyncio.ensure_future(each()) for each in pumps]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            back.transport.abort()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
