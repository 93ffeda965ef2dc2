"""RFC 3339 timestamps in UTC with milliseconds and ``Z``, as in every message of the wire."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_EPOCH = datetime(1970, 1, 1)
_MILLISECOND = timedelta(milliseconds=1)
_FIRST_MS = (datetime.min - _EPOCH) // _MILLISECOND
_LAST_MS = (datetime.max - _EPOCH) // _MILLISECOND
_HOUR = r"(?:[01]\d|2[0-3])"
_RFC3339 = re.compile(
    rf"(\d{{4}}-\d\d-\d\d)[Tt ]({_HOUR}:[0-5]\d)(?::([0-5]\d)(?:\.(\d{{1,12}}))?)?"
    rf"(?:[Zz]|([+-])({_HOUR}):([0-5]\d))?",
    re.ASCII,
)


class InvalidTimestamp(ValueError):
    """A text that is not an RFC 3339 timestamp."""

    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        shown = repr(self.text[:40]) if isinstance(self.text, str) else type(self.text).__name__
        return f"not an RFC 3339 time: {shown}; one looks like 2026-01-16T14:30:15Z"


def format_ms(milliseconds: int) -> str:
    """Format milliseconds since the epoch: ``2026-01-16T14:30:15.000Z``. Raises OverflowError outside years 1–9999."""
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{(_EPOCH + timedelta(0, seconds)).isoformat()}.{fraction:03d}Z"


def parse_ms(text: object) -> int:
    """Parse an RFC 3339 time into milliseconds since the epoch; further digits are cut off.

    Accepts any number of fraction digits (the VATSIM feed sends six or seven); a missing offset means UTC, missing
    seconds are zero (browser forms omit them). ``format_ms`` can write every result. Raises InvalidTimestamp.
    """
    match = _RFC3339.fullmatch(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise InvalidTimestamp(text)
    day, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}")
    except ValueError:
        raise InvalidTimestamp(text) from None
    milliseconds = (moment - _EPOCH) // _MILLISECOND + int(((fraction or "") + "000")[:3])
    if sign:
        offset_ms = (int(offset_hours) * 60 + int(offset_minutes)) * 60_000
        milliseconds += offset_ms if sign == "-" else -offset_ms
    if not _FIRST_MS <= milliseconds <= _LAST_MS:
        raise InvalidTimestamp(text)
    return milliseconds
