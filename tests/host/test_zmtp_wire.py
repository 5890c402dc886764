"""Bytes to frames and frames to messages: the same as libzmq's and jupyter_client's, and bounded."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session

from cellblock import zmtp
from cellblock.host.wire import MAX_HEADER, MAX_VALUES, Wire, checked

READY = b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x04XPUB"
LIMIT = 1000


def decoder() -> zmtp.Decoder:
    made = zmtp.Decoder(LIMIT)
    made.feed(zmtp.GREETING + READY)
    assert made.next() == []
    assert made.next() is None
    assert made.ready
    return made


@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=3), max_size=5), st.integers(1, 400))
def test_messages_come_back_however_the_bytes_are_cut(messages: list[list[bytes]], step: int) -> None:
    data = b"".join(map(zmtp.message, messages))
    made, got = decoder(), []
    for at in range(0, len(data), step):
        made.feed(data[at : at + step])
        while (frames := made.next()) is not None:
            got.append(frames)
    assert got == messages


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_messages_or_a_violation(data: bytes, greeted: bool) -> None:
    made = decoder() if greeted else zmtp.Decoder(LIMIT)
    made.feed(data)
    try:
        while (frames := made.next()) is not None:
            assert sum(map(len, frames)) <= LIMIT
    except zmtp.Violation:
        pass


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x02" + (LIMIT + 1).to_bytes(8, "big"), "more than 1,000 bytes"),
        (b"\x02\xff\xff\xff\xff\xff\xff\xff\xff", "more than 1,000 bytes"),
        (b"\x01\xc8" + b"x" * 200 + (b"\x01\xc8" + b"x" * 200) * 5, "more than 1,000 bytes"),
        (b"\x01\x00" * (zmtp.MAX_FRAMES + 1), "frames"),
        (b"\x08\x00", "reserved flags"),
        (b"\x05\x00", "command"),
        (b"\x06" + (1 << 20).to_bytes(8, "big"), "command"),
        (b"\x01\x00\x04\x05\x04PING", "inside a message"),
        (b"\x04\x08\x05ERROR\x01x", "refused"),
    ],
)
def test_what_passes_a_limit_is_told_before_it_is_kept(data: bytes, why: str) -> None:
    made = decoder()
    made.feed(data)
    with pytest.raises(zmtp.Violation, match=why):
        made.next()


@pytest.mark.parametrize(
    "greeting",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff" + b"\0" * 9,
        zmtp.GREETING[:10] + b"\x01" + zmtp.GREETING[11:],
        zmtp.GREETING.replace(b"NULL", b"CURV"),
        zmtp.GREETING + zmtp.message([b"before READY"]),
    ],
)
def test_a_peer_that_speaks_something_else_is_told(greeting: bytes) -> None:
    made = zmtp.Decoder(LIMIT)
    made.feed(greeting)
    with pytest.raises(zmtp.Violation):
        made.next()


def test_unknown_commands_are_ignored() -> None:
    made = decoder()
    made.feed(b"\x04\x05\x04PING" + zmtp.message([b"x"]))
    assert (made.next(), made.next()) == ([], [b"x"])


# --- messages --------------------------------------------------------------------------------------------------------


def test_jupyter_clients_messages_are_read_and_ours_by_it() -> None:
    theirs, ours = Session(key=b"k"), Wire("k", "s")
    parent = theirs.msg("execute_request")
    frames = theirs.serialize(
        theirs.msg("stream", {"name": "stdout", "text": "é\u2028"}, parent=parent), ident=b"topic"
    )
    read = ours.decode("iopub", [*map(bytes, frames), b"buffer"])
    assert (read.msg_type, read.parent_id) == ("stream", parent["header"]["msg_id"])
    assert read.content == {"name": "stdout", "text": "é\u2028"}
    assert read.buffers == (b"buffer",)
    _, parts = theirs.feed_identities(ours.encode("execute_request", {"code": "é"}, msg_id="m1"))
    back = theirs.deserialize(parts)
    assert (back["header"]["msg_id"], back["content"]) == ("m1", {"code": "é"})


def signed(*parts: bytes) -> list[bytes]:
    return [b"<IDS|MSG>", Wire("k", "s")._sign(list(parts)), *parts]


HEADER = b'{"msg_type": "status"}'


@pytest.mark.parametrize(
    ("frames", "why"),
    [
        ([b"x"], "delimiter"),
        ([b"a", b"b", b"c", b"d", b"<IDS|MSG>"], "delimiter"),
        ([b"<IDS|MSG>", b"", HEADER], "parts missing"),
        ([b"<IDS|MSG>", b"0" * 64, HEADER, b"{}", b"{}", b"{}"], "signature"),
        (signed(b"{}", b"{}", b"{}", b"{}"), "msg_type"),
        (signed(b'{"msg_type": 5}', b"{}", b"{}", b"{}"), "msg_type"),
        (signed(HEADER, b'{"msg_id": ["x"]}', b"{}", b"{}"), "msg_id"),
        (signed(HEADER, b"[]", b"{}", b"{}"), "no object"),
        (signed(HEADER, b"{}", b"null", b"{}"), "no object"),
        (signed(HEADER, b"{}", b"{}", b"not json"), "bad JSON"),
        (signed(HEADER, b"{}", b"{}", b'"\xff\xfe"'), "bad JSON"),
        (signed(HEADER, b"{}", b"{}", b'{"a":' + b"[" * 100_000), "bad JSON"),
        (signed(HEADER, b"{}", b"{}", b'{"a":' + b"9" * 5000 + b"}"), "bad JSON"),
        (signed(HEADER + b" " * MAX_HEADER, b"{}", b"{}", b"{}"), "too long"),
        (signed(HEADER, b"{}", b"{}", b'{"a":[' + b"[]," * (MAX_VALUES + 1) + b"0]}"), "values"),
    ],
)
def test_what_is_no_message_is_told(frames: list[bytes], why: str) -> None:
    with pytest.raises(zmtp.Violation, match=why):
        Wire("k", "s").decode("iopub", frames)


@given(st.lists(st.binary(max_size=30) | st.just(b"<IDS|MSG>"), max_size=9))
def test_any_frames_are_a_message_or_a_violation(frames: list[bytes]) -> None:
    try:
        Wire("k", "s").decode("iopub", frames)
    except zmtp.Violation:
        pass


@given(st.lists(st.binary(max_size=30) | st.just(b"{}") | st.just(HEADER), min_size=4, max_size=6))
def test_any_signed_parts_are_a_message_or_a_violation(parts: list[bytes]) -> None:
    try:
        Wire("k", "s").decode("iopub", [*signed(*parts[:4]), *parts[4:]])
    except zmtp.Violation:
        pass


def test_a_reply_is_strict_json() -> None:
    assert checked(json.loads('{"a": NaN, "b": "\\ud800"}')) == {"a": None, "b": "\ufffd"}
    with pytest.raises(zmtp.Violation, match="deeper"):
        checked(json.loads('{"a":' + "[" * 200 + "]" * 200 + "}"))
