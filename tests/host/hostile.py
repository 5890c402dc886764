"""A kernel written by hand that can lie in every layer: bytes, frames, signatures, JSON, parents."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cellblock import zmtp
from cellblock.host.wire import Channel, KernelMessage, Wire

KEY = "a key"
TYPES = {"shell": b"ROUTER", "control": b"ROUTER", "stdin": b"ROUTER", "iopub": b"XPUB"}


def ready(socket_type: bytes) -> bytes:
    body = b"\x05READY\x0bSocket-Type" + len(socket_type).to_bytes(4, "big") + socket_type
    return bytes((4, len(body))) + body


class Peer:
    """Four listening sockets. `on_execute` is what it does with an execute_request; honest everywhere else."""

    def __init__(self, directory: Path, on_execute: "Callable[[Peer, KernelMessage], Awaitable[None]]") -> None:
        self.endpoints = {name: f"ipc://{directory}/{name}" for name in TYPES}
        self.greeting = True
        self.welcome = True
        self.answers_control = True
        self._directory = directory
        self._on_execute = on_execute
        self._wire = Wire(KEY, "kernel")
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Peer":
        for name in TYPES:
            serve = self._serving(name)
            self._servers.append(await asyncio.start_unix_server(serve, self._directory / name))
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers.values():
            writer.transport.abort()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)

    async def on_tcp(self) -> dict[str, str]:
        """The same, also on loopback ports; the endpoints."""
        made: dict[str, str] = {}
        for name in TYPES:
            server = await asyncio.start_server(self._serving(name), "127.0.0.1", 0)
            self._servers.append(server)
            made[name] = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return made

    def _serving(self, name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            self._writers[name] = writer
            try:
                await self._serve(name, reader, writer)
            except (ConnectionError, asyncio.CancelledError):
                pass
            writer.transport.abort()

        return serve

    async def _serve(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.greeting:
            writer.write(zmtp.GREETING + ready(TYPES[name]))
        decoder = zmtp.Decoder(1 << 20)
        while data := await reader.read(1 << 16):
            decoder.feed(data)
            while (frames := decoder.next()) is not None:
                if frames:
                    await self._heard(name, frames)

    async def _heard(self, name: str, frames: list[bytes]) -> None:
        if name == "iopub":
            if self.welcome:
                await self.say("iopub", "iopub_welcome", {"subscription": ""}, "")
            return
        request = self._wire.decode("shell", frames)
        if request.msg_type == "execute_request":
            await self._on_execute(self, request)
        elif request.msg_type == "kernel_info_request" and self.answers_control:
            id = request.header["msg_id"]
            await self.say("iopub", "status", {"execution_state": "busy"}, id)
            await self.say("control" if name == "control" else "shell", "kernel_info_reply", {"status": "ok"}, id)
            await self.say("iopub", "status", {"execution_state": "idle"}, id)

    # what it says

    async def raw(self, channel: Channel, data: bytes) -> None:
        self._writers[channel].write(data)
        await self._writers[channel].drain()

    async def say(self, channel: Channel, msg_type: str, content: dict[str, Any], parent: str) -> None:
        frames = self.frames(msg_type, content, parent)
        await self.raw(channel, zmtp.message([b"topic", *frames] if channel == "iopub" else frames))

    def frames(self, msg_type: str, content: dict[str, Any], parent: str) -> list[bytes]:
        return self._wire.encode(
            msg_type, content, msg_id=uuid.uuid4().hex, parent={"msg_id": parent} if parent else {}
        )

    def signed(self, *parts: bytes) -> list[bytes]:
        """Any four parts, with the right signature."""
        return [b"<IDS|MSG>", self._wire._sign(list(parts)), *parts]

    async def finish(self, request: KernelMessage, *, idle: bool = True) -> None:
        id = request.header["msg_id"]
        await self.say("shell", "execute_reply", {"status": "ok", "execution_count": 1}, id)
        if idle:
            await self.say("iopub", "status", {"execution_state": "idle"}, id)
