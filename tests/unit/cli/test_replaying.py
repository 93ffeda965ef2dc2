"""Replay: what the words mean, the pace, the files."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest
from support.recordings import recording, wire
from support.virtual_clock import VirtualClock
from swim_server.protocol.event_id import MAX_SEQUENCE, EventId

from swimctl.client.publisher import Publisher
from swimctl.errors import CommandFailed, NotFound, WrongUsage
from swimctl.event_lines import NumberedEvent
from swimctl.replaying.bounds import read_end, read_seek, read_start
from swimctl.replaying.pace import Pace, Replayed, play
from swimctl.replaying.sinks import ChannelSink, DaemonSink, LineSink
from swimctl.replaying.sources import file_events

NOW_MS = 1_768_573_815_000


def test_start_without_words_is_the_beginning() -> None:
    assert read_start(None, NOW_MS) == EventId(0, 0)


def test_start_at_an_id_includes_that_event() -> None:
    assert read_start("1768573815123-4", NOW_MS) == EventId(1768573815123, 3)
    assert read_start("1768573815123-0", NOW_MS) == EventId(1768573815122, MAX_SEQUENCE)


def test_start_at_a_time_includes_its_millisecond() -> None:
    assert read_start("2026-01-16T14:30:15Z", NOW_MS) == EventId(1768573814999, MAX_SEQUENCE)


def test_start_some_time_ago_counts_from_now() -> None:
    assert read_start("10m", NOW_MS) == EventId(NOW_MS - 600_001, MAX_SEQUENCE)


def test_end_at_an_id_or_time_includes_it() -> None:
    assert read_end(None, NOW_MS) is None
    assert read_end("1768573815123-4", NOW_MS) == EventId(1768573815123, 4)
    assert read_end("2026-01-16T14:30:15Z", NOW_MS) == EventId(1768573815000, MAX_SEQUENCE)


def test_words_that_mean_nothing_are_refused_with_examples() -> None:
    with pytest.raises(WrongUsage, match=r"--from: must be an event id, a time like .*, got 'soon'"):
        read_start("soon", NOW_MS)
    with pytest.raises(WrongUsage, match="--to"):
        read_end("later", NOW_MS)


def test_pace_divides_the_time_between_events_by_the_speed() -> None:
    clock = VirtualClock()
    pace = Pace(10, clock=clock)
    for moment_ms in (0, 1000, 1500, 1500):
        pace.await_turn(moment_ms, lambda: None)
    assert [round(each, 3) for each in clock.slept] == [0.1, 0.05]


def test_pace_cuts_long_silences() -> None:
    clock = VirtualClock()
    pace = Pace(1, clock=clock)
    pace.await_turn(0, lambda: None)
    pace.await_turn(3_600_000, lambda: None)
    assert [round(each, 3) for each in clock.slept] == [5.0]


def test_pace_at_speed_zero_never_waits() -> None:
    clock = VirtualClock()
    pace = Pace(0, clock=clock)
    pace.await_turn(0, lambda: None)
    pace.await_turn(3_600_000, lambda: None)
    assert [round(each, 3) for each in clock.slept] == []


def test_pace_of_events_out_of_order_never_waits_backwards() -> None:
    clock = VirtualClock()
    pace = Pace(1, clock=clock)
    for moment_ms in (5000, 1000, 2000):
        pace.await_turn(moment_ms, lambda: None)
    assert [round(each, 3) for each in clock.slept] == [1.0]


ROWS = [
    {"type": "flight.departed", "timestamp": "2026-01-16T14:30:15.000Z", "data": {"callsign": "DLH1"}},
    {"type": "flight.arrived", "timestamp": "2026-01-16T14:30:16.000Z", "data": {"callsign": "KLM2"}},
]


def test_file_is_played_in_its_order_plain_and_compressed(tmp_path: Path) -> None:
    text = "\n".join(json.dumps(row) for row in ROWS) + "\n"
    plain, packed = tmp_path / "a.jsonl", tmp_path / "a.jsonl.gz"
    plain.write_text(text)
    packed.write_bytes(gzip.compress(text.encode()))
    for path in (plain, packed):
        played = list(file_events(path))
        assert [json.loads(each.line or "") for each in played] == ROWS
        assert [each.moment_ms for each in played] == [1768573815000, 1768573816000]


def test_damaged_file_plays_up_to_the_damage_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROWS[0]) + "\nnonsense\n")
    events = file_events(path)
    assert next(events).event["data"] == ROWS[0]["data"]
    with pytest.raises(
        CommandFailed,
        match=r"is damaged at byte \d+, after 1 events: no line of a recording.*\neverything before that was played",
    ):
        next(events)


def test_truncated_compressed_file_plays_up_to_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress((json.dumps(ROWS[0]) + "\n").encode())[:-9])
    with pytest.raises(CommandFailed, match="it ends in the middle of a block"):
        list(file_events(path))


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no file"):
        list(file_events(tmp_path / "none.jsonl"))


def test_lines_are_json_and_counted() -> None:
    out = io.StringIO()
    sink = LineSink(out)
    play(iter([Replayed(0, ROWS[0]), Replayed(0, ROWS[1])]), sink, Pace(0))
    assert [json.loads(line) for line in out.getvalue().splitlines()] == ROWS
    assert sink.played == 2


def test_file_is_played_from_one_place_to_another(tmp_path: Path) -> None:
    path = tmp_path / "a.swim"
    path.write_bytes(recording([wire(number, at=number) for number in range(10)]))
    played = file_events(path, read_seek("3s", "--from"), read_seek("2026-01-16T14:30:20Z", "--to"))
    assert [each.event["data"]["number"] for each in played] == [3, 4, 5]


def test_only_the_channels_asked_for_are_passed_on() -> None:
    out = io.StringIO()
    lines = LineSink(out)
    sink = ChannelSink(lines, ("tmi.*",))
    play(iter([Replayed(0, {"type": "tmi.issued"}, "x"), Replayed(0, {"type": "flight.created"}, "y")]), sink, Pace(0))
    assert (out.getvalue(), lines.played) == ("x\n", 1)


class FakePublisher:
    """Keeps the sizes of the batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def publish(self, batch: Sequence[NumberedEvent]) -> None:
        self.batches.append(len(batch))


def test_into_a_daemon_events_go_in_batches_as_long_as_none_waits() -> None:
    publisher, clock = FakePublisher(), VirtualClock()
    sink = DaemonSink(cast(Publisher, publisher))
    events = [Replayed(moment_ms, ROWS[0]) for moment_ms in [0] * 1200 + [1000] * 2]
    play(iter(events), sink, Pace(1, clock=clock))
    assert publisher.batches == [500, 500, 200, 2]
    assert sink.played == 1202
