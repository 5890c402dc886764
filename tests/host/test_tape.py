"""The tape on its own: bounded, and what a gap leaves out is never the end of one's own request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellblock.execution import Execution
from cellblock.host import tape as tapes
from cellblock.host.tape import MAX_ASKED, Listener, Request, Spoken, Tape
from cellblock.host.wire import KernelMessage

HEADER = {"msg_id": "asked", "msg_type": "execute_request", "session": "s"}


def made(room: int = 4) -> Tape:
    tape = Tape("session", lambda: 0.0)
    tape.log.max_items = room
    return tape


def said(kind: str, parent: str, channel: str = "iopub", **content: object) -> KernelMessage:
    return KernelMessage(channel, kind, parent, dict(content), header={"msg_id": "m", "msg_type": kind})  # type: ignore[arg-type]


async def heard(tape: Tape, listener: Listener) -> list[Spoken]:
    tape.close()
    return [message async for message in listener.messages()]


def kinds(messages: list[Spoken]) -> list[str]:
    return [message.content.get("execution_state") or message.header["msg_type"] for message in messages]


def run(tape: Tape, id: str, prints: int) -> None:
    tape.hear(said("status", id, execution_state="busy"))
    for n in range(prints):
        tape.hear(said("stream", id, name="stdout", text=str(n)))
    tape.hear(said("status", id, execution_state="idle"))
    tape.hear(said("execute_reply", id, "shell", status="ok"))


async def test_a_gap_keeps_reply_and_idle_of_ones_own() -> None:
    tape = made()
    own, other = tape.enter("own"), tape.enter("other")
    tape.expect("1", Request("own", HEADER))
    run(tape, "1", 50)
    tape.expect("2", None)
    run(tape, "2", 50)
    mine = await heard(tape, own)
    assert kinds(mine)[:3] == ["stream", "execute_reply", "idle"]
    assert "messages left out" in mine[0].content["text"]
    assert {message.parent["msg_id"] for message in mine[:3]} == {"asked"}
    theirs = [message async for message in other.messages()]
    assert "execute_reply" not in kinds(theirs)


@pytest.mark.parametrize("listens", [False, True])
async def test_the_code_of_what_is_over_is_not_kept(listens: bool) -> None:
    tape = Tape("session", lambda: 0.0)
    if listens:
        tape.enter("own")
    for number in range(MAX_ASKED):
        execution = Execution(str(number), "session", None, "pass", output_limit=1000, clock=lambda: 0.0)
        tape.expect(execution.id, Request("own", HEADER), "x" * 1000)
        execution.start()
        execution.cancelled()
        tape.ended(execution.result())
    assert not any(asked.code for asked in tape._asked.values())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=6), st.integers(1, 8))
@pytest.mark.asyncio
async def test_whatever_is_lost_every_own_request_ends(runs: list[tuple[bool, int]], room: int) -> None:
    tape = made(room)
    listener = tape.enter("own")
    mine = set()
    for index, (own, prints) in enumerate(runs):
        head = {**HEADER, "msg_id": f"h{index}"}
        tape.expect(str(index), Request("own", head) if own else None)
        mine |= {f"h{index}"} if own else set()
        run(tape, str(index), prints)
    messages = await heard(tape, listener)
    replied = {message.parent.get("msg_id") for message in messages if message.channel == "shell"}
    idle = {message.parent.get("msg_id") for message in messages if message.content.get("execution_state") == "idle"}
    assert replied == mine
    assert mine <= idle


async def test_what_all_have_heard_is_kept_no_longer() -> None:
    tape = made(room=100)
    quick, slow = tape.enter("quick"), tape.enter("slow")
    tape.expect("1", Request("quick", HEADER))
    run(tape, "1", 3)
    first = quick.messages()
    all_of_it = [await anext(first) for _ in range(6)]
    assert tape.log.bytes > 0, "the other has heard none of it"
    tape.leave(slow)
    await first.aclose()
    assert tape.log.first == 1, "it may come back"
    back = tape.enter("slow")
    assert kinds(await heard(tape, back)) == [kind for kind in kinds(all_of_it) if kind != "execute_reply"]
    assert kinds([message async for message in quick.messages()]) == kinds(all_of_it)[-1:]
    assert (tape.log.bytes, tape.log.first) == (0, tape.log.last + 1)


async def test_a_running_request_is_not_forgotten_for_finished_ones() -> None:
    tape = made(10_000)
    listener = tape.enter("own")
    tape.expect("running", Request("own", HEADER))
    for index in range(2 * tapes.MAX_ASKED):
        tape.expect(f"c{index}", Request("own", {**HEADER, "msg_id": f"c{index}"}))
        tape.hear(said("status", f"c{index}", execution_state="idle"))
    tape.hear(said("stream", "running", name="stdout", text="still here"))
    assert (await heard(tape, listener))[-1].content["text"] == "still here"


def test_no_more_absent_clients_are_remembered_than_there_is_room_for() -> None:
    tape = made()
    for index in range(3 * tapes.MAX_ABSENT):
        tape.leave(tape.enter(f"client {index}"))
    assert len(tape._absent) == tapes.MAX_ABSENT
    assert tape.connections == 0


def kept(tape: Tape) -> int:
    """Bytes that its requests hold."""
    held = [said for asked in tape._asked.values() for said in (asked.reply, asked.question) if said]
    return sum(tapes._weight(each) - 512 for each in held)


BAD = {"status": "error", "ename": "E", "traceback": ["t"], "payload": []}


@pytest.mark.parametrize("size", [tapes.LATE_REPLY // 2, 2 * tapes.LATE_REPLY])
async def test_what_is_kept_for_those_who_fall_behind_is_bounded(size: int) -> None:
    tape = made()
    own = tape.enter("own")
    for number in range(MAX_ASKED):
        tape.expect(str(number), Request("own", {**HEADER, "msg_id": str(number)}))
        tape.hear(said("input_request", str(number), "stdin", prompt="?" * size))
        tape.hear(said("execute_reply", str(number), "shell", **BAD, evalue="x" * size))
        tape.hear(said("status", str(number), execution_state="idle"))
    assert kept(tape) <= tapes.MAX_LATE + MAX_ASKED * 4 * tapes.SHORT
    replies = [each for each in await heard(tape, own) if each.channel == "shell"]
    assert [each.parent["msg_id"] for each in replies] == [str(number) for number in range(MAX_ASKED)]
    assert {each.content["status"] for each in replies} == {"error"}


def test_a_kernel_that_asks_for_what_is_over_has_one_question_kept() -> None:
    tape = made()
    tape.enter("own")
    for number in range(MAX_ASKED):
        tape.expect(str(number), Request("own", HEADER))
        run(tape, str(number), 0)
    for number in range(MAX_ASKED):
        tape.hear(said("input_request", str(number), "stdin", prompt="?" * 60_000))
    assert kept(tape) <= tapes.MAX_LATE
    assert tape.take_question("another") is None
    assert tape.take_question("own") == str(MAX_ASKED - 1)
    assert tape.take_question("own") is None


async def test_a_reply_that_all_have_heard_is_kept_no_longer() -> None:
    tape = made(room=100)
    own = tape.enter("own")
    tape.expect("1", Request("own", HEADER))
    run(tape, "1", 3)
    assert kept(tape)
    assert len(await heard(tape, own)) == 6
    assert (kept(tape), tape._late_bytes) == (0, 0)
