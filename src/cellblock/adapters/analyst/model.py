"""The analyst as a pydantic-ai model: message history in, streamed text and tool calls out. The only impure module.

It needs no key and no network. Its pace is only for the eye: a person sees the code being written.
"""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings

from cellblock.adapters.analyst.question import Turn
from cellblock.adapters.analyst.respond import Attempt, Step, respond
from cellblock.adapters.analyst.schema import find_context

TOOL = "executeNotebook"
PACE = 0.008
"""Seconds between two lines of code, or a few words of text, as they are streamed."""
WORDS = re.compile(r"(?:\S+\s*){1,4}|\s+")


class AnalystModel(Model):
    """Cellblock's built-in analyst. `pace`: seconds between streamed pieces; 0 streams as fast as it can."""

    def __init__(self, *, pace: float = PACE) -> None:
        super().__init__()
        self.pace = pace

    @property
    def model_name(self) -> str:
        return "analyst"

    @property
    def system(self) -> str:
        return "cellblock"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """The whole response at once."""
        step = await asyncio.to_thread(step_for, messages, model_request_parameters)
        return ModelResponse(parts=parts(step), model_name=self.model_name, provider_name=self.system)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The same response in pieces: a few words of text, a line of code at a time."""
        step = await asyncio.to_thread(step_for, messages, model_request_parameters)
        yield AnalystResponse(model_request_parameters=model_request_parameters, step=step, pace=self.pace)


@dataclass
class AnalystResponse(StreamedResponse):
    """A step of the analyst as a stream."""

    step: Step
    pace: float
    made: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        for piece in WORDS.findall(self.step.text):
            for event in self._parts_manager.handle_text_delta(vendor_part_id="text", content=piece):
                yield event
            await self._rest()
        call = ToolCallPart(TOOL, {}, tool_call_id=f"analyst-{uuid.uuid4().hex}")
        for number, piece in enumerate(arguments(self.step)):
            for event in self._parts_manager.handle_tool_call_delta_events(
                vendor_part_id="call",
                tool_name=TOOL if number == 0 else None,
                args=piece,
                tool_call_id=call.tool_call_id if number == 0 else None,
            ):
                yield event
            await self._rest()

    async def _rest(self) -> None:
        await asyncio.sleep(self.pace)

    async def close_stream(self) -> None:
        """There is no connection to close."""

    @property
    def model_name(self) -> str:
        return "analyst"

    @property
    def provider_name(self) -> str:
        return "cellblock"

    @property
    def provider_url(self) -> None:
        return None

    @property
    def timestamp(self) -> datetime:
        return self.made


def parts(step: Step) -> list[ModelResponsePart]:
    found: list[ModelResponsePart] = [TextPart(step.text)] if step.text else []
    if step.code:
        call = ToolCallPart(TOOL, {"title": step.title, "code": step.code}, tool_call_id=f"analyst-{uuid.uuid4().hex}")
        found.append(call)
    return found


def arguments(step: Step) -> Iterator[str]:
    """The tool call's arguments as fragments of one JSON object, a line of code each."""
    if not step.code:
        return
    yield json.dumps({"title": step.title})[:-1] + ', "code": "'
    for line in step.code.splitlines(keepends=True):
        yield json.dumps(line)[1:-1]
    yield '"}'


# --- history ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Exchange:
    """A question, and the runs that followed it."""

    question: str
    attempts: list[Attempt] = field(default_factory=list)


def step_for(messages: list[ModelMessage], parameters: ModelRequestParameters) -> Step:
    """The analyst's next step in this conversation."""
    exchanges = read_history(messages)
    if not exchanges:
        return respond("", find_context(contexts(messages, parameters)))
    *before, now = exchanges
    earlier = [Turn(one.question, one.attempts[-1].code if one.attempts else "") for one in before]
    return respond(now.question, find_context(contexts(messages, parameters)), earlier, now.attempts)


def contexts(messages: list[ModelMessage], parameters: ModelRequestParameters) -> list[str]:
    """Texts that may hold the data context, the newest last: system prompts, then instructions."""
    found = [
        part.content
        for m in messages
        if isinstance(m, ModelRequest)
        for part in m.parts
        if isinstance(part, SystemPromptPart)
    ]
    found += [m.instructions for m in messages if isinstance(m, ModelRequest) and m.instructions]
    current = [part.content for part in parameters.instruction_parts or ()]
    return [*found, "\n\n".join(current)] if current else found


def read_history(messages: list[ModelMessage]) -> list[Exchange]:
    """The questions so far, each with the code that was run for it and what the tool said."""
    exchanges: list[Exchange] = []
    codes: dict[str, str] = {}
    for message in messages:
        if isinstance(message, ModelResponse):
            codes |= {
                p.tool_call_id: code_of(p) for p in message.parts if isinstance(p, ToolCallPart) and p.tool_name == TOOL
            }
            continue
        results = any(isinstance(part, ToolReturnPart) for part in message.parts)
        for part in message.parts:
            if isinstance(part, UserPromptPart) and not results:  # beside a result it only carries its images
                exchanges.append(Exchange(prompt_text(part)))
            elif isinstance(part, ToolReturnPart | RetryPromptPart) and exchanges and part.tool_call_id in codes:
                exchanges[-1].attempts.append(Attempt(codes[part.tool_call_id], result_text(part)))
    return exchanges


def code_of(part: ToolCallPart) -> str:
    try:
        code = part.args_as_dict().get("code")
    except ValueError:
        return ""
    return code if isinstance(code, str) else ""


def prompt_text(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return "\n".join(piece for piece in part.content if isinstance(piece, str))


def result_text(part: ToolReturnPart | RetryPromptPart) -> str:
    """The text of a result; images beside it are not for us."""
    if isinstance(part, RetryPromptPart):
        return part.model_response()
    if isinstance(part.content, list):
        return "\n".join(piece for piece in part.content if isinstance(piece, str))
    return part.model_response_str()
