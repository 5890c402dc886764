"""Messages as a WebSocket carries them, honest and otherwise; and what their numbers prove."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellblock.host.remote.frames import decode, encode_binary, encode_text
from cellblock.host.remote.numbers import Numbers
from cellblock.host.remote.rest import rest_in
from cellblock.host.wire import KernelMessage, Wire
from cellblock.zmtp import Violation

WIRE = Wire("", "me")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), lambda inner: st.lists(inner), max_leaves=5
)
contents = st.dictionaries(st.text(), json_values, max_size=4)


@given(contents, st.booleans())
def test_a_message_comes_out_as_it_went_in(content: dict[str, object], binary: bool) -> None:
    parts = WIRE.parts("execute_request", content, msg_id="1", parent={"msg_id": "0"})
    message = decode((encode_binary if binary else encode_text)("shell", parts), binary=binary)
    assert (message.channel, message.msg_type, message.parent_id) == ("shell", "execute_request", "0")
    assert message.content == content


def text(**changes: object) -> str:
    whole = {"channel": "iopub", "header": {"msg_type": "stream", "msg_id": "1"}, "parent_header": {}, "content": {}}
    return json.dumps({key: value for key, value in (whole | changes).items() if value != "left out"})


def test_a_message_with_buffers_in_the_text_format() -> None:
    body = text().encode()
    offsets = [12, 12 + len(body)]
    message = decode(struct.pack(">3I", 2, *offsets) + body + b"buffer", binary=False)
    assert message.buffers == (b"buffer",)


def test_a_message_without_a_channel_is_for_shell() -> None:
    assert decode(text(channel="left out"), binary=False).channel == "shell"


@pytest.mark.parametrize(
    "lie",
    [
        "",
        "[]",
        "null",
        "{",
        '{"channel": "shell"}',
        text(channel="heart"),
        text(channel=["shell"]),
        text(header=[]),
        text(header={}),
        text(header={"msg_type": "x" * 300}),
        text(header={"msg_type": 7}),
        text(parent_header={"msg_id": {}}),
        text(parent_header=[1]),
        text(content="text"),
        text(metadata=3),
        text(header={"msg_type": "a", "deep": json.loads("[" * 20 + "]" * 20)}),
        '{"content":' + "[" * 100_000 + "]" * 100_000 + "}",
        "[" * 5_000_000,
        '{"a":[' + "1," * 2_500_000 + "1]}",
    ],
)
def test_a_text_that_is_no_message_is_a_violation(lie: str) -> None:
    with pytest.raises(Violation):
        decode(lie, binary=False)


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_do_more_than_break_the_protocol(data: bytes, binary: bool) -> None:
    try:
        assert isinstance(decode(data, binary=binary), KernelMessage)
    except Violation:
        pass


@given(st.lists(st.integers(0, 2**64 - 1), max_size=8), st.binary(max_size=60))
def test_no_offsets_do(offsets: list[int], rest: bytes) -> None:
    data = struct.pack(f"<{len(offsets) + 1}Q", len(offsets), *offsets) + rest
    with pytest.raises(Violation):
        decode(data, binary=True)


# --- numbers ---------------------------------------------------------------------------------------------------------


def id_of(number: int, series: str = "ab-cd_7") -> str:
    return f"{series}_{number}"


@given(st.integers(0, 20), st.integers(1, 30), st.data())
def test_a_row_is_whole_unless_a_number_is_missing(before: int, during: int, data: st.DataObject) -> None:
    """However channels overtake one another, and whenever the break is; nothing of before the execution is missed."""
    numbers = Numbers()
    for number in data.draw(st.lists(st.integers(0, before))):
        numbers.heard(id_of(number))
    numbers.heard(id_of(before))
    numbers.begin()
    came = data.draw(st.permutations(range(before + 1, before + 1 + during)))
    lost = data.draw(st.none() | st.sampled_from(came))
    broken = data.draw(st.none() | st.integers(0, during - 1))
    for at, number in enumerate(came):
        if at == broken:
            numbers.cut()
        if number != lost:
            numbers.heard(id_of(number))
    assert numbers.mend(id_of(before + during)) == (lost is None or broken is None)
    assert numbers.mend("none")  # nothing has broken since


def test_numbers_of_others_and_none_prove_nothing() -> None:
    numbers = Numbers()
    numbers.cut()
    assert not numbers.mend(id_of(0))  # nothing was heard before the break
    numbers.heard(id_of(5))
    numbers.cut()
    for each in (id_of(6, "other_7"), "no number", "ab-cd_7_x", "9" * 400):
        numbers.heard(each)
    assert not numbers.mend(id_of(6))
    numbers.heard("a uuid")
    numbers.cut()
    assert not numbers.mend("a uuid")


def test_what_is_remembered_of_a_gap_is_bounded() -> None:
    numbers = Numbers()
    numbers.heard(id_of(0))
    numbers.cut()
    for number in range(2, 100_100):
        numbers.heard(id_of(number))
    numbers.heard(id_of(1))
    assert not numbers.mend(id_of(100_099))


def test_a_wish_to_be_left_alone_is_bounded() -> None:
    assert [rest_in(text) for text in ("7", "999999999", "-1", "soon", "", None, "٣")] == [
        7,
        300,
        None,
        None,
        None,
        None,
        None,
    ]
