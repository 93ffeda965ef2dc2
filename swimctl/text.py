"""Values as text for people and scripts. Pure. Text from peers is cleaned before it reaches a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum

NOTHING = "-"
_JSON_TYPES = frozenset({str, int, float, bool})
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", re.ASCII)
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def clean(text: str) -> str:
    """Replace control characters, line breaks and tabs, so that a cell stays one cell and moves no cursor."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " if character.isspace() else "�" for character in text)


def cell(value: object) -> str:
    """Convert a value to the text of one cell; None becomes ``-``."""
    if type(value) is str and value:
        return clean(value)
    if type(value) is int:
        return str(value)
    if value is None or value in ("", [], (), {}):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={cell(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(cell(item) for item in value)
    return clean(str(value))


def timestamp(moment: datetime) -> str:
    """Format a time in UTC as RFC 3339, to the second; a naive time is taken as UTC."""
    aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{aware.isoformat()[:19]}Z"


def short_timestamp(value: object) -> str:
    """Format a datetime or an RFC 3339 text as ``2026-01-16 14:30``, for a table."""
    text = cell(value)
    return f"{text[:10]} {text[11:16]}" if len(text) >= 16 and text[10] in "T " else text


def clock(value: object) -> str:
    """Format the time of day of an RFC 3339 text, for times within the last day."""
    text = cell(value)
    return f"{text[11:19]}Z" if _UTC.fullmatch(text) else text


def duration(seconds: float | None) -> str:
    """Format seconds as ``0.4s``, ``12s``, ``3m 20s``, ``5h 12m``, ``3d 4h``: at most two units."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{max(0.0, seconds):.1f}s"
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE}s" if whole % _MINUTE else f"{whole // _MINUTE}m"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR}h"


def count(number: float | None) -> str:
    """Format a number as ``12,345``."""
    return NOTHING if number is None else f"{number:,.0f}"


def size(number: float | None) -> str:
    """Format bytes as ``512 B``, ``1.2 KiB``, ``3.4 MiB``."""
    if number is None:
        return NOTHING
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    raise AssertionError("the last unit returns")


def rate(per_second: float | None, noun: str = "") -> str:
    """Format a rate as ``0/s``, ``0.3/s``, ``1,234 events/s``."""
    if per_second is None:
        return NOTHING
    number = f"{per_second:.1f}" if 0 < per_second < 10 else f"{per_second:,.0f}"
    return f"{number} {noun}/s" if noun else f"{number}/s"


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """Return ``1 event``, ``2 events``."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def to_json(value: object) -> object:
    """Convert a value to JSON's own types: times as RFC 3339, structs as objects."""
    if value is None or type(value) in _JSON_TYPES:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_json(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if hasattr(value, "__struct_fields__"):
        return {name: to_json(getattr(value, name)) for name in value.__struct_fields__}
    return str(value)
