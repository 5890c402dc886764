"""Jupyter servers written by hand that fail, lie, or get in the way; what they do not do themselves a real one does."""

import asyncio
import gzip
import json
import re
from collections.abc import Callable
from urllib.parse import urlsplit

from gateways import TOKEN

from cellblock.host.servers import JupyterServer, server_at

SPECS = b'{"default": "python3", "kernelspecs": {"python3": {}}}'


def answer(status: str, body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


class Odd:
    """Listens on loopback. `elsewhere` are requests that came to where it has sent them."""

    def __init__(self, oddity: str, real: str = "") -> None:
        self.oddity, self.real = oddity, real
        self.asked: list[str] = []
        self.elsewhere: list[str] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    async def __aenter__(self) -> "Odd":
        for serve in (self._serve, self._trap):
            self._servers.append(await asyncio.start_server(self._tracked(serve), "127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stop.set()
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def server(self) -> JupyterServer:
        return server_at(f"http://127.0.0.1:{self._port(0)}", token=TOKEN)

    def _port(self, which: int) -> int:
        return int(self._servers[which].sockets[0].getsockname()[1])

    def _tracked(self, serve: Callable[..., object]) -> Callable[..., object]:
        async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self._tasks.add(task)
            try:
                await serve(reader, writer)  # type: ignore[misc]
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                writer.transport.abort()

        return tracked

    async def _trap(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.elsewhere.append((await reader.readuntil(b"\r\n\r\n")).decode())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            method, path, _ = head.split(" ", 2)
            self.asked.append(f"{method} {urlsplit(path).path}")
            await self._answer(method, path, head, writer)
            await writer.drain()

    async def _answer(self, method: str, path: str, head: str, writer: asyncio.StreamWriter) -> None:
        match self.oddity:
            case "fails":
                writer.write(answer("500 Internal Server Error", b'{"message": "it is broken"}'))
            case "refuses":
                writer.write(answer("401 Unauthorized"))
            case "slow":
                writer.write(b"HTTP/1.1 200 OK\r\n")
                await self._stop.wait()
            case "talks for ever":
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n[")
                while True:
                    writer.write(b"1," * 50_000)
                    await writer.drain()
            case "no json":
                writer.write(answer("200 OK", b"<html>"))
            case "deep":
                writer.write(answer("200 OK", b"[" * 50_000 + b"]" * 50_000))
            case "redirects":
                writer.write(answer("302 Found", b"", f"Location: http://127.0.0.1:{self._port(1)}{path}"))
            case "tells":
                writer.write(answer("200 OK", json.dumps({"head": head}).encode()))
            case "squeezes":
                writer.write(answer("200 OK", gzip.compress(b"{}"), "Content-Encoding: gzip"))
            case "many values":
                writer.write(answer("200 OK", b"[" + b"0," * 500_000 + b"0]"))
            case "bakes":
                baked = ("_xsrf=far; Path=/", "_xsrf=near; Path=/api/", f"n{len(self.asked)}=1; Path=/")
                cookies = [f"Set-Cookie: {each}" for each in baked]
                writer.write(answer("200 OK", json.dumps({"head": head}).encode(), *cookies))
            case "hangs up":
                raise ConnectionError
            case "starts never" if method == "POST" and path.endswith("/kernels"):
                await self._stop.wait()
            case "keeps files" if "contents" in path:
                writer.write(answer("200 OK", b'{"type": "directory"}'))
            case "starts nothing" | "keeps files" if method == "POST":
                writer.write(answer("500 Internal Server Error", b'{"message": "no room"}'))
            case "starts nothing" | "starts never" if "contents" in path:
                writer.write(answer("404 Not Found"))
            case "starts nothing" | "starts never" | "keeps files":
                writer.write(answer("200 OK", SPECS if "kernelspecs" in path else b"[]"))
            case _:
                raise AssertionError(self.oddity)
