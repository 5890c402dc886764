"""Both wire formats: what we write, Jupyter's own code reads, and the other way round; what is no message is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.kernels.connection.base import (
    deserialize_binary_message,
    deserialize_msg_from_ws_v1,
    serialize_binary_message,
    serialize_msg_to_ws_v1,
)

from cellblock.adapters.gateway.formats import CHANNELS, MAX_HEADER, BadFrame, Message, decode, encode

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(words, values, max_size=4)
names = st.text(min_size=1, max_size=40)
headers = st.builds(
    lambda rest, id, kind: {**rest, "msg_id": id, "msg_type": kind},
    objects,
    st.uuids().map(str),
    st.sampled_from(["stream", "comm_msg", "execute_request"]),
)
buffers = st.lists(st.binary(max_size=40), max_size=4).map(tuple)
messages = st.builds(Message, st.sampled_from(CHANNELS), headers, objects, objects, objects, buffers)


def body_of(message: Message) -> dict[str, Any]:
    return {
        "header": message.header,
        "parent_header": message.parent_header,
        "metadata": message.metadata,
        "content": message.content,
    }


@given(messages, st.booleans())
def test_what_was_written_is_read_again(message: Message, v1: bool) -> None:
    assert decode(encode(message, v1=v1), v1=v1) == message


@given(messages)
def test_jupyter_reads_ours(message: Message) -> None:
    channel, parts = deserialize_msg_from_ws_v1(encode(message, v1=True))
    assert (channel, [json.loads(part) for part in parts[:4]]) == (message.channel, [*body_of(message).values()])
    assert tuple(parts[4:]) == message.buffers
    frame = encode(message, v1=False)
    read = json.loads(frame) if isinstance(frame, str) else deserialize_binary_message(frame)
    assert {name: read[name] for name in body_of(message)} == body_of(message)
    assert (read["channel"], tuple(map(bytes, read["buffers"]))) == (message.channel, message.buffers)
    assert isinstance(frame, str) == (not message.buffers)


@given(messages)
def test_we_read_jupyters(message: Message) -> None:
    parts = [json.dumps(part).encode() for part in body_of(message).values()]
    assert decode(serialize_msg_to_ws_v1([*parts, *message.buffers], message.channel), v1=True) == message
    whole = {**body_of(message), "channel": message.channel}
    assert decode(json.dumps({**whole, "buffers": []}), v1=False) == Message(**whole)
    assert decode(serialize_binary_message({**whole, "buffers": [*message.buffers]}), v1=False) == message


@given(st.text(max_size=200) | st.binary(max_size=200), st.booleans())
def test_anything_else_is_refused(frame: str | bytes, v1: bool) -> None:
    with pytest.raises(BadFrame):
        decode(frame, v1=v1)


@given(messages, st.booleans(), st.integers(0, 300), st.binary(min_size=1, max_size=8))
def test_a_damaged_frame_is_a_message_or_refused(message: Message, v1: bool, at: int, damage: bytes) -> None:
    frame = encode(message, v1=v1)
    raw = frame.encode() if isinstance(frame, str) else frame
    broken = raw[: at % len(raw)] + damage + raw[at % len(raw) + len(damage) :]
    try:
        made = decode(broken, v1=v1)
    except BadFrame:
        return
    assert made.channel in CHANNELS
    assert isinstance(made.header["msg_type"], str)


def test_clients_are_read_with_patience() -> None:
    head = {"msg_id": "1", "msg_type": "execute_request"}
    made = decode(json.dumps({"header": head, "metadata": None, "buffers": {}, "content": {"code": "1"}}), v1=False)
    assert (made.channel, made.parent_header, made.metadata, made.buffers) == ("shell", {}, {}, ())
    text = decode(json.dumps({"header": head, "channel": "control"}), v1=True)
    assert text.channel == "control"


@pytest.mark.parametrize(
    "frame",
    [
        '{"header": {"msg_id": "1"}}',
        '{"header": {"msg_id": 1, "msg_type": "x"}}',
        '{"header": {"msg_id": "1", "msg_type": "x"}, "channel": "door"}',
        '{"header": {"msg_id": "1", "msg_type": "x"}, "content": []}',
        '{"header": {"msg_id": "1", "msg_type": "x", "username": "' + "u" * MAX_HEADER + '"}}',
        "[" * 100_000,
        '{"header": {"msg_id": "1", "msg_type": "x"}, "content": ' + '{"a":' * 100 + "1" + "}" * 101,
    ],
)
def test_json_that_is_no_message_is_refused(frame: str) -> None:
    with pytest.raises(BadFrame):
        decode(frame, v1=False)


def test_what_json_cannot_say_breaks_no_frame() -> None:
    message = Message("iopub", {"msg_id": "1", "msg_type": "stream"}, {}, {}, {"text": "\ud800", "n": float("nan")})
    assert json.loads(str(encode(message, v1=False)))["content"] == {"text": "?", "n": None}
