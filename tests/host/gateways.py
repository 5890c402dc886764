"""Real Jupyter servers on loopback, and an interpreter that has its kernels from them."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from interpreting import Bench, small

from cellblock.host.interpreter import Interpreter
from cellblock.host.launcher import Environment
from cellblock.host.servers import JupyterServer, Remote, server_at
from templates import begun

TOKEN = "sesame"
BIN = Path(sys.executable).parent
STARTS = 180.0  # seconds
Kind = Literal["gateway", "server", "enterprise", "cellblock"]
Begin = Callable[..., Coroutine[Any, Any, Bench]]
BASH = {
    "argv": ["python", "-m", "bash_kernel", "-f", "{connection_file}"],
    "display_name": "Bash",
    "language": "bash",
}
COMMANDS: dict[Kind, list[str]] = {
    "gateway": [
        "jupyter-kernelgateway",
        "--KernelGatewayApp.ip=127.0.0.1",
        "--KernelGatewayApp.port={port}",
        "--KernelGatewayApp.port_retries=0",
        "--KernelGatewayApp.auth_token={token}",
    ],
    "server": [
        "jupyter-server",
        "--allow-root",
        "--no-browser",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token={token}",
        "--ServerApp.root_dir={root}",
    ],
    "cellblock": ["cellblock", "serve", "--port={port}", "--data-dir={root}/data", "--pool-size=1"],
    "enterprise": ["jupyter-enterprisegateway", "--ip=127.0.0.1", "--port={port}"],
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(eq=False)
class Gateway:
    """One Jupyter server as a process of its own; `options` go on its command line. Start it, end it."""

    directory: Path
    kind: Kind = "gateway"
    options: Sequence[str] = ()
    scheme: str = "http"
    path: str = ""
    token: str = TOKEN
    bin: Path = BIN
    port: int = field(default_factory=free_port)
    kernels: list[str] = field(default_factory=list)  # a test's own
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{self.path}"

    @property
    def server(self) -> JupyterServer:
        return server_at(self.url, token=self.token or None)

    def start(self) -> "Gateway":
        self.directory.mkdir(parents=True, exist_ok=True)
        begun(self.directory / "data")
        values = {"port": self.port, "root": self.directory, "token": self.token}
        name, *usual = (part.format(**values) for part in COMMANDS[self.kind])
        command = [str(self.bin / name), *usual, *self.options]
        hidden = {"JUPYTER_CONFIG_DIR", "JUPYTER_KERNEL_GATEWAY_URL", "JUPYTER_AUTH_TOKEN"}
        environment = {name: value for name, value in os.environ.items() if name not in hidden}
        path = f"{self.bin}{os.pathsep}{os.environ.get('PATH', '')}"
        place = self.directory / "jupyter/kernels/bash"
        place.mkdir(parents=True, exist_ok=True)
        (place / "kernel.json").write_text(json.dumps(BASH))
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment
                | {
                    "JUPYTER_CONFIG_DIR": str(self.directory / "config"),
                    "JUPYTER_PATH": str(self.directory / "jupyter"),
                }
                | {"PATH": path, "CELLBLOCK_TOKEN": self.token},
            )
        return self

    async def up(self) -> "Gateway":
        """Returns when it answers."""
        async with asyncio.timeout(STARTS):
            while not await asyncio.to_thread(self._answers):
                assert self._process
                assert self._process.poll() is None, self.log()
                await asyncio.sleep(0.05)
        return self

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return self.scheme == "https" or self.get("api") > 0
        except OSError:
            return False

    def get(self, path: str, method: str = "GET") -> int:
        """The status it answers with; 0 for none."""
        request = Request(f"{self.url}/{path}", method=method, headers={"Authorization": f"token {TOKEN}"})
        try:
            with urlopen(request, timeout=30) as answer:
                return int(answer.status)
        except HTTPError as problem:
            return problem.code
        except (URLError, OSError):
            return 0

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._process
        self._process.wait()

    def ask_to_end(self) -> None:
        """With its kernels, which it ends itself when it is asked kindly."""
        if self._process and self._process.poll() is None:
            self.thaw()
            self._process.terminate()

    def end(self) -> None:
        """Returns when it has ended."""
        self.ask_to_end()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def end_all(gateways: Iterable[Gateway]) -> None:
    """At the same time: each takes a second to end its kernels."""
    asked = list(gateways)
    for gateway in asked:
        gateway.ask_to_end()
    for gateway in asked:
        gateway.end()


# Where a server is to be taken for dead; and where none is, however slow this machine makes it.
QUICK = Remote((), interval=0.2, timeout=2.0, patience=5.0, start_timeout=60.0)
STEADY = replace(QUICK, timeout=60.0, patience=60.0)


async def elsewhere(data: Path, servers: Sequence[JupyterServer], remote: Remote = STEADY, **config: Any) -> Bench:
    """An interpreter whose kernels come from some servers; `aclose` its interpreter."""
    remote = replace(remote, servers=tuple(servers))
    environments = [Environment(name, "", ()) for name in remote.kernels]
    given = {"pool_size": 0, "environments": environments, "remote": remote, **config}
    interpreter = await Interpreter.start(small(data, **given))
    try:
        await interpreter.ready()
    except BaseException:
        await interpreter.aclose()
        raise
    return Bench(interpreter)


async def until(bench: Bench, true: Callable[[dict[str, Any]], bool], bound: float = 90.0) -> bool:
    """Waits until something is true of what `/api/status` says."""
    async with asyncio.timeout(bound):
        while not true(await bench.interpreter.status()):  # noqa: ASYNC110 (it is a server's state, not ours)
            await asyncio.sleep(0.05)
    return True


async def state(bench: Bench, name: str, wanted: str, bound: float = 90.0) -> dict[str, Any]:
    """What `/api/status` says of a server once it is in a state."""

    def of(status: dict[str, Any]) -> dict[str, Any]:
        return next(each for each in status["remote"] if each["name"] == name)

    await until(bench, lambda status: of(status)["state"] == wanted, bound)
    return of(await bench.interpreter.status())
