"""Starts what is measured: a Cellblock of this checkout and a real Jupyter Kernel Gateway, on free loopback ports."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """A running server: its port, its process id, and a kept-alive HTTP connection."""

    port: int
    pid: int
    headers: dict[str, str]

    def __post_init__(self) -> None:
        self.http = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.http.connect()
        self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """The decoded JSON of an answer; RuntimeError with its text when it is not 2xx."""
        data = None if body is None else json.dumps(body)
        self.http.request(method, path, data, {"Content-Type": "application/json", **self.headers})
        answer = self.http.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text) if text else None


@contextlib.contextmanager
def running(
    command: list[str], env: dict[str, str], ready: str, port: int, headers: dict[str, str]
) -> Iterator[Server]:
    """Starts a server, waits until it answers `ready` with 200, and ends it afterwards."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env={**os.environ, **env}, stdout=log, stderr=log)
        try:
            await_ready(process, port, ready, headers, log)
            yield Server(port, process.pid, headers)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def await_ready(process: subprocess.Popen[bytes], port: int, path: str, headers: dict[str, str], log: Any) -> None:
    """Polls until the server answers; RuntimeError with its log when it ended or took more than a minute."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            probe = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            probe.request("GET", path, headers=headers)
            if probe.getresponse().status == 200:
                return
        time.sleep(0.05)
    log.seek(0)
    raise RuntimeError(f"not ready: {log.read()[-2000:].decode(errors='replace')}")


@contextlib.contextmanager
def cellblock(**settings: str) -> Iterator[Server]:
    """A Cellblock with a data directory of its own."""
    port, data = free_port(), tempfile.mkdtemp(prefix="cellblock-bench-")
    env = {f"CELLBLOCK_{name.upper()}": value for name, value in settings.items()}
    env |= {"CELLBLOCK_PORT": str(port), "CELLBLOCK_DATA_DIR": data, "CELLBLOCK_KERNELS_PER_OWNER": "500"}
    try:
        with running([str(Path(sys.executable).parent / "cellblock"), "serve"], env, "/readyz", port, {}) as server:
            yield server
    finally:
        shutil.rmtree(data, ignore_errors=True)


@contextlib.contextmanager
def gateway() -> Iterator[Server]:
    """A Jupyter Kernel Gateway as PyPI has it."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "jupyter",
        "kernelgateway",
        f"--KernelGatewayApp.port={port}",
        "--KernelGatewayApp.ip=127.0.0.1",
    ]
    env = {"KG_AUTH_TOKEN": "bench", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    with running(command, env, "/api", port, {"Authorization": "token bench"}) as server:
        yield server
