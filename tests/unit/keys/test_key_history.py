"""Why a key was not accepted at a time in the past."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from swim_server.keys.audit import AuditEntry
from swim_server.keys.format import Tier
from swim_server.keys.key_history import problem_at
from swim_server.keys.records import KeyRecord

NOON = datetime(2026, 1, 16, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def record(**fields: Any) -> KeyRecord:
    return KeyRecord(id=7, hint="swim_dev_…x9Qz", tier=Tier.DEVELOPER, owner_name="me", **fields)


def entry(action: str, at: datetime, detail: str | None = None) -> AuditEntry:
    return AuditEntry(at=at, action=action, key_id=7, actor="me@here", origin="local", detail=detail)


@pytest.mark.parametrize(
    ("key", "audit", "problem"),
    [
        (record(), [], None),
        (record(created_at=NOON + HOUR), [], "no_key_yet"),
        (record(created_at=NOON - HOUR), [], None),
        (record(expires_at=NOON - HOUR), [], "key_expired"),
        (record(expires_at=NOON + HOUR), [], None),
        (record(is_active=False), [entry("revoke", NOON - HOUR)], "key_revoked"),
        (record(is_active=False), [entry("revoke", NOON + HOUR)], None),
        (record(is_active=False), [], "key_revoked"),
        (record(), [entry("refuse", NOON - timedelta(minutes=5), "limit")], "refused"),
        (record(), [entry("refuse", NOON - HOUR, "limit")], None),
    ],
    ids=[
        "good",
        "later",
        "earlier",
        "expired",
        "expires",
        "revoked",
        "revoked-later",
        "no-audit",
        "refused",
        "long-ago",
    ],
)
def test_problem_of_that_moment_is_found(key: KeyRecord, audit: list[AuditEntry], problem: str | None) -> None:
    found = problem_at(key, audit, NOON)
    assert (found.problem if found is not None else None) == problem


def test_refusal_tells_when_and_why() -> None:
    found = problem_at(record(), [entry("refuse", NOON, "limit")], NOON)
    assert found is not None
    assert found.why == "it was refused at 2026-01-16T12:00:00Z: limit"
