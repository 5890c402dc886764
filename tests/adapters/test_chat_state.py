"""Chat and state go together: the model's `undo`, and questions that are asked or answered again, over a real kernel."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from chatting import Chat, Script, Step, calls, config, says, undoes

from cellblock.host.config import Config, ExecuteRequest
from cellblock.host.interpreter import Interpreter

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEPT = 3
"""States that are kept here of one kernel."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def interpreter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Interpreter]:
    settings: Config = replace(config(tmp_path_factory.mktemp("data")), snapshots=KEPT, model_on_error="rollback")
    made = await Interpreter.start(settings)
    await made.ready()
    yield made
    await made.aclose()


async def value(chat: Chat, id: str, name: str) -> str:
    """What a variable holds; looking takes no snapshot and leaves no cell."""
    code = f"print(globals().get({name!r}))"
    request = ExecuteRequest(code=code, kernel_id=id, store=False, snapshot="never")
    accepted = await chat.interpreter.submit("local", request)
    result = await chat.interpreter.wait("local", accepted["id"])
    return "".join(output.get("text", "") for output in result["outputs"]).strip()


async def asked(chat: Chat, script: Script, id: str, user_id: str, *steps: Step, text: str | None = None) -> None:
    script.play(*steps, says("Done."))
    await chat.ask(id, text or f"Do {user_id}", user_id=user_id)


async def undone(chat: Chat, id: str) -> list[bool]:
    cells = (await chat.interpreter.notebook("local", id))["cells"]
    return [bool((cell["metadata"].get("cellblock") or {}).get("undone")) for cell in cells]


# --- the tool --------------------------------------------------------------------------------------------------------


async def test_a_model_takes_its_cells_back_and_is_told_where_it_stands(chat: Chat, script: Script, id: str) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"), calls("x = 2"), calls("x = 3"), undoes(before=2))
    assert script.returns()[-1] == "status: ok\n\nstate: before [2]\nundone: [2], [3]"
    assert script.returns()[0].endswith("state: after [1]")
    assert await undone(chat, id) == [False, True, True]
    assert await value(chat, id, "x") == "1"


async def test_without_a_number_the_last_cell_is_undone_with_its_files(chat: Chat, script: Script, id: str) -> None:
    await asked(
        chat,
        script,
        id,
        "u1",
        calls("kept = open('a.txt', 'w').write('one')"),
        calls("open('a.txt', 'w').write('two')"),
        undoes(),
    )
    assert script.returns()[-1] == "status: ok\n\nstate: before [2]\nundone: [2]\nfiles put back: a.txt"


async def test_a_state_that_is_not_kept_is_said_with_those_that_are(chat: Chat, script: Script, id: str) -> None:
    await asked(chat, script, id, "u1", *(calls(f"x = {n}") for n in range(1, KEPT + 2)), undoes(before=1))
    assert script.returns()[-1] == (
        "status: nothing was undone\n\nerror:\nThe state before [1] is not kept. Kept: before [2], [3], [4]."
    )
    assert await value(chat, id, "x") == str(KEPT + 1)


async def test_an_undo_does_not_clear_the_count_of_failures_in_a_row(chat: Chat, script: Script, id: str) -> None:
    await asked(chat, script, id, "u1", calls("y = 1"), calls("1 / 0"), calls("1 / 0"), undoes(), calls("1 / 0"))
    assert "That was failure 3 in a row" in script.returns()[-1]


async def test_arguments_of_undo_that_do_not_fit_undo_nothing(chat: Chat, script: Script, id: str) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"), undoes(before=-1))
    assert await value(chat, id, "x") == "1"


async def test_the_call_of_undo_is_shown_as_itself_live_and_later(chat: Chat, script: Script, id: str) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"), undoes())
    parts = [part for part in (await chat.messages(id))[-1]["parts"] if part["type"].startswith("tool-")]
    assert [part["type"] for part in parts] == ["tool-executeNotebook", "tool-undo"]
    assert parts[1]["output"].startswith("status: ok")


async def test_a_call_that_raises_leaves_no_trace_where_that_is_configured(chat: Chat, script: Script, id: str) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"), calls("x = 2\n1 / 0"))
    told = script.returns()[-1]
    assert "notice: It failed, and has been undone." in told
    assert told.endswith("state: before [2], which is undone")
    assert await value(chat, id, "x") == "1"


# --- questions asked and answered again ------------------------------------------------------------------------------


async def test_a_question_in_other_words_finds_the_kernel_as_it_was_before(chat: Chat, script: Script, id: str) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"))
    await asked(chat, script, id, "u2", calls("x = 2"))
    script.play(calls("print(x)"), says("Done."))
    told = await chat.ask(id, "Better", user_id="u2", messageId="u2")
    note = "The kernel is back where it stood before this question."
    assert told.of("start")[0]["messageMetadata"]["kernel"] == note
    assert "stdout:\n1" in script.returns()[-1]
    assert note in script.instructions[0]
    assert "Undone cells: [2]." in script.instructions[0]
    assert (await chat.messages(id))[-1]["metadata"]["kernel"] == note
    assert await undone(chat, id) == [False, True, False]


async def test_each_further_answer_begins_from_the_same_state(chat: Chat, script: Script, id: str) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"))
    await asked(chat, script, id, "u2", calls("x += 1"))
    first = (await chat.messages(id))[-1]["id"]
    for _ in range(2):
        script.play(calls("x += 1\nprint(x)"), says("Again."))
        await chat.ask(id, "", trigger="regenerate-message", messageId=(await chat.messages(id))[-1]["id"])
        assert "stdout:\n2" in script.returns()[-1]
    await chat.http.post(f"/api/chat/{id}/answers/{first}")
    script.play(calls("x += 1\nprint(x)"), says("Once more."))
    await chat.ask(id, "", trigger="regenerate-message", messageId=first)
    assert "stdout:\n2" in script.returns()[-1]


async def test_a_state_that_is_gone_is_said_and_the_kernel_goes_on_as_it_is(
    chat: Chat, script: Script, id: str
) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"))
    await asked(chat, script, id, "u2", *(calls(f"x = {n}") for n in range(2, KEPT + 3)))
    script.play(calls("print(x)"), says("Done."))
    told = await chat.ask(id, "Better", user_id="u1", messageId="u1")
    note = told.of("start")[0]["messageMetadata"]["kernel"]
    assert note == "The kernel goes on as it is: the state before this question is not kept."
    assert note in script.instructions[0]
    assert f"stdout:\n{KEPT + 2}" in script.returns()[-1]


async def test_words_alone_move_nothing(chat: Chat, script: Script, id: str) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"))
    await asked(chat, script, id, "u2")
    script.play(says("Again."))
    told = await chat.ask(id, "Better", user_id="u2", messageId="u2")
    assert "kernel" not in told.of("start")[0]["messageMetadata"]
    assert await value(chat, id, "x") == "1"


async def test_a_stop_on_the_way_back_keeps_the_question(
    chat: Chat, script: Script, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"))
    on_the_way = asyncio.Event()

    async def never_there(*_: object, **__: object) -> None:
        on_the_way.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(chat.interpreter, "undo", never_there)
    answer = asyncio.create_task(chat.ask(id, "In other words", user_id="u1", messageId="u1"))
    await on_the_way.wait()
    assert (await chat.http.post(f"/api/chat/{id}/stop")).json() == {"stopped": True}
    told = await answer
    assert (told.state, told.of("start")[0]["messageId"]) == ("stopped", (await chat.messages(id))[1]["id"])
    question, said = await chat.messages(id)
    assert question["parts"][0]["text"] == "In other words"
    assert said["metadata"]["state"] == "stopped"


async def test_a_failure_before_the_model_is_asked_is_told_and_keeps_the_question(
    chat: Chat, script: Script, id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asked(chat, script, id, "u1", calls("x = 1"))

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(chat.interpreter, "undo", broken)
    told = await chat.ask(id, "In other words", user_id="u1", messageId="u1")
    assert told.error is not None
    assert told.error["code"] == "internal_error"
    assert "secret" not in str(told.chunks)
    monkeypatch.undo()
    question, said = await chat.messages(id)
    assert (question["parts"][0]["text"], said["metadata"]["state"]) == ("In other words", "error")
