"""What a conversation keeps, shows and sends."""

from typing import Any

import pytest
from inline_snapshot import snapshot
from pydantic_ai.messages import (
    BinaryContent,
    ModelRequest,
    ModelResponse,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.usage import RequestUsage

from cellblock.adapters.chat import history
from cellblock.adapters.chat.history import Ask, CellRef, Transcript, Turn
from cellblock.adapters.chat.spending import spent
from cellblock.errors import AnswerNotFound, InvalidRequest
from cellblock.notebook import Cell, NotebookView

WHEN = "2026-01-02T03:04:05.678Z"


def call(args: str | dict[str, Any], id: str = "t1") -> ToolCallPart:
    return ToolCallPart("executeNotebook", args, tool_call_id=id)


def returned(content: Any, id: str = "t1", **more: Any) -> ModelRequest:
    return ModelRequest(parts=[ToolReturnPart("executeNotebook", content, tool_call_id=id, **more)])


def turn(n: int, **more: Any) -> Turn:
    made = {"state": "complete", "messages": [ModelRequest(parts=[UserPromptPart(f"q{n}")])], **more}
    return Turn(f"u{n}", f"q{n}", f"a{n}", WHEN, "test:m", **made)


def asked_and_ran() -> Turn:
    return turn(
        1,
        messages=[
            ModelRequest(parts=[UserPromptPart("q1")], instructions="rules"),
            ModelResponse(parts=[ThinkingPart("hm"), TextPart("I look."), call('{"title": "Look", "code": "1+1"}')]),
            returned(["status: ok\n\nresult:\n2", BinaryContent(b"png", media_type="image/png")]),
            ModelResponse(parts=[TextPart("It is 2.")]),
        ],
        cells=[CellRef(toolCallId="t1", cellId="c1", executionId="e1", title="Look", status="ok")],
    )


def cell(**more: Any) -> Cell:
    made: Cell = {
        "id": "c1",
        "type": "code",
        "source": "1+1",
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "2"}],
        "execution_count": 1,
        "status": "ok",
        "execution_id": "e1",
        "metadata": {},
    }
    return {**made, **more}  # type: ignore[typeddict-item]


def notebook(*cells: Cell) -> NotebookView:
    return {
        "kernel_id": "k",
        "revision": 1,
        "title": None,
        "environment": "python3",
        "cells": list(cells),
        "metadata": {},
    }


def shown(transcript: Transcript, *cells: Cell, active: bool = False) -> list[dict[str, Any]]:
    return history.ui_messages(transcript, notebook(*cells), active=active)


def test_what_an_answer_took_is_summed_and_priced_where_prices_are_known() -> None:
    def response(model: str) -> ModelResponse:
        usage = RequestUsage(input_tokens=1000, output_tokens=10)
        return ModelResponse(parts=[TextPart("x")], usage=usage, model_name=model, provider_name="openai")

    priced = spent([response("gpt-4o"), response("gpt-4o")])
    assert priced is not None
    assert (priced["input_tokens"], priced["output_tokens"]) == (2000, 20)
    assert priced["cost"] is not None
    assert priced["cost"] > 0
    assert spent([response("gpt-4o"), response("of-our-own")]) == {
        "input_tokens": 2000,
        "output_tokens": 20,
        "cost": None,
    }
    assert spent([ModelResponse(parts=[TextPart("counted by nobody")])]) is None


def test_an_answer_is_one_message_with_its_steps_and_the_cell_as_the_notebook_has_it() -> None:
    assert shown(Transcript([asked_and_ran()]), cell()) == snapshot(
        [
            {
                "id": "u1",
                "role": "user",
                "metadata": {"created": "2026-01-02T03:04:05.678Z"},
                "parts": [{"type": "text", "text": "q1"}],
            },
            {
                "id": "a1",
                "role": "assistant",
                "metadata": {"created": "2026-01-02T03:04:05.678Z", "model": "test:m", "state": "complete"},
                "parts": [
                    {"type": "step-start"},
                    {"type": "reasoning", "text": "hm", "state": "done"},
                    {"type": "text", "text": "I look.", "state": "done"},
                    {
                        "type": "tool-executeNotebook",
                        "toolCallId": "t1",
                        "input": {"title": "Look", "code": "1+1"},
                        "state": "output-available",
                        "output": "status: ok\n\nresult:\n2",
                    },
                    {
                        "type": "data-cell",
                        "id": "c1",
                        "data": {
                            "toolCallId": "t1",
                            "cellId": "c1",
                            "executionId": "e1",
                            "title": "Look",
                            "status": "ok",
                            "outputs": [{"output_type": "stream", "name": "stdout", "text": "2"}],
                        },
                    },
                    {"type": "step-start"},
                    {"type": "text", "text": "It is 2.", "state": "done"},
                ],
            },
        ]
    )


def test_a_cell_run_again_shows_what_it_shows_now() -> None:
    again = cell(execution_id="e9", status="error", outputs=[])
    part = shown(Transcript([asked_and_ran()]), again)[1]["parts"][4]
    assert part["data"] | {"title": None} == snapshot(
        {"toolCallId": "t1", "cellId": "c1", "executionId": "e9", "title": None, "status": "error", "outputs": []}
    )


def test_a_deleted_cell_is_said_to_be_deleted() -> None:
    assert shown(Transcript([asked_and_ran()]))[1]["parts"][4]["data"]["deleted"] is True


def test_what_was_running_when_the_server_ended_is_interrupted() -> None:
    running = turn(1, state="running", messages=[ModelResponse(parts=[call('{"title": "L", "code": "while Tr')])])
    message = shown(Transcript([running]))[1]
    assert message["metadata"]["state"] == "interrupted"
    assert message["parts"][1] == snapshot(
        {
            "type": "tool-executeNotebook",
            "toolCallId": "t1",
            "input": {"title": "L", "code": "while Tr"},
            "state": "output-error",
            "errorText": "The call was interrupted before it finished.",
        }
    )


def test_the_answer_being_written_is_left_to_its_stream() -> None:
    both = Transcript([turn(1), turn(2, state="running")])
    assert [message["id"] for message in shown(both, active=True)] == ["u1", "a1", "u2"]
    assert [message["id"] for message in shown(both, active=False)] == ["u1", "a1", "u2", "a2"]


def test_an_error_stands_at_the_end_of_its_answer() -> None:
    error = {"code": "model_unavailable", "message": "m", "hint": "h", "fields": []}
    failed = turn(1, state="error", error=error, messages=[ModelResponse(parts=[TextPart("So far")])])
    assert shown(Transcript([failed]))[1]["parts"][-1] == {"type": "data-error", "data": error}


def test_what_is_stored_comes_back_without_images_and_instructions() -> None:
    stored = history.dumps(Transcript([asked_and_ran()]))
    assert b"rules" not in stored
    assert b"image/png" not in stored
    back = history.loads(stored)
    assert shown(back, cell()) == shown(Transcript([asked_and_ran()]), cell())
    assert history.dumps(back) == stored


def test_nothing_stored_is_an_empty_conversation() -> None:
    assert history.loads(None) == Transcript()


@pytest.mark.parametrize("message_id", ["u2", "a2"])
def test_regenerating_an_answer_asks_its_question_again_and_drops_what_followed(message_id: str) -> None:
    transcript = Transcript([turn(1), turn(2), turn(3)])
    made = history.begin(transcript, Ask("regenerate-message", message_id=message_id), "test:other")
    assert [one.id for one in transcript.turns] == ["u1", "u2"]
    assert (made.text, made.model, made.state) == ("q2", "test:other", "running")
    assert made.answer_id != "a2"


def test_an_answer_made_again_keeps_the_earlier_ones_and_each_can_be_chosen() -> None:
    said = [ModelRequest(parts=[UserPromptPart("q1")]), ModelResponse(parts=[TextPart("first")])]
    transcript = Transcript([turn(1, messages=said), turn(2)])
    again = history.begin(transcript, Ask("regenerate-message", message_id="a1"), "m")
    again.messages = [said[0], ModelResponse(parts=[TextPart("second")])]
    again.state = "complete"
    assert again.answers == ["a1", again.answer_id]
    second = again.answer_id
    history.choose(transcript, "a1")
    transcript = history.loads(history.dumps(transcript))
    (shown,) = transcript.turns
    assert (shown.answer_id, shown.messages[1].parts[0].content) == ("a1", "first")  # type: ignore[union-attr]
    assert shown.answers == ["a1", second]
    assert [part.content for part in history.for_model(transcript.turns)[1].parts] == ["first"]  # type: ignore[union-attr]
    history.choose(transcript, second)
    assert (transcript.turns[0].answer_id, transcript.turns[0].model) == (second, "m")
    with pytest.raises(AnswerNotFound):
        history.choose(transcript, "nobody")


def test_an_answer_without_a_word_is_not_kept_and_the_others_are_bounded() -> None:
    transcript = Transcript([turn(1)])
    assert history.begin(transcript, Ask("regenerate-message"), "m").others == []
    for n in range(history.OTHERS + 3):
        transcript.turns[0].messages = [ModelResponse(parts=[TextPart(str(n))])]
        history.begin(transcript, Ask("regenerate-message"), "m")
    assert len(transcript.turns[0].others) == history.OTHERS
    assert transcript.turns[0].others[0].messages[0].parts[0].content == "3"  # type: ignore[union-attr]


def test_regenerating_without_an_id_means_the_last_answer() -> None:
    transcript = Transcript([turn(1), turn(2)])
    assert history.begin(transcript, Ask("regenerate-message"), "m").text == "q2"


def test_editing_a_message_replaces_it_and_what_followed() -> None:
    transcript = Transcript([turn(1), turn(2), turn(3)])
    history.begin(transcript, Ask("submit-message", "new", "u2", "u2"), "m")
    assert [(one.id, one.text) for one in transcript.turns] == [("u1", "q1"), ("u2", "new")]


def test_a_message_sent_twice_stands_once() -> None:
    transcript = Transcript([turn(1)])
    history.begin(transcript, Ask("submit-message", "again", "u1"), "m")
    assert [one.id for one in transcript.turns] == ["u1"]


@pytest.mark.parametrize(
    ("ask", "path"),
    [
        (Ask("regenerate-message", message_id="nobody"), "messageId"),
        (Ask("submit-message", "hi", "u9", "nobody"), "messageId"),
        (Ask("submit-message", "  ", "u9"), "messages"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_field(ask: Ask, path: str) -> None:
    with pytest.raises(InvalidRequest) as problem:
        history.begin(Transcript([turn(1)]), ask, "m")
    assert problem.value.fields[0]["path"] == path


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Analyze this CSV", "Analyze this CSV"),
        ("\n\n## Sales  by\tregion\nmore", "Sales by region"),
        ("", "Untitled"),
        ("x" * 100, "x" * 59 + "…"),
        (
            "Please analyze this CSV and create a bar chart of revenue by region, then tell me",
            "Please analyze this CSV and create a bar chart of revenue…",
        ),
    ],
)
def test_a_title_is_the_first_line_cut_between_words(question: str, title: str) -> None:
    assert history.title_of(question) == title
    assert len(title) <= history.TITLE


def test_a_model_gets_recent_results_whole_and_old_ones_cut() -> None:
    long = "x" * 5000
    asked = ModelRequest(parts=[UserPromptPart("q")])
    turns = [
        turn(n, messages=[asked, ModelResponse(parts=[call("{}", f"t{n}")]), returned(long, f"t{n}")])
        for n in range(history.RECENT + 1)
    ]
    parts = [part for message in history.for_model(turns) for part in message.parts]
    lengths = [len(str(part.content)) for part in parts if isinstance(part, ToolReturnPart)]
    assert lengths[0] < 1000
    assert lengths[1:] == [5000] * history.RECENT


def test_a_call_that_was_cut_off_is_sent_with_an_answer() -> None:
    cut = turn(1, state="stopped", messages=[ModelRequest(parts=[UserPromptPart("q")]), ModelResponse([call("{}")])])
    last = history.for_model([cut])[-1].parts[0]
    assert isinstance(last, ToolReturnPart)
    assert (last.tool_call_id, last.outcome) == ("t1", "interrupted")


def test_a_question_without_an_answer_is_still_sent() -> None:
    unanswered = turn(1, state="error", messages=[])
    assert history.for_model([unanswered])[0].parts[0].content == "q1"  # type: ignore[union-attr]
