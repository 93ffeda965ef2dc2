"""Keys that were ended while the database could not store it: refused from that moment on, stored when it can be."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from swim_server.keys.audit import Actor
from swim_server.keys.errors import KeyNotFound
from swim_server.keys.records import KeyRecord


class Ending(msgspec.Struct, frozen=True):
    """What an operator wanted."""

    key_id: int
    is_for_good: bool
    """Revoked; else expired at ``at``."""
    at: datetime
    actor: Actor
    reason: str | None = None


class Store(Protocol):
    """What stores them. Blocking; raises StoreError."""

    def expire(self, key_id: int, at: datetime | None, actor: Actor) -> KeyRecord: ...

    def revoke(self, key_id: int, reason: str | None, actor: Actor) -> KeyRecord: ...


class Endings:
    """Those that are not stored yet."""

    def __init__(self) -> None:
        self._waiting: dict[int, Ending] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def key_ids(self) -> list[int]:
        """Which keys."""
        return sorted(self._waiting)

    def add(self, ending: Ending) -> None:
        """End a key at once."""
        self._waiting[ending.key_id] = ending

    def apply(self, record: KeyRecord) -> KeyRecord:
        """Say what counts of a key, whatever the table still says."""
        ending = self._waiting.get(record.id)
        if ending is None:
            return record
        if ending.is_for_good:
            return msgspec.structs.replace(record, is_active=False)
        expires_at = ending.at if record.expires_at is None else min(record.expires_at, ending.at)
        return msgspec.structs.replace(record, expires_at=expires_at)

    def waiting(self) -> list[Ending]:
        """List what is to be stored."""
        return list(self._waiting.values())

    def stored(self, ending: Ending) -> None:
        """Forget what is stored; another wish about the same key that came meanwhile stays."""
        if self._waiting.get(ending.key_id) is ending:
            del self._waiting[ending.key_id]


def store_ending(store: Store, ending: Ending) -> None:
    """Store it as the command would have. Blocking; raises StoreError. A key that is gone has ended."""
    try:
        if ending.is_for_good:
            store.revoke(ending.key_id, ending.reason, ending.actor)
        else:
            store.expire(ending.key_id, ending.at, ending.actor)
    except KeyNotFound:
        return
