"""Times as people write them: ``90d`` from now, ``2027-01-31``, ``2027-01-31T12:00Z``, ``now``, ``never``. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from swim_server.config.durations import InvalidDuration, parse_duration
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class InvalidMoment(ValueError):
    """A text that is not a time."""

    def __init__(self, text: str) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        examples = "a duration like 90d, a date like 2027-01-31, a time like 2027-01-31T12:00:00Z, now or never"
        return f"must be {examples}, got {self.text[:40]!r}"


def parse_moment(text: str, now: datetime) -> datetime | None:
    """Parse a time, in UTC; None means never. A date is its first second; a duration counts from ``now``.

    Raises InvalidMoment.
    """
    written = text.strip()
    if written.lower() in {"never", "none"}:
        return None
    if written.lower() == "now":
        return now
    try:
        if _DATE.fullmatch(written):
            year, month, day = (int(part) for part in written.split("-"))
            return datetime.combine(date(year, month, day), time(), tzinfo=UTC)
        if written[-1:].isalpha() and "T" not in written.upper():
            return now + timedelta(seconds=parse_duration(written))
        return _EPOCH + timedelta(milliseconds=parse_ms(written))
    except (ValueError, InvalidDuration, InvalidTimestamp, OverflowError):
        raise InvalidMoment(text) from None


def read_past_ms(option: str, text: str) -> int:
    """Parse a time, or a duration like ``10m`` before now, to Unix milliseconds. Raises WrongUsage, naming
    ``option``.
    """
    import time as clock

    from swimctl.errors import WrongUsage

    try:
        return parse_ms(text)
    except InvalidTimestamp:
        pass
    try:
        return max(0, int((clock.time() - parse_duration(text)) * 1000))
    except InvalidDuration:
        known = "a duration like 10m or a time like 2026-01-16T14:30:15Z"
        raise WrongUsage(f"{option}: must be {known}, got {text!r}") from None
