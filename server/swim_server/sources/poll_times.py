"""When to poll something that carries its own timestamp: a feed, a table. Pure."""

from __future__ import annotations

FIRST_MARGIN_SECONDS = 1.0
"""Delay after new data is due: producing it takes a while, and not every client should poll at once."""
TOLERATED = 1 / 3
"""How old an answer may be, as a share of the interval, before polling is shifted to meet the next one earlier."""
FORGOTTEN_INTERVALS = 10
"""Data older than this says nothing about when the next is due."""


class PollTimes:
    """Finds the rhythm of an input: each poll comes just after new data is due, and never too early.

    Times are seconds since the epoch, like the timestamps. If either clock is wrong, data is at most two thirds of an
    interval later.
    """

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        """The minimum time between two polls, and the interval of new data."""
        self._first_margin = min(FIRST_MARGIN_SECONDS, interval_seconds / 10)
        self.margin_seconds = self._first_margin
        """How long after it is due new data is polled; grows while polls are too early."""

    def next_look(self, asked_at: float, stamp: float | None, spread: float) -> float:
        """Return when to poll again after a poll at ``asked_at`` that found ``stamp``. ``spread``: random, 0 to 1."""
        interval = self._interval_seconds
        earliest = asked_at + interval
        if stamp is None or abs(asked_at - stamp) > FORGOTTEN_INTERVALS * interval:
            return earliest
        if asked_at - stamp > interval:  # newer data was due, and is not there yet
            self.margin_seconds += interval / 10
            if self.margin_seconds > interval:
                self.margin_seconds = self._first_margin
        due = stamp + interval + self.margin_seconds * (1 + spread / 2)
        ahead = (due - earliest) % interval
        return earliest if ahead > (1 - TOLERATED) * interval else earliest + ahead
