"""Reads the times of reports quickly, and checks them against the snapshot's own timestamp."""

from __future__ import annotations

from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

MAX_AHEAD_MS = 60_000
"""Reports may be slightly ahead of their snapshot; beyond this the aircraft's clock is wrong."""
MAX_BEHIND_MS = 600_000
"""The feed drops silent aircraft after minutes; an older report has a wrong time."""

_TO_SECOND = len("2024-11-21T12:57:22.")
_TO_MILLISECOND = _TO_SECOND + 3
_milliseconds_of = {f"{number:03}": number for number in range(1000)}.get
"""Looking up three digits is faster than parsing them."""


class ReportClock:
    """The times of one snapshot's reports. Created for each snapshot, which bounds its cache."""

    def __init__(self, update_ms: int) -> None:
        self.update_ms = update_ms
        """The snapshot's own timestamp."""
        self._earliest_ms, self._latest_ms = update_ms - MAX_BEHIND_MS, update_ms + MAX_AHEAD_MS
        self._seconds: dict[str, int | None] = {}
        """Seconds already parsed: nearly all reports of a snapshot share some fifteen."""

    def read(self, text: str | None) -> int:
        """Return the time of a report; the snapshot's own if it is missing, unreadable or absurd."""
        if text is None:
            return self.update_ms
        began, milliseconds = self._seconds.get(text[:_TO_SECOND]), _milliseconds_of(text[_TO_SECOND:_TO_MILLISECOND])
        if began is not None and milliseconds is not None and text[-1] == "Z":
            moment: int | None = began + milliseconds
        else:
            moment = self._parse(text)
        return moment if moment is not None and self._earliest_ms <= moment <= self._latest_ms else self.update_ms

    def _parse(self, text: str) -> int | None:
        """Parse the usual form, seconds with seven fraction digits and ``Z``, in pieces; others generically."""
        second, milliseconds = text[:_TO_SECOND], text[_TO_SECOND:_TO_MILLISECOND]
        if second[-1:] != "." or text[-1] != "Z" or len(milliseconds) < 3 or not milliseconds.isdecimal():
            return _parse_any(text)
        if second not in self._seconds:
            self._seconds[second] = _parse_any(second[:-1] + "Z")
        began = self._seconds[second]
        return None if began is None else began + int(milliseconds)


def _parse_any(text: str) -> int | None:
    try:
        return parse_ms(text)
    except InvalidTimestamp:
        return None
