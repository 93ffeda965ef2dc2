"""A client whose reader and protocol are given up between frames is served like one that keeps them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import gateway_rig
from support.gateway_rig import Rig, client_frame, close_frame, message, upgrade_request
from swim_server.gateway.endpoint import Endpoint
from websockets.frames import Opcode

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


class Keeping(Endpoint):
    """Never gives anything up."""

    __slots__ = ()

    def rest(self) -> None:
        """Do nothing."""


def unmasked(payload: bytes) -> bytes:
    return bytes((0x81, len(payload))) + payload


def with_first_byte(first: int, payload: bytes = b"x") -> bytes:
    return bytes((first, 0x80 | len(payload), 0, 0, 0, 0)) + payload


GOOD = [
    message("status"), message("ping"), message("subscribe", channels=["flight.*"]), client_frame(b"x", Opcode.BINARY),
    client_frame(b"abc", Opcode.PING), client_frame(b"", Opcode.PONG),
]  # fmt: skip
PARTS = [
    client_frame('{"action":', fin=False), client_frame(b"\xc3", fin=False), client_frame('"status"}', Opcode.CONT),
    client_frame(" ", Opcode.CONT, fin=False),
]  # fmt: skip
CLOSES = [close_frame(), close_frame(None), close_frame(1001, "bye"), close_frame(999)]
REFUSED = [
    client_frame(b"\xff\xfe"), unmasked(b"{}"), with_first_byte(0xC1), with_first_byte(0xA1), with_first_byte(0x91),
    with_first_byte(0x83), with_first_byte(0x09), with_first_byte(0xB1, b"x" * 60),
    bytes((0x81, 0xFF)) + (1 << 40).to_bytes(8, "big"), bytes((0x89, 0xFE, 0, 200, 0, 0, 0, 0)) + b"x" * 200,
]  # fmt: skip
LONG = [client_frame("x" * 70_000), client_frame("{" + " " * 65_600, fin=False)]
FRAMES = st.one_of(
    st.sampled_from([*GOOD, *PARTS, *CLOSES, *REFUSED, *LONG]),
    st.binary(max_size=40).map(lambda data: client_frame(data, Opcode.BINARY)),
    st.text(max_size=20).map(client_frame),
)


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut a stream at these places."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


def served(kind: type[Endpoint], parts: Sequence[bytes], *, headers: Sequence[str], ends: bool) -> tuple[object, ...]:
    """Serve a client, each part in a turn of its own; return all that it and the log see."""
    rig = Rig()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(gateway_rig, "Endpoint", kind)
        client = rig.client().send(upgrade_request("/?api_key=dev", *headers))
    for part in parts:
        if not client.transport.is_closing():
            client.send(part)
    if ends and not client.transport.is_closing():
        client.transport.feed_eof()
        rig.turn()
    else:
        rig.advance(1)
    found = re.sub(rb"client_[0-9a-f]{16}", b"client_", bytes(client.transport.received))
    seen = found, client.endpoint.is_open, client.transport.is_closing(), client.is_gone
    rig.advance(100)
    for peer in list(rig.gateway.peers):
        peer.abort()
    rig.turn()
    assert rig.failures == []
    lines = [
        (event, {name: value for name, value in fields.items() if name != "client"}) for event, fields in rig.log.lines
    ]
    return (*seen, re.sub(r"client_[0-9a-f]{16}", "client_", repr(lines)))


@settings(max_examples=30, deadline=None)
@given(
    frames=st.lists(FRAMES, min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 200_000), max_size=8),
    rest=st.integers(0, 12),
    is_compressed=st.booleans(),
    ends=st.booleans(),
)
def test_any_split_of_any_stream_has_the_same_outcome_as_without_resting(
    frames: list[bytes], cuts: list[int], rest: int, is_compressed: bool, ends: bool
) -> None:
    data = b"".join(frames)
    parts = pieces(data[: len(data) - rest], cuts)
    headers = [DEFLATE] if is_compressed else []
    resting = served(Endpoint, parts, headers=headers, ends=ends)
    assert resting == served(Keeping, parts, headers=headers, ends=ends)


@pytest.mark.parametrize("number", range(len(REFUSED + CLOSES + PARTS)))
def test_frame_that_comes_byte_by_byte_has_the_same_outcome_as_without_resting(number: int) -> None:
    data = message("ping") + [*REFUSED, *CLOSES, *PARTS][number] + message("status") * 3
    parts = [data[at : at + 1] for at in range(len(data))]
    assert served(Endpoint, parts, headers=[], ends=False) == served(Keeping, parts, headers=[], ends=False)


async def test_idle_client_keeps_neither_reader_nor_protocol(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/?api_key=dev"))
    assert (client.endpoint._protocol, client.endpoint._reader) == (None, None)
    client.send(message("status"))
    assert client.types[-1] == "status"
    assert (client.endpoint._protocol, client.endpoint._reader) == (None, None)
    whole = message("status")
    client.send(whole[:7])
    assert client.endpoint._reader is not None, "half a frame has come"
    client.send(whole[7:])
    client.send(client_frame('{"action":', fin=False), client_frame(b"", Opcode.PING))
    assert client.endpoint._protocol is not None, "half a message has come"
    client.send(client_frame('"status"}', Opcode.CONT))
    assert client.types.count("status") == 3
    assert client.endpoint._protocol is None
    client.send(close_frame(1000))
    assert client.close_code == 1000


async def test_client_that_compresses_keeps_its_protocol(rig: Rig) -> None:
    client = rig.client().send(upgrade_request("/?api_key=dev", DEFLATE), message("status"))
    protocol = client.endpoint._protocol
    assert protocol is not None
    client.send(message("status"))
    assert client.endpoint._protocol is protocol
