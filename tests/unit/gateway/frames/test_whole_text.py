"""A whole text message is read without the library exactly where the library would read the same."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from support.gateway_rig import client_frame
from swim_server.gateway.frames.whole_text import whole_text
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

MAX_BYTES = 70_000


def read_by_the_library(data: bytes) -> bytes | None:
    """Return the payload if the library reads exactly one final text frame from these bytes."""
    protocol = ServerProtocol(max_size=None)
    protocol.state = State.OPEN
    protocol.parser = protocol.parse()  # without a handshake
    next(protocol.parser)
    protocol.receive_data(data)
    frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
    if protocol.state is not State.OPEN or len(frames) != 1:
        return None
    (frame,) = frames
    return bytes(frame.data) if frame.opcode is Opcode.TEXT and frame.fin else None


def is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(
    payload=st.one_of(st.text(max_size=300).map(str.encode), st.binary(max_size=300), st.just(b"x" * 65_535)),
    opcode=st.sampled_from(Opcode),
    fin=st.booleans(),
    mask=st.binary(min_size=4, max_size=4),
)
@example(payload=b"", opcode=Opcode.TEXT, fin=True, mask=b"abcd")
@example(payload=b"x" * 125, opcode=Opcode.TEXT, fin=True, mask=b"abcd")
@example(payload=b"x" * 126, opcode=Opcode.TEXT, fin=True, mask=b"abcd")
@example(payload=b"x" * 65_536, opcode=Opcode.TEXT, fin=True, mask=b"abcd")
def test_a_frame_is_read_as_the_library_reads_it(payload: bytes, opcode: Opcode, *, fin: bool, mask: bytes) -> None:
    length = len(payload)
    short = bytes((0x80 | length,)) if length < 126 else bytes((0x80 | 126,)) + length.to_bytes(2, "big") \
        if length < 65_536 else bytes((0x80 | 127,)) + length.to_bytes(8, "big")  # fmt: skip
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    data = bytes((0x80 * fin | opcode,)) + short + mask + masked
    found = whole_text(data, MAX_BYTES)
    if opcode is Opcode.TEXT and fin and length < 65_536 and is_utf8(payload):
        assert found == payload == read_by_the_library(data)
    else:
        assert found is None


@given(text=st.text(max_size=200), change=st.integers(0, 1000), value=st.integers(0, 255))
def test_a_changed_frame_is_never_read_in_another_way_than_by_the_library(text: str, change: int, value: int) -> None:
    data = bytearray(client_frame(text))
    data[change % min(len(data), 8)] = value
    found = whole_text(bytes(data), MAX_BYTES)
    assert found is None or found == read_by_the_library(bytes(data))


@given(text=st.text(max_size=200), cut=st.integers(0, 1000), more=st.binary(max_size=10))
def test_a_part_of_a_frame_and_more_than_one_are_left_to_the_library(text: str, cut: int, more: bytes) -> None:
    data = client_frame(text)
    assert whole_text(data[: cut % len(data)], MAX_BYTES) is None
    assert (whole_text(data + more, MAX_BYTES) is None) == bool(more)


def test_a_longer_message_than_may_be_answered_is_left_to_the_library() -> None:
    assert whole_text(client_frame("x" * 200), 200) == b"x" * 200
    assert whole_text(client_frame("x" * 201), 200) is None
