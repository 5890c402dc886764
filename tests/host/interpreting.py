"""An interpreter with small limits, and the few calls that tests make all the time."""

import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cellblock.errors import KernelNotFound
from cellblock.execution import Event, Result
from cellblock.host.config import Config, ExecuteRequest
from cellblock.host.interpreter import Interpreter
from cellblock.host.launcher import Environment, Process
from cellblock.host.session import KernelView
from templates import begun

OWNER = "local"
MIB = 1 << 20
PLAIN = Environment(preload=())


@dataclass
class Clock:
    """A clock that a test moves: epoch seconds."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(eq=False)
class Bench:
    """An interpreter with the few calls that tests make all the time."""

    interpreter: Interpreter
    kernels: list[str] = field(default_factory=list)

    async def kernel(self, **options: Any) -> str:
        view = await self.interpreter.create(OWNER, **options)
        self.kernels.append(view["id"])
        return view["id"]

    async def submit(self, code: str, kernel_id: str | None = None, **options: Any) -> Result:
        return await self.interpreter.submit(OWNER, ExecuteRequest(code, kernel_id, **options))

    async def run(self, code: str, kernel_id: str | None = None, **options: Any) -> Result:
        return await self.wait(await self.submit(code, kernel_id, **options))

    async def wait(self, result: Result) -> Result:
        return await self.interpreter.wait(OWNER, result["id"])

    async def events(self, result: Result, after: int = 0) -> list[Event]:
        return [event async for event in self.interpreter.events(OWNER, result["id"], after=after)]

    async def until(self, result: Result, name: str) -> Event:
        """The first event of that name."""
        async for event in self.interpreter.events(OWNER, result["id"]):
            if event["event"] == name:
                return event
        raise AssertionError(f"no {name}: {await self.interpreter.result(OWNER, result['id'])}")

    async def view(self, kernel_id: str) -> KernelView:
        return await self.interpreter.kernel(OWNER, kernel_id)

    def pid(self, kernel_id: str) -> int:
        """The process of a session's kernel, as this machine numbers it."""
        return self.process(kernel_id).pid

    def process(self, kernel_id: str) -> Process:
        kernel = next(each for each in self.interpreter.sessions.live() if each.id == kernel_id).kernel
        assert kernel
        return kernel.process

    def kill(self, kernel_id: str) -> None:
        os.kill(self.pid(kernel_id), signal.SIGKILL)

    async def tidy(self) -> None:
        for kernel_id in self.kernels:
            try:
                await self.interpreter.delete(OWNER, kernel_id)
            except KernelNotFound:  # deleted by the test
                pass
        self.kernels.clear()


def text(result: Result) -> str:
    """All that was printed, displayed and raised, as text."""
    said = []
    for output in result["outputs"]:
        said.append(output.get("text") or output.get("data", {}).get("text/plain") or "")
    return "".join(said)


def small(data_dir: Path, **other: Any) -> Config:
    """Limits that are reached quickly."""
    limits: dict[str, Any] = {
        "environments": [PLAIN],
        "pool_size": 1,
        "pool_max": 1,
        "snapshot": "never",  # what is lost without one; test_travel and test_states keep states
        "max_timeout": 100.0,  # a busy machine takes its time
        "memory_limit": 256 * MIB,
        "output_limit": 64 << 10,
        "workspace_limit": 32 * MIB,
        "upload_limit": 8 * MIB,
        "code_limit": 64 << 10,
        "queue_limit": 4,
        "processes": 64,
        "grace": 5.0,
        "stdin_timeout": 2.0,
        "watch_interval": 0.1,
        "patrol_interval": 0.2,
    }
    return Config(begun(data_dir), **{**limits, **other})
