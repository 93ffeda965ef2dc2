"""RFC 3339 timestamps in UTC with milliseconds and ``Z``, as every message of the wire carries them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:\.(\d{1,12}))?(Z|z|[+-]\d{2}:\d{2})?", re.ASCII
)


class InvalidTimestamp(ValueError):
    """A text that is no RFC 3339 timestamp."""

    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return f"not an RFC 3339 time: {str(self.text)[:40]!r}; one looks like 2026-01-16T14:30:15Z"


def format_ms(milliseconds: int) -> str:
    """Format milliseconds since the epoch: ``2026-01-16T14:30:15.000Z``. Raises OverflowError beyond year 9999."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def parse_ms(text: object) -> int:
    """Parse an RFC 3339 time into milliseconds since the epoch, fractions cut off.

    Any number of fraction digits is read (the VATSIM feed sends six or seven); a missing offset means UTC.
    Raises InvalidTimestamp.
    """
    match = _RFC3339.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise InvalidTimestamp(text)
    day, clock, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if offset in (None, 'Z', 'z') else offset}")
        milliseconds = (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        raise InvalidTimestamp(text) from None
    return milliseconds + int(((fraction or "") + "000")[:3])
