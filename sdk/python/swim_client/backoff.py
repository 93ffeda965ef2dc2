"""How long to wait before connecting again. Pure: time and chance come in as arguments."""

from __future__ import annotations

import random as random_module
import re
from email.utils import parsedate_to_datetime
from typing import Callable, Optional

STABLE_SECONDS = 60.0
"""A connection that lasted so long was a good one: the next failure counts as the first."""
LONGEST_ADVICE_SECONDS = 3600.0
"""However long a server asks to wait, nobody waits longer."""
_FACTOR = 2.0
_MAX_EXPONENT = 30

_RETRY_MS = re.compile(r"\bretry_ms=([0-9]{1,9})\b", re.ASCII)


class Backoff:
    """Exponential backoff with full jitter: the n-th wait is a random part of ``first * 2**n``, up to a maximum.

    Full jitter spreads thousands of clients that lost the same server evenly over the whole span.
    """

    def __init__(
        self,
        first_seconds: float = 1.0,
        max_seconds: float = 60.0,
        *,
        stable_seconds: float = STABLE_SECONDS,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self.failures = 0
        """Connections that failed since the last stable one."""
        self._first_seconds = first_seconds
        self._max_seconds = max_seconds
        self._stable_seconds = stable_seconds
        self._random = random

    def set_limits(self, first_seconds: float, max_seconds: float) -> None:
        """Let the waits to come lie between other limits."""
        self._first_seconds, self._max_seconds = first_seconds, max_seconds

    def ended(self, lasted_seconds: float) -> None:
        """Take note of a connection's end. Only one that was stable lets the waits begin from the start again."""
        if lasted_seconds >= self._stable_seconds:
            self.failures = 0

    def wait_seconds(self) -> float:
        """How long to wait when the server gave no advice."""
        ceiling = min(self._max_seconds, self._first_seconds * _FACTOR ** min(self.failures, _MAX_EXPONENT))
        self.failures += 1
        return self._random() * ceiling

    def wait_after_session_seconds(self) -> float:
        """How long to wait after a connection that the server had admitted: the server is there, so not long.

        Counts as a failure all the same: should the attempt that follows fail, the waits go on where they were.
        """
        self.failures += 1
        return self._random() * min(self._first_seconds, self._max_seconds)

    def wait_as_told_seconds(self, retry_after_seconds: float) -> float:
        """How long to wait after a refusal with ``Retry-After``: as told, and a little more, as many were told so."""
        advice = min(retry_after_seconds, LONGEST_ADVICE_SECONDS)
        return advice + self._random() * self._first_seconds


def retry_ms(reason: str) -> Optional[float]:
    """Read ``retry_ms=…`` from a close reason, in seconds. The server gives each client a different one."""
    match = _RETRY_MS.search(reason)
    return min(int(match[1]) / 1000, LONGEST_ADVICE_SECONDS) if match else None


def retry_after(header: Optional[str], now_seconds: float) -> Optional[float]:
    """Read a ``Retry-After`` header, seconds or a date (RFC 9110, section 10.2.3), in seconds from now."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_seconds)
    except (TypeError, ValueError, OverflowError):
        return None
