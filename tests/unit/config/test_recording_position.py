"""Positions in a recording: ids, times, durations from its beginning."""

from __future__ import annotations

import pytest
from swim_server.config.recording_position import InvalidSeek, Stretch, parse_seek
from swim_server.protocol.event_id import EventId

BEGAN_MS = 1_768_573_815_000


def between(start: str | None, end: str | None) -> list[int]:
    """Which of the seconds 0, 1, 2 … 9 of a recording lie between."""
    stretch = Stretch(None if start is None else parse_seek(start), None if end is None else parse_seek(end))
    found = []
    for second in range(10):
        place = stretch.place(EventId(BEGAN_MS + second * 1000, 3))
        if stretch.is_after(place):
            break
        if not stretch.is_before(place):
            found.append(second)
    return found


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, list(range(10))),
        ("7s", None, [7, 8, 9]),
        (None, "2s", [0, 1, 2]),
        ("2026-01-16T14:30:17Z", "2026-01-16T14:30:18Z", [2, 3]),
        ("1768573817000-3", "1768573818000-2", [2]),
        ("1768573817000-4", "1768573818000-3", [3]),
        ("1h", None, []),
        ("0", "0", [0]),
    ],
)
def test_stretch_holds_what_lies_between(start: str | None, end: str | None, expected: list[int]) -> None:
    assert between(start, end) == expected


def test_event_without_a_place_stands_where_the_one_before_it_stood() -> None:
    stretch = Stretch(None, None)
    assert stretch.place(EventId(5000, 0)) == stretch.place(None) == stretch.place(EventId(4000, 0)) == EventId(5000, 0)


def test_what_is_no_place_is_refused_with_examples() -> None:
    with pytest.raises(InvalidSeek, match=r"must be an event id, a time like .* got 'soon'"):
        parse_seek("soon")
