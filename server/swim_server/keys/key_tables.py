"""The tables of keys in one database: their columns, their rows as records, and transactions on them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, select

from swim_server.concurrency.clock import Clock, utc_now
from swim_server.keys.integrity import seals
from swim_server.keys.integrity.believed import ALTERATION, AUDIT, AUDITED_LINES, Row, believed_record, log_altered
from swim_server.keys.integrity.ended_keys import EndedKeys
from swim_server.keys.records import KeyRecord
from swim_server.keys.rows import record_of
from swim_server.keys.schema import Schema, observe
from swim_server.keys.statements import read_audit, read_rows
from swim_server.keys.tables import api_keys, metadata
from swim_server.sql.database import Database
from swim_server.sql.errors import SchemaMissing
from swim_server.sql.prepared import PREPARED

if TYPE_CHECKING:
    from swim_server.logs import Logger

T = TypeVar("T")


class KeyTables:
    """Reads rows, each checked against its seal, and runs changes. Blocking and thread-safe."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self.database = database
        self._clock = clock
        self._schema: Schema | None = None
        self._schema_lock = threading.Lock()
        self._ended = EndedKeys.beside(database.engine.url)
        self._told: set[int] = set()
        """Keys whose altered rows have been logged."""

    def schema(self) -> Schema:
        """Return the existing columns, read from the database once. Raises SchemaMissing if no key could be judged.

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

    def with_schema(self, work: Callable[[Schema], T]) -> T:
        """Run ``work``, and once more if it finds that a dispensable column is gone."""
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

    def rows(self, condition: ColumnElement[bool] | None = None) -> Sequence[Row]:
        """Read the rows of keys that meet the condition; all of them without one. Raises StoreError."""

        def work(schema: Schema) -> Sequence[Row]:
            statement = select(*schema.selectable())
            if condition is not None:
                statement = statement.where(condition).execution_options(**{PREPARED: True})
            return self.database.read(lambda connection: self._read(connection, schema, statement))

        return self.with_schema(work)

    def _read(self, connection: Connection, schema: Schema, statement: Select[Any]) -> Sequence[Row]:
        """Read rows, each with the newest lines of its audit trail if it doesn't match its seal."""
        rows = read_rows(connection, statement)
        alterations = seals.find_alterations(connection, schema.key_columns, rows)
        for row, alteration in zip(rows, alterations, strict=True):
            row[ALTERATION] = alteration
            if alteration is not None:
                lines = read_audit(connection, schema, row["id"], AUDITED_LINES)
                row[AUDIT] = [line for line in lines if line.action != "refuse"]
        return rows

    def record(self, row: Row) -> KeyRecord:
        """Return what a row says, refused if it was altered outside of our commands."""
        return believed_record(row, self._ended, self._clock, self._tell)

    def _tell(self, record: KeyRecord, what: str, next_step: str | None = None) -> None:
        """Log it, once for each key."""
        if record.id in self._told:
            return
        self._told.add(record.id)
        log_altered(record, what, next_step)

    def change(self, work: Callable[[Connection, Schema], T]) -> T:
        """Run ``work`` in a transaction; then record, beside the database file, when the keys end that it sealed.

        Raises StoreError.
        """
        sealed: set[int] = set()

        def noted(connection: Connection, schema: Schema) -> T:
            connection.info.pop(seals.SEALED, None)
            result = work(connection, schema)
            sealed.update(connection.info.pop(seals.SEALED, ()))
            return result

        result = self.with_schema(lambda schema: self.database.write(lambda connection: noted(connection, schema)))
        if sealed:
            self._note_ends(sealed)
        return result

    def _note_ends(self, key_ids: Collection[int]) -> None:
        if self._ended is None:
            return
        is_first = not self._ended.path.exists()  # a version without this file may have ended others
        some = None if is_first else api_keys.c.id.between(min(key_ids), max(key_ids))
        rows = [row for row in self.rows(some) if is_first or row["id"] in key_ids]
        try:
            self._ended.note(map(record_of, rows), utc_now(self._clock))
        except OSError as error:
            _log().warning("can't write swim.ended, the second record of when keys end", reason=str(error))


def _log() -> Logger:
    from swim_server.logs import get_logger  # slow to import, and seldom needed

    return get_logger("keys")
