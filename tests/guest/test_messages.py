"""Packets: what is encoded is decoded again, and what is hostile is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellblock.messages import (
    MAX_PACKET,
    Bound,
    Branch,
    Configure,
    Exit,
    Gone,
    Interrupt,
    Interrupted,
    Launch,
    Message,
    Parted,
    Policy,
    Ready,
    Refused,
    Stop,
    decode,
    encode,
)

MESSAGES: list[Message] = [
    Configure("python3", "/data", "full", ("numpy", "pandas"), "AAAA"),
    Ready("full", {"python": "3.11"}),
    Launch("id", "kernels/id", 200001, "key", Policy("full", memory=1)),
    Interrupt(),
    Interrupted(),
    Stop(),
    Bound({"fork": 1.5}, "group"),
    Exit(-9),
    Gone(1, 2),
    Branch("id", "kernels/other", "other", "state", "key", "prefix", ("1", "4"), 7, True),
    Parted(for_memory=True),
    Refused("mounts", "EPERM"),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.op)
def test_a_message_survives_the_wire(message: Message) -> None:
    assert decode(encode(message)) == message
    assert len(encode(message)) < MAX_PACKET


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_a_value_error(packet: bytes) -> None:
    try:
        decode(packet)
    except ValueError:
        return
    assert json.loads(packet)["op"]


@pytest.mark.parametrize(
    "packet",
    [b"", b"[]", b"null", b'{"op":"nothing"}', b'{"op":"exit"}', b'{"op":["x"]}', b"[" * 60_000, b'{"op":"launch"}'],
)
def test_a_hostile_packet_is_a_value_error(packet: bytes) -> None:
    with pytest.raises(ValueError, match="not a message"):
        decode(packet)


def test_fields_that_are_not_known_are_ignored() -> None:
    assert decode(b'{"op":"exit","status":3,"more":1}') == Exit(3)
