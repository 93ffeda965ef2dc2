"""The key store: every statement about keys. Blocking and thread-safe; knows no cache and no connection of a client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, select, update

from swim_server.concurrency.clock import Clock, utc_now
from swim_server.keys import format as key_format
from swim_server.keys.audit import Actor, AuditEntry
from swim_server.keys.errors import KeyNotFound, KeyUnusable
from swim_server.keys.format import Tier
from swim_server.keys.integrity import seals
from swim_server.keys.integrity.ended_keys import EndedKeys
from swim_server.keys.lookup_forms import PresentedKeys
from swim_server.keys.new_key import NewKey, check_text
from swim_server.keys.permissions import KeyState, chosen_keys, refusal, state_of
from swim_server.keys.records import KeyRecord
from swim_server.keys.rows import record_of
from swim_server.keys.schema import Schema, observe
from swim_server.keys.statements import (
    CONNECT_METHOD,
    KEYS_METHOD,
    MAX_PARAMETERS,
    insert_key,
    lock_key,
    read_audit,
    read_key,
    read_rows,
    update_key,
    write_audit,
)
from swim_server.keys.tables import api_keys, metadata
from swim_server.sql.database import Database
from swim_server.sql.errors import PermissionDenied, SchemaMissing
from swim_server.sql.prepared import PREPARED, padded

T = TypeVar("T")
AUDITED_LINES = 50
"""Of a row that was altered: refused connections stand among its changes."""
_ALTERED = "audit of an altered row"


class IssuedKey(msgspec.Struct, frozen=True):
    """A key just made: the only moment at which it can be read."""

    record: KeyRecord
    api_key: str


class KeyStore:
    """Keys in the database. Each change and its line in the audit trail are one transaction."""

    def __init__(self, database: Database, *, clock: Clock, randbytes: Callable[[int], bytes]) -> None:
        self.database = database
        self._clock = clock
        self._randbytes = randbytes
        self._schema: Schema | None = None
        self._schema_lock = threading.Lock()
        self._ended = EndedKeys.beside(database.engine.url)
        self._told: set[int] = set()
        """Keys of which the log knows that their rows aren't as we left them."""

    @property
    def is_audited(self) -> bool:
        """Tell whether changes leave a line in the audit trail. Asks the database when it wasn't asked before."""
        return self.schema().can_audit

    def close(self) -> None:
        """Close the connections to the database."""
        self.database.close()

    # Reading

    def find(self, api_key: str) -> KeyRecord | None:
        """Look a presented key up, as ``find_many`` does."""
        return self.find_many([api_key]).get(api_key)

    def find_many(self, api_keys_presented: Sequence[str]) -> dict[str, KeyRecord]:
        """Look up to 1,000 presented keys up in one query; unknown ones are left out.

        What can't be a key, a typo and a stored digest are not asked for. The database's comparison may ignore case
        and trailing blanks; ours, afterwards, is exact and in constant time. Where a key stands twice, hashed and
        plain, the row that does not hold is the answer.
        """
        presented = PresentedKeys(api_keys_presented)
        if not presented.forms:
            return {}
        now = utc_now(self._clock)
        found: dict[str, KeyRecord] = {}
        for row in self._select(api_keys.c.api_key.in_(padded(presented.forms, MAX_PARAMETERS))):
            api_key = presented.matching(str(row["api_key"]))
            if api_key is not None:
                record = self._record(row)
                if api_key not in found or refusal(record, now) is not None:
                    found[api_key] = record
        return found

    def get(self, key_id: int) -> KeyRecord:
        """Read one key. Raises KeyNotFound."""
        for row in self._select(api_keys.c.id == key_id):
            return self._record(row)
        raise KeyNotFound(key_id)

    def records(self, key_ids: Iterable[int]) -> dict[int, KeyRecord]:
        """Read several keys in one query; ids that no row has are left out."""
        wanted = set(key_ids)
        if not wanted:
            return {}
        if len(wanted) <= MAX_PARAMETERS:
            condition = api_keys.c.id.in_(padded(sorted(wanted), MAX_PARAMETERS))
        else:
            condition = api_keys.c.id.between(min(wanted), max(wanted))
        return {row["id"]: self._record(row) for row in self._select(condition) if row["id"] in wanted}

    def list(
        self, *, tier: Tier | None = None, state: KeyState | None = None, owner: str | None = None
    ) -> list[KeyRecord]:
        """Read keys, chosen as ``chosen_keys`` does."""
        records = [self._record(row) for row in self._select()]
        return chosen_keys(records, utc_now(self._clock), tier=tier, state=state, owner=owner)

    def audit(self, key_id: int | None = None, *, limit: int = 200) -> Sequence[AuditEntry]:
        """Read the newest lines of the audit trail, newest first; those of one key where an id is given.

        Raises PermissionDenied where the login may not look at it: that is another thing than an empty one.
        """
        refusal = self.schema().audit_refusal
        if refusal is not None:
            raise PermissionDenied(refusal, "GRANT SELECT ON swim_audit_log to this login, or use another one")
        return self._with_schema(
            lambda schema: self.database.read(lambda connection: read_audit(connection, schema, key_id, limit))
        )

    # Changing

    def create(self, new_key: NewKey, actor: Actor) -> IssuedKey:
        """Make a key. Raises InvalidKeyField, and SchemaMissing for a restriction that the table can't hold."""
        now = utc_now(self._clock)
        new_key.check(now)
        api_key = key_format.generate(new_key.tier, self._randbytes)

        def work(connection: Connection, schema: Schema) -> IssuedKey:
            record = insert_key(connection, schema, new_key, api_key, now)
            detail = f"{new_key.tier} key for {new_key.owner_name}"
            self._log(connection, schema, [entry(now, actor, "create", record.id, detail)])
            seals.seal(connection, schema.key_columns, [record.id])
            return IssuedKey(record, api_key)

        return self.change(work)

    def expire(self, key_id: int, at: datetime | None, actor: Actor) -> KeyRecord:
        """Set when a key ends; None: never. Raises KeyNotFound."""
        detail = f"expires at {_written(at)}" if at else "never expires"
        return self._update(key_id, {"expires_at": at}, actor, "expire", detail)

    def revoke(self, key_id: int, reason: str | None, actor: Actor) -> KeyRecord:
        """Revoke a key permanently. Raises KeyNotFound, InvalidKeyField."""
        check_text("reason", reason, 500)
        return self._update(key_id, {"is_active": False}, actor, "revoke", reason)

    def rotate(self, key_id: int, overlap: timedelta, actor: Actor) -> IssuedKey:
        """Make a successor for the same owner; the old key ends after ``overlap``, or earlier where it would have.

        The successor is valid for as long as the old one was made for. Raises KeyNotFound, KeyUnusable.
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

        return self.change(work)

    def accept(self, key_id: int, actor: Actor) -> KeyRecord:
        """Accept a row as it is now, whoever changed it. Raises KeyNotFound."""
        return self._update(key_id, {}, actor, "accept", None)

    def change(self, work: Callable[[Connection, Schema], T]) -> T:
        """Run ``work`` in a transaction; then note beside the file when the keys end that it sealed.

        Raises StoreError.
        """
        sealed: set[int] = set()

        def noted(connection: Connection, schema: Schema) -> T:
            connection.info.pop(seals.SEALED, None)
            result = work(connection, schema)
            sealed.update(connection.info.pop(seals.SEALED, ()))
            return result

        result = self._with_schema(lambda schema: self.database.write(lambda connection: noted(connection, schema)))
        if sealed:
            self._note_ends(sealed)
        return result

    def _note_ends(self, key_ids: Collection[int]) -> None:
        if self._ended is None:
            return
        is_first = not self._ended.path.exists()  # a version that kept none may have ended others
        some = None if is_first else api_keys.c.id.between(min(key_ids), max(key_ids))
        rows = [row for row in self._select(some) if is_first or row["id"] in key_ids]
        try:
            self._ended.note(map(record_of, rows), utc_now(self._clock))
        except OSError as error:
            _log().warning("when keys end can't be put down beside the key database", reason=str(error))

    # For the service

    def touch(self, key_ids: Iterable[int], at: datetime) -> None:
        """Write when keys were last used, all of them at once."""
        ids = sorted(set(key_ids))

        def work(connection: Connection, schema: Schema) -> None:
            if "last_used_at" not in schema.key_columns:
                return
            for start in range(0, len(ids), MAX_PARAMETERS):
                chunk = ids[start : start + MAX_PARAMETERS]
                connection.execute(update(api_keys).where(api_keys.c.id.in_(chunk)).values(last_used_at=at))

        if ids:
            self.change(work)

    def log_refusals(self, entries: Sequence[AuditEntry]) -> None:
        """Append refused connections to the audit trail."""
        if entries:
            self.change(lambda connection, schema: write_audit(connection, schema, entries, CONNECT_METHOD))

    # Within

    def schema(self) -> Schema:
        """Return the columns there are; asked of the database once. Raises SchemaMissing when no key could be judged.

        A SQLite file without the tables gets them, unless keys were made here before; a server's database is left to
        ``db upgrade``. Raises StoreMisconfigured.
        """
        with self._schema_lock:
            if self._schema is None:
                self._schema = self._observed_schema()
            return self._schema

    def _observed_schema(self) -> Schema:
        schema = observe(self.database)
        is_file = self.database.engine.dialect.name == "sqlite" and not self.database.is_read_only
        if is_file and not (schema.key_columns and schema.audit_columns):
            if not schema.key_columns and self._ended is not None and self._ended.path.exists():
                self._ended.refuse_to_begin_anew()
            self.database.write(metadata.create_all)
            schema = observe(self.database)
        schema.require_keys()
        return schema

    def _with_schema(self, work: Callable[[Schema], T]) -> T:
        """Run ``work``; once more, at once, when it finds out that a column is gone that can be done without."""
        schema = self.schema()
        try:
            return work(schema)
        except SchemaMissing:
            with self._schema_lock:
                self._schema = None
            now = self.schema()
            if now == schema:
                raise
            return work(now)

    def _select(self, condition: ColumnElement[bool] | None = None) -> Sequence[Mapping[str, Any]]:

        def work(schema: Schema) -> Sequence[Mapping[str, Any]]:
            statement = select(*schema.selectable())
            if condition is not None:
                statement = statement.where(condition).execution_options(**{PREPARED: True})
            return self.database.read(lambda connection: self._read(connection, schema, statement))

        return self._with_schema(work)

    def _read(self, connection: Connection, schema: Schema, statement: Select[Any]) -> Sequence[Mapping[str, Any]]:
        """Rows, and of each that doesn't fit its seal the last line of its audit trail."""
        rows = read_rows(connection, statement)
        for row in rows:
            row[_ALTERED] = None
        altered = seals.find_altered(connection, schema.key_columns, rows)
        for row in rows:
            if row["id"] in altered:
                lines = read_audit(connection, schema, row["id"], AUDITED_LINES)
                row[_ALTERED] = [line for line in lines if line.action != "refuse"]
        return rows

    def _record(self, row: Mapping[str, Any]) -> KeyRecord:
        record, lines, now = record_of(row), row[_ALTERED], utc_now(self._clock)
        if lines is not None:
            record = seals.judge(record, lines[0] if lines else None, now)
            self._tell(record, "a key's row is not as our last change left it: damaged, or changed by hand")
        elif self._ended is not None and refusal(record, now) is None and self._ended.is_ended(record, now):
            record = msgspec.structs.replace(record, is_altered=True, is_active=False)
            what = "a key is good in the key database though it was ended: an older copy was put back, or the clock is"
            self._tell(record, f"{what} behind")
        return record

    def _tell(self, record: KeyRecord, what: str) -> None:
        """Log it, once for each key."""
        if record.id in self._told:
            return
        self._told.add(record.id)
        next_step = f"swimctl keys accept {record.id}"
        _log().error(what, key_id=record.id, refused=not record.is_active, next_step=next_step)

    def _update(
        self, key_id: int, values: Mapping[str, Any], actor: Actor, action: str, detail: str | None
    ) -> KeyRecord:
        now = utc_now(self._clock)

        def work(connection: Connection, schema: Schema) -> KeyRecord:
            if values:
                update_key(connection, key_id, values)
            record = read_key(connection, schema, key_id)
            self._log(connection, schema, [entry(now, actor, action, key_id, detail)])
            seals.seal(connection, schema.key_columns, [key_id])
            return record

        return self.change(work)

    @staticmethod
    def _log(connection: Connection, schema: Schema, entries: Sequence[AuditEntry]) -> None:
        write_audit(connection, schema, entries, KEYS_METHOD)


def _log() -> Any:
    from swim_server.logs import get_logger  # costly to import, and needed seldom

    return get_logger("keys")


def entry(at: datetime, actor: Actor, action: str, key_id: int, detail: str | None) -> AuditEntry:
    """Return the line that a change leaves in the audit trail."""
    return AuditEntry(at=at, action=action, key_id=key_id, actor=actor.name, origin=actor.origin, detail=detail)


def _written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
