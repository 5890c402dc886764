"""Conversations branch: what was said goes along up to a place, and the kernel, the notebook and the files stand just there."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from chatting import Chat, Script, calls, config, says
from test_chat_history import turn
from test_chat_state import asked, value

from cellblock.adapters.chat import forks
from cellblock.adapters.chat.history import CellRef, Other, Transcript, new_id
from cellblock.host.config import Config, ExecuteRequest
from cellblock.host.interpreter import Interpreter

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def interpreter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Interpreter]:
    settings: Config = replace(config(tmp_path_factory.mktemp("data")), kernels_per_owner=500)
    made = await Interpreter.start(settings)
    await made.ready()
    yield made
    await made.aclose()


async def branch(chat: Chat, id: str, **where: Any) -> dict[str, Any]:
    answer = await chat.http.post(f"/api/chat/{id}/branch", json=where)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/chat/{made['id']}"
    return made


async def refused(chat: Chat, id: str, **where: Any) -> dict[str, Any]:
    answer = await chat.http.post(f"/api/chat/{id}/branch", json=where)
    listed = (await chat.http.get("/api/chat?limit=200")).json()["items"]
    assert sum((one["title"] or "").endswith("(branch)") for one in listed) == 0, "something was made"
    return {"status": answer.status_code, **answer.json()["error"]}


async def said(chat: Chat, id: str) -> list[str]:
    texts = []
    for message in await chat.messages(id):
        texts += [part["text"] for part in message["parts"] if part["type"] == "text"]
    return texts


async def codes(chat: Chat, id: str) -> list[str]:
    return [cell["source"] for cell in (await chat.interpreter.notebook("local", id))["cells"]]


async def run(chat: Chat, id: str, code: str) -> str:
    accepted = await chat.interpreter.submit("local", ExecuteRequest(code=code, kernel_id=id, snapshot="always"))
    await chat.interpreter.wait("local", accepted["id"])
    return accepted["id"]


@pytest_asyncio.fixture(loop_scope="module")
async def talked(chat: Chat, script: Script) -> AsyncIterator[str]:
    """A conversation of two questions, each with a cell of its own, and nothing else that is called a branch."""
    id = await chat.new()
    await asked(chat, script, id, "u1", calls("x = 1"), text="First")
    await asked(chat, script, id, "u2", calls("x = 2"), text="Second")
    yield id
    for one in (await chat.http.get("/api/chat?limit=200")).json()["items"]:
        await chat.http.delete(f"/api/chat/{one['id']}")


async def test_a_branch_from_an_answer_has_what_was_said_and_done_up_to_it(chat: Chat, talked: str) -> None:
    answer = (await chat.messages(talked))[1]["id"]
    made = await branch(chat, talked, messageId=answer)
    assert (made["title"], made["fresh"], made["not_restored"], made["notice"]) == ("First (branch)", False, [], None)
    assert await said(chat, made["id"]) == ["First", "Done."]
    assert await codes(chat, made["id"]) == ["x = 1"]
    assert await value(chat, made["id"], "x") == "1"
    assert await value(chat, talked, "x") == "2"
    assert {made["id"], talked} == {one["id"] for one in (await chat.http.get("/api/chat")).json()["items"]}


async def test_both_go_on_without_each_other(chat: Chat, script: Script, talked: str) -> None:
    made = await branch(chat, talked)
    assert await said(chat, made["id"]) == ["First", "Done.", "Second", "Done."]
    await asked(chat, script, made["id"], "u3", calls("x += 10"), text="More")
    assert [await value(chat, id, "x") for id in (talked, made["id"])] == ["2", "12"]
    assert await said(chat, talked) == ["First", "Done.", "Second", "Done."]
    assert (await branch(chat, made["id"]))["title"] == "First (branch 2)"
    assert (await chat.http.delete(f"/api/chat/{talked}")).status_code == 204
    assert await value(chat, made["id"], "x") == "12"


async def test_a_branch_from_a_cell_in_the_middle_of_an_answer_ends_there(
    chat: Chat, script: Script, talked: str
) -> None:
    await asked(chat, script, talked, "u3", calls("x = 3"), calls("x = 4"), text="Third")
    execution = (await chat.interpreter.notebook("local", talked))["cells"][2]["execution_id"]
    made = await branch(chat, talked, at=execution, title="Another road")
    assert made["title"] == "Another road"
    assert made["branched_from"] == {"id": talked, "execution_id": execution}
    shown = await chat.messages(made["id"])
    assert [part["type"] for part in shown[-1]["parts"]] == ["step-start", "tool-executeNotebook", "data-cell"]
    assert shown[-1]["metadata"]["state"] == "complete"
    assert await value(chat, made["id"], "x") == "3"
    await asked(chat, script, made["id"], "u4", text="Go on")  # a model takes that history


async def test_a_branch_of_a_branch_begins_where_that_one_began(chat: Chat, talked: str) -> None:
    made = await branch(chat, talked, messageId="u1")
    (cell,) = (await chat.interpreter.notebook("local", made["id"]))["cells"]
    again = await branch(chat, made["id"], at=cell["execution_id"])
    assert (again["title"], again["fresh"]) == ("First (branch 2)", False)
    assert await value(chat, again["id"], "x") == "1"


async def test_a_cell_of_a_persons_own_takes_along_what_was_said_before_anything_else_ran(
    chat: Chat, script: Script, talked: str
) -> None:
    own = await run(chat, talked, "x = 'mine'")
    await asked(chat, script, talked, "u3", text="Only words")
    await asked(chat, script, talked, "u4", calls("x = 4"), text="Fourth")
    made = await branch(chat, talked, at=own)
    assert await said(chat, made["id"]) == ["First", "Done.", "Second", "Done.", "Only words", "Done."]
    assert await value(chat, made["id"], "x") == "mine"


async def test_an_answer_that_was_replaced_goes_on_while_its_state_is_there(
    chat: Chat, script: Script, talked: str
) -> None:
    first = (await chat.messages(talked))[-1]["id"]
    script.play(says("In words."))
    await chat.ask(talked, "", trigger="regenerate-message", messageId=first)
    made = await branch(chat, talked, messageId=first)
    assert await said(chat, made["id"]) == ["First", "Done.", "Second", "Done."]
    assert [await value(chat, id, "x") for id in (talked, made["id"])] == ["1", "2"]
    assert await codes(chat, made["id"]) == ["x = 1", "x = 2"]
    assert "answers" not in (await chat.messages(made["id"]))[-1]["metadata"]


async def test_a_state_that_is_gone_is_said_and_a_fresh_kernel_offered_with_all_that_has_to_run(
    chat: Chat, script: Script, talked: str
) -> None:
    first = (await chat.messages(talked))[-1]["id"]
    script.play(calls("x = 'again'"), says("Again."))
    await chat.ask(talked, "", trigger="regenerate-message", messageId=first)
    await chat.upload(talked, "data/a.csv", b"a,b\n1,2\n")
    problem = await refused(chat, talked, messageId=first)
    assert (problem["status"], problem["code"]) == (409, "no_state")
    assert "`fresh`" in problem["hint"]
    made = await branch(chat, talked, messageId=first, fresh=True)
    assert made["fresh"]
    assert "run its cells" in made["notice"]
    assert await codes(chat, made["id"]) == ["x = 1", "x = 2"]
    assert await value(chat, made["id"], "x") == "None"
    opened = await chat.interpreter.open_file("local", made["id"], "data/a.csv")
    assert await opened.read(0, 100) == b"a,b\n1,2\n"
    opened.close()


async def test_where_nothing_has_run_yet_a_fresh_kernel_is_all_there_is(chat: Chat, script: Script) -> None:
    id = await chat.new()
    await asked(chat, script, id, "u1", text="Only words")
    made = await branch(chat, id, messageId="u1")
    assert (made["fresh"], made["notice"]) == (True, None)
    await asked(chat, script, id, "u2", calls("y = 1"), text="Then code")
    later = await branch(chat, id, messageId="u1")
    assert (later["fresh"], later["notice"]) == (True, "The files are as they are now.")
    assert await codes(chat, later["id"]) == []
    assert await said(chat, later["id"]) == ["Only words", "Done."]
    for one in (id, made["id"], later["id"]):
        await chat.http.delete(f"/api/chat/{one}")


async def test_a_kernel_that_sleeps_has_no_state_to_branch_from(chat: Chat, talked: str) -> None:
    await chat.interpreter.release("local", talked)
    assert (await refused(chat, talked))["code"] == "no_state"
    made = await branch(chat, talked, fresh=True)
    assert await codes(chat, made["id"]) == ["x = 1", "x = 2"]


async def test_what_is_not_there_or_not_clear_makes_nothing(chat: Chat, script: Script, talked: str) -> None:
    assert (await refused(chat, talked, messageId="nobody"))["code"] == "answer_not_found"
    assert (await refused(chat, talked, at="nobody"))["code"] == "no_state"
    assert (await refused(chat, talked, at="a", messageId="b"))["status"] == 422
    assert (await refused(chat, "nobody"))["code"] == "conversation_not_found"
    script.play(calls("import time; time.sleep(30)"), says("Done."))
    async with chat.asking(talked, "Long") as reader:
        await reader.until(lambda chunk: chunk["type"] == "data-cell")
        assert (await refused(chat, talked))["code"] == "run_active"
        await chat.http.post(f"/api/chat/{talked}/stop")
        await reader.rest()


async def test_titles_are_counted() -> None:
    titles = [None, "Sales", "Sales (branch)", "Sales (branch 2)", "(branch) of trees"]
    assert [forks.branch_title(title) for title in titles] == [
        "Untitled (branch)",
        "Sales (branch)",
        "Sales (branch 2)",
        "Sales (branch 3)",
        "(branch) of trees (branch)",
    ]


async def test_the_conversation_that_is_branched_is_not_touched() -> None:
    ref = CellRef(toolCallId="t1", cellId="c1", executionId="e1", title=None, status="ok")
    other = Other("o1", "2026-01-01T00:00:00Z", "m", "complete", [], [{**ref, "executionId": "e0"}])
    transcript = Transcript([turn(1, cells=[ref], others=[other], kernel="It went back."), turn(2)])
    kept = forks.at_message(transcript, "o1")
    assert (kept.at, [one.answer_id for one in kept.transcript.turns]) == ("e0", ["o1"])
    assert (kept.transcript.turns[0].others, kept.transcript.turns[0].kernel) == ([], None)
    assert transcript.turns[0].answers == ["o1", "a1"]
    assert new_id() not in transcript.turns[0].answers
