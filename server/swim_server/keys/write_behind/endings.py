"""Keys revoked or expired while the database was unavailable: refused at once, stored when possible."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from swim_server.keys.audit import Actor
from swim_server.keys.errors import KeyNotFound
from swim_server.keys.records import KeyRecord


class Ending(msgspec.Struct, frozen=True):
    """An operator's request."""

    key_id: int
    is_for_good: bool
    """Whether the key is revoked; otherwise it expires at ``at``."""
    at: datetime
    actor: Actor
    reason: str | None = None


class Store(Protocol):
    """What stores the endings. Blocking; raises StoreError."""

    def expire(self, key_id: int, at: datetime | None, actor: Actor) -> KeyRecord: ...

    def revoke(self, key_id: int, reason: str | None, actor: Actor) -> KeyRecord: ...


class Endings:
    """Endings that are not stored yet."""

    def __init__(self) -> None:
        self._waiting: dict[int, Ending] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def key_ids(self) -> list[int]:
        """The keys concerned."""
        return sorted(self._waiting)

    def add(self, ending: Ending) -> None:
        """End a key at once."""
        self._waiting[ending.key_id] = ending

    def apply(self, record: KeyRecord) -> KeyRecord:
        """Return the record with the key's ending, if there is one."""
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
        """Forget an ending that is stored, unless there is a newer one for the same key."""
        if self._waiting.get(ending.key_id) is ending:
            del self._waiting[ending.key_id]


def store_ending(store: Store, ending: Ending) -> None:
    """Store an ending as the command would have. Blocking; raises StoreError. Does nothing if the key is gone."""
    try:
        if ending.is_for_good:
            store.revoke(ending.key_id, ending.reason, ending.actor)
        else:
            store.expire(ending.key_id, ending.at, ending.actor)
    except KeyNotFound:
        return
