"""A Jupyter client in a few lines, in either wire format, for tests that look at single messages."""

import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from live_server import Live
from websockets.sync.client import ClientConnection, connect

V1 = "v1.kernel.websocket.jupyter.org"
Said = dict[str, Any]


def header(kind: str, id: str = "") -> Said:
    return {
        "msg_id": id or uuid.uuid4().hex,
        "msg_type": kind,
        "session": "test",
        "username": "",
        "version": "5.3",
        "date": "",
    }


class Talk:
    """One connection to a kernel's channels."""

    def __init__(self, socket: ClientConnection, v1: bool) -> None:
        self.socket, self.v1 = socket, v1

    def send(self, kind: str, content: Said, *, channel: str = "shell", metadata: Said | None = None) -> str:
        """The id of the message."""
        made = {"header": header(kind), "parent_header": {}, "metadata": metadata or {}, "content": content}
        if self.v1:
            self.socket.send(serialize_msg_to_ws_v1(made, channel, pack=lambda part: json.dumps(part).encode()))
        else:
            self.socket.send(json.dumps({**made, "channel": channel, "buffers": {}}))
        return str(made["header"]["msg_id"])

    def execute(self, code: str, **content: Any) -> str:
        metadata = content.pop("metadata", None)
        return self.send("execute_request", {"code": code, "silent": False, **content}, metadata=metadata)

    def receive(self) -> Said:
        frame = self.socket.recv(timeout=60)
        if isinstance(frame, str):
            said: Said = json.loads(frame)
            return said
        channel, parts = deserialize_msg_from_ws_v1(frame)
        head, parent, metadata, content = (json.loads(part) for part in parts[:4])
        return {
            "channel": channel,
            "header": head,
            "msg_type": head["msg_type"],
            "parent_header": parent,
            "metadata": metadata,
            "content": content,
            "buffers": parts[4:],
        }

    def until(self, wanted: Callable[[Said], bool]) -> list[Said]:
        """Everything up to the message that is wanted."""
        heard = [self.receive()]
        while not wanted(heard[-1]):
            heard.append(self.receive())
        return heard

    def answers(self, id: str) -> list[Said]:
        """What is said to a request, until both its reply and its idle are in."""
        heard: list[Said] = []
        missing = {"reply", "idle"}
        while missing:
            said = self.receive()
            if said["parent_header"].get("msg_id") != id:
                continue
            heard.append(said)
            missing -= {"reply"} if said["channel"] in ("shell", "control") else set()
            missing -= {"idle"} if said["content"].get("execution_state") == "idle" else set()
        return heard

    def run(self, code: str, **content: Any) -> list[Said]:
        return self.answers(self.execute(code, **content))

    def ask(self, kind: str, content: Said, channel: str = "shell") -> Said:
        """The content of a reply."""
        replies = [
            each for each in self.answers(self.send(kind, content, channel=channel)) if each["channel"] == channel
        ]
        return dict(replies[0]["content"])


@contextmanager
def talking(live: Live, kernel: str, name: str = "", *, v1: bool = False, **options: Any) -> Iterator[Talk]:
    """Connected under that `session_id`."""
    query = f"?session_id={name or uuid.uuid4().hex}"
    url = f"ws://localhost:{live.port}/api/kernels/{kernel}/channels{query}"
    wire = [V1] if v1 else None
    with connect(url, max_size=None, subprotocols=wire, compression=None, **options) as socket:  # type: ignore[arg-type]
        yield Talk(socket, v1)


def kinds(heard: list[Said]) -> list[str]:
    """Types of messages, states by name."""
    return [said["content"].get("execution_state") or said["msg_type"] for said in heard]


def text(heard: list[Said]) -> str:
    """All that was printed."""
    return "".join(said["content"]["text"] for said in heard if said["msg_type"] == "stream")
