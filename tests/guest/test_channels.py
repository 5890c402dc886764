"""A kernel's end of its channels, with clients on real sockets: who gets what, and what waits for whom."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import pytest

from cellblock import zmtp
from cellblock.guest.channels import KEPT, Frame, Router, Xpub

PATIENCE = 90.0
CLIENTS: list["Client"] = []


def listening(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    return listener


class Client:
    """One client of one channel."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._decoder = zmtp.Decoder(1 << 30)

    @classmethod
    async def connect(cls, path: Path) -> "Client":
        """Without a word yet."""
        made = cls(*await asyncio.open_unix_connection(path))
        CLIENTS.append(made)
        return made

    @classmethod
    async def enter(cls, path: Path, kind: Literal["DEALER", "SUB"], identity: bytes = b"") -> "Client":
        made = await cls.connect(path)
        made.raw(zmtp.opening(kind, identity))
        return made

    def raw(self, data: bytes) -> None:
        self._writer.write(data)

    def say(self, *frames: bytes) -> None:
        self.raw(zmtp.message(list(frames)))

    async def hear(self) -> list[bytes]:
        async with asyncio.timeout(PATIENCE):
            while not (frames := self._decoder.next()):
                if frames is not None:
                    continue  # a command
                data = await self._reader.read(1 << 16)
                if not data:
                    raise ConnectionResetError
                self._decoder.feed(data)
        return frames

    async def shut_out(self) -> bool:
        """Whether the channel has closed this connection."""
        try:
            await self.hear()
        except (ConnectionResetError, BrokenPipeError):
            return True
        return False

    async def leave(self) -> None:
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


@pytest.fixture(autouse=True)
async def nobody_stays() -> AsyncIterator[None]:
    yield
    while CLIENTS:
        await CLIENTS.pop().leave()


@pytest.fixture
async def iopub(tmp_path: Path) -> AsyncIterator[tuple[Xpub, Path]]:
    channel = Xpub(asyncio.get_running_loop(), listening(tmp_path / "s"))
    channel.welcome = lambda topic: zmtp.message([b"welcome", topic])
    yield channel, tmp_path / "s"
    close(channel)


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[tuple[Router, Path]]:
    channel = Router(asyncio.get_running_loop(), listening(tmp_path / "s"))
    yield channel, tmp_path / "s"
    close(channel)


def close(channel: Xpub | Router) -> None:
    for peer in list(channel.peers):
        peer.close()
    for listener in channel.sockets():
        channel.loop.remove_reader(listener)
        listener.close()


async def requests(channel: Router) -> asyncio.Queue[list[Frame]]:
    queue: asyncio.Queue[list[Frame]] = asyncio.Queue()
    channel.on_message = queue.put_nowait
    return queue


async def subscriber(path: Path, topic: bytes = b"") -> Client:
    client = await Client.enter(path, "SUB")
    client.say(b"\1" + topic)
    assert await client.hear() == [b"welcome", topic]
    return client


async def test_what_is_said_while_nobody_listens_is_told_to_who_comes_next(iopub: tuple[Xpub, Path]) -> None:
    channel, path = iopub
    channel.send(b"a", zmtp.message([b"a", b"1"]))
    channel.send(b"b", zmtp.message([b"b", b"2"]))
    first = await subscriber(path)
    assert [await first.hear(), await first.hear()] == [[b"a", b"1"], [b"b", b"2"]]
    second = await subscriber(path)
    channel.send(b"c", zmtp.message([b"c", b"3"]))
    assert [await first.hear(), await second.hear()] == [[b"c", b"3"]] * 2


async def test_what_is_kept_has_a_bound_and_the_oldest_go_first(iopub: tuple[Xpub, Path]) -> None:
    channel, path = iopub
    for n in range(10):
        channel.send(b"t", zmtp.message([b"t", bytes([n]) * (KEPT // 5)]))
    client = await subscriber(path)
    kept = [(await client.hear())[1][0] for _ in range(4)]
    assert kept == [6, 7, 8, 9]
    assert channel.dropped > 6 * (KEPT // 5)  # and it is known how much


async def test_a_subscriber_hears_its_topics_only(iopub: tuple[Xpub, Path]) -> None:
    channel, path = iopub
    client = await subscriber(path, b"kernel.")
    channel.send(b"stream", zmtp.message([b"stream", b"no"]))
    channel.send(b"kernel.status", zmtp.message([b"kernel.status", b"yes"]))
    assert await client.hear() == [b"kernel.status", b"yes"]


async def test_a_subscriber_may_take_its_wish_back(iopub: tuple[Xpub, Path]) -> None:
    channel, path = iopub
    client, other = await subscriber(path, b"a"), await subscriber(path, b"")
    client.say(b"\1b")
    assert await client.hear() == [b"welcome", b"b"]
    client.say(b"\0a")
    client.say(b"\1c")
    assert await client.hear() == [b"welcome", b"c"]
    channel.send(b"a", zmtp.message([b"a"]))
    channel.send(b"b", zmtp.message([b"b"]))
    assert await client.hear() == [b"b"]
    assert await other.hear() == [b"a"]


async def test_a_request_carries_its_sender_and_the_reply_finds_the_way_back(shell: tuple[Router, Path]) -> None:
    channel, path = shell
    heard = await requests(channel)
    client = await Client.enter(path, "DEALER", b"me")
    client.say(b"question")
    assert await heard.get() == [b"me", b"question"]
    channel.send(b"me", zmtp.message([b"answer"]))
    assert await client.hear() == [b"answer"]


async def test_a_reply_to_one_who_has_gone_waits_until_it_comes_again(shell: tuple[Router, Path]) -> None:
    channel, path = shell
    heard = await requests(channel)
    client = await Client.enter(path, "DEALER", b"me")
    client.say(b"question")
    await heard.get()
    await gone(channel, client)
    channel.send(b"me", zmtp.message([b"answer"]))
    stranger = await Client.enter(path, "DEALER", b"another")
    again = await Client.enter(path, "DEALER", b"me")
    assert await again.hear() == [b"answer"]
    stranger.say(b"hello")
    assert await heard.get() == [b"another", b"hello"]
    channel.send(b"another", zmtp.message([b"only this"]))
    assert await stranger.hear() == [b"only this"]


async def gone(channel: Router, client: Client) -> None:
    """The client leaves, and the channel has noticed."""
    left = asyncio.Event()
    notice = channel.left
    channel.left = lambda peer: (notice(peer), left.set())  # type: ignore[method-assign, assignment, func-returns-value]
    await client.leave()
    async with asyncio.timeout(PATIENCE):
        await left.wait()


async def test_who_comes_again_takes_the_place_of_its_former_self(shell: tuple[Router, Path]) -> None:
    channel, path = shell
    heard = await requests(channel)
    old = await Client.enter(path, "DEALER", b"me")
    old.say(b"1")
    await heard.get()
    new = await Client.enter(path, "DEALER", b"me")
    new.say(b"2")
    assert await heard.get() == [b"me", b"2"]
    channel.send(b"me", zmtp.message([b"answer"]))
    assert await new.hear() == [b"answer"]
    assert await old.shut_out()


async def test_nothing_is_sent_before_the_client_has_taken_it(iopub: tuple[Xpub, Path]) -> None:
    channel, path = iopub
    client = await subscriber(path)
    sent = asyncio.Event()
    size = 32 << 20  # more than any socket holds
    channel.send(b"t", zmtp.message([b"t", bytes(size)]))
    channel.when_sent(sent.set)
    assert not sent.is_set()
    assert channel.queued > 0
    assert len((await client.hear())[1]) == size
    async with asyncio.timeout(PATIENCE):
        await sent.wait()
    assert channel.queued == 0


async def test_a_client_that_leaves_sets_a_waiting_writer_free(iopub: tuple[Xpub, Path]) -> None:
    channel, path = iopub
    client = await subscriber(path)
    sent = asyncio.Event()
    channel.send(b"t", zmtp.message([b"t", bytes(32 << 20)]))
    channel.when_sent(sent.set)
    await client.leave()
    async with asyncio.timeout(PATIENCE):
        await sent.wait()


async def test_nonsense_ends_the_connection_it_came_over_and_no_other(shell: tuple[Router, Path]) -> None:
    channel, path = shell
    heard = await requests(channel)
    good = await Client.enter(path, "DEALER", b"good")
    bad = await Client.connect(path)
    bad.raw(b"GET / HTTP/1.1\r\n\r\n" * 10)
    assert await bad.shut_out()
    liar = await Client.connect(path)
    liar.raw(zmtp.GREETING + b"\4\x0d\5READY\x08Identi")
    assert await liar.shut_out()
    good.say(b"still here")
    assert await heard.get() == [b"good", b"still here"]
