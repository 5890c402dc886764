"""uvicorn's HTTP/1 connection with bounds: bytes that lead to nothing, and a head that never ends, close it.

The parser keeps a request line, headers, trailers and chunk extensions for as long as they go on.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 << 10  # bytes; what arrives in one read may come on top
HEAD_SECONDS = 30.0  # from a connection, or the first byte of a request, to the end of its head


class Bounded(HttpToolsProtocol):
    """Counts what arrives since the parser last reported a whole head, a piece of a body or an end."""

    _unreported = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._reported()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        before, self._unreported = self._unreported, self._unreported + len(data)
        super().data_received(data)
        if before and self._unreported > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of this request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._reported()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._reported()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._reported()
        super().on_message_complete()

    def _reported(self) -> None:
        self._unreported = 0
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _expect_head(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)
