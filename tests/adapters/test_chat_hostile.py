"""Models that do what no model should: they never end, call for everything at once, call what is not there."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from chatting import Chat, Piece, Script, Step, calls, config, says
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, DeltaToolCall

from cellblock.adapters.chat.prompt import CALLS, WRITTEN
from cellblock.host.interpreter import Interpreter

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = "again and again " * 1000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def interpreter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Interpreter]:
    made = await Interpreter.start(config(tmp_path_factory.mktemp("data")))
    await made.ready()
    yield made
    await made.aclose()


def endless(first: Piece, again: Callable[[], Piece]) -> Step:
    async def step(_messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Piece]:
        yield first
        while True:
            yield again()
            await asyncio.sleep(0)

    return step


def calls_often(times: int, code: str) -> Step:
    """That many calls at once."""

    async def step(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Piece]:
        for n in range(times):
            arguments = json.dumps({"code": code})
            id = f"call-{len(messages)}-{n}"
            yield {n: DeltaToolCall(name="executeNotebook", json_args=arguments, tool_call_id=id)}

    return step


def calls_tool(name: str) -> Step:
    async def step(messages: list[ModelMessage], _info: AgentInfo) -> AsyncIterator[Piece]:
        yield {0: DeltaToolCall(name=name, json_args='{"command": "ls"}', tool_call_id=f"call-{len(messages)}")}

    return step


async def test_words_without_an_end_are_ended_and_kept(chat: Chat, script: Script, id: str) -> None:
    script.play(endless("Once more: ", lambda: LONG))
    told = await chat.ask(id, "Go")
    assert told.error is not None
    assert told.error["code"] == "model_failed"
    assert "without an end" in told.error["message"]
    assert len(told.text) <= WRITTEN
    kept = (await chat.messages(id))[1]["parts"][1]["text"]
    assert kept.startswith(told.text)
    assert len(kept) <= WRITTEN + len(LONG)


async def test_code_without_an_end_is_ended_and_not_run(chat: Chat, script: Script, id: str) -> None:
    began: Piece = {0: DeltaToolCall(name="executeNotebook", json_args='{"code": "', tool_call_id="call-1")}
    script.play(endless(began, lambda: {0: DeltaToolCall(json_args=LONG)}))
    told = await chat.ask(id, "Go")
    assert told.error is not None
    assert told.error["code"] == "model_failed"
    assert (await chat.interpreter.notebook("local", id))["cells"] == []


async def test_more_calls_than_an_answer_may_have_do_not_run(chat: Chat, script: Script, id: str) -> None:
    script.play(calls_often(CALLS + 1, "1"), says("All done."))
    told = await chat.ask(id, "Go")
    assert told.error is not None
    assert told.error["code"] == "model_failed"
    assert (await chat.interpreter.notebook("local", id))["cells"] == []


async def test_a_tool_that_there_is_not_is_named_to_the_model(chat: Chat, script: Script, id: str) -> None:
    script.play(calls_tool("shell"), calls("print('right')"), says("Right."))
    assert (await chat.ask(id, "Go")).text == "Right."
    assert len((await chat.interpreter.notebook("local", id))["cells"]) == 1
    assert "Unknown tool name: 'shell'" in (await chat.messages(id))[1]["parts"][1]["errorText"]


async def test_a_model_that_calls_it_over_and_over_is_stopped(chat: Chat, script: Script, id: str) -> None:
    script.play(calls_tool("shell"))
    told = await chat.ask(id, "Go")
    assert told.error is not None
    assert told.error["code"] == "model_failed"
    assert len(script.sent) <= 5
