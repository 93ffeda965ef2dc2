"""The embedded key database: a SQLite file accessible only to its owner.

It uses SQLite's rollback journal, as keys change seldom: the one file is the whole database and can be copied at any
moment; an exclusive lock also blocks readers.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL

from swim_server.files.replacing import sync_folder
from swim_server.files.sqlite_copy import find_damage_in_copy
from swim_server.sql.database import ONLY_READS, Database
from swim_server.sql.errors import DatabaseAbsent, SchemaMissing, StoreError, StoreMisconfigured, StoreUnavailable

_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}


def open_sqlite(
    url: URL, *, busy_timeout_seconds: float = 5, pool_size: int = 5, is_read_only: bool = False
) -> Database:
    """Open a SQLite file, created with mode 0600 if it doesn't exist yet. Raises StoreMisconfigured.

    ``is_read_only``: nothing is created or written. Raises DatabaseAbsent if there is nothing to read.
    """
    if not url.database or url.database == ":memory:":
        raise StoreMisconfigured("the key database must be a file, not one in memory", "set [database] url")
    path = Path(url.database)
    if is_read_only:
        url = _only_to_read(url, path)
    else:
        create_private_file(path)
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=busy_timeout_seconds,
        connect_args={"timeout": busy_timeout_seconds, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # transactions begin explicitly, below
        connection.execute("PRAGMA synchronous = EXTRA")  # a revoked key must stay revoked after a power cut

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get(ONLY_READS):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return Database(engine, partial(_explain_of_file, path), is_read_only=is_read_only)


def open_nothing() -> Database:
    """Open an empty database in memory, equal to a file before it is created."""
    return Database(create_engine("sqlite://"), explain)


def _only_to_read(url: URL, path: Path) -> URL:
    """Return the address that makes SQLite open a file read-only (https://sqlite.org/uri.html)."""
    try:
        if path.stat().st_size == 0:
            raise DatabaseAbsent(path)
    except FileNotFoundError:
        raise DatabaseAbsent(path) from None
    except OSError as error:
        raise StoreMisconfigured(f"can't open the key database {path}", error.strerror or str(error)) from error
    return url.set(database=path.absolute().as_uri(), query={**url.query, "mode": "ro", "uri": "true"})


def create_private_file(path: Path) -> None:
    """Create an empty file with mode 0600; leave an existing one as it is. Raises StoreMisconfigured."""
    is_new = False
    try:
        is_new = not path.exists()
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            if is_new and os.geteuid() == 0:  # created by root in a service user's home, it must belong to the service
                folder = path.parent.stat()
                os.fchown(descriptor, folder.st_uid, folder.st_gid)
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        if error.errno == errno.EROFS and not is_new:
            return  # it can be read, and a key can be ended in the daemon's memory
        raise StoreMisconfigured(f"can't open the key database {path}", error.strerror or str(error)) from error


def explain(error: BaseException | None, _was_used: bool) -> StoreError:
    """Return what an error of SQLite means for the caller."""
    text = str(error)
    if text.startswith(("no such table: ", "no such column: ")):
        name = text.partition(": ")[2]
        return SchemaMissing(name) if "table" in text else SchemaMissing("swim_api_keys", [name])
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _PASSING:
        return StoreUnavailable(text)
    if code is not None and code & 0xFF in _DAMAGE:
        return StoreMisconfigured(
            f"the key database is damaged: {text}", "put a copy back, or see: sqlite3 swim.db .recover"
        )
    return StoreMisconfigured("the key database can't be used", text)


def _explain_of_file(path: Path, error: BaseException | None, was_used: bool) -> StoreError:
    """Return what an error means; reported damage may be a disk that could not read.

    A disk that the kernel has made read-only after an error has a problem too.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF == sqlite3.SQLITE_READONLY and _is_on_read_only_disk(path):
        return StoreUnavailable("its disk is mounted read-only")
    if code is not None and code & 0xFF in _DAMAGE:
        try:
            found = find_damage_in_copy(path)
        except (sqlite3.Error, OSError) as trouble:
            return StoreUnavailable(f"its disk has a problem ({trouble})")
        if not found:
            return StoreUnavailable(
                f"its disk has a problem: a read failed once ({error}) and succeeded the second time"
            )
    return explain(error, was_used)


def _is_on_read_only_disk(path: Path) -> bool:
    """Test it by opening: after an error some kernels refuse all changes but still call the disk writable."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return error.errno == errno.EROFS
    return False
