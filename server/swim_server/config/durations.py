"""Durations as people write them: ``500ms``, ``30s``, ``15m``, ``24h``, ``7d``, ``1h30m``."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_PART = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*(ms|[smhdw])", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d{1,6})?", re.ASCII)
LONGEST_SECONDS = 100 * 365 * 86_400.0


class InvalidDuration(ValueError):
    """A text that is not a duration."""

    def __init__(self, text: object) -> None:
        self.text = text
        super().__init__(text)

    def __str__(self) -> str:
        return f"must be a duration like 30s, 15m, 24h or 7d, got {str(self.text)[:40]!r}"


def parse_duration(text: str | float) -> float:
    """Parse a duration into seconds; a bare number means seconds, several units add up (``1h30m``).

    Raises InvalidDuration, also for a negative one and for more than a hundred years.
    """
    written = str(text).strip().lower()
    if _NUMBER.fullmatch(written):
        seconds = float(written)
    else:
        parts = list(_PART.finditer(written))
        if not parts or _PART.sub("", written).strip():
            raise InvalidDuration(text)
        seconds = sum(float(part[1]) * _SECONDS[part[2]] for part in parts)
    if seconds > LONGEST_SECONDS:
        raise InvalidDuration(text)
    return seconds
