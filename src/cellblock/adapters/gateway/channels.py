"""A Jupyter client's WebSocket: what it asks goes to `requests`, what the kernel says comes off the session's tape.

Nothing is queued for a client here. It reads the tape at its own speed, and one that is too slow for the tape hears what
is missing; one that sends faster than it is handled is read no faster.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from cellblock.adapters.gateway.formats import BadFrame, Message, decode, encode
from cellblock.adapters.gateway.requests import Client
from cellblock.errors import CellblockError, KernelNotFound
from cellblock.framing import V1
from cellblock.host.interpreter import Interpreter, Spoken
from cellblock.host.tape import Listener

RESTING = 32  # messages in a row before others get their turn
GOING_AWAY, BAD_DATA, TRY_AGAIN = 1001, 1007, 1011


class Channels:
    """The endpoint /api/kernels/{id}/channels."""

    def __init__(self, interpreter: Interpreter, closing: asyncio.Event) -> None:
        self.interpreter, self.closing = interpreter, closing

    async def serve(self, socket: WebSocket) -> None:
        """From the handshake to the end of either side. A kernel that is not there is a 404."""
        owner, id = socket.state.owner, socket.path_params["id"]
        if (await self.interpreter.kernel(owner, id))["state"] == "released":
            raise KernelNotFound(f"There is no live kernel {id}.")
        await self.interpreter.wake(owner, id)
        v1 = V1 in socket.scope["subprotocols"]
        name = socket.query_params.get("session_id", "")[:128] or uuid.uuid4().hex
        client = Client(self.interpreter, owner, id, name, await self.interpreter.tape(owner, id))
        listener = client.tape.enter(name)  # before it is told that it is connected: from then on it misses nothing
        try:
            await socket.accept(subprotocol=V1 if v1 else None)
            code, reason = await self._talk(socket, client, listener, v1)
        finally:
            client.tape.leave(listener)
        if {socket.client_state, socket.application_state} == {WebSocketState.CONNECTED}:
            with suppress(WebSocketDisconnect):  # it has gone in this moment
                await socket.close(code, reason)

    async def _talk(self, socket: WebSocket, client: Client, listener: Listener, v1: bool) -> tuple[int, str]:
        """Until one side ends; why, as the code and the reason of a close."""
        ends: dict[asyncio.Future[Any], tuple[int, str]] = {
            asyncio.ensure_future(self._read(socket, client, v1)): (1000, ""),
            asyncio.ensure_future(self._write(socket, client, listener.messages(), v1)): (1000, ""),
            asyncio.ensure_future(self.closing.wait()): (GOING_AWAY, "the server is stopping"),
        }
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            first = done.pop()
            why = first.result()
            return why if isinstance(why, tuple) else ends[first]
        finally:
            for task in ends:
                task.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    async def _read(self, socket: WebSocket, client: Client, v1: bool) -> tuple[int, str] | None:
        while True:
            event = await socket.receive()
            if event["type"] == "websocket.disconnect":
                return None
            frame = event.get("text")
            try:
                await client.handle(decode(event["bytes"] if frame is None else frame, v1=v1))
            except BadFrame as problem:
                return BAD_DATA, f"not a Jupyter message: {problem}"[:120]
            except CellblockError as problem:
                return TRY_AGAIN, problem.message[:120]

    async def _write(self, socket: WebSocket, client: Client, messages: AsyncIterator[Spoken], v1: bool) -> None:
        count = 0
        async for said in messages:
            if said.content.get("execution_state") == "dead" and await self._lives(client):
                continue  # an older one, of which a client that comes back hears too late
            message = Message(said.channel, said.header, said.parent, said.metadata, said.content, said.buffers)
            frame = encode(message, v1=v1)
            try:
                await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))
            except (WebSocketDisconnect, RuntimeError):
                return  # it has left; `_read` hears that too
            if said.content.get("execution_state") == "dead":
                return
            count += 1
            if count % RESTING == 0:
                await asyncio.sleep(0)

    async def _lives(self, client: Client) -> bool:
        try:
            return (await self.interpreter.kernel(client.owner, client.kernel))["state"] != "released"
        except KernelNotFound:  # its session has been deleted
            return False
