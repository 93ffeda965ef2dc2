"""The file of a recording: what is written can be read, up to wherever it is damaged."""

from __future__ import annotations

import gzip
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from support.recordings import recording, wire
from support.virtual_clock import VirtualClock
from swim_server.sources.recording.lines import FORMAT, Header, write_line
from swim_server.sources.recording.recorded_events import Damage, RecordedEvents, kind_of_recording
from swim_server.sources.recording.writer import BLOCK_BYTES, FLUSH_SECONDS, RecordingWriter

WIRES = [wire(number, at=number) for number in range(20)]


def read(content: bytes) -> tuple[list[bytes], Damage | None, RecordedEvents]:
    """The lines that could be read, and why reading ended."""
    recorded = RecordedEvents(io.BytesIO(content))
    return [event.line for event in recorded.take(1_000_000)], recorded.damage, recorded


def test_events_come_back_byte_for_byte() -> None:
    lines, damage, recorded = read(recording(WIRES))
    assert lines == WIRES
    assert damage is None
    assert recorded.header is not None
    assert recorded.end is not None
    assert (recorded.end.events, recorded.end.first_id, recorded.end.last_id) == (
        20,
        "1768573815000-0",
        "1768573834000-19",
    )


def test_others_read_it_as_packed_json_lines() -> None:
    rows = [json.loads(line) for line in gzip.decompress(recording(WIRES)).splitlines()]
    assert rows[0]["swim_recording"]["format"] == FORMAT
    assert [row["data"]["number"] for row in rows[1:-1]] == list(range(20))
    assert rows[-1]["end"]["events"] == 20


def test_cut_off_anywhere_it_plays_a_beginning_and_says_so() -> None:
    whole = recording(WIRES)
    longest = 0
    for length in range(len(whole)):
        lines, damage, _ = read(whole[:length])
        assert lines == WIRES[: len(lines)]
        assert damage is not None
        assert damage.events == len(lines)
        assert damage.position <= length
        assert len(lines) >= longest
        longest = len(lines)
    assert longest == 20


def test_cut_off_within_a_block_the_whole_lines_of_it_are_played() -> None:
    whole = recording(WIRES, flush_every=1000, is_finished=False)
    assert len(read(whole[:-9])[0]) == 20


def test_a_flipped_bit_anywhere_is_found_before_any_wrong_event_is_played() -> None:
    whole, random = recording(WIRES), Random(7)
    for _ in range(600):
        damaged = bytearray(whole)
        damaged[random.randrange(len(whole))] ^= 1 << random.randrange(8)
        lines, damage, _ = read(bytes(damaged))
        assert lines == WIRES[: len(lines)]
        # Some bits of a packed file mean nothing: the time in a block's head, the system it was written on.
        assert damage is not None or len(lines) == 20


def test_damage_costs_at_most_its_block() -> None:
    whole = recording(WIRES, flush_every=3)
    at = whole.index(b"\x1f\x8b", len(whole) // 2) + 30
    damaged = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
    lines, damage, _ = read(damaged)
    assert damage is not None
    before = whole[: damage.position]
    assert lines == read(before)[0]
    assert len(lines) >= 6


def test_damage_tells_where_and_why() -> None:
    whole = recording(WIRES)
    _, damage, _ = read(whole[: len(whole) // 2])
    assert damage is not None
    assert str(damage).startswith(
        f"damaged at byte {len(whole) // 2:,}, after {damage.events} events, the last of them "
    )
    assert "cut off" in str(damage)


def test_without_its_end_mark_it_is_told_that_the_recorder_was_ended() -> None:
    lines, damage, _ = read(recording(WIRES, is_finished=False))
    assert lines == WIRES
    assert damage is not None
    assert "without its end mark" in damage.reason


def test_an_event_that_was_taken_out_is_noticed_at_the_end() -> None:
    plain = gzip.decompress(recording(WIRES)).splitlines(keepends=True)
    for tampered in (plain[:5] + plain[6:], [*plain[:5], plain[6], plain[5], *plain[7:]]):
        lines, damage, _ = read(b"".join(tampered))
        assert damage is not None
        assert "end mark" in damage.reason or "digest" in damage.reason
        assert len(lines) >= 19


def test_recordings_one_after_the_other_are_one() -> None:
    lines, damage, _ = read(recording(WIRES[:7]) + recording(WIRES[7:]))
    assert (lines, damage) == (WIRES, None)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_lines_without_header_and_end_mark_are_read(pack: Callable[[bytes], bytes]) -> None:
    content = b"\r\n".join(WIRES) + b"\n\n"
    lines, damage, recorded = read(pack(content))
    assert (lines, damage, recorded.header) == (WIRES, None, None)
    assert recorded.identity == read(content)[2].identity


def test_a_line_that_is_no_event_ends_it_with_its_place() -> None:
    lines, damage, _ = read(WIRES[0] + b"\nnonsense\n" + WIRES[1])
    assert lines == WIRES[:1]
    assert damage is not None
    assert damage.position == len(WIRES[0]) + 1
    assert read(b'{"type": "flight.created"}\n')[1] is not None
    assert read(b"[" * 100_000)[1] is not None


def test_a_recording_of_a_newer_program_asks_for_an_upgrade() -> None:
    newer = write_line(Header(format=FORMAT + 1, id="x", program="swimctl 99"))
    _, damage, _ = read(newer + WIRES[0] + b"\n")
    assert damage is not None
    assert "upgrade swimctl" in damage.reason


def test_nothing_at_all_is_told() -> None:
    for content in (b"", gzip.compress(b""), b"\x1f\x8b", b"\0" * 1000):
        _, damage, _ = read(content)
        assert damage is not None
        assert damage.events == 0


def test_a_bomb_is_read_within_bounds() -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(b" " * 1_048_576) for _ in range(64)) + packer.flush()
    _, damage, _ = read(bomb)
    assert damage is not None
    assert "longer than" in damage.reason


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.swim", recording(WIRES), "events"),
        ("a.json.gz", recording(WIRES), "events"),
        ("a.jsonl", WIRES[0], "events"),
        ("b.json", b'{"general": {}}', "snapshots"),
        ("b.json.gz", gzip.compress(b'{"general": {}}'), "snapshots"),
        ("damaged.json.gz", b"\x1f\x8b...", "snapshots"),
        ("damaged.swim", b"\x1f\x8b...", None),
        ("empty.swim", b"", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_recorded_is_told_from_how_it_begins(
    tmp_path: Path, name: str, content: bytes, kind: str | None
) -> None:
    (tmp_path / name).write_bytes(content)
    assert kind_of_recording(tmp_path / name) == kind
    assert kind_of_recording(tmp_path) == "snapshots"


def test_writer_fills_blocks_and_lets_nothing_wait_for_long() -> None:
    clock = VirtualClock()
    stream = io.BytesIO()
    writer = RecordingWriter(stream, Header(format=FORMAT, id="x"), clock=clock)
    assert writer.wait_seconds is None
    began = len(stream.getvalue())
    writer.add(WIRES[0], "1-0")
    assert writer.wait_seconds == FLUSH_SECONDS
    clock.advance(5)
    assert writer.wait_seconds == 0
    assert len(stream.getvalue()) == began
    writer.add(wire(1, text="x" * BLOCK_BYTES), "1-1")
    assert len(stream.getvalue()) == writer.packed_bytes > began
    assert writer.wait_seconds is None


def test_a_gap_is_marked_in_its_place() -> None:
    stream = io.BytesIO()
    writer = RecordingWriter(stream, Header(format=FORMAT, id="x"), clock=VirtualClock())
    writer.add(WIRES[0], "1-0")
    writer.mark_gap()
    writer.add(WIRES[1], "1-1")
    assert writer.finish("", 0).gaps == 1
    assert json.loads(gzip.decompress(stream.getvalue()).splitlines()[2]) == {"gap": {"after": "1-0"}}
    lines, damage, recorded = read(stream.getvalue())
    assert (lines, damage, recorded.gaps) == (WIRES[:2], None, 1)


def test_an_event_that_came_over_several_lines_becomes_one() -> None:
    stream = io.BytesIO()
    writer = RecordingWriter(stream, Header(format=FORMAT, id="x"), clock=VirtualClock())
    writer.add(json.dumps(json.loads(WIRES[0]), indent=2).encode(), "1-0")
    writer.finish("", 0)
    lines, damage, _ = read(stream.getvalue())
    assert damage is None
    assert json.loads(lines[0]) == json.loads(WIRES[0])
