"""The key database as the command line sees it: opened once per run, in threads, with short time limits.

Nothing is created but a marker row, which is not a key and is removed again.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from swimctl.doctor.probes.database.marker import Marked, is_marker

if TYPE_CHECKING:
    from swim_server.config import DatabaseConfig
    from swim_server.keys.records import KeyRecord
    from swim_server.keys.schema import Schema

    from swimctl.doctor.context import DoctorContext

STATEMENT_SECONDS = 2.0
"""How long a statement, or a login, may take: anything longer is a finding in itself."""
WRITE_SECONDS = 1.0
"""How long a write, or any access to a file, may wait for another's lock."""
LOOKS = 3


class Login(msgspec.Struct, frozen=True):
    """An open database, what kind it is, and how long opening it took."""

    kind: str
    """``sqlite`` or ``mssql``."""
    seconds: float


class Access(Protocol):
    """An open key database: a file, or through SQLAlchemy. Blocks; every method raises StoreError."""

    @property
    def kind(self) -> str: ...

    def ask_nothing(self) -> None: ...

    def schema(self) -> Schema: ...

    def records(self) -> list[KeyRecord]: ...

    def clock(self) -> tuple[datetime, datetime, datetime]: ...

    def mark(self) -> Marked: ...

    def unmark(self, key_id: int, /) -> None: ...

    def close(self) -> None: ...


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
    from swim_server.sql.sqlite_file import plain_path

    if (plain := plain_path(config.url)) is not None:
        return plain
    if not config.url.startswith("sqlite"):
        return None
    from sqlalchemy.engine import make_url

    url = make_url(config.url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


async def login(context: DoctorContext) -> Login:
    """Log in, once per run. Raises StoreError."""

    async def find() -> Login:
        return (await _opened(context))[1]

    return await context.fact("database.login", find, "a login to the key database", shape=Login)


async def _access(context: DoctorContext) -> Access:
    """Return the open database, for observations. Raises StoreError."""
    return (await _opened(context))[0]


async def _opened(context: DoctorContext) -> tuple[Access, Login]:
    config = await database_config(context)
    default = context.home.database

    async def make() -> tuple[Access, Login]:
        found, seconds = await asyncio.to_thread(_open, config, default, WRITE_SECONDS * context.load_factor)
        context.at_end(lambda: asyncio.to_thread(found.close))
        return found, Login(found.kind, seconds)

    return await context.shared("key database", make)


def _open(config: DatabaseConfig, default: Path, lock_seconds: float = WRITE_SECONDS) -> tuple[Access, float]:
    """Open the database; for a file, ``lock_seconds`` reports a lock before the check that waits for it is cut off."""
    path = sqlite_path(config, default)
    if path is not None and not path.exists():  # opening it would create it
        from swim_server.sql.errors import StoreMisconfigured

        raise StoreMisconfigured(f"there is no file {path}", "swimctl serve makes it")
    is_empty = path is not None and not path.stat().st_size  # the daemon created it, and no key has been stored yet
    started = time.perf_counter()
    if path is not None and not is_empty and _is_plain(config):
        from swimctl.doctor.probes.database.file_access import FileAccess

        access: Access = FileAccess(path, lock_seconds)
        access.ask_nothing()
        return access, time.perf_counter() - started
    from swimctl.doctor.probes.database.sql_access import SqlAccess

    if path is not None:
        config = msgspec.structs.replace(config, query_timeout_seconds=lock_seconds)
    started = time.perf_counter()
    return SqlAccess.open(config, default, is_read_only=not is_empty), time.perf_counter() - started


def _is_plain(config: DatabaseConfig) -> bool:
    """Return True if nothing but the file's path has to be known to open it."""
    from swim_server.sql.sqlite_file import plain_path

    return config.odbc is None and (config.url is None or plain_path(config.url) is not None)


async def latency_seconds(context: DoctorContext) -> float:
    """Measure a trivial query on an open connection. Raises StoreError."""

    async def find() -> float:
        return await asyncio.to_thread(_measure, await _access(context))

    return await context.fact("database.latency", find, "questions to the key database", shape=float)


def _measure(access: Access) -> float:
    seconds: list[float] = []
    for _ in range(LOOKS):
        started = time.perf_counter()
        access.ask_nothing()
        seconds.append(time.perf_counter() - started)
        if seconds[-1] >= STATEMENT_SECONDS / 2:
            break  # a slow answer is enough to know
    return sorted(seconds)[len(seconds) // 2]


async def schema(context: DoctorContext) -> Schema:
    """Return the existing columns. Raises StoreError."""
    from swim_server.keys.schema import Schema

    async def find() -> Schema:
        return await asyncio.to_thread((await _access(context)).schema)

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
    found = await asyncio.to_thread((await _access(context)).records)
    return {
        record.id: msgspec.structs.replace(record, fingerprint=None, owner_email=None)
        for record in found
        if not is_marker(record)
    }


async def server_clock(context: DoctorContext) -> tuple[datetime, datetime, datetime]:
    """Return the database server's time, with ours before and after. Raises StoreError."""

    async def find() -> tuple[datetime, datetime, datetime]:
        return await asyncio.to_thread((await _access(context)).clock)

    shape = tuple[datetime, datetime, datetime]
    return await context.fact("database.clock", find, "the database server's clock", shape=shape)


async def marker(context: DoctorContext) -> Marked:
    """Write a row that is not a key, once; it is removed when the context ends. Raises StoreError."""
    where = "a marker row, written to the key database"
    return await context.fact("database.marker", lambda: _mark_and_remember(context), where, shape=Marked)


async def _mark_and_remember(context: DoctorContext) -> Marked:
    from swim_server.sql.errors import SchemaMissing

    access = await _access(context)
    try:
        marked = await asyncio.to_thread(access.mark)
    except SchemaMissing:
        if access.kind != "sqlite":
            raise
        access = await _access_that_makes_tables(context)
        marked = await asyncio.to_thread(access.mark)
    context.at_end(lambda: asyncio.to_thread(access.unmark, marked.key_id))
    return marked


async def _access_that_makes_tables(context: DoctorContext) -> Access:
    """Open a SQLite file without tables like the commands about keys, which make them with the first key."""
    from swimctl.doctor.probes.database.sql_access import SqlAccess

    config = await database_config(context)
    config = msgspec.structs.replace(config, query_timeout_seconds=WRITE_SECONDS * context.load_factor)
    access = await asyncio.to_thread(SqlAccess.open, config, context.home.database, is_read_only=False)
    context.at_end(lambda: asyncio.to_thread(access.close))
    return access
