"""How much a client may send: messages, frames and bytes per second, and how many bad messages before it is closed."""

from __future__ import annotations

from enum import Enum

RATE_STRIKES = 10
"""Seconds in a row over the rate after which the client is closed."""
MALFORMED_STRIKES = 10
"""Messages in a row that are no JSON objects after which the client is closed."""
REFUSED_STRIKES = 100
"""Messages in a row that were refused for any reason after which the client is closed."""


class RateDecision(Enum):
    """What to do with a message."""

    TAKE = "take"
    REFUSE = "refuse"
    """Over the rate: tell the client, once a second, and ignore the message."""
    IGNORE = "ignore"
    CLOSE = "close"


class InboundLimit:
    """The rate and record of one client. Times are arguments: it has no clock."""

    __slots__ = ("_bytes", "_count", "_frames", "_is_over", "_malformed", "_refused", "_second", "_seconds_over")

    def __init__(self) -> None:
        self._second = -1
        self._count = 0
        self._frames = 0
        self._bytes = 0
        self._is_over = False
        self._seconds_over = 0
        self._malformed = 0
        self._refused = 0

    def judge(self, moment: float, messages_per_second: int) -> RateDecision:
        """Count one message at ``moment`` (seconds, monotonic) and decide what to do with it."""
        self._begin(moment)
        self._count += 1
        if self._count <= messages_per_second:
            return RateDecision.TAKE
        if self._is_over:
            return RateDecision.IGNORE
        self._is_over = True
        self._seconds_over += 1
        return RateDecision.CLOSE if self._seconds_over >= RATE_STRIKES else RateDecision.REFUSE

    def count_frame(self, moment: float, size_bytes: int) -> tuple[int, int]:
        """Count one frame of any kind; return the frames and bytes of this second so far."""
        self._begin(moment)
        self._frames += 1
        self._bytes += size_bytes
        return self._frames, self._bytes

    def _begin(self, moment: float) -> None:
        second = int(moment)
        if second == self._second:
            return
        if not (self._is_over and second == self._second + 1):
            self._seconds_over = 0
        self._second, self._count, self._frames, self._bytes, self._is_over = second, 0, 0, 0, False

    def record(self, *, is_malformed: bool = False, is_refused: bool = False) -> bool:
        """Record the result of a message. True if the client must be closed with 4003."""
        self._malformed = self._malformed + 1 if is_malformed else 0
        self._refused = self._refused + 1 if is_malformed or is_refused else 0
        return self._malformed >= MALFORMED_STRIKES or self._refused >= REFUSED_STRIKES
