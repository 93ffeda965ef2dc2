"""Times and bits as SQLite's key table stores them, written and read like SQLAlchemy's columns do. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stored_time(value: datetime | None) -> str | None:
    """Return a time as ``YYYY-MM-DD HH:MM:SS.ffffff``, in UTC."""
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def read_time(value: object) -> datetime | None:
    """Return a stored time as an aware one; what can't be read becomes the epoch."""
    if value is None:
        return None
    try:
        if isinstance(value, int | float):
            return _EPOCH + timedelta(seconds=value)
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return _EPOCH


def stored_bit(value: bool | None) -> int | None:
    """Return a truth value as 0 or 1."""
    return None if value is None else int(value)


def read_bit(value: object) -> bool | None:
    """Return a stored truth value: only what is clearly 1 is true."""
    return None if value is None else value in {1, "1"}
