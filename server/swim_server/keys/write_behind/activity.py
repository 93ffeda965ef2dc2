"""Uses and refusals of keys, collected to be written in batches. Pure and bounded: a flood is only counted."""

from __future__ import annotations

from datetime import datetime

from swim_server.keys.audit import AuditEntry
from swim_server.keys.records import Refused

Refusal = tuple[int | None, str, str]
"""Key id, reason, address."""


class Activity:
    """Uses and refusals since they were last written."""

    def __init__(self, *, refusal_limit: int = 200, refusals_per_hour: float = 1_000) -> None:
        self.refusal_limit = refusal_limit
        """How many different refusals are written individually after a quiet period; the others are only counted."""
        self.refusals_per_hour = refusals_per_hour
        """How many are written in the long run, so that refusals from ever new addresses don't fill the table."""
        self._allowance = float(refusal_limit)
        self._allowed_at: datetime | None = None
        self._used: set[int] = set()
        self._refusals: dict[Refusal, tuple[datetime, int]] = {}
        self._uncounted = 0
        self._uncounted_since: datetime | None = None

    def use(self, key_id: int) -> None:
        """Note a key that opened a connection, or holds one."""
        self._used.add(key_id)

    def refuse(self, refused: Refused, address: str | None, now: datetime) -> None:
        """Note a refused connection; the same key, reason and address again is counted, not repeated."""
        refusal = (refused.key_id, refused.reason, address or "")
        if (known := self._refusals.get(refusal)) is not None:
            self._refusals[refusal] = (known[0], known[1] + 1)
        elif self._is_allowed(now):
            self._refusals[refusal] = (now, 1)
        else:
            self._uncounted += 1
            self._uncounted_since = self._uncounted_since or now

    def take_used(self) -> set[int]:
        """Return the keys used since the last call."""
        used, self._used = self._used, set()
        return used

    def take_refusals(self) -> list[AuditEntry]:
        """Return the refusals since the last call, as lines of the audit trail."""
        entries = [
            _entry(at, key_id, address, reason if count == 1 else f"{reason}, {count} times")
            for (key_id, reason, address), (at, count) in self._refusals.items()
        ]
        self._refusals = {}
        if self._uncounted_since is not None:
            entries.append(
                _entry(self._uncounted_since, None, "", f"{self._uncounted} more, of other keys or addresses")
            )
            self._uncounted, self._uncounted_since = 0, None
        return entries

    def _is_allowed(self, now: datetime) -> bool:
        """Take one from the allowance, which grows with time."""
        passed = (now - self._allowed_at).total_seconds() if self._allowed_at is not None else 0.0
        grown = self._allowance + max(0.0, passed) * self.refusals_per_hour / 3600
        self._allowance, self._allowed_at = min(grown, float(self.refusal_limit)), now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


def _entry(at: datetime, key_id: int | None, address: str, detail: str) -> AuditEntry:
    return AuditEntry(at=at, action="refuse", key_id=key_id, actor="client", origin=address, detail=detail)
