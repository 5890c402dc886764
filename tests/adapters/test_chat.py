"""The chat door over a real kernel: answers run detached, are resumed, stopped, made again, kept."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from chatting import BOUND, Chat, Piece, Script, Step, calls, calls_with, config, fails, says, scripted, serving, shown
from pydantic_ai import BinaryContent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo

from cellblock.adapters.chat import ModelSettings, history, titles
from cellblock.adapters.chat.context import data_context
from cellblock.adapters.chat.prompt import FAILURES, STEPS
from cellblock.host.config import ExecuteRequest
from cellblock.host.interpreter import Interpreter

pytestmark = pytest.mark.asyncio(loop_scope="module")

CSV = b"region,revenue\nNorth,10\nSouth,7\nNorth,5\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def interpreter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Interpreter]:
    made = await Interpreter.start(config(tmp_path_factory.mktemp("data"), "pandas", "matplotlib.pyplot"))
    await made.ready()
    yield made
    await made.aclose()


async def printed(interpreter: Interpreter, id: str, code: str) -> str:
    """What code prints in the session's kernel, as another door would run it."""
    accepted = await interpreter.submit("local", ExecuteRequest(code=code, kernel_id=id, store=False))
    result = await interpreter.wait("local", accepted["id"])
    return "".join(output.get("text", "") for output in result["outputs"])


# --- an answer -------------------------------------------------------------------------------------------------------


async def test_a_question_is_answered_by_running_code_in_the_notebook(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("print(6 * 7)", "Multiply"), says("It is ", "42."))
    told = await chat.ask(id, "What is 6 times 7?")
    assert told.text == "It is 42."
    assert told.state == "complete"
    assert told.of("tool-input-available")[0]["input"] == {"title": "Multiply", "code": "print(6 * 7)"}
    assert told.of("tool-output-available")[0]["output"] == "status: ok\n\nstdout:\n42\n\nstate: after [1]"
    cell = told.cells[-1]
    assert (cell["status"], cell["outputs"][0]["text"]) == ("ok", "42\n")
    notebook = await chat.interpreter.notebook("local", id)
    assert [(c["id"], c["source"]) for c in notebook["cells"]] == [(cell["cellId"], "print(6 * 7)")]


async def test_the_answer_streams_unbuffered_as_the_ai_sdk_wants_it(chat: Chat, script: Script, id: str) -> None:
    script.play(says("Hello."))
    response = await chat.http.post("/api/chat", json=chat.body(id, "Hi"))
    assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["content-type"].startswith("text/event-stream")


async def test_a_reload_shows_the_message_the_stream_built(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("1 + 1"), says("Two."))
    told = await chat.ask(id, "One and one?", user_id="u1")
    user, answer = await chat.messages(id)
    assert (user["id"], user["parts"][0]["text"]) == ("u1", "One and one?")
    assert answer["id"] == told.of("start")[0]["messageId"]
    kinds = [part["type"] for part in answer["parts"]]
    assert kinds == ["step-start", "tool-executeNotebook", "data-cell", "step-start", "text"]
    assert answer["parts"][1]["output"] == told.of("tool-output-available")[0]["output"]
    assert answer["parts"][2]["data"] == told.cells[-1]


async def test_outputs_stream_while_the_cell_runs(chat: Chat, script: Script, id: str) -> None:
    code = (
        "import os, time\nprint('begun', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.01)\nprint('over')"
    )
    script.play(calls(code), says("Done."))
    async with chat.asking(id, "Run it") as reader:
        chunk = await reader.until(lambda c: c["type"] == "data-cell" and shown("begun")(c))
        assert chunk["data"]["status"] == "running"
        await chat.upload(id, "go", b"")
        told = await reader.rest()
    assert told.cells[-1]["status"] == "ok"
    assert "over" in told.cells[-1]["outputs"][0]["text"]


async def test_the_conversation_is_listed_with_its_first_question_as_title(chat: Chat, script: Script, id: str) -> None:
    script.play(says("Yes."))
    await chat.ask(id, "Is the revenue of the northern region growing from month to month, or not?")
    items = (await chat.http.get("/api/chat")).json()["items"]
    found = next(item for item in items if item["id"] == id)
    assert found["title"] == "Is the revenue of the northern region growing from month…"
    assert found["running"] is False


async def test_the_model_gets_what_was_said_before(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("x = 5\nprint(x)"), says("Five."))
    await chat.ask(id, "Set x")
    script.play(says("Still five."))
    await chat.ask(id, "And now?")
    assert script.returns() == ["status: ok\n\nstdout:\n5\n\nstate: after [1]"]
    assert len(await chat.messages(id)) == 4


async def test_a_figure_is_seen_by_the_model_and_not_stored(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"), says("A line."))
    told = await chat.ask(id, "Plot")
    text, image = script.returns()[0]
    assert "image 1 below" in text
    assert isinstance(image, BinaryContent)
    assert image.data.startswith(b"\x89PNG")
    assert "image/png" not in str(told.of("tool-output-available"))
    stored = await chat.interpreter.load_conversation("local", id)
    assert stored is not None
    assert b"image/png" not in stored.messages
    assert "image/png" in str((await chat.messages(id))[1]["parts"][2])


# --- who asks, and when ----------------------------------------------------------------------------------------------


async def test_an_unknown_conversation_is_404_on_every_route(chat: Chat) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    answers = [
        await chat.http.post("/api/chat", json=chat.body(nobody, "Hi")),
        await chat.http.get(f"/api/chat/{nobody}"),
        await chat.http.patch(f"/api/chat/{nobody}", json={"title": "x"}),
        await chat.http.delete(f"/api/chat/{nobody}"),
        await chat.http.get(f"/api/chat/{nobody}/stream"),
        await chat.http.post(f"/api/chat/{nobody}/stop"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 6
    assert {answer.json()["error"]["code"] for answer in answers} == {"conversation_not_found"}


async def test_another_owners_conversation_is_an_unknown_one(chat: Chat, id: str) -> None:
    other = {"x-owner": "other"}
    assert (await chat.http.get(f"/api/chat/{id}", headers=other)).status_code == 404
    asked = await chat.http.post("/api/chat", json=chat.body(id, "Hi"), headers=other)
    assert asked.status_code == 404
    assert (await chat.http.get("/api/chat", headers=other)).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "parts": []}]}, "messages"),
        ({"messages": [{"role": "user", "parts": [{"type": "text", "text": " "}]}]}, "messages"),
        ({"messages": [{"role": "user", "parts": [{"type": "text", "text": "x" * 200_000}]}]}, "messages"),
        ({"messages": [{"role": "user", "parts": [{"type": "text", "text": "Hi \ud800"}]}]}, "messages"),
        (
            {
                "messages": [
                    {"role": "user", "parts": [{"type": "text", "text": "Hi"}], "metadata": {"files": ["\ud800"]}}
                ]
            },
            "messages",
        ),
        ({"messageId": "nobody"}, "messageId"),
        ({"trigger": "regenerate-message"}, "messageId"),
        ({"trigger": "dance"}, "trigger"),
        ({"surprise": 1}, "surprise"),
        ({"model": "nobody:knows"}, "model"),
    ],
)
async def test_a_request_that_does_not_fit_names_the_field(
    chat: Chat, id: str, change: dict[str, Any], field: str
) -> None:
    content = json.dumps({**chat.body(id, "Hi"), **change})
    response = await chat.http.post("/api/chat", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["error"]["fields"][0]["path"] == field
    assert await chat.messages(id) == []


async def test_a_model_without_its_key_is_refused_before_anything_is_kept(chat: Chat, id: str) -> None:
    response = await chat.http.post("/api/chat", json=chat.body(id, "Hi", model="openai:gpt-x"))
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "model_unavailable"
    assert "OPENAI_API_KEY" in response.json()["error"]["message"]
    assert await chat.messages(id) == []


async def test_while_an_answer_runs_another_question_is_409(chat: Chat, script: Script, id: str) -> None:
    go = asyncio.Event()
    script.play(says("Wait", "ed.", when=go))
    async with chat.asking(id, "First") as reader:
        await reader.until(shown("Wait"))
        second = await chat.http.post("/api/chat", json=chat.body(id, "Second"))
        assert (second.status_code, second.json()["error"]["code"]) == (409, "run_active")
        go.set()
        assert (await reader.rest()).text == "Waited."
    assert len(await chat.messages(id)) == 2


# --- leaving, coming back, stopping ----------------------------------------------------------------------------------


async def test_a_client_that_leaves_loses_nothing(chat: Chat, script: Script, id: str) -> None:
    go = asyncio.Event()
    script.play(says("First half, ", "second half.", when=go))
    async with chat.asking(id, "Tell me") as reader:
        await reader.until(shown("First half"))
    assert (await chat.http.get(f"/api/chat/{id}")).json()["running"] is True
    go.set()
    await chat.done(id)
    assert (await chat.messages(id))[1]["parts"][-1]["text"] == "First half, second half."


async def test_a_reload_in_the_middle_replays_the_answer_and_goes_on(chat: Chat, script: Script, id: str) -> None:
    go = asyncio.Event()
    script.play(says("First half, ", "second half.", when=go))
    async with chat.asking(id, "Tell me") as reader:
        first = await reader.until(shown("First half"))
        async with chat.resuming(id) as again:
            assert await again.until(shown("First half")) == first
            assert [message["role"] for message in await chat.messages(id)] == ["user"]
            go.set()
            assert (await again.rest()).chunks == (await reader.rest()).chunks
    assert (await chat.http.get(f"/api/chat/{id}/stream")).status_code == 204


async def test_stop_ends_the_answer_interrupts_the_kernel_and_keeps_what_there_is(
    chat: Chat, script: Script, id: str
) -> None:
    script.play(calls("x = 41\nprint('begun', flush=True)\nwhile True: pass"), says("Never."))
    async with chat.asking(id, "Run forever") as reader:
        await reader.until(lambda c: c["type"] == "data-cell" and shown("begun")(c))
        assert (await chat.http.post(f"/api/chat/{id}/stop")).json() == {"stopped": True}
        told = await reader.rest()
    assert told.state == "stopped"
    assert told.of("abort")
    assert await printed(chat.interpreter, id, "print(x + 1)") == "42\n"
    answer = (await chat.messages(id))[1]
    assert answer["metadata"]["state"] == "stopped"
    cell = next(part for part in answer["parts"] if part["type"] == "data-cell")["data"]
    assert cell["status"] == "interrupted"
    assert "begun" in cell["outputs"][0]["text"]


async def test_after_a_stop_the_conversation_goes_on(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("print('begun', flush=True)\nwhile True: pass"), says("Never."))
    async with chat.asking(id, "Run forever") as reader:
        await reader.until(lambda c: c["type"] == "data-cell" and shown("begun")(c))
        await chat.http.post(f"/api/chat/{id}/stop")
        await reader.rest()
    script.play(says("I was stopped."))
    assert (await chat.ask(id, "What happened?")).text == "I was stopped."
    assert len(script.returns()) == 1  # the call that was cut off has an answer a provider accepts


async def test_stop_while_the_model_writes_keeps_the_words(chat: Chat, script: Script, id: str) -> None:
    script.play(says("Some words", "never", when=asyncio.Event()))
    async with chat.asking(id, "Talk") as reader:
        await reader.until(shown("Some words"))
        await chat.http.post(f"/api/chat/{id}/stop")
        assert (await reader.rest()).state == "stopped"
    assert (await chat.messages(id))[1]["parts"][-1]["text"] == "Some words"


async def test_stop_before_the_model_was_asked_ends_at_once(chat: Chat, script: Script, id: str) -> None:
    busy = await chat.interpreter.submit("local", ExecuteRequest(code="while True: pass", kernel_id=id))
    script.play(says("Never."))
    async with chat.asking(id, "Hi") as reader:
        await reader.until(lambda c: c["type"] == "start")
        await chat.http.post(f"/api/chat/{id}/stop")
        assert (await reader.rest()).state == "stopped"
    assert script.sent == []
    user, answer = await chat.messages(id)
    assert (user["parts"][0]["text"], answer["metadata"]["state"]) == ("Hi", "stopped")
    await chat.interpreter.interrupt_execution("local", busy["id"])


async def test_stopping_what_does_not_run_is_no_error(chat: Chat, id: str) -> None:
    assert (await chat.http.post(f"/api/chat/{id}/stop")).json() == {"stopped": False}


# --- titles ----------------------------------------------------------------------------------------------------------


def titling(title: str, *words: str, when: asyncio.Event | None = None) -> Step:
    """A model that answers, and is asked for a title meanwhile; its answer ends when `when` is set."""

    async def step(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        made = says(title) if "Write a title" in (info.instructions or "") else says(*words, when=when)
        async for piece in made(messages, info):
            yield piece

    return step


async def test_a_model_writes_the_title_once_and_a_person_has_the_last_word(
    interpreter: Interpreter, script: Script
) -> None:
    models = scripted(script, ModelSettings(titles=True))
    async with serving(interpreter, models) as chat:
        id = await chat.new()
        script.play(titling('Title: **"Beasts of Africa"**.\nAnd more', "Okapi."))
        told = await chat.ask(id, "Which animals live there, please?")
        assert (told.text, (await interpreter.kernel("local", id))["title"]) == ("Okapi.", "Beasts of Africa")
        assert (await interpreter.load_conversation("local", id)).title == "Beasts of Africa"  # type: ignore[union-attr]
        script.play(titling("Another", "Zebra."))
        await chat.ask(id, "And which else?", user_id="u2")
        assert (await interpreter.kernel("local", id))["title"] == "Beasts of Africa"
        assert len(script.sent) == 1
        await chat.http.delete(f"/api/chat/{id}")
    await models.aclose()


@pytest.mark.parametrize("said", ["", '""', "#", "\n"])
async def test_a_title_that_says_nothing_leaves_the_first_line(
    interpreter: Interpreter, script: Script, said: str
) -> None:
    models = scripted(script, ModelSettings(titles=True))
    async with serving(interpreter, models) as chat:
        id = await chat.new()
        script.play(titling(said, "Yes."))
        told = await chat.ask(id, "Is it so?")
        assert (told.state, (await interpreter.kernel("local", id))["title"]) == ("complete", "Is it so?")
        await chat.http.delete(f"/api/chat/{id}")
    await models.aclose()


async def test_a_title_does_not_replace_what_a_person_has_called_it_meanwhile(
    interpreter: Interpreter, script: Script
) -> None:
    models = scripted(script, ModelSettings(titles=True))
    asked, renamed = asyncio.Event(), asyncio.Event()

    async def step(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        if "Write a title" in (info.instructions or ""):
            asked.set()
            await renamed.wait()
            yield "Too late"
        else:
            await renamed.wait()
            yield "Done."

    async with serving(interpreter, models) as chat:
        id = await chat.new()
        script.play(step)
        async with chat.asking(id, "What is it?") as reader:
            async with asyncio.timeout(BOUND):
                await asked.wait()
            await chat.http.patch(f"/api/chat/{id}", json={"title": "Mine"})
            renamed.set()
            await reader.rest()
        assert (await interpreter.kernel("local", id))["title"] == "Mine"
        await chat.http.delete(f"/api/chat/{id}")
    await models.aclose()


async def test_a_title_without_an_end_ends_before_its_answer_does(
    interpreter: Interpreter, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(titles, "LONGEST", 0.1)
    models = scripted(script, ModelSettings(titles=True))
    let_go = asyncio.Event()

    async def step(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[Piece]:
        if "Write a title" not in (info.instructions or ""):
            await let_go.wait()
            yield "Done."
            return
        try:
            while True:
                yield "on and on "
                await asyncio.sleep(0.001)
        finally:
            let_go.set()

    async with serving(interpreter, models) as chat:
        id = await chat.new()
        script.play(step)
        assert (await chat.ask(id, "What is it?")).text == "Done."
        assert (await interpreter.kernel("local", id))["title"] == "What is it?"
        await chat.http.delete(f"/api/chat/{id}")
    await models.aclose()


# --- again -----------------------------------------------------------------------------------------------------------


async def test_an_answer_can_be_made_again(chat: Chat, script: Script, id: str) -> None:
    script.play(says("One."))
    await chat.ask(id, "Say a number", user_id="u1")
    old = (await chat.messages(id))[1]["id"]
    script.play(says("Two."))
    told = await chat.ask(id, "", trigger="regenerate-message", messageId=old)
    user, answer = await chat.messages(id)
    assert (user["id"], user["parts"][0]["text"], answer["parts"][-1]["text"]) == ("u1", "Say a number", "Two.")
    assert told.of("start")[0]["messageId"] == answer["id"] != old
    assert len(script.sent[0]) == 1
    assert told.of("start")[0]["messageMetadata"]["answers"] == answer["metadata"]["answers"] == [old, answer["id"]]


async def test_another_answer_can_be_chosen_and_the_model_is_told_that_one(chat: Chat, script: Script, id: str) -> None:
    script.play(says("One."))
    await chat.ask(id, "Say a number", user_id="u1")
    old = (await chat.messages(id))[1]["id"]
    script.play(says("Two."))
    await chat.ask(id, "", trigger="regenerate-message", messageId=old)
    chosen = await chat.http.post(f"/api/chat/{id}/answers/{old}")
    assert chosen.json()["messages"][1]["parts"][-1]["text"] == "One."
    script.play(says("Three."))
    await chat.ask(id, "And now?", user_id="u2")
    told = json.dumps([str(message) for message in script.sent[0]])
    assert ("One." in told, "Two." in told) == (True, False)
    unknown = await chat.http.post(f"/api/chat/{id}/answers/none")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "answer_not_found")
    theirs = await chat.http.post(f"/api/chat/{id}/answers/{old}", headers={"x-owner": "other"})
    assert theirs.status_code == 404


async def test_a_choice_and_a_question_at_one_moment_both_stand(
    chat: Chat, script: Script, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.play(says("One."))
    await chat.ask(id, "Say a number", user_id="u1")
    old = (await chat.messages(id))[1]["id"]
    script.play(says("Two."))
    await chat.ask(id, "", trigger="regenerate-message", messageId=old)
    saves, turn = chat.interpreter.save_conversation, chat.runs.turn
    held, waits, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def save(*what: Any, **more: Any) -> None:
        if "running" not in more:  # the choice's
            held.set()
            await go_on.wait()
        await saves(*what, **more)

    def turns(id: str) -> asyncio.Lock:
        if held.is_set():
            waits.set()
        return turn(id)

    monkeypatch.setattr(chat.interpreter, "save_conversation", save)
    monkeypatch.setattr(chat.runs, "turn", turns)
    choosing = asyncio.create_task(chat.http.post(f"/api/chat/{id}/answers/{old}"))
    await held.wait()
    script.play(says("Three."))
    asking = asyncio.create_task(chat.ask(id, "And now?", user_id="u2"))
    await waits.wait()
    go_on.set()
    await choosing
    await asking
    assert [part["text"] for message in await chat.messages(id) for part in message["parts"] if "text" in part] == [
        "Say a number",
        "One.",
        "And now?",
        "Three.",
    ]


async def test_a_look_at_the_moment_an_answer_begins_or_ends_shows_none_that_broke_off(
    chat: Chat, script: Script, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, go = chat.interpreter.load_conversation, asyncio.Event()
    asked: list[asyncio.Task[Any]] = []

    async def begins(*what: Any) -> Any:
        first, found = not asked, None
        if first:
            asked.append(asyncio.create_task(chat.ask(id, "Say it")))
        while not found and first:
            found = await load(*what)
        return found or await load(*what)

    async def ends(*what: Any) -> Any:
        found = await load(*what)
        go.set()
        await asked[0]
        return found

    script.play(says("It.", when=go))
    monkeypatch.setattr(chat.interpreter, "load_conversation", begins)
    shown = (await chat.http.get(f"/api/chat/{id}")).json()
    assert (shown["running"], [one["role"] for one in shown["messages"]]) == (True, ["user"])
    monkeypatch.setattr(chat.interpreter, "load_conversation", ends)
    shown = (await chat.http.get(f"/api/chat/{id}")).json()
    assert (shown["running"], shown["messages"][-1]["metadata"]["state"]) == (False, "complete")


async def test_an_earlier_message_can_be_edited(chat: Chat, script: Script, id: str) -> None:
    for n in (1, 2, 3):
        script.play(says(f"Answer {n}."))
        await chat.ask(id, f"Question {n}", user_id=f"u{n}")
    script.play(says("Edited."))
    await chat.ask(id, "Better question", user_id="u2", messageId="u2")
    texts = [message["parts"][-1]["text"] for message in await chat.messages(id)]
    assert texts == ["Question 1", "Answer 1.", "Better question", "Edited."]


async def test_conversations_are_found_by_what_was_said_in_them(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("zebra_count = 41 + 1"), says("The **Okapi** is", " rare. " + "And so on. " * 40))
    await chat.ask(id, "Tell me of animals in Africa, please", user_id="u1")

    async def found(q: str, owner: str = "local") -> list[dict[str, Any]]:
        answer = await chat.http.get("/api/chat", params={"q": q}, headers={"x-owner": owner})
        items: list[dict[str, Any]] = [one for one in answer.json()["items"] if one["id"] == id]
        return items

    (said,) = await found("okapi RARE")
    assert said["excerpt"].startswith("The **Okapi** is rare. And so on.")
    assert said["excerpt"].endswith("…")
    assert len(said["excerpt"]) < 200
    (coded,) = await found("zebra_count")
    assert coded["excerpt"] == "zebra_count = 41 + 1"
    (titled,) = await found("africa")
    assert titled["excerpt"] is None
    (both,) = await found("africa okapi")
    assert "Okapi" in both["excerpt"]
    assert await found("okapi giraffe") == []
    assert await found("part_kind") == []
    assert await found("okapi", owner="other") == []


async def test_a_conversation_can_be_renamed_and_keeps_its_name(chat: Chat, script: Script, id: str) -> None:
    script.play(says("A."))
    await chat.ask(id, "First")
    renamed = await chat.http.patch(f"/api/chat/{id}", json={"title": "Sales"})
    assert renamed.json()["title"] == "Sales"
    await chat.ask(id, "Second")
    assert (await chat.http.get(f"/api/chat/{id}")).json()["title"] == "Sales"
    items = (await chat.http.get("/api/chat")).json()["items"]
    assert [item["title"] for item in items if item["id"] == id] == ["Sales"]


@pytest.mark.parametrize("through", ["the chat", "another door"])
async def test_a_deleted_conversation_is_gone_with_its_session(chat: Chat, script: Script, through: str) -> None:
    id, told = await chat.new(), asyncio.Event()
    script.play(says("Some words", "in the end", when=told))
    async with chat.asking(id, "Talk") as reader:
        await reader.until(shown("Some words"))
        if through == "the chat":
            assert (await chat.http.delete(f"/api/chat/{id}")).status_code == 204
        else:
            await chat.interpreter.delete("local", id)
        told.set()  # an answer that nobody has stopped goes on
        await reader.rest()
    assert (await chat.http.get(f"/api/chat/{id}")).status_code == 404
    assert id not in [item["id"] for item in (await chat.http.get("/api/chat")).json()["items"]]


# --- failures --------------------------------------------------------------------------------------------------------


async def test_repair_is_bounded(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("1 / 0"))
    told = await chat.ask(id, "Divide")
    assert len((await chat.interpreter.notebook("local", id))["cells"]) == FAILURES
    returns = script.returns()
    assert "ZeroDivisionError" in returns[0]
    assert "failure 3 in a row" in returns[FAILURES - 1]
    assert returns[FAILURES].startswith("not run")
    assert len(script.sent) == STEPS
    assert told.error is not None
    assert told.error["code"] == "model_failed"
    assert (await chat.messages(id))[1]["metadata"]["state"] == "error"


async def test_the_last_step_is_announced(chat: Chat, script: Script, id: str) -> None:
    script.play(*[calls("1")] * (STEPS - 1), says("In time."))
    assert (await chat.ask(id, "Many steps")).text == "In time."
    assert [("last call" in text) for text in script.returns()] == [False] * (STEPS - 2) + [True]


async def test_a_success_in_between_lets_repair_begin_anew(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("1 / 0"), calls("1 / 0"), calls("1"), calls("1 / 0"), says("Enough."))
    assert (await chat.ask(id, "Divide")).text == "Enough."
    assert not any("in a row" in text for text in script.returns())


@pytest.mark.parametrize("arguments", ["{}", '{"code": 5}', '{"code": "1", "code', '"just text"'])
async def test_arguments_that_do_not_fit_are_sent_back_to_the_model(
    chat: Chat, script: Script, id: str, arguments: str
) -> None:
    script.play(calls_with(arguments), calls("print('right')"), says("Right."))
    told = await chat.ask(id, "Go")
    assert told.text == "Right."
    assert len((await chat.interpreter.notebook("local", id))["cells"]) == 1


async def test_a_failure_keeps_what_was_said_and_shows_no_internals(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("print('kept')"), fails(RuntimeError("secret detail at /srv/app.py")))
    told = await chat.ask(id, "Go")
    assert told.error is not None
    assert told.error["code"] == "internal_error"
    assert "secret" not in str(told.chunks)
    answer = (await chat.messages(id))[1]
    assert [part["type"] for part in answer["parts"]] == [
        "step-start",
        "tool-executeNotebook",
        "data-cell",
        "step-start",
        "text",
        "data-error",
    ]
    assert answer["parts"][-2]["text"] == "So far "


async def test_half_an_emoji_breaks_nothing(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("print('\ud83d')"), says("Half \ud83d", "\ude00 and whole."))
    told = await chat.ask(id, "Smile")
    assert told.state == "complete"
    assert (await chat.messages(id))[1]["parts"][-1]["text"].endswith("and whole.")


async def test_a_kernel_that_dies_is_told_to_the_model(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("import os; os._exit(0)"), says("It died."))
    assert (await chat.ask(id, "Die")).text == "It died."
    assert "kernel_died" in script.returns()[0]
    assert "notice:" in script.returns()[0]


async def test_a_missing_package_names_the_operators_step(chat: Chat, script: Script, id: str) -> None:
    script.play(calls("import xgboost"), says("Not installed."))
    await chat.ask(id, "Import it")
    assert "`PYTHON -m pip install xgboost`" in script.returns()[0]


# --- files -----------------------------------------------------------------------------------------------------------


async def test_the_model_knows_files_and_packages_and_the_kernel_shows_no_trace(
    chat: Chat, script: Script, id: str
) -> None:
    await chat.upload(id, "sales.csv", CSV)
    listing = "print(sorted(name for name in globals() if not name.startswith('_i')))"
    before = await printed(chat.interpreter, id, listing)
    script.play(says("I see it."))
    parts = [{"type": "text", "text": "What is there?"}]
    message = {"id": "u1", "role": "user", "parts": parts, "metadata": {"files": ["sales.csv"]}}
    await chat.ask(id, "", messages=[message])
    assert (await chat.messages(id))[0]["metadata"]["files"] == ["sales.csv"]
    said = script.instructions[0]
    assert '"path":"sales.csv"' in said
    assert '"name":"revenue","dtype":"int64","missing":0,"unique":3,"sample":[10,7,5]' in said
    assert "pandas" in said
    assert "There is no network" in said
    assert "Uploaded with the question: 'sales.csv'" in said
    assert await printed(chat.interpreter, id, listing) == before
    assert (await chat.interpreter.notebook("local", id))["cells"] == []


async def test_the_context_is_made_once_while_no_file_changes(chat: Chat, id: str) -> None:
    await chat.upload(id, "sales.csv", CSV)
    first = await data_context(chat.interpreter, "local", id, None)
    assert await data_context(chat.interpreter, "local", id, first) is first
    await chat.upload(id, "more.csv", CSV)
    second = await data_context(chat.interpreter, "local", id, first)
    assert [entry["path"] for entry in second["files"]] == ["more.csv", "sales.csv"]


async def test_a_busy_kernel_costs_the_context_not_the_answer(
    chat: Chat, script: Script, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cellblock.adapters.chat.context.TIMEOUT", 0.3)
    await chat.upload(id, "sales.csv", CSV)
    busy = await chat.interpreter.submit("local", ExecuteRequest(code="while True: pass", kernel_id=id))
    script.play(says("It is busy."))
    assert (await chat.ask(id, "Hi")).text == "It is busy."
    assert "the kernel is busy" in script.instructions[0]
    await chat.interpreter.interrupt_execution("local", busy["id"])


async def test_without_a_key_the_built_in_analyst_answers_from_the_file(chat: Chat, id: str) -> None:
    await chat.upload(id, "sales.csv", CSV)
    told = await chat.ask(id, "Create a bar chart of revenue by region", model=None)
    assert told.error is None
    assert told.cells[-1]["status"] == "ok"
    assert "image/png" in str(told.cells[-1]["outputs"])
    assert "15" in told.text
    answer = (await chat.messages(id))[1]
    assert (answer["metadata"]["model"], answer["metadata"]["state"]) == ("builtin:analyst", "complete")


# --- a restart of the server -----------------------------------------------------------------------------------------


async def test_a_conversation_survives_a_restart_and_what_ran_is_interrupted(tmp_path: Path) -> None:
    script = Script()
    async with asyncio.timeout(2 * BOUND):
        first = await Interpreter.start(config(tmp_path))
        async with serving(first, scripted(script)) as chat:
            id = await chat.new()
            script.play(calls("print('kept')"), says("Done."))
            await chat.ask(id, "First")
            script.play(says("Some words", "never", when=asyncio.Event()))
            async with chat.asking(id, "Second") as reader:
                await reader.until(shown("Some words"))
                stored = await first.load_conversation("local", id)
        assert stored is not None
        assert stored.running
        await first.save_conversation("local", id, messages=stored.messages, running=True)  # as a crash leaves it
        await first.aclose()
        second = await Interpreter.start(config(tmp_path))
        async with serving(second, scripted(script)) as chat:
            messages = await chat.messages(id)
            listed = (await chat.http.get("/api/chat")).json()["items"]
            assert (await chat.http.get(f"/api/chat/{id}/stream")).status_code == 204
            script.play(says("Back."))
            assert (await chat.ask(id, "Third")).text == "Back."
        await second.aclose()
    states = [message["metadata"]["state"] for message in messages if message["role"] == "assistant"]
    assert states == ["complete", "interrupted"]
    assert next(p for p in messages[1]["parts"] if p["type"] == "data-cell")["data"]["outputs"][0]["text"] == "kept\n"
    assert [(item["id"], item["title"], item["running"]) for item in listed] == [(id, "First", False)]
    assert history.loads(stored.messages).turns[1].state == "running"
