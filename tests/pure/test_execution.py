"""The machine of one execution: which messages do what, which status follows on which."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any, get_args

import ipykernel.kernelbase
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from cellblock.execution import FINAL, LIMITS, MESSAGES, TRANSITIONS, Event, Execution, Status, timestamp
from cellblock.notebook import Notebook

LIMIT = 8192


class Clock:
    """Epoch seconds that only a test moves."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def execution(clock: Clock) -> Execution:
    made = Execution("x1", "k1", "c1", "print(1)", output_limit=LIMIT, clock=clock)
    made.start("running")
    return made


def say(execution: Execution, msg_type: str, content: object, channel: str = "iopub") -> list[Event]:
    return execution.receive(channel, msg_type, execution.id, content)


def finish(execution: Execution, **reply: Any) -> None:
    say(execution, "execute_reply", {"status": "ok", "execution_count": 1, **reply}, "shell")
    say(execution, "status", {"execution_state": "idle"})


def names(events: list[Event]) -> list[str]:
    return [event["event"] for event in events]


# --- the tables ------------------------------------------------------------------------------------------------------


def test_every_message_of_the_protocol_has_a_rule() -> None:
    requests = set(ipykernel.kernelbase.Kernel.msg_types) | set(ipykernel.kernelbase.Kernel.control_msg_types)
    replies = {name.removesuffix("_request") + "_reply" for name in requests if name.endswith("_request")}
    broadcast = {"stream", "display_data", "update_display_data", "execute_input", "execute_result", "error", "status"}
    broadcast |= {
        "clear_output",
        "debug_event",
        "comm_open",
        "comm_msg",
        "comm_close",
        "iopub_welcome",
        "shutdown_reply",
    }
    ruled = {msg_type for _, msg_type in MESSAGES}
    assert requests | replies | broadcast | {"input_request", "input_reply"} <= ruled


def test_every_rule_says_why() -> None:
    assert all(len(rule.why) > 5 for rule in MESSAGES.values())


def test_every_status_has_transitions_and_final_ones_have_none() -> None:
    assert set(TRANSITIONS) == set(get_args(Status))
    assert {status for status, after in TRANSITIONS.items() if not after} == FINAL
    assert set(LIMITS.values()) <= FINAL


# --- the course of an execution --------------------------------------------------------------------------------------


def test_one_execution_from_queue_to_end(clock: Clock) -> None:
    execution = Execution("x1", "k1", "c1", "1+1", output_limit=LIMIT, clock=clock)
    events = execution.start()
    clock.now += 0.5
    events += execution.running()
    events += say(execution, "status", {"execution_state": "busy"})
    events += say(execution, "execute_input", {"code": "1+1", "execution_count": 7})
    events += say(execution, "execute_result", {"execution_count": 7, "data": {"text/plain": "2"}, "metadata": {}})
    clock.now += 0.25
    finish(execution, execution_count=7)
    assert execution.complete
    events += execution.end()
    assert [(event["seq"], event["event"]) for event in events] == snapshot(
        [(1, "execution_start"), (2, "status"), (3, "execute_result"), (5, "execution_end")]
    )
    assert events[-1]["content"] == execution.result()
    assert execution.result() == snapshot(
        {
            "id": "x1",
            "kernel_id": "k1",
            "cell_id": "c1",
            "status": "ok",
            "kernel_state": "kept",
            "execution_count": 7,
            "outputs": [
                {"output_type": "execute_result", "data": {"text/plain": "2"}, "metadata": {}, "execution_count": 7}
            ],
            "error": None,
            "truncated": False,
            "spill": None,
            "files": [],
            "code_sha256": "4a1b21d876ae00c8ed5c4d1cde09c61f8a61b50fe370a801b10c339831f370ab",
            "timing": {"queued_ms": 500.0, "run_ms": 250.0, "total_ms": 750.0},
            "usage": {"cpu_ms": None, "memory_peak_bytes": None},
            "limit": None,
            "notice": None,
        }
    )


def test_reply_and_idle_may_come_in_either_order(execution: Execution) -> None:
    say(execution, "status", {"execution_state": "idle"})
    assert not execution.complete
    say(execution, "execute_reply", {"status": "ok"}, "shell")
    assert execution.complete


def test_messages_of_others_and_late_ones_are_ignored(execution: Execution) -> None:
    assert execution.receive("iopub", "stream", "another", {"name": "stdout", "text": "forged"}) == []
    finish(execution)
    execution.end()
    assert say(execution, "stream", {"name": "stdout", "text": "late"}) == []
    assert execution.result()["outputs"] == []


@pytest.mark.parametrize(
    ("tell", "reply", "status"),
    [
        (lambda e: None, "ok", "ok"),
        (lambda e: None, "error", "error"),
        (lambda e: None, "aborted", "cancelled"),
        (lambda e: None, None, "kernel_died"),
        (lambda e: e.died(), None, "kernel_died"),
        (lambda e: e.interrupted(), "error", "interrupted"),
        (lambda e: e.interrupted(), "ok", "ok"),
        (lambda e: e.limit_hit("timeout", 60), "error", "timeout"),
        (lambda e: (e.interrupted(), e.limit_hit("timeout", 60)), "ok", "timeout"),
        (lambda e: (e.limit_hit("memory", 1 << 30), e.died()), None, "out_of_memory"),
        (lambda e: (e.limit_hit("disk", 1 << 30), e.died()), None, "disk_full"),
        (lambda e: (e.interrupted(), e.limit_hit("stdin_timeout", 60)), "error", "interrupted"),
        (lambda e: e.broke_protocol("why"), None, "protocol_error"),
        (lambda e: (e.limit_hit("timeout", 60), e.limit_hit("memory", 1)), None, "timeout"),
    ],
)
def test_the_verdict(execution: Execution, tell: Callable[[Execution], object], reply: str | None, status: str) -> None:
    tell(execution)
    if reply is not None:
        finish(execution, status=reply, ename="KeyboardInterrupt", evalue="", traceback=[])
    assert execution.verdict == status
    execution.end()
    assert execution.result()["status"] == status


def test_the_limit_that_was_hit_is_in_the_result(execution: Execution) -> None:
    execution.limit_hit("timeout", 60)
    execution.end(kernel_state="lost", notice="The kernel was restarted.")
    result = execution.result()
    assert (result["limit"], result["kernel_state"]) == ({"name": "timeout", "value": 60}, "lost")
    assert result["notice"] == "The kernel was restarted."


def test_input_that_nobody_answered_is_named(execution: Execution) -> None:
    execution.limit_hit("stdin_timeout", 60)
    finish(execution, status="error", ename="KeyboardInterrupt", evalue="", traceback=[])
    execution.end()
    error = execution.result()["error"]
    assert error is not None
    assert error["ename"] == "stdin_timeout"
    assert error["evalue"] == "input() was not answered within 60 s"


def test_a_status_that_may_not_follow_is_a_mistake_of_ours(clock: Clock) -> None:
    execution = Execution("x", None, None, "1", output_limit=LIMIT, clock=clock)
    execution.start()
    with pytest.raises(ValueError, match="timeout does not follow on queued"):
        execution.end("timeout")


def test_the_first_end_counts(execution: Execution) -> None:
    finish(execution)
    assert names(execution.end()) == ["execution_end"]
    assert execution.end("cancelled") == []
    assert execution.result()["status"] == "ok"


def test_one_that_waits_can_be_cancelled(clock: Clock) -> None:
    execution = Execution("x", "k", None, "1", output_limit=LIMIT, clock=clock)
    execution.start()
    clock.now += 2
    assert names(execution.cancelled("The kernel was deleted.")) == ["execution_end"]
    result = execution.result()
    assert (result["status"], result["notice"]) == ("cancelled", "The kernel was deleted.")
    assert result["timing"] == {"queued_ms": 2000.0, "run_ms": 0.0, "total_ms": 2000.0}


# --- without a kernel ------------------------------------------------------------------------------------------------


def test_a_refusal_starts_and_ends_at_once(clock: Clock) -> None:
    execution = Execution("x", "k", None, "import os", output_limit=LIMIT, clock=clock)
    assert names(execution.refused("The module os is forbidden here.")) == ["execution_start", "error", "execution_end"]
    result = execution.result()
    assert (result["status"], result["notice"]) == ("refused", "The module os is forbidden here.")


def test_a_syntax_error_shows_line_and_caret(clock: Clock) -> None:
    code = "x = 1\nif x:\n    y = = 2\n"
    execution = Execution("x", "k", None, code, output_limit=LIMIT, clock=clock)
    with pytest.raises(SyntaxError) as caught:
        compile(code, "cell", "exec")
    execution.syntax_error(caught.value)
    [output] = execution.result()["outputs"]
    assert output == snapshot(
        {
            "output_type": "error",
            "ename": "SyntaxError",
            "evalue": "invalid syntax (line 3)",
            "traceback": ["  Cell, line 3", "    y = = 2", "        ^", "SyntaxError: invalid syntax"],
        }
    )
    assert execution.result()["status"] == "error"
    assert execution.result()["error"] == {key: value for key, value in output.items() if key != "output_type"}


@pytest.mark.parametrize("code", ["'abc", "(", "\tx\n  y", "f(a b)", "x = '''\n\n", "é = = 1", "\x00"])
def test_every_syntax_error_can_be_told(clock: Clock, code: str) -> None:
    execution = Execution("x", "k", None, code, output_limit=LIMIT, clock=clock)
    try:
        compile(code, "cell", "exec")
    except SyntaxError as problem:
        execution.syntax_error(problem)
    except ValueError as problem:  # Python 3.11 says so of NUL
        execution.syntax_error(SyntaxError(str(problem)))
    assert execution.result()["status"] == "error"
    json.dumps(execution.result())


# --- outputs and live events -----------------------------------------------------------------------------------------


def test_an_error_is_an_output_and_the_results_error(execution: Execution) -> None:
    told = {"ename": "ValueError", "evalue": "no", "traceback": ["\x1b[31mValueError\x1b[0m: no"]}
    assert names(say(execution, "error", told)) == ["error"]
    finish(execution, status="error", **told)
    execution.end()
    assert execution.result()["outputs"] == [{"output_type": "error", **told}]
    assert execution.result()["error"] == told


def test_an_error_that_only_the_reply_tells_is_an_output_too(execution: Execution) -> None:
    finish(execution, status="error", ename="E", evalue="v", traceback=[])
    assert names(execution.end()) == ["error", "execution_end"]
    assert [output["output_type"] for output in execution.result()["outputs"]] == ["error"]


def test_a_pager_is_an_output(execution: Execution) -> None:
    page = {"source": "page", "data": {"text/plain": "Docstring: prints"}, "start": 0}
    finish(execution, payload=[page, {"source": "set_next_input", "text": "x"}])
    assert execution.result()["outputs"] == [
        {"output_type": "display_data", "data": {"text/plain": "Docstring: prints"}, "metadata": {}}
    ]


def test_a_display_is_updated_by_its_id(execution: Execution) -> None:
    shown = {"data": {"text/plain": "0"}, "metadata": {}, "transient": {"display_id": "d"}}
    say(execution, "display_data", shown)
    [event] = say(execution, "update_display_data", {**shown, "data": {"text/plain": "1"}})
    assert event["content"]["transient"] == {"display_id": "d"}
    assert execution.result()["outputs"][0]["data"] == {"text/plain": "1"}


def test_input_is_asked_for_and_answered(clock: Clock) -> None:
    execution = Execution("x", "k", "c", "input()", output_limit=LIMIT, clock=clock, allow_stdin=True)
    execution.start("running")
    [event] = say(execution, "input_request", {"prompt": "name? ", "password": False}, "stdin")
    assert event["content"] == {"prompt": "name? ", "password": False}
    assert execution.waiting_for_input
    execution.answered()
    assert not execution.waiting_for_input


def test_input_is_not_asked_for_when_nobody_may_answer(execution: Execution) -> None:
    assert say(execution, "input_request", {"prompt": "?", "password": False}, "stdin") == []
    assert not execution.waiting_for_input


def test_live_events_of_a_flood_stop_at_the_limit_and_then_show_the_last_line_now_and_then(
    execution: Execution, clock: Clock
) -> None:
    events: list[Event] = []
    for n in range(10_000):
        clock.now += 0.001
        events += say(execution, "stream", {"name": "stdout", "text": f"line {n}\n"})
    live = [event for event in events if not event["content"]["text"].startswith("\r")]
    assert sum(len(event["content"]["text"]) for event in live) < LIMIT + 200
    assert live[-1]["content"]["text"].endswith("[… more than is shown live; the result will have the end of it …]\n")
    condensed = events[len(live) :]
    assert 50 < len(condensed) < 120
    assert condensed[-1]["content"]["text"].startswith("\rline 9")
    execution.end()
    assert execution.result()["outputs"][0]["text"].endswith("line 9999\n")


@pytest.mark.slow
def test_a_flood_of_a_gigabyte_is_kept_in_little(clock: Clock) -> None:
    execution = Execution("x", "k", "c", "", output_limit=1 << 20, clock=clock)
    execution.start("running")
    text = "0123456789abcde\n" * (1 << 14)
    kept = 0
    for _ in range(4096):
        events = say(execution, "stream", {"name": "stdout", "text": text})
        kept += sum(len(event["content"]["text"]) for event in events)
    execution.end()
    result = execution.result()
    assert kept < 1_100_000
    shown = result["outputs"][0]["text"]
    assert len(shown) < (1 << 20) + 200
    assert result["truncated"]
    assert result["limit"] == {"name": "output", "value": 1 << 20}
    notice = re.search(r"\n\[… ([0-9,]+) bytes of text left out …\]\n", shown)
    assert notice is not None
    assert int(notice[1].replace(",", "")) + len(shown) - len(notice[0]) == 4096 * len(text)


def test_the_spill_file_is_named_only_if_there_is_one(clock: Clock) -> None:
    execution = Execution("x", "k", "c", "", output_limit=100, clock=clock, spill_path="outputs/x.txt")
    execution.start("running")
    assert execution.result()["spill"] is None
    say(execution, "stream", {"name": "stdout", "text": "x\n" * 1000})
    execution.end()
    assert execution.result()["spill"] == "outputs/x.txt"
    assert execution.take_spill() == b"x\n" * 1000


# --- hostile kernels -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "msg_type", "content"),
    [
        ("iopub", "stream", {"name": "stdout"}),
        ("iopub", "stream", {"name": "stdlog", "text": "x"}),
        ("iopub", "stream", {"name": 1, "text": "x"}),
        ("iopub", "stream", None),
        ("iopub", "display_data", {"data": []}),
        ("iopub", "display_data", {"data": {}, "transient": {"display_id": "d" * 300}}),
        ("iopub", "execute_result", {"data": {}, "execution_count": "1"}),
        ("iopub", "execute_input", {"execution_count": -1}),
        ("iopub", "execute_input", {"execution_count": True}),
        ("iopub", "update_display_data", {"data": {}}),
        ("iopub", "error", {"ename": 5}),
        ("iopub", "error", {"traceback": "x"}),
        ("iopub", "status", {}),
        ("iopub", "clear_output", {"wait": "yes"}),
        ("shell", "execute_reply", {"status": "fine"}),
    ],
)
def test_what_breaks_the_protocol_ends_in_a_status(
    execution: Execution, channel: str, msg_type: str, content: object
) -> None:
    assert say(execution, msg_type, content, channel) == []
    assert execution.complete
    assert say(execution, "stream", {"name": "stdout", "text": "more"}) == []
    execution.end()
    result = execution.result()
    assert result["status"] == "protocol_error"
    assert result["error"] is not None
    assert msg_type in result["error"]["evalue"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)
SENSIBLE = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["stdout", "stderr"]) | JSON,
        "text": st.text(max_size=50) | JSON,
        "data": st.dictionaries(st.sampled_from(["text/plain", "image/png", "application/json"]), JSON) | JSON,
        "metadata": st.just({}) | JSON,
        "transient": st.fixed_dictionaries({"display_id": st.sampled_from(["a", "b"])}) | JSON,
        "execution_count": st.integers(0, 9) | JSON,
        "ename": st.text(max_size=9) | JSON,
        "evalue": st.text(max_size=9) | JSON,
        "traceback": st.lists(st.text(max_size=9), max_size=3) | JSON,
        "wait": st.booleans() | JSON,
        "status": st.sampled_from(["ok", "error", "aborted"]) | JSON,
        "execution_state": st.sampled_from(["busy", "idle"]) | JSON,
        "prompt": st.text(max_size=9) | JSON,
        "password": st.booleans() | JSON,
        "payload": st.just([{"source": "page", "data": {"text/plain": "x"}}]) | JSON,
    },
)
MESSAGE = st.tuples(st.sampled_from(sorted(MESSAGES)), SENSIBLE | JSON)


@given(st.lists(MESSAGE, max_size=30), st.booleans())
def test_nothing_a_kernel_says_raises_and_everything_told_can_be_written(
    messages: list[tuple[tuple[str, str], Any]], allow_stdin: bool
) -> None:
    ids = itertools.count()
    notebook = Notebook("k", "python3", lambda: f"c{next(ids)}")
    cell = notebook.add("1")
    execution = Execution("x", "k", cell["id"], "1", output_limit=500, clock=Clock(), allow_stdin=allow_stdin)
    events = execution.start("running")
    for (channel, msg_type), content in messages:
        events += execution.receive(channel, msg_type, "x", content, {})
    events += execution.end()
    assert [event["seq"] for event in events] == sorted({event["seq"] for event in events})
    assert execution.result()["status"] in FINAL
    json.dumps(events, allow_nan=False, ensure_ascii=False).encode()
    for event in events:
        notebook.apply(event)
    assert notebook.cell(cell["id"])["outputs"] == execution.result()["outputs"]


def test_time_is_told_in_utc_with_milliseconds() -> None:
    assert timestamp(1_700_000_000.1234) == "2023-11-14T22:13:20.123Z"
