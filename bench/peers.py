"""One question asked of each peer in its own words: a new kernel, run this code, is there a picture."""

import http.client
import json
import socket
import tempfile
import time
import uuid
from typing import Any

import zmq
from jupyter_client.manager import KernelManager
from websockets.sync.client import ClientConnection, connect

from bench.servers import Server

PLOT = """import pandas as pd, numpy as np, matplotlib.pyplot as plt
df = pd.DataFrame({"x": range(50), "y": np.random.rand(50)})
print(df.describe())
df.plot(x="x", y="y"); plt.title("first"); plt.show()"""


PRINTS = "for i in range(1000): print(i, flush=True)"
SILENCE_MS = 10_000  # a plain kernel drops what its reader is too slow for
JSON = {"Content-Type": "application/json"}


class CellblockKernel:
    """A kernel of ours, over plain HTTP: a new one, or the one with that id."""

    def __init__(self, server: Server, id: str = "") -> None:
        self.server = server
        self.id = id or server.call("POST", "/api/jupyter/kernel", {})["id"]

    def result(self, code: str, cell_id: str | None = None) -> dict[str, Any]:
        """The Result of an execution, whatever became of it: of a new cell, or again of one there is."""
        body = {"code": code, "kernel_id": self.id, "cell_id": cell_id}
        result: dict[str, Any] = self.server.call("POST", "/api/jupyter/execute", body)
        return result

    def run(self, code: str) -> list[dict[str, Any]]:
        """The outputs of an execution that must end well."""
        result = self.result(code)
        if result["status"] != "ok":
            raise RuntimeError(f"{result['status']}: {result['error']}")
        return list(result["outputs"])

    def begin(self, code: str) -> None:
        """Runs code that nobody waits for."""
        self._post(code, {"Prefer": "respond-async"}).read()

    def stream(self, code: str) -> int:
        """How many server-sent events of printed text came until the end."""
        events = self._post(code, {"Accept": "text/event-stream"}).read()
        if b'"status":"ok"' not in events.rpartition(b"event: execution_end")[2]:
            raise RuntimeError("the stream did not end well")
        return int(events.count(b"event: stream\n"))

    def latency_of_a_print(self) -> float:
        """Seconds from a flushed print in the kernel until its server-sent event has been read."""
        code = "import time; print(time.time(), flush=True); time.sleep(0.05)"
        answer = self._post(code, {"Accept": "text/event-stream"})
        line = answer.readline()
        while line and line != b"event: stream\n":
            line = answer.readline()
        data = answer.readline()
        arrived = time.time()
        answer.read()
        return arrived - float(json.loads(data.removeprefix(b"data: "))["content"]["text"])

    def _post(self, code: str, headers: dict[str, str]) -> http.client.HTTPResponse:
        body = json.dumps({"code": code, "kernel_id": self.id})
        self.server.http.request("POST", "/api/jupyter/execute", body, JSON | headers)
        return self.server.http.getresponse()

    def close(self) -> None:
        self.server.call("DELETE", f"/api/jupyter/kernel/{self.id}")


class GatewayKernel:
    """A kernel of the gateway, over its REST and WebSocket API."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.id = server.call("POST", "/api/kernels", {"name": "python3"})["id"]
        url = f"ws://127.0.0.1:{server.port}/api/kernels/{self.id}/channels?session_id={uuid.uuid4().hex}"
        self.socket: ClientConnection = connect(url, additional_headers=server.headers, max_size=None)
        self.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self, code: str) -> list[dict[str, Any]]:
        ident = uuid.uuid4().hex
        header = {
            "msg_id": ident,
            "msg_type": "execute_request",
            "session": "bench",
            "username": "",
            "version": "5.3",
            "date": "",
        }
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {
            "header": header,
            "parent_header": {},
            "metadata": {},
            "content": content,
            "channel": "shell",
            "buffers": [],
        }
        self.socket.send(json.dumps(message))
        return self._outputs(ident)

    def _outputs(self, ident: str) -> list[dict[str, Any]]:
        outputs, idle, replied = [], False, False
        while not (idle and replied):
            message = json.loads(self.socket.recv())
            if message["parent_header"].get("msg_id") != ident:
                continue
            idle |= message["msg_type"] == "status" and message["content"]["execution_state"] == "idle"
            replied |= message["msg_type"] == "execute_reply"
            if message["msg_type"] in ("stream", "display_data", "execute_result", "error"):
                outputs.append({"output_type": message["msg_type"], **message["content"]})
        return outputs

    def close(self) -> None:
        self.socket.close()
        self.server.call("DELETE", f"/api/kernels/{self.id}")


class RawKernel:
    """A plain ipykernel spoken to in bare messages, signed and parsed and nothing more: what the protocol costs here."""

    def __enter__(self) -> "RawKernel":
        self.place = tempfile.TemporaryDirectory(prefix="cellblock-bench-")
        self.manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{self.place.name}/k")
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.poller = zmq.Poller()
        for channel in (self.client.shell_channel, self.client.iopub_channel):
            self.poller.register(channel.socket, zmq.POLLIN)
        return self

    def run(self, code: str) -> int:
        """How many messages of printed text came until reply and idle; -1 when libzmq has dropped the end of a flood."""
        session, shell = self.client.session, self.client.shell_channel.socket
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        ident = session.send(shell, "execute_request", content)["header"]["msg_id"]
        idle, replied, printed = False, False, 0
        while not (idle and replied):
            waiting = self.poller.poll(SILENCE_MS)
            if not waiting:
                return -1
            for channel, _ in waiting:
                message = session.recv(channel, mode=0)[1]
                if message["parent_header"].get("msg_id") == ident:
                    printed += message["msg_type"] == "stream"
                    replied |= message["msg_type"] == "execute_reply"
                    idle |= message["content"].get("execution_state") == "idle"
        return printed

    def __exit__(self, *_: object) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.place.cleanup()


def has_picture(outputs: list[dict[str, Any]]) -> bool:
    """Whether one of the outputs carries a PNG."""
    return any("image/png" in output.get("data", {}) for output in outputs)
