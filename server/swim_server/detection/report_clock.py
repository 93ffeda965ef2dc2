"""Reads the times of reports quickly, and holds nonsense among them against the snapshot's own stamp."""

from __future__ import annotations

from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

MAX_AHEAD_MS = 60_000
"""Reports may be a little ahead of the snapshot that holds them; beyond this the aircraft's clock is wrong."""
MAX_BEHIND_MS = 600_000
"""The feed drops silent aircraft after minutes; a report said to be older than this was given a wrong time."""

_TO_MINUTE = len("2024-11-21T12:57:")


class ReportClock:
    """The times of one snapshot's reports. Made for each snapshot, so what it remembers is bounded by it."""

    def __init__(self, update_ms: int) -> None:
        self.update_ms = update_ms
        """The snapshot's own stamp."""
        self._minutes: dict[str, int | None] = {}
        """Minutes read already: nearly all reports of a snapshot share one or two."""

    def read(self, text: str | None) -> int:
        """Give the time of a report; the snapshot's own where it is missing, unreadable or nonsense."""
        moment = None if text is None else self._parse(text)
        if moment is None or not -MAX_BEHIND_MS <= moment - self.update_ms <= MAX_AHEAD_MS:
            return self.update_ms
        return moment

    def _parse(self, text: str) -> int | None:
        minute = self._minute(text[:_TO_MINUTE])
        if minute is None:
            return None
        seconds, dot, fraction = text[_TO_MINUTE:].partition(".")
        digits = fraction[:3]
        if dot and text[-1] == "Z" and len(seconds) == 2 and (seconds + digits).isdecimal() and len(digits) == 3:
            return minute + int(seconds) * 1000 + int(digits)
        try:
            return parse_ms(text)
        except InvalidTimestamp:
            return None

    def _minute(self, head: str) -> int | None:
        if head not in self._minutes:
            try:
                self._minutes[head] = parse_ms(head + "00Z")
            except InvalidTimestamp:
                self._minutes[head] = None
        return self._minutes[head]
