"""uvicorn's WebSocket connection, which sends what is said within one turn of the loop in one write.

A flood of small messages costs the server more in system calls, and its reader in awakenings, than in all the rest.
"""

import asyncio
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

ENOUGH = 64 << 10  # bytes that wait for nothing


class Gathered:
    """A transport whose small writes wait for the end of the turn, in their order."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> None:
        if not self._pieces:
            self._loop.call_soon(self.flush)
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= ENOUGH:
            self.flush()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def flush(self) -> None:
        """Hands on what there is: the transport judges whether it is too much."""
        pieces, self._pieces, self._size = self._pieces, [], 0
        if pieces and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Gathering(WebSocketsSansIOProtocol):
    """See above."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(Gathered(transport))  # type: ignore[arg-type]
