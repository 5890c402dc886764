"""A kernel's end of its channels: small ZeroMQ servers on Unix sockets, in the loop of one thread. Standard library only.

What was sent stands in the client's own socket once `when_sent` has said so: no library's thread holds it back, so
whatever a kernel has flushed is out, however it ends. What is said while no client is there is kept for the next one.
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

from cellblock import zmtp

KEPT = 8 << 20  # bytes kept for a client to come; the oldest go first
MAX_REQUEST = 64 << 20  # bytes of one message from a client
_CHUNK = 256 << 10


class Frame(bytes):
    """A part of a message, with the two attributes of a zmq.Frame that ipykernel reads."""

    @property
    def bytes(self) -> "Frame":
        return self

    @property
    def buffer(self) -> "Frame":
        return self


class Peer:
    """One client of one channel. What does not fit into its socket waits in `_out`."""

    def __init__(self, channel: "Channel", connection: socket.socket) -> None:
        self.queued = 0
        self.identity = b""
        self.topics: set[bytes] = set()
        self.socket = connection
        self._channel = channel
        self._loop = channel.loop
        self._decoder = zmtp.Decoder(MAX_REQUEST)
        self._out: deque[memoryview] = deque()
        self._greeted = False
        connection.setblocking(False)
        self._loop.add_reader(connection, self._readable)

    def send(self, data: bytes) -> None:
        """A whole message, or several."""
        self._out.append(memoryview(data))
        self.queued += len(data)
        if len(self._out) == 1:
            self._write()

    def close(self) -> None:
        if self.socket.fileno() < 0:
            return
        self._loop.remove_reader(self.socket)
        self._loop.remove_writer(self.socket)
        self.socket.close()
        self._out.clear()
        self.queued = 0
        self._channel.left(self)

    def _readable(self) -> None:
        try:
            data = self.socket.recv(_CHUNK)
            self._decoder.feed(data)
            while (frames := self._decoder.next()) is not None:
                self._greet()
                if frames:
                    self._channel.heard(self, frames)
            self._greet()
        except BlockingIOError:
            return
        except (OSError, zmtp.Violation):
            data = b""
        if not data:
            self.close()

    def _greet(self) -> None:
        if self._decoder.ready and not self._greeted:
            self._greeted = True
            self.identity = self._decoder.properties.get(b"Identity") or os.urandom(5)
            self._channel.entered(self)

    def _write(self) -> None:
        """As much as fits; the rest when there is room."""
        try:
            while self._out:
                self._write_first()
        except BlockingIOError:
            self._loop.add_writer(self.socket, self._writable)
        except OSError:
            self.close()

    def _write_first(self) -> None:
        first = self._out[0]
        sent = self.socket.send(first[:_CHUNK])
        self.queued -= sent
        if sent == len(first):
            self._out.popleft()
        else:
            self._out[0] = first[sent:]

    def _writable(self) -> None:
        self._loop.remove_writer(self.socket)
        self._write()
        self._channel.sent()


class Channel:
    """Serves who comes to `listener`. All of it happens in the thread of `loop`, but for its making."""

    kind: Literal["ROUTER", "XPUB"]

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: socket.socket) -> None:
        self.loop = loop
        self.peers: list[Peer] = []
        self._kept: deque[tuple[bytes, bytes]] = deque()
        self._kept_size = 0
        self.dropped = 0  # bytes that were too much to keep, since a client was last told
        self._waiting: list[Callable[[], object]] = []
        self._listener = listener
        self._listener.setblocking(False)
        loop.add_reader(self._listener, self._accept)

    @property
    def queued(self) -> int:
        """Bytes that clients have not taken yet."""
        return sum(peer.queued for peer in self.peers)

    def when_sent(self, act: Callable[[], object]) -> None:
        """Acts once nothing is queued: at once, or later."""
        self._waiting.append(act)
        self.sent()

    def sent(self) -> None:
        if not self.queued:
            waiting, self._waiting = self._waiting, []
            for act in waiting:
                act()

    def sockets(self) -> Iterator[socket.socket]:
        """All that this channel has open."""
        yield self._listener
        for peer in self.peers:
            yield peer.socket

    def entered(self, peer: Peer) -> None:
        """A client has said who it is."""

    def heard(self, peer: Peer, frames: list[bytes]) -> None:
        """A message of a client's."""

    def left(self, peer: Peer) -> None:
        self.peers.remove(peer)
        self.sent()

    def keep(self, address: bytes, data: bytes) -> None:
        """For a client to come, named by `address`."""
        self._kept.append((address, data))
        self._kept_size += len(data)
        while self._kept_size > KEPT:
            size = len(self._kept.popleft()[1])
            self._kept_size -= size
            self.dropped += size

    def give(self, peer: Peer, wanted: Callable[[bytes], bool]) -> None:
        """What was kept under a wanted address."""
        kept, self._kept, self._kept_size = self._kept, deque(), 0
        for address, data in kept:
            if wanted(address):
                peer.send(data)
            else:
                self.keep(address, data)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        peer = Peer(self, connection)
        self.peers.append(peer)  # before it is greeted: it may be gone already
        peer.send(zmtp.opening(self.kind))


class Router(Channel):
    """Requests in, replies out to who asked: the first frame is the client's identity, both ways."""

    kind = "ROUTER"
    on_message: Callable[[list[Frame]], object] = staticmethod(lambda frames: None)

    def entered(self, peer: Peer) -> None:
        """A client that comes again takes the place of its former self, and what was kept for it."""
        for other in [one for one in self.peers if one is not peer and one.identity == peer.identity]:
            other.close()
        self.give(peer, peer.identity.__eq__)

    def heard(self, peer: Peer, frames: list[bytes]) -> None:
        self.on_message([Frame(peer.identity), *map(Frame, frames)])

    def send(self, identity: bytes, data: bytes) -> None:
        for peer in self.peers:
            if peer.identity == identity:
                peer.send(data)
                return
        self.keep(identity, data)


class Xpub(Channel):
    """To all subscribers of a topic. `welcome` makes what a new one is told first."""

    kind = "XPUB"
    welcome: Callable[[bytes], bytes] = staticmethod(lambda topic: b"")

    def heard(self, peer: Peer, frames: list[bytes]) -> None:
        """`1` and a topic subscribes to all topics that begin so; `0` takes that back."""
        wish, topic = frames[0][:1], frames[0][1:]
        if wish == b"\1":
            peer.topics.add(topic)
            if welcome := self.welcome(topic):
                peer.send(welcome)
            self.give(peer, lambda said: said.startswith(topic))
        elif wish == b"\0":
            peer.topics.discard(topic)

    def send(self, topic: bytes, data: bytes) -> None:
        heard = False
        for peer in list(self.peers):
            if any(topic.startswith(wanted) for wanted in peer.topics):
                heard = True
                peer.send(data)
        if not heard:
            self.keep(topic, data)
