"""What ``swimctl status`` and the metrics show of the authenticator."""

from __future__ import annotations

import msgspec


class AuthenticatorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How the authenticator is doing."""

    problem: str | None
    """Why keys can't be checked at the moment; None: they can."""
    problem_seconds: float | None
    writing_problem: str | None
    """Why uses and refusals can't be written; keys may be checked all the same."""
    not_stored: list[int]
    """Keys that were ended here, in memory: the database could not store it yet."""
    remembered: int
    """Answers in memory."""
    waiting: int
    queries: int
    granted: int
    refused: int
    unavailable: int
