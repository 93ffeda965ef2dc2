"""The key database as the command line sees it: opened once per run, in threads, with short time limits.

Nothing is created but a marker row, which is not a key and is removed again.
"""

from __future__ import annotations

import asyncio
import secrets
import statistics
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from swim_server.config import DatabaseConfig
    from swim_server.keys.records import KeyRecord
    from swim_server.keys.schema import Schema
    from swim_server.sql.database import Database

    from swimctl.doctor.context import DoctorContext

STATEMENT_SECONDS = 2.0
"""How long a statement, or a login, may take: anything longer is a finding in itself."""
WRITE_SECONDS = 1.0
"""How long a write, or any access to a file, may wait for another's lock."""
LOOKS = 3
MARKER = "swimctl doctor"
"""Owner of the marker row."""
LEFT_BEHIND = timedelta(minutes=1)
"""A marker this old is abandoned: the process that wrote it was killed."""


class Login(msgspec.Struct, frozen=True):
    """An open database, what kind it is, and how long opening it took."""

    kind: str
    """``sqlite`` or ``mssql``."""
    seconds: float


class Marked(msgspec.Struct, frozen=True):
    """A marker row that is in the table at the moment."""

    key_id: int
    text: str


async def database_config(context: DoctorContext) -> DatabaseConfig:
    """Return the configured database, with time limits suited to a check."""
    config = (await context.loaded()).config.database
    return msgspec.structs.replace(
        config,
        connect_timeout_seconds=min(config.connect_timeout_seconds, STATEMENT_SECONDS),
        query_timeout_seconds=min(config.query_timeout_seconds, STATEMENT_SECONDS),
    )


def sqlite_path(config: DatabaseConfig, default: Path) -> Path | None:
    """Return the database's file; None if it is on a server."""
    if config.odbc is not None:
        return None
    if config.url is None:
        return default
    from sqlalchemy.engine import make_url

    url = make_url(config.url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


async def login(context: DoctorContext) -> Login:
    """Log in, once per run. Raises StoreError."""

    async def find() -> Login:
        return (await _opened(context))[1]

    return await context.fact("database.login", find, "a login to the key database", shape=Login)


async def database(context: DoctorContext) -> Database:
    """Return the open database, for observations and repairs. Raises StoreError."""
    return (await _opened(context))[0]


async def _opened(context: DoctorContext) -> tuple[Database, Login]:
    config = await database_config(context)
    default = context.home.database

    async def make() -> tuple[Database, Login]:
        found, seconds = await asyncio.to_thread(_open, config, default, WRITE_SECONDS * context.load_factor)
        context.at_end(lambda: asyncio.to_thread(found.close))
        return found, Login(str(found.engine.dialect.name), seconds)

    return await context.shared("key database", make)


def _open(config: DatabaseConfig, default: Path, lock_seconds: float = WRITE_SECONDS) -> tuple[Database, float]:
    from swim_server.keys.opening import open_database

    path = sqlite_path(config, default)
    if path is not None and not path.exists():  # opening it would create it
        from swim_server.sql.errors import StoreMisconfigured

        raise StoreMisconfigured(f"there is no file {path}", "swimctl serve makes it")
    if path is not None:  # report a lock before the check that waits for it is cut off
        config = msgspec.structs.replace(config, query_timeout_seconds=lock_seconds)
    is_empty = path is not None and not path.stat().st_size  # the daemon created it, and no key has been stored yet
    database = open_database(config, default, is_read_only=not is_empty)
    started = time.perf_counter()
    try:
        database.read(_ask_nothing)
    except BaseException:
        database.close()
        raise
    return database, time.perf_counter() - started


def _ask_nothing(connection: Any) -> None:
    """Run a cheap query that still touches a file; a constant would be answered in spite of a lock."""
    from sqlalchemy import literal, select, text

    is_file = connection.dialect.name == "sqlite"
    connection.execute(text("PRAGMA schema_version") if is_file else select(literal(1))).fetchall()


async def latency_seconds(context: DoctorContext) -> float:
    """Measure a trivial query on an open connection. Raises StoreError."""

    async def find() -> float:
        return await asyncio.to_thread(_measure, await database(context))

    return await context.fact("database.latency", find, "questions to the key database", shape=float)


def _measure(database: Database) -> float:
    seconds: list[float] = []
    for _ in range(LOOKS):
        started = time.perf_counter()
        database.read(_ask_nothing)
        seconds.append(time.perf_counter() - started)
        if seconds[-1] >= STATEMENT_SECONDS / 2:
            break  # a slow answer is enough to know
    return statistics.median(seconds)


async def schema(context: DoctorContext) -> Schema:
    """Return the existing columns. Raises StoreError."""
    from swim_server.keys.schema import Schema, observe

    async def find() -> Schema:
        return await asyncio.to_thread(observe, await database(context))

    return await context.fact("database.schema", find, "the key database's columns", shape=Schema)


async def rows(context: DoctorContext) -> dict[int, KeyRecord]:
    """Read all keys in one query. Raises StoreError."""
    from swim_server.keys.records import KeyRecord

    return await context.fact(
        "database.rows", lambda: _read_rows(context), "swim_api_keys, without the keys", shape=dict[int, KeyRecord]
    )


async def rows_again(context: DoctorContext) -> dict[int, KeyRecord]:
    """Read all keys again, as they are now. Raises StoreError."""
    context.forget("database.rows")
    return await rows(context)


async def _read_rows(context: DoctorContext) -> dict[int, KeyRecord]:
    """Read the keys, without digests and owners' addresses, which no check uses."""
    opened = await database(context)
    found = await asyncio.to_thread(lambda: _store(opened).list())
    return {
        record.id: msgspec.structs.replace(record, fingerprint=None, owner_email=None)
        for record in found
        if not is_marker(record)
    }


def is_marker(record: KeyRecord) -> bool:
    """Return True for a marker row that an earlier run left behind."""
    return record.owner_name == MARKER and not record.is_active


def _store(database: Database) -> Any:
    from swim_server.concurrency.clock import SYSTEM_CLOCK
    from swim_server.keys.store import KeyStore

    return KeyStore(database, clock=SYSTEM_CLOCK, randbytes=secrets.token_bytes)


async def server_clock(context: DoctorContext) -> tuple[datetime, datetime, datetime]:
    """Return the database server's time, with ours before and after. Raises StoreError."""

    async def find() -> tuple[datetime, datetime, datetime]:
        return await asyncio.to_thread(_read_clock, await database(context))

    shape = tuple[datetime, datetime, datetime]
    return await context.fact("database.clock", find, "the database server's clock", shape=shape)


def _read_clock(database: Database) -> tuple[datetime, datetime, datetime]:
    from sqlalchemy import DateTime, func, select

    def work(connection: Any) -> datetime:
        found: datetime = connection.execute(select(func.sysutcdatetime(type_=DateTime()))).scalar_one()
        return found

    before = datetime.now(UTC)
    there = database.read(work)
    return before, there.replace(tzinfo=UTC), datetime.now(UTC)


async def marker(context: DoctorContext) -> Marked:
    """Write a row that is not a key, once; it is removed when the context ends. Raises StoreError."""
    where = "a marker row, written to the key database"
    return await context.fact("database.marker", lambda: _mark_and_remember(context), where, shape=Marked)


async def _mark_and_remember(context: DoctorContext) -> Marked:
    from swim_server.keys.opening import open_database

    config = await database_config(context)
    config = msgspec.structs.replace(config, query_timeout_seconds=WRITE_SECONDS * context.load_factor)
    default = context.home.database

    def make() -> Any:
        return open_database(config, default)

    database = await asyncio.to_thread(make)
    try:
        marked = await asyncio.to_thread(_mark, database)
    except BaseException:
        database.close()
        raise

    async def remove() -> None:
        try:
            await asyncio.to_thread(_remove, database, marked.key_id)
        finally:
            database.close()

    context.at_end(remove)
    return marked


def _mark(database: Database) -> Marked:
    """Write the marker: reuse one that a killed run left behind, or add a row."""
    from sqlalchemy import delete, false, literal, select
    from swim_server.keys.format import Tier, digest
    from swim_server.keys.new_key import NewKey
    from swim_server.keys.statements import insert_key, update_key
    from swim_server.keys.tables import api_keys

    text = f"not a key: {secrets.token_hex(8)}"
    now = datetime.now(UTC)
    left_behind = select(api_keys.c.id).where(
        api_keys.c.owner_name == MARKER, api_keys.c.is_active == literal(0), api_keys.c.created_at < now - LEFT_BEHIND
    )

    def work(connection: Any, found: Schema) -> Marked:
        connection.execute(delete(api_keys).where(false()))  # don't write what we may not be allowed to remove
        row = connection.execute(left_behind.limit(1)).first() if "created_at" in found.key_columns else None
        if row is not None:
            update_key(connection, row[0], {"description": text, "created_at": now})
            return Marked(row[0], text)
        new_key = NewKey(tier=Tier.PUBLIC, owner_name=MARKER, description=text, expires_at=now)
        record = insert_key(connection, found, new_key, digest(secrets.token_hex(32)), now)
        update_key(connection, record.id, {"is_active": False})
        return Marked(record.id, text)

    marked: Marked = _store(database).tables.change(work)
    return marked


def _remove(database: Database, key_id: int) -> None:
    from sqlalchemy import delete, literal
    from swim_server.keys.tables import api_keys

    statement = delete(api_keys).where(
        api_keys.c.id == key_id, api_keys.c.owner_name == MARKER, api_keys.c.is_active == literal(0)
    )

    def work(connection: Any) -> None:
        if connection.execute(statement).rowcount and connection.dialect.name == "sqlite":
            _give_id_back(connection, key_id)

    database.write(work)


def _give_id_back(connection: Any, key_id: int) -> None:
    """Free the id for the next key, so that running doctor every minute leaves no gaps. Only for a file."""
    from sqlalchemy import text
    from swim_server.keys.tables import api_keys

    if connection.execute(text("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")).first() is not None:
        counted = text("UPDATE sqlite_sequence SET seq = seq - 1 WHERE name = :table AND seq = :id")
        connection.execute(counted, {"table": api_keys.name, "id": key_id})
