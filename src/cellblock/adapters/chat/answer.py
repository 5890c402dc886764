"""One answer: runs detached from any request, writes AI SDK chunks, and saves what there is after every step."""

import asyncio
import traceback
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import Any, cast

import structlog
from pydantic_ai import Agent, FunctionToolResultEvent
from pydantic_ai.agent.abstract import AgentRunEvents
from pydantic_ai.exceptions import AgentRunError, UserError
from pydantic_ai.messages import (
    ModelMessage,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.run import AgentRunResultEvent
from pydantic_ai.ui import NativeEvent
from pydantic_ai.ui.vercel_ai.response_types import DoneChunk
from pydantic_ai.usage import UsageLimits

from cellblock.adapters.chat import failures, history, standing
from cellblock.adapters.chat.agent import ChatStream, Deps
from cellblock.adapters.chat.context import data_context
from cellblock.adapters.chat.history import Ask, CellRef, Transcript, Turn
from cellblock.adapters.chat.models import Choice
from cellblock.adapters.chat.prompt import CALLS, STEPS, WRITTEN, instructions
from cellblock.adapters.chat.titles import PATIENCE, Titling
from cellblock.errors import CellblockError, ModelFailed
from cellblock.host.interpreter import Interpreter, KernelView
from cellblock.host.log import weight

log = structlog.get_logger("cellblock.chat")

ENDLESS = f"The model wrote more than {WRITTEN:,} characters without an end, and was stopped."


class Answer:
    """A question on its way to its answer. `chunks` is the whole run; it is iterated once, in a task of its own."""

    def __init__(
        self,
        interpreter: Interpreter,
        agent: Agent[Deps, str],
        owner: str,
        kernel: KernelView,
        ask: Ask,
        choice: Choice,
        transcript: Transcript,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self._interpreter, self._agent = interpreter, agent
        self._owner, self._session = owner, kernel["id"]
        self._ask, self._choice, self._secrets = ask, choice, secrets
        self.transcript = transcript
        self._title = kernel["title"]
        self._events: AgentRunEvents[str] | None = None
        self._saves: set[asyncio.Task[None]] = set()
        self._saving = asyncio.Lock()
        self._titling: Titling | None = None
        self._earlier: list[ModelMessage] = []

    async def chunks(self) -> AsyncIterator[str]:
        """Server-sent events of the AI SDK's UI message stream. All is saved before the last one."""
        replaced = self.transcript.turns[history.position(self.transcript, self._ask) :]
        self.turn = history.begin(self.transcript, self._ask, self._choice.id)
        self._earlier = history.everything_of(self.turn)
        metadata: dict[str, Any] = {"model": self.turn.model, "created": self.turn.created}
        if self.turn.others:
            metadata["answers"] = self.turn.answers
        stream = ChatStream(self.turn.answer_id, metadata, self._explain, self._earlier)
        try:
            native = self._native(await self._prepared(replaced, metadata))
            async for chunk in stream.transform_stream(cast(AsyncIterator[NativeEvent], native)):
                if isinstance(chunk, DoneChunk):
                    await self._finish(stream)
                yield stream.encode_event(chunk)
        except asyncio.CancelledError:  # before the model was asked
            if not resumed():
                raise
            await self._finish(stream)
            for chunk in stream.stopped():
                yield stream.encode_event(chunk)

    async def _prepared(self, replaced: list[Turn], metadata: dict[str, Any]) -> Exception | None:
        """Keeps the question, and has the kernel stand where it is asked; what went wrong on the way."""
        try:
            untitled = not self._title
            await self._save(title=await self._entitle())
            self.turn.kernel = await standing.go_back(self._interpreter, self._owner, self._session, replaced)
            if self.turn.kernel:
                metadata["kernel"] = self.turn.kernel
            if untitled and self._choice.titles:
                self._titling = Titling(self._choice.model, self.turn.text, self._take_title)
        except Exception as problem:
            return problem
        return None

    async def _native(self, problem: Exception | None) -> AsyncGenerator[Any, None]:
        """The agent's events, the data context having been computed first; none after a problem."""
        if problem:
            raise problem
        known = self.transcript.context
        context = await data_context(self._interpreter, self._owner, self._session, known)
        self.transcript.context = context if context["key"] else known
        notebook = await self._interpreter.notebook(self._owner, self._session)
        state = standing.told(self.turn.kernel, notebook)
        deps = Deps(self._interpreter, self._owner, self._session, self._choice.vision, self._note_cell)
        run = self._agent.run_stream_events(
            self.turn.text,
            message_history=history.for_model(self.transcript.turns[:-1]),
            model=self._choice.model,
            instructions=instructions(context, self.turn.files, state),
            deps=deps,
            usage_limits=UsageLimits(request_limit=STEPS, tool_calls_limit=CALLS),
        )
        written = 0
        async with run as events:
            self._events = events
            async for event in until_cancelled(events):
                written += length(event)
                if written > WRITTEN:
                    raise ModelFailed(ENDLESS, hint="Ask again, or choose another model.")
                if isinstance(event, AgentRunResultEvent):
                    await self._titled()
                yield event
                if isinstance(event, FunctionToolResultEvent):
                    await self._save()

    def _explain(self, problem: BaseException) -> CellblockError:
        expected = isinstance(problem, CellblockError | AgentRunError)
        log.warning(
            "answer_failed",
            session=self._session,
            model=self._choice.id,
            error=type(problem).__name__,
            where=None if expected else frames(problem),
        )
        return failures.explain(problem, self._choice.id, self._secrets)

    def _note_cell(self, ref: CellRef) -> None:
        """Remembers which cell a call became, at once: the kernel may outlive this process."""
        cells = self.turn.cells
        if ref not in cells:
            cells.append(ref)
            save = asyncio.create_task(self._save())
            self._saves.add(save)
            save.add_done_callback(self._saves.discard)

    async def _titled(self, patience: float = PATIENCE) -> None:
        """What its title has cost counts with the answer; one that does not come is let go."""
        if self._titling is not None:
            titling, self._titling = self._titling, None
            self.turn.aside = await titling.settle(patience)
            self._earlier.extend(self.turn.aside)

    async def _finish(self, stream: ChatStream) -> None:
        await self._titled(0)
        self.turn.state = "stopped" if stream.state == "running" else stream.state
        self.turn.error = stream.problem.as_dict() if stream.problem else None
        await asyncio.shield(self._save())

    async def _entitle(self) -> str:
        """The session's title; it gets one by its first question."""
        if not self._title:
            self._title = history.title_of(self.turn.text)
            await self._interpreter.rename(self._owner, self._session, self._title)
        return self._title

    async def _take_title(self, title: str) -> None:
        """A model's title takes the place of the question's first line, unless a person was faster."""
        kernel = await self._interpreter.kernel(self._owner, self._session)
        async with self._saving:
            if kernel["title"] == self._title:
                await self._interpreter.rename_conversation(self._owner, self._session, title)

    async def _save(self, title: str | None = None) -> None:
        """What there is so far, one save after the other: an older one must not be written last.

        A session deleted meanwhile has nothing to save to.
        """
        async with self._saving:
            self.turn.messages = self._messages() or self.turn.messages
            with suppress(CellblockError):
                await self._interpreter.save_conversation(
                    self._owner,
                    self._session,
                    messages=history.dumps(self.transcript),
                    title=title,
                    running=self.turn.state == "running",
                )

    def _messages(self) -> list[Any]:
        if self._events is None:
            return []
        try:
            return self._events.new_messages()
        except UserError:  # it ended before it began
            return []


def length(event: NativeEvent) -> int:
    """Characters that a model has just written, as words, as thoughts or for a tool."""
    match event:
        case PartStartEvent(part=TextPart(content=said) | ThinkingPart(content=said) | ToolCallPart(args=said)):
            return weight(said)
        case PartDeltaEvent(delta=TextPartDelta(content_delta=said) | ThinkingPartDelta(content_delta=said)):
            return weight(said)
        case PartDeltaEvent(delta=ToolCallPartDelta(args_delta=said)):
            return weight(said)
        case _:
            return 0


def resumed() -> bool:
    """Takes back the cancellation of this task, to end in order; False when it was cancelled more than once."""
    task = asyncio.current_task()
    return task is not None and task.uncancel() == 0


def frames(problem: BaseException) -> list[str]:
    """Where it happened, innermost last: no values and no messages, which may hold code, data or keys."""
    found = traceback.extract_tb(problem.__traceback__)
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in found[-12:]]


async def until_cancelled(events: AgentRunEvents[str]) -> AsyncIterator[Any]:
    """The run's events; cancelling the task that reads them stops the run, whose last events then still come."""
    while True:
        try:
            event = await anext(events)
        except StopAsyncIteration:
            return
        except asyncio.CancelledError:
            if not resumed():
                raise
            events.cancel()
            continue
        yield event


async def load(interpreter: Interpreter, owner: str, session: str) -> Transcript:
    """The stored conversation; an empty one for a session nobody has asked anything."""
    stored = await interpreter.load_conversation(owner, session)
    return history.loads(stored.messages if stored else None)
