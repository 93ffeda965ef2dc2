"""The key store: every statement about keys. Blocking and thread-safe; knows no cache and no connection of a client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from sqlalchemy import Connection

from swim_server.concurrency.clock import Clock, utc_now
from swim_server.keys import format as key_format
from swim_server.keys.audit import CONNECT_METHOD, KEYS_METHOD, Actor, AuditEntry
from swim_server.keys.errors import KeyNotFound, KeyUnusable
from swim_server.keys.format import Tier
from swim_server.keys.integrity import seals
from swim_server.keys.key_tables import KeyTables
from swim_server.keys.lookup_forms import PresentedKeys
from swim_server.keys.new_key import NewKey, check_text
from swim_server.keys.permissions import KeyState, chosen_keys, refusal, state_of
from swim_server.keys.records import KeyRecord
from swim_server.keys.schema import Schema
from swim_server.keys.statements import (
    MAX_PARAMETERS,
    insert_key,
    lock_key,
    read_audit,
    read_key,
    update_key,
    write_audit,
    write_last_used,
)
from swim_server.keys.tables import api_keys
from swim_server.sql.database import Database
from swim_server.sql.errors import PermissionDenied
from swim_server.sql.prepared import padded

T = TypeVar("T")


class IssuedKey(msgspec.Struct, frozen=True):
    """A key just created: the only moment at which it can be read."""

    record: KeyRecord
    api_key: str


class KeyStore:
    """Keys in the database. Each change and its line in the audit trail are one transaction."""

    def __init__(self, database: Database, *, clock: Clock, randbytes: Callable[[int], bytes]) -> None:
        self.database = database
        self.tables = KeyTables(database, clock=clock)
        self._clock = clock
        self._randbytes = randbytes

    @property
    def is_audited(self) -> bool:
        """Whether changes leave a line in the audit trail. Queries the database on first use."""
        return self.tables.schema().can_audit

    def close(self) -> None:
        """Close the connections to the database."""
        self.database.close()

    # Reading

    def find(self, api_key: str) -> KeyRecord | None:
        """Look up a presented key, as ``find_many`` does."""
        return self.find_many([api_key]).get(api_key)

    def find_many(self, api_keys_presented: Sequence[str]) -> dict[str, KeyRecord]:
        """Look up to 1,000 presented keys up in one query; unknown ones are left out.

        Texts that can't be keys, typos and stored digests are not searched for. The database's comparison may ignore
        case and trailing blanks; ours, afterwards, is exact and in constant time. If a key is stored twice, hashed and
        plain, the row that is not valid wins.
        """
        presented = PresentedKeys(api_keys_presented)
        if not presented.forms:
            return {}
        now = utc_now(self._clock)
        found: dict[str, KeyRecord] = {}
        for row in self.tables.rows(api_keys.c.api_key.in_(padded(presented.forms, MAX_PARAMETERS))):
            api_key = presented.matching(str(row["api_key"]))
            if api_key is not None:
                record = self.tables.record(row)
                if api_key not in found or refusal(record, now) is not None:
                    found[api_key] = record
        return found

    def get(self, key_id: int) -> KeyRecord:
        """Read one key. Raises KeyNotFound."""
        for row in self.tables.rows(api_keys.c.id == key_id):
            return self.tables.record(row)
        raise KeyNotFound(key_id)

    def records(self, key_ids: Iterable[int]) -> dict[int, KeyRecord]:
        """Read several keys in one query; unknown ids are left out."""
        wanted = set(key_ids)
        if not wanted:
            return {}
        if len(wanted) <= MAX_PARAMETERS:
            condition = api_keys.c.id.in_(padded(sorted(wanted), MAX_PARAMETERS))
        else:
            condition = api_keys.c.id.between(min(wanted), max(wanted))
        return {row["id"]: self.tables.record(row) for row in self.tables.rows(condition) if row["id"] in wanted}

    def list(
        self, *, tier: Tier | None = None, state: KeyState | None = None, owner: str | None = None
    ) -> list[KeyRecord]:
        """Read keys, selected as by ``chosen_keys``."""
        records = [self.tables.record(row) for row in self.tables.rows()]
        return chosen_keys(records, utc_now(self._clock), tier=tier, state=state, owner=owner)

    def audit(self, key_id: int | None = None, *, limit: int = 200) -> Sequence[AuditEntry]:
        """Read the newest lines of the audit trail, newest first; of one key if an id is given.

        Raises PermissionDenied if the login may not read it, which differs from an empty one.
        """
        refusal = self.tables.schema().audit_refusal
        if refusal is not None:
            raise PermissionDenied(refusal, "GRANT SELECT ON swim_audit_log to this login, or use another one")
        return self.tables.with_schema(
            lambda schema: self.database.read(lambda connection: read_audit(connection, schema, key_id, limit))
        )

    # Changing

    def create(self, new_key: NewKey, actor: Actor) -> IssuedKey:
        """Create a key. Raises InvalidKeyField, and SchemaMissing for a restriction that the table can't hold."""
        now = utc_now(self._clock)
        new_key.check(now)
        api_key = key_format.generate(new_key.tier, self._randbytes)

        def work(connection: Connection, schema: Schema) -> IssuedKey:
            record = insert_key(connection, schema, new_key, api_key, now)
            detail = f"{new_key.tier} key for {new_key.owner_name}"
            self._log(connection, schema, [entry(now, actor, "create", record.id, detail)])
            seals.seal(connection, schema.key_columns, [record.id])
            return IssuedKey(record, api_key)

        return self.tables.change(work)

    def expire(self, key_id: int, at: datetime | None, actor: Actor) -> KeyRecord:
        """Set when a key expires; None: never. Raises KeyNotFound."""
        detail = f"expires at {_written(at)}" if at else "never expires"
        return self._update(key_id, {"expires_at": at}, actor, "expire", detail)

    def revoke(self, key_id: int, reason: str | None, actor: Actor) -> KeyRecord:
        """Revoke a key permanently. Raises KeyNotFound, InvalidKeyField."""
        check_text("reason", reason, 500)
        return self._update(key_id, {"is_active": False}, actor, "revoke", reason)

    def rotate(self, key_id: int, overlap: timedelta, actor: Actor) -> IssuedKey:
        """Create a successor for the same owner; the old key ends after ``overlap``, or at its own end if sooner.

        The successor has the lifetime of the old key. Raises KeyNotFound, KeyUnusable.
        """
        now = utc_now(self._clock)

        def work(connection: Connection, schema: Schema) -> IssuedKey:
            old = lock_key(connection, schema, key_id)
            state = state_of(old, now)
            if state in {KeyState.REVOKED, KeyState.EXPIRED} or old.unknown_tier is not None:
                raise KeyUnusable(key_id, state if old.unknown_tier is None else "without a valid tier", "rotated")
            ends_at = min(now + overlap, old.expires_at or now + overlap)
            update_key(connection, key_id, {"expires_at": ends_at})
            api_key = key_format.generate(old.tier, self._randbytes)
            record = insert_key(connection, schema, NewKey.successor_of(old, now), api_key, now)
            entries = [
                entry(now, actor, "rotate", key_id, f"its successor is key {record.id}; ends at {_written(ends_at)}"),
                entry(now, actor, "create", record.id, f"successor of key {key_id}"),
            ]
            self._log(connection, schema, entries)
            seals.seal(connection, schema.key_columns, [key_id, record.id])
            return IssuedKey(record, api_key)

        return self.tables.change(work)

    def accept(self, key_id: int, actor: Actor) -> KeyRecord:
        """Accept a row as it is now, whoever changed it. Raises KeyNotFound."""
        return self._update(key_id, {}, actor, "accept", None)

    # For the service

    def touch(self, key_ids: Iterable[int], at: datetime) -> None:
        """Write when keys were last used, all of them at once."""
        ids = sorted(set(key_ids))
        if ids:
            self.tables.change(lambda connection, schema: write_last_used(connection, schema, ids, at))

    def log_refusals(self, entries: Sequence[AuditEntry]) -> None:
        """Append refused connections to the audit trail."""
        if entries:
            self.tables.change(lambda connection, schema: write_audit(connection, schema, entries, CONNECT_METHOD))

    def _update(
        self, key_id: int, values: Mapping[str, object], actor: Actor, action: str, detail: str | None
    ) -> KeyRecord:
        now = utc_now(self._clock)

        def work(connection: Connection, schema: Schema) -> KeyRecord:
            if values:
                update_key(connection, key_id, values)
            record = read_key(connection, schema, key_id)
            self._log(connection, schema, [entry(now, actor, action, key_id, detail)])
            seals.seal(connection, schema.key_columns, [key_id])
            return record

        return self.tables.change(work)

    @staticmethod
    def _log(connection: Connection, schema: Schema, entries: Sequence[AuditEntry]) -> None:
        write_audit(connection, schema, entries, KEYS_METHOD)


def entry(at: datetime, actor: Actor, action: str, key_id: int, detail: str | None) -> AuditEntry:
    """Return a change's line in the audit trail."""
    return AuditEntry(at=at, action=action, key_id=key_id, actor=actor.name, origin=actor.origin, detail=detail)


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
