"""How messages travel between a connection and its kernel: ZMTP sockets here, one WebSocket to a Jupyter server."""

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from cellblock.errors import KernelFault
from cellblock.host.wire import Channel, KernelMessage

SLICE = 0.0005  # seconds of one turn of the loop that one channel may take: others' executions wait for ten of them
MAX_UNREAD = 32 << 20  # bytes that wait for a kernel to read them; one request has a few MiB at most


class Receiver(Protocol):
    """Whom a transport tells what comes in; none of it waits."""

    def received(self, channel: Channel, message: KernelMessage) -> bool:
        """False: it, and all behind it on its channel, has to wait for `Transport.go_on`."""

    def ended(self, channel: Channel) -> None:
        """The kernel has closed a channel, and all that came over it has been received."""

    def lost(self, why: KernelFault) -> None:
        """The connection is of no use any more."""

    def reconnected(self) -> None:
        """The way to the kernel was interrupted, and is there again."""


class Transport(Protocol):
    """Carries the messages of one kernel's channels. OSError and TimeoutError from `connect` only."""

    async def connect(self, receiver: Receiver) -> None: ...

    def send(
        self,
        channel: Channel,
        msg_type: str,
        content: dict[str, Any],
        *,
        msg_id: str,
        parent: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
    ) -> None:
        """Sends, or keeps until it can; what cannot be sent at all is told by `lost`."""

    def go_on(self) -> None:
        """What has waited is received."""

    def leave(self, topic: str) -> bool:
        """Asks the kernel to keep from now on what it says, and to answer with a welcome to `topic`; False: it cannot."""

    def missed(self, last: str) -> str | None:
        """Why messages up to the one with id `last` may not have come, a sentence; None when all have. Once told, forgotten."""

    def abort(self) -> None:
        """Closes at once."""

    @property
    def closed(self) -> "asyncio.Future[Any]":
        """Resolves when nothing is open any more."""
