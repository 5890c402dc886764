"""The whole path with the providers' own clients, against servers that speak their wire, and a real kernel."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from chatting import Chat, Told, config, serving, shown
from wire import anthropic, gemini, openai
from wire.server import Reply, Silence, Stream, WireServer

from cellblock.adapters.chat import Models, ModelSettings
from cellblock.host.interpreter import Interpreter
from cellblock.notebook import NotebookView

pytestmark = pytest.mark.asyncio(loop_scope="module")

IDS = {gemini: "google:gemini-2.5-pro", openai: "openai-chat:gpt-test", anthropic: "anthropic:claude-test"}
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()\nprint(6 * 7)"

NO_ANSWERS = [
    "",
    "<html>Please log in</html>",
    "data: {not json\n\n",
    "data: 7\n\n",
    'data: {"choices": [7], "candidates": [7]}\n\n',
    'event: message_start\ndata: {"type": "message_start", "message": 7}\n\n',
]
every_provider = pytest.mark.parametrize("wire", IDS, ids=[wire.__name__ for wire in IDS])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def interpreter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Interpreter]:
    made = await Interpreter.start(config(tmp_path_factory.mktemp("data"), "pandas", "matplotlib.pyplot"))
    await made.ready()
    yield made
    await made.aclose()


def settings(wire: ModuleType, server: WireServer, timeout: float = 20.0) -> ModelSettings:
    return ModelSettings(
        default=IDS[wire],
        google_key=gemini.KEY,
        google_base_url=server.url,
        openai_key=openai.KEY,
        openai_base_url=f"{server.url}/v1",
        anthropic_key=anthropic.KEY,
        anthropic_base_url=server.url,
        timeout=timeout,
        retries=0,
    )


@dataclass
class Talk:
    """A session, a client, and the provider's server."""

    chat: Chat
    id: str
    server: WireServer

    async def ask(self, text: str) -> Told:
        return await self.chat.ask(self.id, text, model=None)

    async def messages(self) -> list[dict[str, Any]]:
        return await self.chat.messages(self.id)

    async def notebook(self) -> NotebookView:
        return await self.chat.interpreter.notebook("local", self.id)


@asynccontextmanager
async def talking(
    interpreter: Interpreter, wire: ModuleType, *replies: Reply, timeout: float = 20.0
) -> AsyncIterator[Talk]:
    """A new session, and a provider that gives these replies."""
    async with wire.server(*replies) as server:
        models = Models(settings(wire, server, timeout))
        async with serving(interpreter, models) as chat:
            id = await chat.new()
            yield Talk(chat, id, server)
            await interpreter.delete("local", id)
        await models.aclose()


@every_provider
async def test_a_question_goes_to_the_provider_and_its_code_into_the_kernel(
    interpreter: Interpreter, wire: ModuleType
) -> None:
    async with talking(
        interpreter, wire, wire.calls(PLOT, "Compute", thought="Hm."), wire.says("It is ", "42.")
    ) as talk:
        told = await talk.ask("How much?")
        notebook = await talk.notebook()
    assert told.error is None
    assert told.text.endswith("It is 42.")
    assert told.of("tool-input-available")[0]["input"] == {"title": "Compute", "code": PLOT}
    assert [cell["source"] for cell in notebook["cells"]] == [PLOT]
    assert told.cells[-1]["status"] == "ok"
    assert "executeNotebook" in str(talk.server.asked[0].body["tools"])
    assert "data_context" in str(talk.server.asked[0].body)
    assert "stdout" in wire.returned(talk.server.asked[1])
    assert "42" in wire.returned(talk.server.asked[1])


@pytest.mark.parametrize("wire", [gemini, anthropic], ids=["wire.gemini", "wire.anthropic"])
async def test_a_provider_that_sees_is_sent_the_figure(interpreter: Interpreter, wire: ModuleType) -> None:
    async with talking(interpreter, wire, wire.calls(PLOT), wire.says("A line.")) as talk:
        await talk.ask("Plot")
    assert "iVBORw0KGgo" in str(talk.server.asked[1].body)  # a PNG in base64


async def test_a_model_that_sees_no_images_is_sent_none(interpreter: Interpreter) -> None:
    async with talking(interpreter, openai, openai.calls(PLOT), openai.says("A line.")) as talk:
        await talk.ask("Plot")
    assert "iVBORw0KGgo" not in str(talk.server.asked[1].body)
    assert "you cannot see it" in openai.returned(talk.server.asked[1])


@every_provider
async def test_code_is_shown_while_it_is_written_and_words_as_they_come(
    interpreter: Interpreter, wire: ModuleType
) -> None:
    async with talking(interpreter, wire, wire.calls("print('some longer code')"), wire.says("a", "b", "c")) as talk:
        told = await talk.ask("Go")
    pieces = [chunk["inputTextDelta"] for chunk in told.of("tool-input-delta")]
    assert "some longer code" in "".join(pieces)
    assert len(pieces) > 1 or wire is gemini
    assert [chunk["delta"] for chunk in told.of("text-delta")][-3:] == ["a", "b", "c"]


@every_provider
@pytest.mark.parametrize(
    ("failure", "said"),
    [
        ("unauthorized", "refused"),
        ("too_many", "too many requests"),
        ("broken", "failed (500)"),
    ],
)
async def test_an_error_status_is_told_and_the_conversation_goes_on(
    interpreter: Interpreter, wire: ModuleType, failure: str, said: str
) -> None:
    async with talking(interpreter, wire, getattr(wire, failure)(), wire.says("Now it works.")) as talk:
        told = await talk.ask("First")
        again = await talk.ask("Second")
        messages = await talk.messages()
    assert told.error is not None
    assert said in told.error["message"]
    assert told.error["code"] in ("model_unavailable", "model_failed")
    assert wire.KEY not in str(told.chunks)
    assert told.of("error")[0]["errorText"] == told.error["message"]
    assert again.text == "Now it works."
    assert [message["parts"][-1]["type"] for message in messages] == ["text", "data-error", "text", "text"]


@every_provider
async def test_a_connection_cut_in_the_middle_of_words_keeps_them(interpreter: Interpreter, wire: ModuleType) -> None:
    async with talking(interpreter, wire, wire.says("Half an ", "ans", cut=True), wire.says("Whole.")) as talk:
        told = await talk.ask("First")
        again = await talk.ask("Second")
        messages = await talk.messages()
    assert told.error is not None
    assert told.error["code"] == "model_unavailable"
    assert "cut" in told.error["message"]
    assert messages[1]["parts"][1]["text"] == "Half an ans"
    assert again.text == "Whole."


@every_provider
async def test_a_connection_cut_in_the_middle_of_a_call_runs_nothing(
    interpreter: Interpreter, wire: ModuleType
) -> None:
    async with talking(interpreter, wire, wire.calls("print('never run')", cut=True), wire.says("Whole.")) as talk:
        told = await talk.ask("First")
        again = await talk.ask("Second")
        notebook = await talk.notebook()
    assert told.error is not None
    assert told.error["code"] == "model_unavailable"
    assert notebook["cells"] == []
    assert again.text == "Whole."


@every_provider
async def test_a_connection_cut_after_a_call_keeps_what_it_did(interpreter: Interpreter, wire: ModuleType) -> None:
    replies = [wire.calls("x = 5\nprint(x)"), wire.says("It", "never", cut=True), wire.says("Five.")]
    async with talking(interpreter, wire, *replies) as talk:
        told = await talk.ask("First")
        again = await talk.ask("Second")
        messages = await talk.messages()
    assert told.error is not None
    cell = next(part for part in messages[1]["parts"] if part["type"] == "data-cell")
    assert cell["data"]["outputs"][0]["text"] == "5\n"
    assert again.text == "Five."
    assert len(talk.server.asked) == 3


@every_provider
@pytest.mark.parametrize("said", NO_ANSWERS)
async def test_an_answer_that_is_no_answer_is_the_models_failure(
    interpreter: Interpreter, wire: ModuleType, said: str
) -> None:
    async with talking(interpreter, wire, *[Stream([said])] * 9) as talk:
        told = await talk.ask("Anybody?")
    assert told.error is not None
    assert told.error["code"] in ("model_failed", "model_unavailable")


@every_provider
async def test_a_provider_that_is_silent_is_given_up(interpreter: Interpreter, wire: ModuleType) -> None:
    async with talking(interpreter, wire, Silence(), timeout=0.2) as talk:
        told = await talk.ask("Anybody?")
    assert told.error is not None
    assert "did not answer in time" in told.error["message"]


@every_provider
async def test_nobody_at_the_address_is_a_failed_connection(interpreter: Interpreter, wire: ModuleType) -> None:
    async with talking(interpreter, wire) as talk:
        await talk.server.__aexit__(None, None, None)
        told = await talk.ask("Anybody?")
    assert told.error is not None
    assert told.error["code"] == "model_unavailable"


async def test_stopping_closes_the_connection_to_the_provider(interpreter: Interpreter) -> None:
    held = openai.says("Some words", "never", hold=asyncio.Event())
    async with talking(interpreter, openai, held, openai.says("Next.")) as talk:
        async with talk.chat.asking(talk.id, "Talk", model=None) as reader:
            await reader.until(shown("Some words"))
            await talk.chat.http.post(f"/api/chat/{talk.id}/stop")
            told = await reader.rest()
        assert (await talk.ask("Next")).text == "Next."
    assert told.state == "stopped"
