"""The key database through SQLAlchemy: on a server, or a SQLite file in which nothing has been stored yet."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import DateTime, delete, false, func, literal, select, text
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.keys.opening import open_database
from swim_server.keys.schema import Schema, observe
from swim_server.keys.statements import insert_keys, update_key
from swim_server.keys.store import KeyStore
from swim_server.keys.tables import api_keys

from swimctl.doctor.probes.database.marker import LEFT_BEHIND, OWNER, Marked, marker_values, new_text

if TYPE_CHECKING:
    from pathlib import Path

    from swim_server.config import DatabaseConfig
    from swim_server.keys.records import KeyRecord
    from swim_server.sql.database import Database


class SqlAccess:
    """One open database. Blocking and thread-safe; every method raises StoreError."""

    def __init__(self, database: Database, open_to_write: Callable[[], Database]) -> None:
        self._database = database
        self._open_to_write = open_to_write
        self._written: Database | None = None

    @classmethod
    def open(cls, config: DatabaseConfig, default: Path, *, is_read_only: bool) -> SqlAccess:
        """Open the configured database and log in."""
        access = cls(open_database(config, default, is_read_only=is_read_only), lambda: open_database(config, default))
        try:
            access.ask_nothing()
        except BaseException:
            access.close()
            raise
        return access

    @property
    def kind(self) -> str:
        """``sqlite`` or ``mssql``."""
        return str(self._database.engine.dialect.name)

    def ask_nothing(self) -> None:
        """Ask a cheap question."""
        self._database.read(ask_nothing)

    def schema(self) -> Schema:
        """Return the existing columns."""
        return observe(self._database)

    def records(self) -> list[KeyRecord]:
        """Read all keys."""
        return _store(self._database).list()

    def clock(self) -> tuple[datetime, datetime, datetime]:
        """Return the server's time, with ours before and after."""

        def work(connection: Any) -> datetime:
            found: datetime = connection.execute(select(func.sysutcdatetime(type_=DateTime()))).scalar_one()
            return found

        before = datetime.now(UTC)
        there = self._database.read(work)
        return before, there.replace(tzinfo=UTC), datetime.now(UTC)

    def mark(self) -> Marked:
        """Write the marker."""
        self._written = self._open_to_write()
        return mark(self._written)

    def unmark(self, key_id: int) -> None:
        """Remove the marker."""
        assert self._written is not None, "it was written before"
        remove(self._written, key_id)

    def close(self) -> None:
        """Close all connections."""
        self._database.close()
        if self._written is not None:
            self._written.close()


def ask_nothing(connection: Any) -> None:
    """Run a cheap query that still touches a file; a constant would be answered in spite of a lock."""
    is_file = connection.dialect.name == "sqlite"
    connection.execute(text("PRAGMA schema_version") if is_file else select(literal(1))).fetchall()


def mark(database: Database) -> Marked:
    """Write the marker: reuse one that a killed run left behind, or add a row."""
    marker, now = new_text(), datetime.now(UTC)
    left_behind = select(api_keys.c.id).where(
        api_keys.c.owner_name == OWNER, api_keys.c.is_active == literal(0), api_keys.c.created_at < now - LEFT_BEHIND
    )

    def work(connection: Any, found: Schema) -> Marked:
        connection.execute(delete(api_keys).where(false()))  # don't write what we may not be allowed to remove
        row = connection.execute(left_behind.limit(1)).first() if "created_at" in found.key_columns else None
        if row is not None:
            update_key(connection, row[0], {"description": marker, "created_at": now})
            return Marked(row[0], marker)
        values = marker_values(found, marker, now)
        return Marked(insert_keys(connection, [values])[values["api_key"]], marker)

    marked: Marked = _store(database).tables.change(work)
    return marked


def remove(database: Database, key_id: int) -> None:
    """Remove the marker."""
    statement = delete(api_keys).where(
        api_keys.c.id == key_id, api_keys.c.owner_name == OWNER, api_keys.c.is_active == literal(0)
    )

    def work(connection: Any) -> None:
        if connection.execute(statement).rowcount and connection.dialect.name == "sqlite":
            _give_id_back(connection, key_id)

    database.write(work)


def _give_id_back(connection: Any, key_id: int) -> None:
    """Free the id for the next key, so that running doctor every minute leaves no gaps. Only for a file."""
    if connection.execute(text("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")).first() is not None:
        counted = text("UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = :table AND seq = :id")
        connection.execute(counted, {"table": api_keys.name, "id": key_id})


def _store(database: Database) -> KeyStore:
    return KeyStore(database, clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)
