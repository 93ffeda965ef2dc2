"""Sessions of the operator's page: a token is exchanged once for a cookie that a browser sends only to this service."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock

ONCE_SECONDS = 60.0
SESSION_SECONDS = 8 * 3600
MAX_TOKENS = 100
"""Maximum number of unused tokens; the oldest are dropped."""
MAX_ENDED = 10_000
_PURPOSE = b"swim operator session 1"


class Session(msgspec.Struct, frozen=True):
    """The session of one browser that someone with the token has opened."""

    id: str
    expires_at: int
    """Unix time."""


class OperatorSessions:
    """Sessions are signed with a key derived from the operator's token, so that they survive a restart of the service.

    A new operator's token ends all of them.
    """

    def __init__(self, token: str | None, *, clock: Clock) -> None:
        self._token = token
        self._secret = hmac.digest(token.encode(), _PURPOSE, "sha256") if token is not None else secrets.token_bytes(32)
        self._now_ms = clock.now_ms
        self._monotonic = clock.monotonic
        self._once: OrderedDict[bytes, float] = OrderedDict()
        """Digests of single-use tokens, with their deadlines."""
        self._ended: OrderedDict[str, int] = OrderedDict()

    def issue(self) -> str:
        """Return a token that opens one session, within a minute."""
        token = secrets.token_urlsafe(32)
        self._once[_digest(token)] = self._monotonic() + ONCE_SECONDS
        while len(self._once) > MAX_TOKENS:
            self._once.popitem(last=False)
        return token

    def open(self, token: str) -> str | None:
        """Return the cookie of a new session for a token of either kind; None: the token is not valid."""
        is_own = self._token is not None and hmac.compare_digest(token.encode(), self._token.encode())
        deadline = self._once.pop(_digest(token), 0.0)
        return self._sign(secrets.token_hex(8)) if is_own or self._monotonic() < deadline else None

    def check(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie; None: there is none, or it has ended."""
        try:
            expiry, id, signature = (cookie or "").split(".")
            expires_at = int(expiry)
        except ValueError:
            return None
        if not hmac.compare_digest(signature.encode(), self._signature(expiry, id).encode()):
            return None
        if expires_at <= self._now_ms() // 1000 or id in self._ended:
            return None
        return Session(id, expires_at)

    def renewed(self, session: Session) -> str | None:
        """Return a cookie with a new lifetime, once half of it has passed."""
        left = session.expires_at - self._now_ms() // 1000
        return self._sign(session.id) if left < SESSION_SECONDS / 2 else None

    def end(self, session: Session) -> None:
        """End a session."""
        self._ended[session.id] = session.expires_at
        while len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    def _sign(self, id: str) -> str:
        expiry = str(self._now_ms() // 1000 + SESSION_SECONDS)
        return f"{expiry}.{id}.{self._signature(expiry, id)}"

    def _signature(self, expiry: str, id: str) -> str:
        return hmac.new(self._secret, f"{expiry}.{id}".encode(), "sha256").hexdigest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
