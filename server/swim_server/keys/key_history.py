"""Why a key was not valid at a moment in the past, judged from its row and its audit trail. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from swim_server.keys.audit import AuditEntry
from swim_server.keys.records import KeyRecord

REFUSAL_WITHIN = timedelta(minutes=15)
"""How far a refusal may be from a moment to explain a missing connection."""


class PastProblem(StrEnum):
    """What was wrong with the key."""

    NO_KEY_YET = "no_key_yet"
    KEY_EXPIRED = "key_expired"
    KEY_REVOKED = "key_revoked"
    REFUSED = "refused"


class PastState(msgspec.Struct, frozen=True):
    """What was wrong, with a sentence about it."""

    problem: PastProblem
    why: str


def problem_at(record: KeyRecord, audit: Sequence[AuditEntry], moment: datetime) -> PastState | None:
    """Return why a key was not valid at ``moment`` (aware). None: no reason is known."""
    if record.created_at is not None and record.created_at > moment:
        return PastState(
            PastProblem.NO_KEY_YET, f"the key did not exist yet: it was made at {_told(record.created_at)}"
        )
    if record.expires_at is not None and record.expires_at <= moment:
        return PastState(PastProblem.KEY_EXPIRED, f"the key had expired, at {_told(record.expires_at)}")
    if not record.is_active:
        revoked = next((entry for entry in audit if entry.action == "revoke"), None)
        if revoked is None:
            return PastState(PastProblem.KEY_REVOKED, "the key is revoked; when that was is not in the audit trail")
        if revoked.at <= moment:
            return PastState(PastProblem.KEY_REVOKED, f"the key had been revoked, at {_told(revoked.at)}")
    near = [entry for entry in audit if entry.action == "refuse" and abs(entry.at - moment) <= REFUSAL_WITHIN]
    if near:
        nearest = min(near, key=lambda entry: abs(entry.at - moment))
        told = f"it was refused at {_told(nearest.at)}" + (f": {nearest.detail}" if nearest.detail else "")
        return PastState(PastProblem.REFUSED, told)
    return None


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
