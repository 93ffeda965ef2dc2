"""What each way a connection can end means for the client: go on, or stop for good. Pure."""

from __future__ import annotations

from typing import NamedTuple, Optional

from swim_client.backoff import LONGEST_ADVICE_SECONDS, retry_ms
from swim_client.errors import AuthenticationError, ProtocolError, RequestRefused, SwimError

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
        """Return the error with which the client stops for good; None: it connects again."""
        reason = self.error_message or self.reason
        if self.refused is not None:
            return self.refused
        if self.code == UNAUTHORIZED or self.error_code == "AUTH_FAILED":
            return AuthenticationError(reason or "the server gave no reason", UNAUTHORIZED)
        if self.code in _OUR_FAULT and not self.is_ours:
            return ProtocolError(reason, self.code)
        return None

    def advice_seconds(self) -> Optional[float]:
        """When the server asks this client to come back, in seconds from now; None: it did not say."""
        told = retry_ms(self.reason)
        if told is not None or self.error_code != RESTARTING or self.error_retry_ms is None:
            return told
        return min(self.error_retry_ms / 1000, LONGEST_ADVICE_SECONDS)

    def told_reason(self) -> str:
        """Return the reason in the server's words, also where the close that had it was lost."""
        return self.reason or (self.error_message or "" if self.error_code == RESTARTING else "")

    def __str__(self) -> str:
        meaning = _MEANINGS.get(self.code, "closed")
        if self.error_code == RESTARTING and self.code != UNAUTHORIZED:
            told_by_close = f", {self.reason}" if self.reason and self.reason != self.error_message else ""
            return f"{_MEANINGS[SERVICE_RESTART]} ({self.code}, {RESTARTING}: {self.error_message}{told_by_close})"
        told = f"{self.error_code}: {self.error_message}" if self.error_code else self.reason
        return f"{meaning} ({self.code}{', ' + told if told else ''})"
