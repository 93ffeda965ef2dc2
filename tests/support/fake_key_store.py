"""A key store in memory, with switches: it can hang, fail and count."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from swim_server.keys.audit import Actor, AuditEntry
from swim_server.keys.errors import KeyNotFound
from swim_server.keys.records import KeyRecord


class FakeKeyStore:
    """Keys by their plain text."""

    def __init__(self) -> None:
        self.keys: dict[str, KeyRecord] = {}
        self.failure: Exception | None = None
        """Raised by every call while it is set."""
        self.open = threading.Event()
        """Calls wait while it is cleared: a database that hangs."""
        self.open.set()
        self.queries: list[list[str]] = []
        """The keys that each query asked for."""
        self.reads: list[set[int]] = []
        self.touched: list[tuple[set[int], datetime]] = []
        self.refusals: list[AuditEntry] = []
        self.is_closed = False
        self.answered = threading.Event()
        """Set when a query has read its rows and has not returned yet."""

    def find_many(self, api_keys_presented: Sequence[str]) -> dict[str, KeyRecord]:
        self.queries.append(list(api_keys_presented))
        found = {api_key: self.keys[api_key] for api_key in api_keys_presented if api_key in self.keys}
        self.answered.set()
        self._wait()
        return found

    def records(self, key_ids: Iterable[int]) -> dict[int, KeyRecord]:
        wanted = set(key_ids)
        self.reads.append(wanted)
        self._wait()
        return {record.id: record for record in self.keys.values() if record.id in wanted}

    def touch(self, key_ids: Iterable[int], at: datetime) -> None:
        self._wait()
        self.touched.append((set(key_ids), at))

    def log_refusals(self, entries: Sequence[AuditEntry]) -> None:
        self._wait()
        self.refusals.extend(entries)

    def expire(self, key_id: int, at: datetime | None, actor: Actor) -> KeyRecord:
        return self._change(key_id, expires_at=at)

    def revoke(self, key_id: int, reason: str | None, actor: Actor) -> KeyRecord:
        return self._change(key_id, is_active=False)

    def _change(self, key_id: int, **values: Any) -> KeyRecord:
        self._wait()
        for api_key, record in self.keys.items():
            if record.id == key_id:
                self.keys[api_key] = changed = msgspec.structs.replace(record, **values)
                return changed
        raise KeyNotFound(key_id)

    def close(self) -> None:
        self.is_closed = True

    def _wait(self) -> None:
        assert self.open.wait(10), "a test left the fake store hanging"
        if self.failure is not None:
            raise self.failure
