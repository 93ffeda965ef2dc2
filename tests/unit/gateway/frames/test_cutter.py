"""Frames are found however their bytes arrive, and nothing is lost or changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from swim_server.gateway.frames.cutter import FrameCutter, Piece
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

LIMIT = 1 << 20
frames = st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY, Opcode.PING]), st.integers(0, 120), st.booleans())


def pieces(cutter: FrameCutter, limit_bytes: int = LIMIT) -> list[Piece]:
    found = []
    while (piece := cutter.next(limit_bytes)) is not None:
        found.append(piece)
    return found


@given(st.lists(frames, max_size=6), st.data())
def test_every_byte_is_given_out_once_and_payloads_are_as_they_were_meant(
    wanted: list[tuple[Opcode, int, bool]], data: st.DataObject
) -> None:
    sent = [Frame(opcode, bytes(range(size))) for opcode, size, _ in wanted]
    stream = b"".join(frame.serialize(mask=True) for frame in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    cutter, found = FrameCutter(LIMIT), []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        cutter.add(stream[begin:end])
        found += pieces(cutter, data.draw(st.integers(1, 50)))
    assert b"".join(piece.data for piece in found) == stream
    payloads, opcodes = [b""], []
    for piece in found:
        payloads[-1] += piece.payload
        if piece.is_end:
            opcodes.append(piece.opcode)
            payloads.append(b"")
    assert payloads[:-1] == [frame.data for frame in sent]
    assert opcodes == [frame.opcode for frame in sent]
    assert sum(piece.is_start for piece in found) == len(sent)


def test_nothing_is_given_out_before_a_head_is_whole() -> None:
    frame = Frame(Opcode.TEXT, b"x" * 300).serialize(mask=True)
    cutter = FrameCutter(LIMIT)
    for byte in frame[:7]:
        cutter.add(bytes([byte]))
        assert not cutter.has_piece
        assert cutter.next(LIMIT) is None
    cutter.add(frame[7:8])
    assert cutter.has_piece


def test_frame_that_announces_too_much_is_handed_on_by_its_head_alone() -> None:
    cutter = FrameCutter(LIMIT)
    cutter.add(b"\x81\xff" + (LIMIT + 1).to_bytes(8, "big"))
    assert [piece.data for piece in pieces(cutter)] == [b"\x81\xff" + (LIMIT + 1).to_bytes(8, "big")]


def test_what_follows_a_head_that_announces_too_much_is_no_payload() -> None:
    """Else the bytes of a text that is too long are taken for text without their mask: 1007 instead of 1009."""
    frame = Frame(Opcode.TEXT, b"x" * (LIMIT + 1)).serialize(mask=True)
    cutter = FrameCutter(LIMIT)
    cutter.add(frame[:65_536])
    (piece, *_) = pieces(cutter)
    assert (piece.is_start, piece.payload) == (True, b"")


def test_head_against_the_rules_is_handed_on_as_it_is() -> None:
    for head in (b"\xff\xff", b"\x81\x05", b"\x83\x80", b"\x89\xfe", b"\x09\x80"):
        cutter = FrameCutter(LIMIT)
        cutter.add(head)
        assert [piece.data for piece in pieces(cutter)] == [head]


KEPT = 100


@given(st.integers(KEPT - 2, 300), st.lists(st.integers(0, 320), max_size=5), st.integers(1, 60))
def test_long_frame_is_handed_on_shortened_and_ends_where_it_ends(size: int, cuts: list[int], limit: int) -> None:
    payload = bytes(number % 251 for number in range(size))
    stream = Frame(Opcode.TEXT, payload).serialize(mask=True) + Frame(Opcode.PING, b"next").serialize(mask=True)
    cutter, found = FrameCutter(LIMIT, KEPT), []
    for begin, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(stream)], strict=True):
        cutter.add(stream[begin:end])
        found += pieces(cutter, limit)
    first_end = next(number for number, piece in enumerate(found) if piece.is_end) + 1
    text, ping = found[:first_end], found[first_end:]
    assert sum(piece.size_bytes for piece in found) == len(stream)
    assert b"".join(piece.payload for piece in text) == payload
    assert {piece.frame_bytes for piece in text} == {size}
    assert _parsed(b"".join(piece.data for piece in text))[:KEPT] == payload[:KEPT]
    assert len(_parsed(b"".join(piece.data for piece in text))) == min(size, KEPT + 1)
    assert _parsed(b"".join(piece.data for piece in ping)) == b"next"
    if size > KEPT:
        before = b"".join(piece.data for piece in text[:-1])
        assert len(before) < len(before + text[-1].data), "the library has the frame no sooner than it has come"


def _parsed(data: bytes) -> bytes:
    """Payload of one frame, as the library reads it."""
    protocol = ServerProtocol(state=State.OPEN, max_size=LIMIT)
    protocol.receive_data(data)
    (frame,) = protocol.events_received()
    assert isinstance(frame, Frame)
    return bytes(frame.data)


def test_compressed_message_is_never_shortened() -> None:
    """Not in its later frames either, which don't say that they are compressed."""
    first = bytes([0x41, 0x80 | 3]) + b"\0\0\0\0abc"
    last = Frame(Opcode.CONT, b"x" * 300).serialize(mask=True)
    cutter = FrameCutter(LIMIT, KEPT)
    cutter.add(first + last)
    assert b"".join(piece.data for piece in pieces(cutter)) == first + last
