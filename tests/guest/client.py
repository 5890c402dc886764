"""A small Jupyter client for the guest's tests: speaks to a Process by its endpoints, collects what a cell does.

Needs what ipykernel itself brings (jupyter_client, pyzmq), so that it also runs in an environment without the server.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import zmq
import zmq.asyncio
from jupyter_client.session import Session

from cellblock.host.launcher import Environment, Launcher, Process
from cellblock.messages import Level, Policy
from templates import begun

PATIENCE = 60.0
FIRST_UID = 231_000  # as root, each kernel of the tests gets a user of its own


@dataclass
class Outcome:
    """What became of one cell."""

    reply: dict[str, Any]
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> str:
        return str(self.reply["status"])

    @property
    def error(self) -> str:
        return str(self.reply.get("ename", ""))

    @property
    def text(self) -> str:
        return "".join(m["content"]["text"] for m in self.messages if m["msg_type"] == "stream")

    @property
    def value(self) -> str:
        results = [m["content"]["data"] for m in self.messages if m["msg_type"] == "execute_result"]
        return str(results[-1]["text/plain"]) if results else ""

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [m["content"] for m in self.messages if m["msg_type"] == kind]

    def __str__(self) -> str:
        return self.text + self.value + "\n".join(self.reply.get("traceback", []))


class Client:
    """One kernel's four channels."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.session = Session(key=process.key.encode())
        self.begun = asyncio.Event()  # the cell that runs has printed something
        self._context = zmq.asyncio.Context()
        self._sockets: dict[str, zmq.asyncio.Socket] = {}
        identity = uuid.uuid4().bytes
        for channel, kind in (
            ("shell", zmq.DEALER),
            ("control", zmq.DEALER),
            ("stdin", zmq.DEALER),
            ("iopub", zmq.SUB),
        ):
            socket = self._context.socket(kind)
            socket.linger = 0
            socket.rcvhwm = 0
            if kind == zmq.SUB:
                socket.subscribe(b"")
            else:
                socket.identity = identity
            socket.connect(process.endpoint(channel))
            self._sockets[channel] = socket

    async def __aenter__(self) -> "Client":
        while (await self.receive("iopub"))["msg_type"] != "iopub_welcome":
            pass
        return self

    async def __aexit__(self, kind: type | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._context.destroy(linger=0)

    async def receive(self, channel: str) -> dict[str, Any]:
        frames = await asyncio.wait_for(self._sockets[channel].recv_multipart(), PATIENCE)
        _, parts = self.session.feed_identities(frames)
        message: dict[str, Any] = self.session.deserialize(parts)
        message["size"] = sum(map(len, frames))
        return message

    def send(self, channel: str, kind: str, content: dict[str, Any], **metadata: Any) -> str:
        message = self.session.msg(kind, content, metadata=metadata)
        frames = self.session.serialize(message)
        self._sockets[channel].send_multipart(frames)
        return str(message["header"]["msg_id"])

    async def request(self, kind: str, content: dict[str, Any], channel: str = "shell") -> dict[str, Any]:
        sent = self.send(channel, kind, content)
        while True:
            message = await self.receive(channel)
            if message["parent_header"].get("msg_id") == sent:
                return dict(message["content"])

    async def run(self, code: str, *, answers: list[str] | None = None, snapshot: str | None = None) -> Outcome:
        """Until reply and idle are in. `answers` are given to input(), one each; `snapshot`: taken before, under that name."""
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "stop_on_error": False}
        metadata = {"snapshot": snapshot} if snapshot else {}
        sent = self.send("shell", "execute_request", content | {"allow_stdin": answers is not None}, **metadata)
        answering = asyncio.create_task(self._answer(answers or []))
        try:
            reply, messages = await asyncio.gather(self._reply(sent), self._outputs(sent))
        finally:
            answering.cancel()
            self.begun.clear()
        return Outcome(reply, messages)

    async def _answer(self, answers: list[str]) -> None:
        for answer in answers:
            await self.receive("stdin")
            self.send("stdin", "input_reply", {"value": answer})

    async def _reply(self, sent: str) -> dict[str, Any]:
        while True:
            message = await self.receive("shell")
            if message["parent_header"].get("msg_id") == sent:
                return dict(message["content"])

    async def _outputs(self, sent: str) -> list[dict[str, Any]]:
        found = []
        while True:
            message = await self.receive("iopub")
            if message["parent_header"].get("msg_id") != sent:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found
            found.append(message)
            if message["msg_type"] == "stream":
                self.begun.set()


class Workbench:
    """A fork server and the kernels that a test asks of it."""

    def __init__(self, launcher: Launcher, data: Path) -> None:
        self.launcher = launcher
        self.data = data
        self._uid = FIRST_UID

    async def launch(self, *, home: Path | None = None, **changes: Any) -> Process:
        """A kernel with the default policy and these changes."""
        name = str(uuid.uuid4())
        self._uid += 1
        policy = replace(Policy(self.launcher.level), **changes)
        place = home or self.data / "kernels" / name
        return await self.launcher.launch(id=name, home=place, uid=self._uid, policy=policy)

    @asynccontextmanager
    async def kernel(self, **changes: Any) -> AsyncIterator[Client]:
        process = await self.launch(**changes)
        try:
            async with Client(process) as client:
                yield client
        finally:
            await process.stop()


@asynccontextmanager
async def workbench(data: Path, level: Level, **environment: Any) -> AsyncIterator[Workbench]:
    """A fork server of its own, ended at the end."""
    launcher = await Launcher.start(
        Environment(**environment), data_dir=begun(data), level=level, log=data / "forkserver.log"
    )
    try:
        yield Workbench(launcher, data)
    finally:
        await launcher.aclose()
