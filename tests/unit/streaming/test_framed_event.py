"""An event's frames: built once each, compressed only where it pays."""

from __future__ import annotations

import zlib

import pytest
from support.streaming_rig import flight, positions, read_messages
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import stamp
from swim_server.streaming.framed_event import (
    COMPRESS_FROM_BYTES,
    PLAIN,
    FramedEvent,
    deflated_frame,
    ping_frame,
    text_frame,
)
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode

LARGE = stamp(positions(*(f"DAL{number}" for number in range(100)), dep="KJFK"), EventId(1, 0))
SMALL = stamp(flight(), EventId(1, 0))


@pytest.mark.parametrize(
    ("length", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f" + (65536).to_bytes(8, "big")),
    ],
)
def test_text_frame_is_final_and_unmasked(length: int, head: bytes) -> None:
    assert text_frame(b"x" * length) == head + b"x" * length


def test_ping_frame_is_a_ping() -> None:
    assert ping_frame(b"") == b"\x89\x00"


@pytest.mark.parametrize("window_bits", range(9, 16))
def test_deflated_frame_can_be_read_alone_with_that_window(window_bits: int) -> None:
    frame = deflated_frame(LARGE.wire, window_bits)
    assert frame[0] == 0xC1, "FIN, RSV1, text"
    body = frame[4:] if frame[1] == 126 else frame[2:]
    inflated = zlib.decompressobj(wbits=-window_bits).decompress(body + b"\x00\x00\xff\xff")
    assert inflated == LARGE.wire
    extension = PerMessageDeflate(True, True, window_bits, window_bits)
    assert extension.decode(Frame(Opcode.TEXT, body, rsv1=True)).data == LARGE.wire


def test_each_frame_is_built_once() -> None:
    framed = FramedEvent(LARGE)
    assert framed.frame(12) is framed.frame(12)
    assert framed.frame(PLAIN) is framed.frame(PLAIN)
    assert framed.frame(12) is not framed.frame(15)


def test_position_batch_shrinks_to_less_than_two_fifths() -> None:
    framed = FramedEvent(LARGE)
    assert len(framed.frame(12)) < 0.4 * len(framed.frame(PLAIN))
    assert read_messages(framed.frame(12)) == read_messages(framed.frame(PLAIN))


def test_small_event_goes_plain() -> None:
    assert len(SMALL.wire) < COMPRESS_FROM_BYTES
    framed = FramedEvent(SMALL)
    assert framed.frame(12) is framed.frame(PLAIN)


def test_other_events_have_no_flights_to_conflate() -> None:
    assert not FramedEvent(SMALL).flights
    assert len(FramedEvent(LARGE).flights) == 100
