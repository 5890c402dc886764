"""What tests of the chat door share: a real server over a real interpreter, scripted models, a client."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic_ai.messages import ModelMessage, ModelRequest, ToolReturnPart
from pydantic_ai.models.function import AgentInfo, DeltaToolCall, FunctionModel

from cellblock.adapters import problems
from cellblock.adapters.chat import Models, ModelSettings, router
from cellblock.host.config import Config
from cellblock.host.interpreter import Interpreter
from cellblock.host.launcher import Environment
from cellblock.host.runs import Runs
from templates import begun

BOUND = 90.0
"""Seconds any single wait may take; nothing is asserted about it."""


Piece = str | dict[int, DeltaToolCall]
Step = Callable[[list[ModelMessage], AgentInfo], AsyncIterator[Piece]]


def config(data_dir: Path, *preload: str) -> Config:
    """One warm kernel, with `preload` imported beforehand."""
    environment = Environment("python3", sys.executable, preload, "Python 3")
    return Config(data_dir=begun(data_dir), environments=[environment], pool_size=1, pool_max=1)


@dataclass
class Script:
    """A model that answers its n-th request with the n-th step, and keeps what it was sent."""

    steps: list[Step] = field(default_factory=list)
    sent: list[list[ModelMessage]] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)

    def play(self, *steps: Step) -> None:
        self.steps, self.sent, self.instructions = list(steps), [], []

    def model(self, _name: str = "") -> FunctionModel:
        return FunctionModel(stream_function=self._stream, model_name="scripted")

    async def _stream(self, messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        self.sent.append(messages)
        self.instructions.append(info.instructions or "")
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        async for piece in step(messages, info):
            yield piece

    def returns(self) -> list[Any]:
        """The contents of all tool returns of the last request."""
        parts = (part for message in self.sent[-1] if isinstance(message, ModelRequest) for part in message.parts)
        return [part.content for part in parts if isinstance(part, ToolReturnPart)]


def says(*pieces: str, when: asyncio.Event | None = None) -> Step:
    """Text in pieces; the last one when `when` is set."""

    async def step(_messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Piece]:
        for piece in pieces[:-1]:
            yield piece
        if when is not None:
            await when.wait()
        yield pieces[-1]

    return step


def calls(code: str, title: str = "Step") -> Step:
    """A call of the tool, its arguments in two fragments."""

    async def step(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Piece]:
        arguments = json.dumps({"title": title, "code": code})
        half = len(arguments) // 2
        id = f"call-{len(messages)}"
        yield {0: DeltaToolCall(name="executeNotebook", json_args=arguments[:half], tool_call_id=id)}
        yield {0: DeltaToolCall(json_args=arguments[half:])}

    return step


def undoes(**arguments: int) -> Step:
    """A call of the tool that takes cells back."""

    async def step(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Piece]:
        id = f"undo-{len(messages)}"
        yield {0: DeltaToolCall(name="undo", json_args=json.dumps(arguments), tool_call_id=id)}

    return step


def calls_with(arguments: str) -> Step:
    """A call with these arguments, whatever they are."""

    async def step(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Piece]:
        name = "executeNotebook"
        yield {0: DeltaToolCall(name=name, json_args=arguments, tool_call_id=f"call-{len(messages)}")}

    return step


def fails(problem: Exception) -> Step:
    async def step(_messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Piece]:
        yield "So far "
        raise problem

    return step


@dataclass
class Chat:
    """A client of the chat door of one server."""

    interpreter: Interpreter
    runs: Runs
    http: httpx2.AsyncClient

    async def new(self, owner: str = "local") -> str:
        return (await self.interpreter.create(owner))["id"]

    async def upload(self, id: str, path: str, data: bytes) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield data

        await self.interpreter.write_file("local", id, path, chunks(), size=len(data))

    def body(self, id: str, text: str, **more: Any) -> dict[str, Any]:
        message = {
            "id": more.pop("user_id", f"u-{text[:20]}"),
            "role": "user",
            "parts": [{"type": "text", "text": text}],
        }
        return {"id": id, "messages": [message], "model": "test:scripted", **more}

    async def ask(self, id: str, text: str, **more: Any) -> "Told":
        """The whole answer."""
        response = await self.http.post("/api/chat", json=self.body(id, text, **more))
        assert response.status_code == 200, response.text
        return Told(parse(response.text))

    @asynccontextmanager
    async def asking(self, id: str, text: str, **more: Any) -> AsyncIterator["Reader"]:
        """The answer while it comes; leaving the block disconnects."""
        async with self.http.stream("POST", "/api/chat", json=self.body(id, text, **more)) as response:
            assert response.status_code == 200
            yield Reader(response.aiter_lines())

    @asynccontextmanager
    async def resuming(self, id: str) -> AsyncIterator["Reader"]:
        async with self.http.stream("GET", f"/api/chat/{id}/stream") as response:
            assert response.status_code == 200
            yield Reader(response.aiter_lines())

    async def messages(self, id: str) -> list[dict[str, Any]]:
        response = await self.http.get(f"/api/chat/{id}")
        assert response.status_code == 200, response.text
        found: list[dict[str, Any]] = response.json()["messages"]
        return found

    async def done(self, id: str) -> None:
        """When the answer has ended."""
        run = self.runs.get(id)
        if run is not None:
            async with asyncio.timeout(BOUND):
                await run.done.wait()


class Reader:
    """Reads chunks one by one."""

    def __init__(self, lines: AsyncIterator[str]) -> None:
        self._lines = lines
        self.seen: list[dict[str, Any]] = []

    async def until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(BOUND):
            async for line in self._lines:
                if line.startswith("data: {"):
                    self.seen.append(json.loads(line[6:]))
                    if wanted(self.seen[-1]):
                        return self.seen[-1]
        raise AssertionError(f"the stream ended before: {self.seen}")

    async def rest(self) -> "Told":
        async with asyncio.timeout(BOUND):
            async for line in self._lines:
                if line.startswith("data: {"):
                    self.seen.append(json.loads(line[6:]))
        return Told(self.seen)


@dataclass
class Told:
    """The chunks of an answer."""

    chunks: list[dict[str, Any]]

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [chunk for chunk in self.chunks if chunk["type"] in kinds]

    @property
    def text(self) -> str:
        return "".join(chunk["delta"] for chunk in self.of("text-delta"))

    @property
    def state(self) -> str:
        return str(self.of("start", "message-metadata")[-1]["messageMetadata"]["state"])

    @property
    def error(self) -> dict[str, Any] | None:
        found = self.of("data-error")
        return found[-1]["data"] if found else None

    @property
    def cells(self) -> list[dict[str, Any]]:
        return [chunk["data"] for chunk in self.of("data-cell")]


def parse(text: str) -> list[dict[str, Any]]:
    assert text.rstrip().endswith("data: [DONE]")
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def shown(text: str) -> Callable[[dict[str, Any]], bool]:
    """A chunk that holds `text`."""
    return lambda chunk: text in json.dumps(chunk, ensure_ascii=False)


@asynccontextmanager
async def serving(interpreter: Interpreter, models: Models, runs: Runs | None = None) -> AsyncIterator[Chat]:
    """The chat door over `interpreter`, by HTTP."""
    runs = runs or Runs()
    app = FastAPI(exception_handlers=dict(problems.HANDLERS))
    app.include_router(router(interpreter, runs, models, asyncio.Event()))

    @app.middleware("http")
    async def name_owner(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        request.state.owner = request.headers.get("x-owner", "local")
        return await call_next(request)

    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="warning", ws="none"))
    serving = asyncio.create_task(server.serve([listening]))
    try:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with httpx2.AsyncClient(base_url=url, timeout=BOUND) as client:
            yield Chat(interpreter, runs, client)
    finally:
        await runs.aclose()
        server.should_exit = True
        await serving


def scripted(script: Script, settings: ModelSettings | None = None) -> Models:
    return Models(settings or ModelSettings(), extra={"test:scripted": script.model})
