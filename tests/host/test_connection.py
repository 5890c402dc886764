"""A connection to a real kernel, and to one that lies."""

import asyncio
import gc
import os
import re
import socket
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from gateways import QUICK, Gateway
from hostile import KEY, Peer
from jupyter_client.manager import KernelManager

from cellblock import zmtp
from cellblock.errors import KernelDied, KernelTimeout, NotWaitingForInput, ProtocolError
from cellblock.host import connection as module
from cellblock.host import sockets
from cellblock.host.connection import Connection, KernelMessage
from cellblock.host.remote import channels as remote_channels
from cellblock.host.remote import rest as rest_module
from cellblock.host.remote.channels import Channels
from cellblock.host.remote.rest import Rest
from cellblock.host.wire import MAX_HEADER, Wire

CHANNELS = ("shell", "iopub", "control", "stdin")
MAX_MESSAGE = 1 << 20
BOUND = 60  # seconds after which a test that waits has failed


def nothing(message: KernelMessage) -> None:
    """Listens to nothing."""


def start(directory: Path) -> tuple[KernelManager, dict[str, str], str]:
    manager = KernelManager(transport="ipc", ip=str(directory / "k"))
    manager.start_kernel()
    client = manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    client.stop_channels()
    info = manager.get_connection_info()
    endpoints = {name: f"ipc://{directory}/k-{info[f'{name}_port']}" for name in CHANNELS}
    return manager, endpoints, info["key"].decode()


def end(manager: KernelManager) -> None:
    manager.shutdown_kernel(now=True)
    manager.context.destroy(linger=0)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], str]]:
    """A plain ipykernel: its endpoints and its key."""
    manager, endpoints, key = start(tmp_path_factory.mktemp("k"))
    yield endpoints, key
    end(manager)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A Kernel Gateway that does not hold back what kernels say."""
    options = ["--ZMQChannelsWebsocketConnection.limit_rate=False"]
    made = Gateway(tmp_path_factory.mktemp("g"), "gateway", options).start()
    yield made
    made.end()


class TextOnly(Rest):
    """Offers no format but the default one."""

    async def socket(self, *arguments: Any, **options: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rest_module, "SUBPROTOCOLS", [])
            return await super().socket(*arguments, **options)


@pytest.fixture(params=["sockets", "websocket", "websocket, text"])
async def kernel(
    request: pytest.FixtureRequest, real: tuple[dict[str, str], str], gateway: Gateway
) -> AsyncIterator[Connection]:
    """A connection to a plain ipykernel, over each transport."""
    async with AsyncExitStack() as stack:
        if request.param == "sockets":
            endpoints, key = real
            connection = await Connection.open(endpoints, key, max_message=MAX_MESSAGE)
        else:
            await gateway.up()
            rest = (Rest if request.param == "websocket" else TextOnly)(gateway.server, QUICK)
            stack.push_async_callback(rest.aclose)
            connection = await Connection.over(await channels(rest, gateway), timeout=BOUND)
        yield connection
        await connection.aclose()
    gc.collect()


async def channels(rest: Rest, gateway: Gateway) -> Channels:
    """The channels of one kernel there, for all tests."""
    session = uuid.uuid4().hex
    if not gateway.kernels:
        gateway.kernels.append((await rest.ask("POST", "api/kernels", {}, timeout=BOUND)).object()["id"])

    async def opened() -> Any:
        path = f"api/kernels/{gateway.kernels[0]}/channels"
        return await rest.socket(path, {"session_id": session}, max_message=MAX_MESSAGE, timeout=BOUND)

    return Channels(Wire("", session), opened, lambda how: None)


async def run(connection: Connection, code: str, id: str = "x", **options: Any) -> list[KernelMessage]:
    heard: list[KernelMessage] = []
    async with asyncio.timeout(BOUND):
        await connection.execute(code, msg_id=id, on_message=heard.append, **options)
    return heard


def text(heard: list[KernelMessage]) -> str:
    return "".join(message.content["text"] for message in heard if message.msg_type == "stream")


# --- a real kernel ---------------------------------------------------------------------------------------------------


async def test_an_execution_is_over_when_reply_and_idle_are_in(kernel: Connection) -> None:
    heard = await run(kernel, "print('hi')\n1 + 1", "a1")
    iopub = [message.msg_type for message in heard if message.channel == "iopub"]
    assert iopub == ["status", "execute_input", "stream", "execute_result", "status"]
    assert [message.msg_type for message in heard if message.channel == "shell"] == ["execute_reply"]
    assert {message.parent_id for message in heard} == {"a1"}


async def test_executions_at_once_hear_only_their_own(kernel: Connection) -> None:
    heard = await asyncio.gather(*(run(kernel, f"print({n})", f"m{n}") for n in range(5)))
    assert [text(each) for each in heard] == [f"{n}\n" for n in range(5)]


async def test_a_second_connection_opens_although_no_welcome_comes(real: tuple[dict[str, str], str]) -> None:
    endpoints, key = real
    first = await Connection.open(endpoints, key, max_message=MAX_MESSAGE)
    second = await Connection.open(endpoints, key, max_message=MAX_MESSAGE)
    assert text(await run(second, "print(2)")) == "2\n"  # it has the name of the first, whose place it takes
    await first.aclose()
    await second.aclose()


UNTIL_GO = (
    "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists({go!r}): time.sleep(0.01)\nprint('done')"
)


async def begun(real: tuple[dict[str, str], str], code: str, id: str) -> None:
    """An execution whose client has gone once it has printed something."""
    endpoints, key = real
    connection = await Connection.open(endpoints, key, max_message=MAX_MESSAGE)
    printed = asyncio.Event()
    running = asyncio.create_task(
        connection.execute(
            code, msg_id=id, on_message=lambda said: printed.set() if said.msg_type == "stream" else None
        )
    )
    async with asyncio.timeout(BOUND):
        await printed.wait()
    await connection.aclose()
    with pytest.raises(KernelDied):
        await running


async def followed(real: tuple[dict[str, str], str], id: str, go: Path) -> list[KernelMessage]:
    """What the next connection hears of an execution that goes on at `go`."""
    endpoints, key = real
    heard: list[KernelMessage] = []
    connection = await Connection.open(endpoints, key, max_message=MAX_MESSAGE, following=True)
    go.touch()
    async with asyncio.timeout(BOUND):
        await connection.follow(id, on_message=heard.append)
    await connection.aclose()
    return heard


async def test_an_execution_is_followed_by_the_next_connection(
    real: tuple[dict[str, str], str], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    await begun(real, UNTIL_GO.format(go=str(go)), "f1")
    heard = await followed(real, "f1", go)
    assert text(heard).endswith("done\n")
    assert {message.parent_id for message in heard} == {"f1"}


async def test_an_execution_that_ended_unheard_is_not_waited_for(
    real: tuple[dict[str, str], str], tmp_path: Path
) -> None:
    go = tmp_path / "go"
    await begun(real, UNTIL_GO.format(go=str(go)), "f2")
    go.touch()  # it ends before the next execution begins, and libzmq keeps nothing for who has gone
    endpoints, key = real
    between = await Connection.open(endpoints, key, max_message=MAX_MESSAGE)
    assert text(await run(between, "print(3)")) == "3\n"
    await between.aclose()
    assert await followed(real, "f2", go) == []


async def test_sockets_are_reached_through_descriptors(real: tuple[dict[str, str], str]) -> None:
    endpoints, key = real
    descriptors = {
        name: os.open(endpoints[name].removeprefix("ipc://"), os.O_PATH | os.O_NOFOLLOW) for name in CHANNELS
    }
    paths = {name: f"ipc:///proc/self/fd/{fd}" for name, fd in descriptors.items()}
    connection = await Connection.open(paths, key, max_message=MAX_MESSAGE)
    for fd in descriptors.values():
        os.close(fd)
    assert text(await run(connection, "print(3)")) == "3\n"
    await connection.aclose()


async def test_input_is_answered(kernel: Connection) -> None:
    def answer(message: KernelMessage) -> None:
        heard.append(message)
        if message.msg_type == "input_request":
            assert message.content == {"prompt": "name? ", "password": False}
            kernel.answer("Ada")

    heard: list[KernelMessage] = []
    async with asyncio.timeout(BOUND):
        await kernel.execute("print(input('name? '))", msg_id="i", allow_stdin=True, on_message=answer)
    assert text(heard) == "Ada\n"
    with pytest.raises(NotWaitingForInput):
        kernel.answer("again")


async def test_without_leave_input_is_an_error(kernel: Connection) -> None:
    heard = await run(kernel, "input()")
    assert [message.content["ename"] for message in heard if message.msg_type == "error"] == [
        "StdinNotImplementedError"
    ]


async def test_code_is_completed_and_inspected(kernel: Connection) -> None:
    assert "print" in (await kernel.complete("pri", 3, timeout=BOUND))["matches"]
    inspected = await kernel.inspect("print", 5, timeout=BOUND)
    assert inspected["found"]
    assert "text/plain" in inspected["data"]


class Asked:
    """A listener that says when the code waits for input; until it is answered the kernel is busy."""

    def __init__(self) -> None:
        self.heard: list[KernelMessage] = []
        self._event = asyncio.Event()

    def __call__(self, message: KernelMessage) -> None:
        self.heard.append(message)
        if message.msg_type == "input_request":
            self._event.set()

    async def wait(self) -> None:
        async with asyncio.timeout(BOUND):
            await self._event.wait()


def execute(connection: Connection, code: str, listen: Asked) -> "asyncio.Task[None]":
    return asyncio.create_task(connection.execute(code, msg_id="asks", allow_stdin=True, on_message=listen))


async def test_a_busy_kernel_does_not_keep_a_completion_waiting_for_ever(kernel: Connection) -> None:
    listen = Asked()
    busy = execute(kernel, "print(input())", listen)
    await listen.wait()
    with pytest.raises(KernelTimeout):
        await kernel.complete("pri", 3, timeout=0.05)
    kernel.answer("go on")
    await busy
    assert text(listen.heard) == "go on\n"


async def test_cancelling_stops_listening_and_leaves_the_connection_usable(kernel: Connection) -> None:
    listen = Asked()
    task = execute(kernel, "print(input())", listen)
    await listen.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    count = len(listen.heard)
    kernel.answer("nobody hears this")
    assert text(await run(kernel, "print('next')")) == "next\n"
    assert len(listen.heard) == count


async def test_what_the_listener_raises_is_raised_to_who_runs(kernel: Connection) -> None:
    def refuse(message: KernelMessage) -> None:
        raise ProtocolError("no more of this")

    with pytest.raises(ProtocolError, match="no more of this"):
        await kernel.execute("1", msg_id="r", on_message=refuse)
    assert text(await run(kernel, "print('next')")) == "next\n"


async def test_a_flood_arrives_whole_and_does_not_starve_the_loop(
    kernel: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for transport in (sockets, remote_channels):
        monkeypatch.setattr(transport, "SLICE", 0.0)  # a turn for each message
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.create_task(others())
    heard = await run(kernel, "for n in range(200): print(str(n) * 20_000, flush=True)", "flood")
    task.cancel()
    assert text(heard) == "".join(str(n) * 20_000 + "\n" for n in range(200))
    assert turns >= len(heard)


async def test_a_message_above_the_limit_is_told_and_not_waited_for(real: tuple[dict[str, str], str]) -> None:
    endpoints, key = real
    kernel = await Connection.open(endpoints, key, max_message=MAX_MESSAGE)
    with pytest.raises(ProtocolError, match="more than 1,048,576 bytes"):
        await run(kernel, "print('x' * 2_000_000)")
    with pytest.raises(ProtocolError):
        await run(kernel, "1")
    await kernel.aclose()


async def test_closing_wakes_who_waits(real: tuple[dict[str, str], str]) -> None:
    endpoints, key = real
    connection = await Connection.open(endpoints, key, max_message=MAX_MESSAGE)
    listen = Asked()
    waiting = execute(connection, "input()", listen)
    await listen.wait()
    asked = asyncio.create_task(connection.complete("x", 1))
    await asyncio.sleep(0)
    await connection.aclose()
    for task in (waiting, asked):
        with pytest.raises(KernelDied, match="closed"):
            await task
    await connection.aclose()
    again = await Connection.open(endpoints, key, max_message=MAX_MESSAGE, timeout=BOUND)
    await again.request("interrupt_request", {}, channel="control")
    await again.aclose()


async def test_a_kernel_that_exits_is_told_after_its_last_words(tmp_path: Path) -> None:
    manager, endpoints, key = await asyncio.to_thread(start, tmp_path)
    connection = await Connection.open(endpoints, key, max_message=MAX_MESSAGE)
    listen = Asked()
    dying = execute(connection, "import os\nprint('last words', flush=True)\ninput()\nos._exit(3)", listen)
    await listen.wait()
    connection.answer("")
    with pytest.raises(KernelDied):
        await dying
    assert text(listen.heard) == "last words\n"
    with pytest.raises(KernelDied):
        await run(connection, "1")
    await connection.aclose()
    await asyncio.to_thread(end, manager)


# --- a kernel that lies ----------------------------------------------------------------------------------------------

Lie = Callable[[Peer, KernelMessage], Awaitable[None]]


async def honest(peer: Peer, request: KernelMessage) -> None:
    id = request.header["msg_id"]
    await peer.say("iopub", "stream", {"name": "stdout", "text": request.content["code"]}, id)
    await peer.finish(request)


async def ask(directory: Path, lie: Lie, *, max_message: int = MAX_MESSAGE) -> list[KernelMessage]:
    """Opens, executes once, closes."""
    async with Peer(directory, lie) as peer:
        connection = await Connection.open(peer.endpoints, KEY, max_message=max_message)
        try:
            return await run(connection, "code")
        finally:
            await connection.aclose()


async def test_the_fake_is_a_kernel_when_it_does_not_lie(tmp_path: Path) -> None:
    assert text(await ask(tmp_path, honest)) == "code"


async def test_tcp_endpoints_work_as_well(tmp_path: Path) -> None:
    async with Peer(tmp_path, honest) as peer:
        connection = await Connection.open(await peer.on_tcp(), KEY, max_message=MAX_MESSAGE)
        assert text(await run(connection, "code")) == "code"
        await connection.aclose()


async def test_status_before_the_welcome_and_no_welcome_at_all_are_fine(tmp_path: Path) -> None:
    async with Peer(tmp_path, honest) as peer:
        peer.welcome = False
        connection = await Connection.open(peer.endpoints, KEY, max_message=MAX_MESSAGE)
        await peer.say("iopub", "status", {"execution_state": "starting"}, "")
        await peer.say("iopub", "iopub_welcome", {}, "")
        assert text(await run(connection, "code")) == "code"
        await connection.aclose()


def frames(*frames: bytes) -> Lie:
    async def lie(peer: Peer, request: KernelMessage) -> None:
        await peer.raw("iopub", zmtp.message(list(frames)))

    return lie


def parts(*parts: bytes) -> Lie:
    async def lie(peer: Peer, request: KernelMessage) -> None:
        await peer.raw("iopub", zmtp.message(peer.signed(*parts)))

    return lie


def raw(data: bytes) -> Lie:
    async def lie(peer: Peer, request: KernelMessage) -> None:
        await peer.raw("shell", data)

    return lie


async def endless(peer: Peer, request: KernelMessage) -> None:
    while True:
        await peer.raw("iopub", b"\x03" + (1 << 16).to_bytes(8, "big") + b"x" * (1 << 16))


HEADER = b'{"msg_type": "status", "msg_id": "m"}'
LIES = {
    "a wrong signature": frames(b"<IDS|MSG>", b"0" * 64, HEADER, b"{}", b"{}", b"{}"),
    "no delimiter": frames(b"hello"),
    "too few parts": frames(b"<IDS|MSG>", b"", HEADER),
    "bad JSON": parts(HEADER, b"{}", b"{}", b"{"),
    "invalid UTF-8": parts(HEADER, b"{}", b"{}", b'{"a": "\xff"}'),
    "deep JSON": parts(HEADER, b"{}", b"{}", b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "a list for content": parts(HEADER, b"{}", b"{}", b"[]"),
    "a long header": parts(HEADER + b" " * MAX_HEADER, b"{}", b"{}", b"{}"),
    "a frame too large": raw(b"\x02" + (1 << 40).to_bytes(8, "big")),
    "too many frames": raw(b"\x01\x00" * 1000),
    "an endless message": endless,
    "reserved flags": raw(b"\xf0\x00"),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_a_lie_is_a_protocol_error_and_never_a_hang(tmp_path: Path, lie: Lie) -> None:
    with pytest.raises(ProtocolError):
        await ask(tmp_path, lie)


async def test_a_peer_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    async with Peer(tmp_path, honest) as peer:
        peer.greeting = False
        with pytest.raises(KernelTimeout):
            await Connection.open(peer.endpoints, KEY, max_message=MAX_MESSAGE, timeout=0.1)


async def test_a_peer_that_publishes_nothing_is_given_up(tmp_path: Path) -> None:
    async with Peer(tmp_path, honest) as peer:
        peer.welcome = peer.answers_control = False
        with pytest.raises(KernelTimeout):
            await Connection.open(peer.endpoints, KEY, max_message=MAX_MESSAGE, timeout=0.2)


async def test_another_key_is_a_protocol_error(tmp_path: Path) -> None:
    async with Peer(tmp_path, honest) as peer:
        with pytest.raises(ProtocolError, match="signature"):
            await Connection.open(peer.endpoints, "another key", max_message=MAX_MESSAGE)


async def test_nobody_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(KernelDied, match="cannot be connected"):
        await Connection.open(dict.fromkeys(CHANNELS, f"ipc://{tmp_path}/x"), KEY, max_message=MAX_MESSAGE)


async def test_a_socket_that_is_there_before_anybody_listens_is_waited_for(tmp_path: Path) -> None:
    async with Peer(tmp_path, honest) as peer:
        place = tmp_path / "bound"
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(place))
            endpoints = {**peer.endpoints, "control": f"ipc://{place}"}
            opening = asyncio.create_task(Connection.open(endpoints, KEY, max_message=MAX_MESSAGE))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not opening.done()
            os.rename(peer.endpoints["control"].removeprefix("ipc://"), place)
            await (await opening).aclose()


async def test_what_has_another_parent_is_dropped(tmp_path: Path) -> None:
    async def lie(peer: Peer, request: KernelMessage) -> None:
        for parent in ("another", "", "y" * 200):
            await peer.say("iopub", "stream", {"name": "stdout", "text": "forged"}, parent)
            await peer.say("shell", "execute_reply", {"status": "ok"}, parent)
            await peer.say("stdin", "input_request", {"prompt": ""}, parent)
        await honest(peer, request)

    assert text(await ask(tmp_path, lie)) == "code"


async def test_an_idle_before_the_end_ends_nothing(tmp_path: Path) -> None:
    heard: list[KernelMessage] = []
    printed, replied = asyncio.Event(), asyncio.Event()

    def listen(message: KernelMessage) -> None:
        heard.append(message)
        if message.msg_type in ("stream", "execute_reply"):
            (printed if message.msg_type == "stream" else replied).set()

    async def lie(peer: Peer, request: KernelMessage) -> None:
        id = request.header["msg_id"]
        await peer.say("iopub", "status", {"execution_state": "idle"}, id)
        await peer.say("iopub", "stream", {"name": "stdout", "text": "co"}, id)
        await printed.wait()
        await peer.finish(request, idle=False)
        await replied.wait()
        await peer.say("iopub", "stream", {"name": "stdout", "text": "de"}, id)
        await peer.say("iopub", "status", {"execution_state": "idle"}, id)

    async with Peer(tmp_path, lie) as peer:
        connection = await Connection.open(peer.endpoints, KEY, max_message=MAX_MESSAGE)
        async with asyncio.timeout(BOUND):
            await connection.execute("", msg_id="e", on_message=listen)
        assert text(heard) == "code"
        await connection.aclose()


async def test_an_idle_that_got_lost_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET", 0.05)

    async def lie(peer: Peer, request: KernelMessage) -> None:
        await peer.finish(request, idle=False)

    assert [message.msg_type for message in await ask(tmp_path, lie)] == ["execute_reply"]


async def test_a_channel_that_closes_in_the_middle_of_a_message_is_a_death(tmp_path: Path) -> None:
    async def lie(peer: Peer, request: KernelMessage) -> None:
        await peer.raw("iopub", b"\x00\xffhalf a mess")
        peer._writers["iopub"].close()

    with pytest.raises(KernelDied, match="iopub"):
        await ask(tmp_path, lie)


async def test_a_flood_does_not_grow_memory(tmp_path: Path) -> None:
    async def lie(peer: Peer, request: KernelMessage) -> None:
        frames = peer.frames("stream", {"name": "stdout", "text": "x" * 500_000}, request.header["msg_id"])
        message = zmtp.message([b"topic", *frames])
        for _ in range(400):
            await peer.raw("iopub", message)
        await peer.finish(request)

    seen = 0

    def listen(message: KernelMessage) -> None:
        nonlocal seen
        seen += len(message.content.get("text", ""))

    async with Peer(tmp_path, lie) as peer:
        connection = await Connection.open(peer.endpoints, KEY, max_message=MAX_MESSAGE)
        before = resident()
        async with asyncio.timeout(BOUND):
            await connection.execute("", msg_id="f", on_message=listen)
        assert seen == 200_000_000
        assert resident() - before < 40 << 20
        await connection.aclose()


def resident() -> int:
    """Bytes of this process in memory."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) << 10


class Recorded:
    """A transport that only notes what it is asked."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.last: list[str] = []
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, receiver: Connection) -> None:
        receiver.received("iopub", heard("status", "", "s_1_0"))

    def send(self, channel: str, msg_type: str, content: dict[str, Any], *, msg_id: str, **_: Any) -> None:
        self.sent.append((msg_type, msg_id))

    def missed(self, last: str) -> str | None:
        self.last.append(last)
        return None

    def abort(self) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


def heard(kind: str, parent: str, id: str, channel: Any = "iopub", **content: Any) -> KernelMessage:
    return KernelMessage(channel, kind, parent, content, header={"msg_id": id, "msg_type": kind})


async def test_the_end_of_an_earlier_execution_proves_nothing_of_one_whose_own_got_lost() -> None:
    transport = Recorded()
    connection = await Connection.over(transport, timeout=BOUND)  # type: ignore[arg-type]
    first = asyncio.create_task(connection.execute("1", msg_id="1", on_message=nothing))
    await asyncio.sleep(0)
    connection.received("shell", heard("execute_reply", "1", "s_1_1", "shell"))
    connection.received("iopub", heard("status", "1", "s_1_2", execution_state="idle"))
    await first
    connection.missed()
    second = asyncio.create_task(connection.execute("2", msg_id="2", on_message=nothing))
    await asyncio.sleep(0)
    connection.received("shell", heard("execute_reply", "2", "s_1_9", "shell"))
    connection.reconnected()  # its idle, and what was said before that, are gone
    probe = transport.sent[-1][1]
    connection.received("iopub", heard("status", probe, "s_1_11", execution_state="idle"))
    await second
    connection.missed()
    assert transport.last == ["s_1_2", ""]
    await connection.aclose()
