"""Start and end of a replay, as typed: an event id, a time or a duration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.protocol.event_id import MAX_SEQUENCE, EventId, InvalidEventId
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

from swimctl.errors import WrongUsage

if TYPE_CHECKING:
    from swim_server.config.recording_position import Seek


def read_start(text: str | None, now_ms: int) -> EventId:
    """Parse an id, a time or ``10m`` ago to the id after which to begin; None: the beginning. Raises WrongUsage."""
    if text is None:
        return EventId(0, 0)
    event_id = _event_id(text)
    if event_id is not None:
        return EventId.from_integer(max(event_id.to_integer() - 1, 0))
    return EventId(max(_milliseconds(text, now_ms, "--from") - 1, 0), MAX_SEQUENCE)


def read_end(text: str | None, now_ms: int) -> EventId | None:
    """Parse an id, a time or ``10m`` ago to the last id to play; None: the end. Raises WrongUsage."""
    if text is None:
        return None
    return _event_id(text) or EventId(_milliseconds(text, now_ms, "--to"), MAX_SEQUENCE)


def read_seek(text: str | None, option: str) -> Seek | None:
    """Parse a position in a recording; None: its beginning or end. Raises WrongUsage."""
    from swim_server.config.recording_position import InvalidSeek, parse_seek

    try:
        return None if text is None else parse_seek(text)
    except InvalidSeek as error:
        raise WrongUsage(f"{option}: {error}") from None


def _event_id(text: str) -> EventId | None:
    try:
        return EventId.parse(text)
    except InvalidEventId:
        return None


def _milliseconds(text: str, now_ms: int, option: str) -> int:
    from swim_server.config import InvalidDuration, parse_duration

    try:
        return parse_ms(text)
    except InvalidTimestamp:
        pass
    try:
        return now_ms - int(parse_duration(text) * 1000)
    except InvalidDuration:
        known = "an event id, a time like 2026-01-16T14:30:15Z, or a duration ago like 10m"
        raise WrongUsage(f"{option}: must be {known}, got {text!r}") from None
