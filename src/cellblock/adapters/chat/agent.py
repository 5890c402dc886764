"""The model loop: one agent with its tools, bounded in steps and in failures, and its events as AI SDK chunks."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NotRequired

from pydantic import Field, TypeAdapter
from pydantic_ai import Agent, CustomEvent, FunctionToolResultEvent, ModelRetry, RunContext, Tool
from pydantic_ai.exceptions import RunCancelled
from pydantic_ai.messages import BinaryContent, ModelMessage, ToolReturn
from pydantic_ai.run import AgentRunResultEvent
from pydantic_ai.ui.vercel_ai import VercelAIEventStream
from pydantic_ai.ui.vercel_ai.response_types import (
    AbortChunk,
    BaseChunk,
    DataChunk,
    DoneChunk,
    ErrorChunk,
    MessageMetadataChunk,
    StartChunk,
)
from pydantic_core import PydanticSerializationError, SchemaValidator
from typing_extensions import TypedDict

from cellblock.adapters import tool, undo_tool
from cellblock.adapters.chat.history import CellRef, State, return_text
from cellblock.adapters.chat.prompt import FAILURES, LAST_STEP, STEPS, STOP, STOPPED
from cellblock.adapters.chat.spending import spent
from cellblock.adapters.wire import dumps
from cellblock.content import weight
from cellblock.errors import CellblockError
from cellblock.execution import Event, Result
from cellblock.host.interpreter import Interpreter

EVERY = 0.1
"""Seconds between two pictures of a running cell, at least."""
BUDGET = 3 << 20
"""Bytes of pictures of one running cell; after that only the last one is sent."""


@dataclass
class Deps:
    """What one answer needs. `on_cell` is called whenever a tool call has become a cell, or its status has changed."""

    interpreter: Interpreter
    owner: str
    session: str
    vision: bool
    on_cell: Callable[[CellRef], None]
    failures: int = 0


@dataclass(kw_only=True)
class CellEvent(CustomEvent, name="cell"):
    """A picture of a cell, for the `data-cell` part of its id."""

    picture: dict[str, Any] = field(default_factory=dict)

    def to_payload(self) -> DataChunk:
        return DataChunk(type="data-cell", id=self.picture["cellId"], data=self.picture)


class LiveCell:
    """Shows a cell while it runs: a picture at once, more when something has changed, and the last."""

    def __init__(self, ctx: RunContext[Deps], title: str | None) -> None:
        self._ctx, self._title = ctx, title
        self._dirty = asyncio.Event()
        self._ref: CellRef | None = None
        self._spent = 0
        self._last: Result | None = None
        self._task: asyncio.Task[None] | None = None

    async def on_event(self, event: Event) -> None:
        if self._ref is None and event["cell_id"] and event["execution_id"]:
            self._ref = {
                "toolCallId": self._ctx.tool_call_id or "",
                "cellId": event["cell_id"],
                "executionId": event["execution_id"],
                "title": self._title,
                "status": "queued",
            }
            self._task = asyncio.create_task(self._paint())
        self._dirty.set()

    async def finish(self) -> None:
        """The last picture, also of a cell that was stopped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
            await self._show()

    async def _paint(self) -> None:
        while self._spent < BUDGET:
            await self._dirty.wait()
            self._dirty.clear()
            await self._show()
            await asyncio.sleep(EVERY)

    async def _show(self) -> None:
        deps, ref = self._ctx.deps, self._ref
        if ref is None:
            return
        try:
            result = await deps.interpreter.result(deps.owner, ref["executionId"])
        except CellblockError:  # deleted meanwhile
            return
        if result == self._last:
            return
        self._last = result
        ref["status"] = result["status"]
        deps.on_cell(ref)
        self._spent += weight(result["outputs"])
        await self._ctx.emit(CellEvent(picture={**ref, "outputs": result["outputs"]}))


class Arguments(TypedDict):
    """What `tool.SCHEMA` describes."""

    code: str
    title: NotRequired[str | None]


class Back(TypedDict):
    """What `undo_tool.SCHEMA` describes."""

    before: NotRequired[Annotated[int, Field(ge=1)] | None]


async def execute(ctx: RunContext[Deps], code: str, title: str | None = None) -> ToolReturn | str:
    """The tool as the model calls it: runs the code, shows it on the way, counts failures."""
    if not code.strip():
        raise ModelRetry("`code` is empty.")
    deps = ctx.deps
    if deps.failures >= FAILURES:
        return STOPPED
    live = LiveCell(ctx, title[:200] if title else None)
    try:
        done = await tool.run(deps.interpreter, deps.owner, deps.session, code, live.on_event, vision=deps.vision)
    except CellblockError as problem:
        return count(ctx, f"status: not run\n\nerror:\n{problem.message} {problem.hint}".rstrip(), failed=True)
    finally:
        await live.finish()
    text = count(ctx, done.text, failed=done.failed)
    if not done.images:
        return text
    return ToolReturn([text, *(BinaryContent(image.data, media_type=image.media_type) for image in done.images)])


async def take_back(ctx: RunContext[Deps], before: int | None = None) -> str:
    """The tool `undo` as the model calls it. It repairs nothing by itself: failures in a row stay counted."""
    deps = ctx.deps
    try:
        text = await undo_tool.undo(deps.interpreter, deps.owner, deps.session, before)
    except CellblockError as problem:
        text = f"status: nothing was undone\n\nerror:\n{problem.message}"
    return bounded(ctx, text)


def count(ctx: RunContext[Deps], text: str, *, failed: bool) -> str:
    """The text of a result, and what follows from failures in a row and from the steps that are left."""
    ctx.deps.failures = ctx.deps.failures + 1 if failed else 0
    return text + STOP if ctx.deps.failures >= FAILURES else bounded(ctx, text)


def bounded(ctx: RunContext[Deps], text: str) -> str:
    """The text of a result, and a word when it is the last one."""
    return text + LAST_STEP if ctx.usage.requests >= STEPS - 1 else text


def make_agent() -> Agent[Deps, str]:
    """The agent; model and instructions come with each run."""
    described = Tool[Deps].from_schema(
        execute, tool.TOOL_NAME, tool.DESCRIPTION, tool.SCHEMA, takes_ctx=True, sequential=True
    )
    # What does not fit goes back to the model.
    described.function_schema.validator = SchemaValidator(TypeAdapter(Arguments).core_schema)
    undo = Tool[Deps].from_schema(
        take_back, undo_tool.UNDO_NAME, undo_tool.DESCRIPTION, undo_tool.SCHEMA, takes_ctx=True, sequential=True
    )
    undo.function_schema.validator = SchemaValidator(TypeAdapter(Back).core_schema)
    return Agent(deps_type=Deps, output_type=str, tools=[described, undo], retries=3, name="cellblock")


class ChatStream(VercelAIEventStream[Deps, str]):
    """Agent events as AI SDK chunks; how an answer ended stands in the message's metadata: `{state, model, created}`.

    `explain` turns what went wrong into an error of our tree; `earlier` are the messages of answers made before to the
    same question, which count as well.
    """

    def __init__(
        self,
        answer_id: str,
        metadata: dict[str, Any],
        explain: Callable[[BaseException], CellblockError],
        earlier: Sequence[ModelMessage] = (),
    ):
        super().__init__(None, sdk_version=7, server_message_id=answer_id)
        self._metadata = metadata
        self._explain = explain
        self._earlier = earlier
        self.state: State = "running"
        self.problem: CellblockError | None = None
        self._begun = False

    def encode_event(self, event: BaseChunk) -> str:
        try:
            return super().encode_event(event)
        except PydanticSerializationError:  # half of an emoji
            return f"data: {dumps(event.model_dump(by_alias=True, exclude_none=True)).decode()}\n\n"

    async def before_stream(self) -> AsyncIterator[BaseChunk]:
        self._begun = True
        yield StartChunk(message_id=self.server_message_id, message_metadata=self._ended("running"))

    async def handle_run_result(self, event: AgentRunResultEvent[Any]) -> AsyncIterator[BaseChunk]:
        async for chunk in super().handle_run_result(event):
            if not isinstance(chunk, MessageMetadataChunk):
                yield chunk
        usage = spent([*self._earlier, *event.result.new_messages()])
        yield MessageMetadataChunk(message_metadata=self._ended("complete") | ({"usage": usage} if usage else {}))

    async def on_error(self, error: Exception) -> AsyncIterator[BaseChunk]:
        self.problem = self._explain(error)
        async for chunk in super().on_error(error):
            if isinstance(chunk, ErrorChunk):
                yield DataChunk(type="data-error", data=self.problem.as_dict())
                yield MessageMetadataChunk(message_metadata=self._ended("error"))
                yield ErrorChunk(error_text=self.problem.message)
            else:
                yield chunk

    async def on_cancelled(self, cancelled: RunCancelled) -> AsyncIterator[BaseChunk]:
        for chunk in self.stopped()[:-1]:
            yield chunk

    async def handle_function_tool_result(self, event: FunctionToolResultEvent) -> AsyncIterator[BaseChunk]:
        """The text only: the page has the images in the cell."""
        if isinstance(event.part.content, list):
            event = replace(event, part=replace(event.part, content=return_text(event.part.content)))
        async for chunk in super().handle_function_tool_result(event):
            yield chunk

    def stopped(self) -> list[BaseChunk]:
        """The last chunks of an answer that was stopped, also before its first one."""
        metadata = self._ended("stopped")
        said: BaseChunk = MessageMetadataChunk(message_metadata=metadata)
        if not self._begun:
            said = StartChunk(message_id=self.server_message_id, message_metadata=metadata)
        return [said, AbortChunk(reason="stopped"), DoneChunk()]

    def _ended(self, state: State) -> dict[str, Any]:
        self.state = state
        return {**self._metadata, "state": state}
