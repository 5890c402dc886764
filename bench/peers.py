"""One question asked of each peer in its own words: a new kernel, run this code, is there a picture."""

import json
import socket
import time
import uuid
from typing import Any

from jupyter_client.manager import start_new_kernel
from websockets.sync.client import ClientConnection, connect

from bench.servers import Server

PLOT = """import pandas as pd, numpy as np, matplotlib.pyplot as plt
df = pd.DataFrame({"x": range(50), "y": np.random.rand(50)})
print(df.describe())
df.plot(x="x", y="y"); plt.title("first"); plt.show()"""


class CellblockKernel:
    """A kernel of ours, over plain HTTP."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.id = server.call("POST", "/api/jupyter/kernel", {})["id"]

    def run(self, code: str) -> list[dict[str, Any]]:
        result = self.server.call("POST", "/api/jupyter/execute", {"code": code, "kernel_id": self.id})
        if result["status"] != "ok":
            raise RuntimeError(f"{result['status']}: {result['error']}")
        return list(result["outputs"])

    def latency_of_a_print(self) -> float:
        """Seconds from a flushed print in the kernel until its event has been read from the stream."""
        body = json.dumps(
            {"code": "import time; print(time.time(), flush=True); time.sleep(0.05)", "kernel_id": self.id}
        )
        headers = {"Content-Type": "application/json", "Accept": "application/x-ndjson"}
        self.server.http.request("POST", "/api/jupyter/execute", body, headers)
        answer = self.server.http.getresponse()
        arrived = 0.0
        while line := answer.readline():
            event = json.loads(line)
            if event["event"] == "stream":
                arrived = time.time() - float(event["content"]["text"])
                break
        answer.read()
        return arrived

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
    """A plain ipykernel and jupyter_client's blocking client: what the protocol itself costs here."""

    def __init__(self) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3")

    def run(self, code: str) -> None:
        self.client.execute_interactive(code, output_hook=lambda _: None, timeout=60)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def has_picture(outputs: list[dict[str, Any]]) -> bool:
    """Whether one of the outputs carries a PNG."""
    return any("image/png" in output.get("data", {}) for output in outputs)
