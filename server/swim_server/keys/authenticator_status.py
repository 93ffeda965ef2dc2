"""What ``swimctl status`` and the metrics show of the authenticator."""

from __future__ import annotations

import msgspec


class AuthenticatorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the authenticator."""

    problem: str | None
    """Why keys can't be checked at the moment; None: they can."""
    problem_seconds: float | None
    writing_problem: str | None
    """Why uses and refusals can't be written; keys can still be checked."""
    not_stored: list[int]
    """Keys revoked or expired here in memory that the database could not store yet."""
    cached: int
    """Number of cached decisions."""
    pending: int
    queries: int
    granted: int
    refused: int
    unavailable: int
