"""Event ids: ``<unix-ms>-<seq>``, strictly increasing over all nodes and restarts (the shape of Redis stream ids)."""

from __future__ import annotations

import re
from typing import NamedTuple

SEQUENCE_BITS = 21
MAX_SEQUENCE = (1 << SEQUENCE_BITS) - 1
MAX_MILLISECONDS = (1 << (63 - SEQUENCE_BITS)) - 1

_PATTERN = re.compile(r"([0-9]{1,15})-([0-9]{1,7})", re.ASCII)


class InvalidEventId(ValueError):
    """A text that is not an event id."""

    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        shown = repr(self.text[:40]) if isinstance(self.text, str) else type(self.text).__name__
        return f"not an event id: {shown}; one looks like 1768573815123-0"


class EventId(NamedTuple):
    """A position in the order of all events. Ids compare in the order in which events were stored."""

    milliseconds: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.sequence}"

    @classmethod
    def parse(cls, text: object) -> EventId:
        """Parse ``<unix-ms>-<seq>``. Raises InvalidEventId for anything else, including numbers out of range."""
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise InvalidEventId(text)
        milliseconds, sequence = int(match[1]), int(match[2])
        if milliseconds > MAX_MILLISECONDS or sequence > MAX_SEQUENCE:
            raise InvalidEventId(text)
        return cls(milliseconds, sequence)

    def to_integer(self) -> int:
        """Pack into one signed 64-bit integer that keeps the order."""
        return self.milliseconds << SEQUENCE_BITS | self.sequence

    @classmethod
    def from_integer(cls, packed: int) -> EventId:
        """Undo ``to_integer``."""
        return cls(packed >> SEQUENCE_BITS, packed & MAX_SEQUENCE)

    def next(self, now_ms: int) -> EventId:
        """Return the next id at ``now_ms``: with the clock's time if that is ahead, else this id plus one."""
        if now_ms > self.milliseconds:
            return EventId(now_ms, 0)
        if self.sequence < MAX_SEQUENCE:
            return EventId(self.milliseconds, self.sequence + 1)
        return EventId(self.milliseconds + 1, 0)


ZERO = EventId(0, 0)
"""Before every event."""
