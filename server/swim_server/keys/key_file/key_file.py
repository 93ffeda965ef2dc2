"""The key database in a SQLite file by the standard library alone: its columns and its keys. Blocking, thread-safe."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.keys.audit import CONNECT_METHOD, KEYS_METHOD, entry_of
from swim_server.keys.integrity.believed import ALTERATION, AUDIT, AUDITED_LINES, believed_record, log_altered
from swim_server.keys.integrity.ended_keys import EndedKeys
from swim_server.keys.integrity.row_seal import ROWS_AT_ONCE, SEALED_COLUMNS, alteration
from swim_server.keys.key_file import statements
from swim_server.keys.key_file.values import read_bit, read_time
from swim_server.keys.records import KeyRecord
from swim_server.keys.schema import AUDIT_COLUMNS, AUDIT_TABLE, KEY_COLUMNS, KEYS_TABLE, Schema
from swim_server.sql.errors import StoreMisconfigured
from swim_server.sql.sqlite_file import create_private_file, explain_of_file, set_up, uri_to_read

T = TypeVar("T")
_CONVERSIONS: Mapping[str, Callable[[object], object]] = {
    "expires_at": read_time, "created_at": read_time, "last_used_at": read_time, "request_time": read_time,
    "is_active": read_bit, "can_write": read_bit,
}  # fmt: skip
"""By column: how its values are read. All others are taken as they are."""


class KeyFile:
    """An existing file. Each call opens it anew, so that calls don't wait for each other."""

    def __init__(self, path: Path, *, busy_timeout_seconds: float, clock: Clock = SYSTEM_CLOCK) -> None:
        self.path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._clock = clock
        self._ended = EndedKeys.beside_file(path)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` on a connection that can't write. Raises StoreError."""
        uri = f"{uri_to_read(self.path)}?mode=ro"
        try:
            with closing(self._connect(uri, is_uri=True)) as connection:
                return work(connection)
        except sqlite3.Error as error:
            raise explain_of_file(self.path, error, False) from error

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run ``work`` in a transaction, committed when it returns. Raises StoreError."""
        create_private_file(self.path)
        try:
            with closing(self._connect(str(self.path))) as connection:
                connection.execute("BEGIN IMMEDIATE")
                result = work(connection)
                connection.execute("COMMIT")
                return result
        except sqlite3.IntegrityError as error:
            raise StoreMisconfigured("the key database refuses a row", str(error)[:300]) from error
        except sqlite3.Error as error:
            raise explain_of_file(self.path, error, False) from error

    def schema(self) -> Schema:
        """Find out which columns exist. Raises StoreError."""
        return self.read(_schema)

    def records(self) -> list[KeyRecord]:
        """Read all keys, in the order of their ids; what was altered is refused, as for the service. Raises StoreError.

        Raises SchemaMissing if no key could be judged.
        """
        rows = self.read(_rows)
        records = [believed_record(row, self._ended, self._clock, log_altered) for row in rows]
        return sorted(records, key=lambda record: record.id)

    def _connect(self, database: str, *, is_uri: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(database, timeout=self._busy_timeout_seconds, uri=is_uri)
        set_up(connection)
        return connection


def _dicts(
    connection: sqlite3.Connection, sql: str, names: Sequence[str], parameters: Sequence[object] = ()
) -> list[dict[str, Any]]:
    """Run a query for these columns and return its rows, with their values as SQLAlchemy's columns read them."""
    found = [dict(zip(names, row, strict=True)) for row in connection.execute(sql, parameters)]
    for name in _CONVERSIONS.keys() & set(names):
        for row in found:
            row[name] = _CONVERSIONS[name](row[name])
    return found


def _schema(connection: sqlite3.Connection) -> Schema:
    return Schema(audit_columns=_columns_of(connection, AUDIT_TABLE), key_columns=_columns_of(connection, KEYS_TABLE))


def _columns_of(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    try:
        cursor = connection.execute(statements.select_nothing(table))
    except sqlite3.OperationalError as error:
        if not str(error).startswith("no such table: "):
            raise
        return frozenset()
    return frozenset(description[0].lower() for description in cursor.description)


def _rows(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """Read all rows, each with the newest lines of its audit trail if it doesn't match its seal."""
    schema = _schema(connection)
    schema.require_keys()
    names = [name for name in KEY_COLUMNS if name in schema.key_columns]
    rows = _dicts(connection, statements.select_keys(names), names)
    seals_exist: bool | None = None
    for start in range(0, len(rows), ROWS_AT_ONCE):
        chunk = rows[start : start + ROWS_AT_ONCE]
        ids = [row["id"] for row in chunk]
        raw = _raw_rows(connection, schema.key_columns, ids)
        if seals_exist is None:
            seals_exist = connection.execute(statements.HAS_SEALS).fetchone() is not None
        seals = dict(connection.execute(statements.select_seals(len(ids)), ids)) if seals_exist else {}
        for row in chunk:
            row[ALTERATION] = alteration(row, raw.get(row["id"]), seals.get(row["id"]))
            if row[ALTERATION] is not None:
                row[AUDIT] = _audit(connection, schema, row["id"])
    return rows


def _raw_rows(
    connection: sqlite3.Connection, columns: Collection[str], ids: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """Read the rows as SQLite stores them, from the table and not from an index."""
    names = [name for name in SEALED_COLUMNS if name in columns]
    found = connection.execute(statements.select_raw_keys(names, len(ids)), ids)
    return {row[0]: dict(zip(names, row[1:], strict=True)) for row in found}


def _audit(connection: sqlite3.Connection, schema: Schema, key_id: int) -> list[Any]:
    if not schema.can_audit:
        return []
    columns = [name for name in AUDIT_COLUMNS if name in schema.audit_columns]
    parameters = (KEYS_METHOD, CONNECT_METHOD, key_id, AUDITED_LINES, 0)
    lines = map(entry_of, _dicts(connection, statements.select_audit_of_key(columns), columns, parameters))
    return [line for line in lines if line.action != "refuse"]
