"""How much a client may ask: messages a second, and how many bad ones before it is turned away."""

from __future__ import annotations

from enum import Enum

RATE_STRIKES = 10
"""Seconds in a row over the rate after which the client is closed."""
MALFORMED_STRIKES = 10
"""Messages in a row that are no JSON objects after which the client is closed."""
REFUSED_STRIKES = 100
"""Messages in a row that were refused for whatever reason after which the client is closed."""


class RateDecision(Enum):
    """What to do with a message."""

    TAKE = "take"
    REFUSE = "refuse"
    """Over the rate: say so, once a second, and ignore the message."""
    IGNORE = "ignore"
    CLOSE = "close"


class InboundLimit:
    """One client's rate and record. The moment is an argument: it holds no clock."""

    __slots__ = ("_count", "_malformed", "_refused", "_second", "_seconds_over")

    def __init__(self) -> None:
        self._second = -1
        self._count = 0
        self._seconds_over = 0
        self._malformed = 0
        self._refused = 0

    def judge(self, moment: float, messages_per_second: int) -> RateDecision:
        """Count one message at ``moment`` (seconds, monotonic) and say what becomes of it."""
        second = int(moment)
        if second != self._second:
            was_over = self._count > messages_per_second and second == self._second + 1
            self._seconds_over = self._seconds_over if was_over else 0
            self._second, self._count = second, 0
        self._count += 1
        if self._count <= messages_per_second:
            return RateDecision.TAKE
        if self._count > messages_per_second + 1:
            return RateDecision.IGNORE
        self._seconds_over += 1
        return RateDecision.CLOSE if self._seconds_over >= RATE_STRIKES else RateDecision.REFUSE

    def record(self, *, is_malformed: bool = False, is_refused: bool = False) -> bool:
        """Remember how a message fared. True when the client has had its chances: close with 4003."""
        self._malformed = self._malformed + 1 if is_malformed else 0
        self._refused = self._refused + 1 if is_malformed or is_refused else 0
        return self._malformed >= MALFORMED_STRIKES or self._refused >= REFUSED_STRIKES
