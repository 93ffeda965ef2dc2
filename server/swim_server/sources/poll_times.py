"""When to ask again for something that says of itself when it was made: a feed, a table. Pure."""

from __future__ import annotations

FIRST_MARGIN_SECONDS = 1.0
"""Delay after new data is due: producing it takes a while, and not every client should ask at once."""
TOLERATED = 1 / 3
"""So much of an interval an answer may be old before the rhythm is shifted to meet the next one when it is new."""
FORGOTTEN_INTERVALS = 10
"""What was made longer ago tells nothing about when the next one is due."""


class PollTimes:
    """Finds the rhythm of what is asked: each look comes just after something new is due, and never too early.

    Moments are seconds since the epoch, as the stamps are. A clock that is wrong, ours or the other one, costs at most
    two thirds of an interval more.
    """

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        """The shortest time between two looks, and the time from one making to the next."""
        self._first_margin = min(FIRST_MARGIN_SECONDS, interval_seconds / 10)
        self.margin_seconds = self._first_margin
        """How long after it is due something new is asked for; grows while looks come too early."""

    def next_look(self, asked_at: float, stamp: float | None, spread: float) -> float:
        """Tell when to ask again after a look at ``asked_at`` that found ``stamp``. ``spread``: random, 0 to 1."""
        interval = self._interval_seconds
        earliest = asked_at + interval
        if stamp is None or abs(asked_at - stamp) > FORGOTTEN_INTERVALS * interval:
            return earliest
        if asked_at - stamp > interval:  # something newer was due, and is not there yet
            self.margin_seconds += interval / 10
            if self.margin_seconds > interval:
                self.margin_seconds = self._first_margin
        due = stamp + interval + self.margin_seconds * (1 + spread / 2)
        ahead = (due - earliest) % interval
        return earliest if ahead > (1 - TOLERATED) * interval else earliest + ahead
