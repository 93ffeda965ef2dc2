"""The key database in a SQLite file, without SQLAlchemy: what every run of doctor on such a home asks."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from swim_server.keys.key_file import statements
from swim_server.keys.key_file.key_file import KeyFile
from swim_server.keys.key_file.values import stored_bit, stored_time
from swim_server.keys.schema import KEYS_TABLE

from swimctl.doctor.probes.database.marker import LEFT_BEHIND, OWNER, Marked, marker_values, new_text

if TYPE_CHECKING:
    from pathlib import Path

    from swim_server.keys.records import KeyRecord
    from swim_server.keys.schema import Schema


class FileAccess:
    """One file. Blocking and thread-safe; every method raises StoreError."""

    kind = "sqlite"

    def __init__(self, path: Path, lock_seconds: float) -> None:
        self._file = KeyFile(path, busy_timeout_seconds=lock_seconds)

    def ask_nothing(self) -> None:
        """Ask a cheap question that still touches the file, and so waits for a lock."""
        self._file.read(lambda connection: connection.execute(statements.SCHEMA_VERSION).fetchall())

    def schema(self) -> Schema:
        """Return the existing columns."""
        return self._file.schema()

    def records(self) -> list[KeyRecord]:
        """Read all keys."""
        return self._file.records()

    def clock(self) -> tuple[datetime, datetime, datetime]:
        """Return the time: a file has no clock of its own."""
        now = datetime.now(UTC)
        return now, now, now

    def mark(self) -> Marked:
        """Write the marker: reuse one that a killed run left behind, or add a row. Raises SchemaMissing."""
        schema = self._file.schema()
        schema.require_keys()
        text, now = new_text(), datetime.now(UTC)

        def work(connection: sqlite3.Connection) -> Marked:
            connection.execute(statements.DELETE_NOTHING)
            key_id = _left_behind(connection, now) if "created_at" in schema.key_columns else None
            if key_id is not None:
                again = statements.update_key(("description", "created_at"))
                connection.execute(again, (text, stored_time(now), key_id))
                return Marked(key_id, text)
            values = {name: _stored(value) for name, value in marker_values(schema, text, now).items()}
            connection.execute(statements.insert_key(tuple(values)), tuple(values.values()))
            found = connection.execute(statements.SELECT_ID, (values["api_key"],)).fetchone()
            return Marked(found[0], text)

        return self._file.write(work)

    def unmark(self, key_id: int) -> None:
        """Remove the marker, and free its id for the next key: running doctor every minute leaves no gaps."""

        def work(connection: sqlite3.Connection) -> None:
            if (
                connection.execute(statements.DELETE_INACTIVE_OF_OWNER, (key_id, OWNER, 0)).rowcount
                and connection.execute(statements.HAS_SEQUENCE).fetchone() is not None
            ):
                connection.execute(statements.GIVE_ID_BACK, (KEYS_TABLE, key_id))

        self._file.write(work)

    def close(self) -> None:
        """Do nothing: each call has closed its connection."""


def _left_behind(connection: sqlite3.Connection, now: datetime) -> int | None:
    parameters = (OWNER, 0, stored_time(now - LEFT_BEHIND), 1, 0)
    row = connection.execute(statements.SELECT_INACTIVE_OF_OWNER, parameters).fetchone()
    return None if row is None else int(row[0])


def _stored(value: object) -> object:
    if isinstance(value, datetime):
        return stored_time(value)
    return stored_bit(value) if isinstance(value, bool) else value
