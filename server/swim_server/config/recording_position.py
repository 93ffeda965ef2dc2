"""Where a replay of a recording begins and ends: an event id, a time, or a duration from its first event. Pure."""

from __future__ import annotations

from typing import NamedTuple

from swim_server.config.durations import InvalidDuration, parse_duration
from swim_server.protocol.event_id import MAX_SEQUENCE, EventId, InvalidEventId
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms


class InvalidSeek(ValueError):
    """A text that names no position in a recording."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        known = "an event id, a time like 2026-01-16T14:30:15Z, or a duration from the first event like 10m"
        return f"must be {known}, got {self.text[:40]!r}"


class Seek(NamedTuple):
    """A position in a recording: one of the three."""

    id: EventId | None = None
    moment_ms: int | None = None
    offset_ms: int | None = None

    def first(self, began_ms: int) -> EventId:
        """Return the lowest id at or after it, in a recording that begins at ``began_ms``."""
        return EventId(self._moment(began_ms), 0) if self.id is None else self.id

    def last(self, began_ms: int) -> EventId:
        """Return the highest id at or before it."""
        return EventId(self._moment(began_ms), MAX_SEQUENCE) if self.id is None else self.id

    def moment(self, began_ms: int) -> int:
        """Return its time, in milliseconds since the epoch."""
        return self._moment(began_ms) if self.id is None else self.id.milliseconds

    def _moment(self, began_ms: int) -> int:
        if self.moment_ms is not None:
            return max(0, self.moment_ms)
        return began_ms + (self.offset_ms or 0)


def parse_seek(text: str) -> Seek:
    """Parse a position. Raises InvalidSeek."""
    try:
        return Seek(id=EventId.parse(text))
    except InvalidEventId:
        pass
    try:
        return Seek(moment_ms=parse_ms(text))
    except InvalidTimestamp:
        pass
    try:
        return Seek(offset_ms=round(parse_duration(text) * 1000))
    except InvalidDuration:
        raise InvalidSeek(text) from None


class Stretch:
    """Tells for each event of a recording, in order, whether it is between two positions."""

    def __init__(self, start: Seek | None, end: Seek | None) -> None:
        self._start = start
        self._end = end
        self._began_ms: int | None = None
        self._newest = EventId(0, 0)

    def place(self, place: EventId | None) -> EventId:
        """Return an event's position in the order of the recording: never before that of an earlier event."""
        if place is not None and place > self._newest:
            self._newest = place
        if self._began_ms is None and place is not None:
            self._began_ms = place.milliseconds
        return self._newest

    def is_before(self, place: EventId) -> bool:
        """Tell whether it is before the beginning."""
        return self._start is not None and place < self._start.first(self._began_ms or 0)

    def is_after(self, place: EventId) -> bool:
        """Tell whether it is after the end; so are all that follow."""
        return self._end is not None and place > self._end.last(self._began_ms or 0)
