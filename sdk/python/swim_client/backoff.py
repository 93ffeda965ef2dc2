"""Whether to reconnect after a connection has ended, and when. Pure: time and randomness are arguments."""

from __future__ import annotations

import random as random_module
import re
from email.utils import parsedate_to_datetime
from typing import Callable, NamedTuple, Optional

from swim_client.errors import AuthenticationError, ProtocolError, RequestRefused, SwimError

STABLE_SECONDS = 60.0
"""A connection that lasted this long was stable: the next failure counts as the first."""
LONGEST_ADVICE_SECONDS = 3600.0
"""Upper limit of the wait that a server may ask for."""
NORMAL = 1000
ABNORMAL = 1006
"""The connection broke without a word."""
SERVICE_RESTART = 1012
UNAUTHORIZED = 4001
BAD_MESSAGES = 4003
_OUR_FAULT = frozenset({1007, 1009, BAD_MESSAGES})
"""The server could not take what this client sent: it would send the same again."""
RESTARTING = "RESTARTING"
"""Error code that comes before a close with 1012, where a proxy may lose the close."""
_FACTOR = 2.0
_MAX_EXPONENT = 30

_RETRY_MS = re.compile(r"\bretry_ms=([0-9]{1,9})\b", re.ASCII)


class Backoff:
    """Exponential backoff with full jitter: the n-th wait is a random part of ``first * 2**n``, up to a maximum.

    Full jitter spreads thousands of clients that lost the same server evenly over the whole interval.
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
        """Set the limits of the following waits."""
        self._first_seconds, self._max_seconds = first_seconds, max_seconds

    def ended(self, lasted_seconds: float) -> None:
        """Record the end of a connection. Only a stable one resets the waits."""
        if lasted_seconds >= self._stable_seconds:
            self.failures = 0

    def wait_seconds(self) -> float:
        """Return how long to wait if the server gave no advice."""
        ceiling = min(self._max_seconds, self._first_seconds * _FACTOR ** min(self.failures, _MAX_EXPONENT))
        self.failures += 1
        return self._random() * ceiling

    def wait_after_session_seconds(self) -> float:
        """Return the wait after a connection that the server had admitted: short, as the server is there.

        It still counts as a failure: if the next attempt fails, the waits continue to grow.
        """
        self.failures += 1
        return self._random() * min(self._first_seconds, self._max_seconds)

    def wait_as_told_seconds(self, retry_after_seconds: float) -> float:
        """Return the wait after a refusal with ``Retry-After``: a little more, as many clients were told the same."""
        advice = min(retry_after_seconds, LONGEST_ADVICE_SECONDS)
        return advice + self._random() * self._first_seconds


def retry_ms(reason: str) -> Optional[float]:
    """Parse ``retry_ms=…`` in a close reason, in seconds. The server gives each client a different one."""
    match = _RETRY_MS.search(reason)
    return min(int(match[1]) / 1000, LONGEST_ADVICE_SECONDS) if match else None


def retry_after(header: Optional[str], now_seconds: float) -> Optional[float]:
    """Parse a ``Retry-After`` header, seconds or a date (RFC 9110, section 10.2.3), in seconds from now."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_seconds)
    except (TypeError, ValueError, OverflowError):
        return None


_MEANINGS = {
    1000: "closed by the server",
    1001: "the server goes away",
    1006: "the connection broke",
    1007: "a message was not UTF-8",
    1009: "a message was too large",
    1011: "the server had an internal error",
    1012: "the server asked this client to connect again",
    1013: "the server can't check keys just now",
    4001: "the key was refused",
    4002: "a limit was reached",
    4003: "the server could not read this client's messages",
    4008: "this client could not keep up",
}


class Ending(NamedTuple):
    """How one connection ended."""

    code: int
    reason: str = ""
    error_code: Optional[str] = None
    """The code of the last ``error`` message before the close: a proxy may lose the close code, but not that."""
    error_message: Optional[str] = None
    error_retry_ms: Optional[int] = None
    """When that message asks this client to come back."""
    is_ours: bool = False
    """Whether this side found the fault and closed: the code is not the server's word then."""
    refused: Optional[RequestRefused] = None
    """Why the server refused the only subscription: nothing would ever come."""

    def final_error(self) -> Optional[SwimError]:
        """Return the error with which the client stops permanently; None: it reconnects."""
        reason = self.error_message or self.reason
        if self.refused is not None:
            return self.refused
        if self.code == UNAUTHORIZED or self.error_code == "AUTH_FAILED":
            return AuthenticationError(reason or "the server gave no reason", UNAUTHORIZED)
        if self.code in _OUR_FAULT and not self.is_ours:
            return ProtocolError(reason, self.code)
        return None

    def advice_seconds(self) -> Optional[float]:
        """Return when the server asks this client to reconnect, in seconds from now; None: it did not say."""
        told = retry_ms(self.reason)
        if told is not None or self.error_code != RESTARTING or self.error_retry_ms is None:
            return told
        return min(self.error_retry_ms / 1000, LONGEST_ADVICE_SECONDS)

    def told_reason(self) -> str:
        """Return the server's reason, even if the close frame that had it was lost."""
        return self.reason or (self.error_message or "" if self.error_code == RESTARTING else "")

    def __str__(self) -> str:
        meaning = _MEANINGS.get(self.code, "closed")
        if self.error_code == RESTARTING and self.code != UNAUTHORIZED:
            told_by_close = f", {self.reason}" if self.reason and self.reason != self.error_message else ""
            return f"{_MEANINGS[SERVICE_RESTART]} ({self.code}, {RESTARTING}: {self.error_message}{told_by_close})"
        told = f"{self.error_code}: {self.error_message}" if self.error_code else self.reason
        return f"{meaning} ({self.code}{', ' + told if told else ''})"
