"""The SQLite file that holds history: its schema, how it is opened and checked, and how a damaged one is set aside."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from swim_server.brokers.broker import BrokerUnavailable
from swim_server.logs import get_logger

Synchronous = Literal["normal", "full"]
"""``normal``: survives the death of the process at any moment; ``full``: a power cut too, at one fsync a commit."""
Connect = Callable[[Path], sqlite3.Connection]

APPLICATION_ID = 0x5357494D
SCHEMA_VERSION = 1
BUSY_SECONDS = 5.0
CHECK_LIMIT_BYTES = 256 * 1024 * 1024
"""A larger file is not read through at open; its damage shows when the damaged page is read."""
KEPT_DAMAGED_FILES = 3
SIDE_FILES = ("-wal", "-shm")

_SCHEMA = (
    "CREATE TABLE events (id INTEGER PRIMARY KEY, type TEXT NOT NULL, wire BLOB NOT NULL)",
    # The producer's own names, as digests; id is that of the event.
    "CREATE TABLE event_ids (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE)",
    # The newest id of each type that retention has removed.
    "CREATE TABLE pruned (type TEXT PRIMARY KEY, up_to INTEGER NOT NULL) WITHOUT ROWID",
    # after < id <= up_to: events that may once have been handed out and are not here.
    "CREATE TABLE holes (up_to INTEGER PRIMARY KEY, after INTEGER NOT NULL, reason TEXT NOT NULL, at_ms INTEGER)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_PROBES = (
    "SELECT id, type, wire FROM events LIMIT 0",
    "SELECT id, digest FROM event_ids LIMIT 0",
    "SELECT type, up_to FROM pruned",
    "SELECT up_to, after, reason, at_ms FROM holes",
)
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_TRUNCATED = sqlite3.SQLITE_IOERR_SHORT_READ

_log = get_logger("broker")


class DiskTrouble(BrokerUnavailable):
    """No space, or the disk fails: it may pass by itself."""


class HistoryDamaged(Exception):
    """The file is no history that this program can go on with."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for writing, in autocommit mode. Whoever calls sees to it that one thread at a time uses it."""
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open the existing file for reading only."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Do all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def prepare(connection: sqlite3.Connection, synchronous: Synchronous) -> bool:
    """Check the file and make it ready; True when it held nothing yet and has its tables now.

    Raises HistoryDamaged, or whatever sqlite3 raises.
    """
    application_id = _value(connection, "PRAGMA application_id")
    is_new = application_id == 0 and _value(connection, "SELECT count(*) FROM sqlite_master") == 0
    if is_new:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    elif application_id != APPLICATION_ID:
        raise HistoryDamaged("it is another program's file")
    else:
        _check(connection)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if is_new:
        with transaction(connection):
            for statement in _SCHEMA:
                connection.execute(statement)
    return is_new


def _check(connection: sqlite3.Connection) -> None:
    version = _value(connection, "PRAGMA user_version")
    if version != SCHEMA_VERSION:
        raise HistoryDamaged(f"it has schema {version}, this program reads {SCHEMA_VERSION}")
    for probe in _PROBES:
        try:
            connection.execute(probe).fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
                raise HistoryDamaged(str(error)) from None
            raise
    size = _value(connection, "PRAGMA page_count") * _value(connection, "PRAGMA page_size")
    if size <= CHECK_LIMIT_BYTES:
        verify(connection)


def checkpoint(path: Path) -> None:
    """Write the write-ahead log's pages back into the file while commits go on; waits for the disk, not for locks.

    Run beside the writing thread, so that no commit pays for it. Raises what sqlite3 raises.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    finally:
        connection.close()


def verify(connection: sqlite3.Connection) -> None:
    """Read the whole file. Raises HistoryDamaged when a page of it is broken."""
    verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise HistoryDamaged(str(verdict))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether an error tells of the file's content rather than of the disk, a lock or a permission."""
    code = getattr(error, "sqlite_errorcode", None)
    return code == _TRUNCATED or (code is not None and code & 0xFF in _DAMAGE)


def unavailable(error: sqlite3.Error | OSError, path: Path) -> BrokerUnavailable:
    """Say what is wrong with the environment and what to do."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    match code:
        case sqlite3.SQLITE_FULL:
            return DiskTrouble(f"no space left for {path}: free some; nothing acknowledged is lost")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            reason = f"another program holds {path} locked: end it"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            reason = (
                f"{path} can't be opened or written: check its folder's permissions and whether its disk is read-only"
            )
        case sqlite3.SQLITE_IOERR:
            return DiskTrouble(f"the disk of {path} has trouble ({error}): check its free space and the system's log")
        case _:
            reason = f"{path}: {error}"
    return BrokerUnavailable(reason)


def set_aside(path: Path, now: datetime) -> Path:
    """Rename a damaged file and what belongs to it; keep the newest few such. Raises OSError."""
    target = path.with_name(f"{path.name}.damaged-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}")
    number = 1
    while target.exists():
        number += 1
        target = target.with_name(f"{path.name}.damaged-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{number}")
    for suffix in (*SIDE_FILES, ""):
        part = path.with_name(path.name + suffix)
        if part.exists() or part.is_symlink():
            part.rename(target.with_name(target.name + suffix))
    _forget_oldest(path)
    return target


def _forget_oldest(path: Path) -> None:
    kept = sorted(
        (file for file in path.parent.glob(f"{path.name}.damaged-*") if not file.name.endswith(SIDE_FILES)),
        key=lambda file: file.lstat().st_mtime,
    )
    for file in kept[:-KEPT_DAMAGED_FILES]:
        _remove(file.with_name(file.name + suffix) for suffix in ("", *SIDE_FILES))


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("an old damaged history can't be removed", path=str(file), error=str(error))


def _value(connection: sqlite3.Connection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])
