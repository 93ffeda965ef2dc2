"""When to ask a feed again that says of itself when it was made. Pure."""

from __future__ import annotations

SPREAD_SECONDS = 1.0
"""Feeds are made anew for everybody at the same moment: nobody needs to come in the first instant."""


class PollTimes:
    """Follows the feed's own stamps: the next look comes just after the next answer is made, and never too early.

    Moments are seconds since the epoch, as the stamps are. A clock that is wrong, ours or the feed's, costs at most
    one more interval.
    """

    def __init__(self, interval_seconds: float) -> None:
        self._interval_seconds = interval_seconds
        """The shortest time between two looks; also how often the feed is taken to be made anew."""

    def next_look(self, asked_at: float, stamp: float | None, spread: float) -> float:
        """Tell when to ask again after a look at ``asked_at``. ``stamp``: the newest seen. ``spread``: 0 to 1."""
        earliest = asked_at + self._interval_seconds
        if stamp is None:
            return earliest
        expected = stamp + self._interval_seconds + min(SPREAD_SECONDS, self._interval_seconds / 10) * (0.5 + spread)
        if expected < asked_at:  # an answer is late, or the clocks differ: it may come at any moment
            return earliest
        return min(max(earliest, expected), asked_at + 2 * self._interval_seconds)
