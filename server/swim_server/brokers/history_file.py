"""The SQLite file that holds history: its schema, and how it is opened, checked, synced and set aside when damaged."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from swim_server.brokers.recovery.second_look import MAX_COPY_BYTES, find_damage
from swim_server.brokers.trouble import DiskTrouble, HistoryDamaged, is_damage, is_unread, unavailable
from swim_server.files.replacing import sync_file, sync_folder

Synchronous = Literal["normal", "full"]
"""``normal``: survives the death of the process at any moment; ``full``: also a power cut, at one sync per commit."""
Connect = Callable[[Path], sqlite3.Connection]

APPLICATION_ID = 0x5357494D
SCHEMA_VERSION = 1
"""Columns and tables added since are optional, so that a process of an earlier version can still use the file."""
BUSY_SECONDS = 5.0
CHECK_LIMIT_BYTES = 256 * 1024 * 1024
"""A larger file is checked after the start, in the background."""
SHOWN_FINDINGS = 100
SIDE_FILES = ("-wal", "-shm")

_SCHEMA = (
    "CREATE TABLE events (id INTEGER PRIMARY KEY, type TEXT NOT NULL, wire BLOB NOT NULL)",
    # Digests of producers' event ids; id is that of the event.
    "CREATE TABLE event_ids (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE)",
    # The newest id of each type that retention has removed.
    "CREATE TABLE pruned (type TEXT PRIMARY KEY, up_to INTEGER NOT NULL) WITHOUT ROWID",
    # after < id <= up_to: events that may once have been delivered and are missing here.
    "CREATE TABLE holes (up_to INTEGER PRIMARY KEY, after INTEGER NOT NULL, reason TEXT NOT NULL, at_ms INTEGER)",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)
_ADDED_COLUMNS = (("events", "crc"), ("event_ids", "crc"), ("holes", "crc"))
"""Checksums; NULL in rows written by a version without them, which are accepted unchecked."""
_ADDED_TABLES = (
    # To which installation and order of events it belongs; how far a salvage has come.
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL) WITHOUT ROWID",
    # Every type ever stored: a row of any other type is damaged and is read whatever types are requested.
    "CREATE TABLE IF NOT EXISTS types (type TEXT PRIMARY KEY) WITHOUT ROWID",
)
_PROBES = (
    "SELECT id, type, wire FROM events LIMIT 0",
    "SELECT id, digest FROM event_ids LIMIT 0",
    "SELECT type, up_to FROM pruned",
    "SELECT up_to, after, reason, at_ms FROM holes",
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the file for writing, in autocommit mode. The caller ensures that only one thread uses it at a time."""
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def connect_read_only(path: Path) -> sqlite3.Connection:
    """Open the existing file read-only; texts are returned as bytes, as damaged ones may not be valid UTF-8."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.text_factory = bytes
    return connection


class FileOptions(msgspec.Struct, frozen=True):
    """How the file is opened and how durable a commit is."""

    synchronous: Synchronous = "normal"
    connect: Connect = connect
    boot_id: str | None = None
    """Identifies the boot of the machine; None: read from the system."""
    notes: Path | None = None
    """A folder of another file system, for what must be known if history's own one is lost."""


def size_on_disk(path: Path) -> int:
    """Return the size in bytes of the file and its write-ahead log."""
    sizes = 0
    for suffix in ("", "-wal"):
        try:
            sizes += os.stat(f"{path}{suffix}").st_size  # noqa: PTH116 - a name beside the path
        except OSError:
            continue
    return sizes


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def prepare(connection: sqlite3.Connection, path: Path, synchronous: Synchronous) -> bool:
    """Check the file and create its tables if needed; True if it was empty.

    Raises HistoryDamaged, DiskTrouble, and whatever sqlite3 raises.
    """
    connection.text_factory = _decode
    application_id = _value(connection, "PRAGMA application_id")
    is_new = application_id == 0 and _value(connection, "SELECT count(*) FROM sqlite_master") == 0
    if is_new:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    elif application_id != APPLICATION_ID:
        raise HistoryDamaged("it belongs to another program")
    else:
        _check(connection, path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if is_new:
        with transaction(connection):
            for statement in _SCHEMA:
                connection.execute(statement)
    _complete(connection)
    return is_new


def _complete(connection: sqlite3.Connection) -> None:
    """Add the columns and tables of later versions, where missing."""
    missing = [
        (table, column)
        for table, column in _ADDED_COLUMNS
        if column not in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
    ]
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not missing and {"meta", "types"} <= tables:
        return
    with transaction(connection):
        for table, column in missing:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} INTEGER")
        for statement in _ADDED_TABLES:
            connection.execute(statement)


def _check(connection: sqlite3.Connection, path: Path) -> None:
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
    if size_of(connection) <= CHECK_LIMIT_BYTES:
        verify(connection, path)


def size_of(connection: sqlite3.Connection) -> int:
    """Return the size of the file in bytes, according to SQLite."""
    return _value(connection, "PRAGMA page_count") * _value(connection, "PRAGMA page_size")


def verify(connection: sqlite3.Connection, path: Path) -> None:
    """Read the whole file. Raises HistoryDamaged if it is broken, DiskTrouble if it could not be read."""
    try:
        found = _findings(connection, path)
    except DiskTrouble as trouble:
        confirm_damage(path)
        raise trouble from None
    if found:
        confirm_damage(path)
        raise DiskTrouble(
            f"the disk of {path} has a problem: a read failed once ({found}) and succeeded the second time"
        )


def confirm_damage(path: Path) -> None:
    """Check a file that seemed damaged a second time.

    Raises HistoryDamaged; BrokerUnavailable if it could not be read. In places SQLite reports a failed read as damage,
    so damage counts only if it is found in what was read.
    """
    try:
        found = find_damage(path)
        if not found and path.stat().st_size > MAX_COPY_BYTES:  # what was parsed was incomplete
            with closing(connect_read_only(path)) as fresh:
                found = _findings(fresh, path)
    except (sqlite3.Error, OSError) as error:
        if isinstance(error, sqlite3.Error) and is_damage(error):
            raise DiskTrouble(
                f"the disk of {path} has a problem: reading fails ({error}), but the data is intact"
            ) from error
        raise unavailable(error, path) from error
    if found:
        raise HistoryDamaged(found)


def damage_of(path: Path, error: sqlite3.Error) -> str:
    """Return what is wrong with a file that an error calls damaged. Raises BrokerUnavailable if it is not damaged."""
    try:
        confirm_damage(path)
    except HistoryDamaged as damage:
        return damage.reason
    raise DiskTrouble(f"the disk of {path} has a problem: a read failed once ({error}) and succeeded the second time")


def _findings(connection: sqlite3.Connection, path: Path) -> str:
    """Return what ``quick_check`` finds; empty: nothing. Raises DiskTrouble, and whatever sqlite3 raises."""
    rows = connection.execute(f"PRAGMA quick_check({SHOWN_FINDINGS})").fetchall()
    findings = [row[0].decode("utf-8", "replace") if isinstance(row[0], bytes) else str(row[0]) for row in rows]
    unread = next((finding for finding in findings if is_unread(finding)), None)
    if unread is not None:
        raise DiskTrouble(f"the disk of {path} has a problem ({unread}): see the system's log")
    return "" if findings == ["ok"] else findings[0]


def checkpoint(path: Path) -> None:
    """Checkpoint the write-ahead log while commits continue; waits for the disk, not for locks.

    Run beside the writer thread, so that no commit waits for it. Raises what sqlite3 raises.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    connection = sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    finally:
        connection.close()


def sync(path: Path) -> None:
    """Wait until every commit so far is on the disk, whatever ``synchronous`` is. Runs beside commits; raises OSError.

    What is no longer in the write-ahead log was written back and synced by a checkpoint.
    """
    wal = path.with_name(f"{path.name}-wal")
    if wal.exists():
        sync_file(wal)
    sync_folder(path.parent)


def set_aside(path: Path, now: datetime) -> Path:
    """Rename a damaged file and the files that belong to it. Never deletes: it may hold events. Raises OSError."""
    stem = f"{path.name}.damaged-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    target, number = path.with_name(stem), 1
    while target.exists():
        number += 1
        target = path.with_name(f"{stem}-{number}")
    for suffix in (*SIDE_FILES, ""):
        part = path.with_name(path.name + suffix)
        if part.exists() or part.is_symlink():
            part.rename(target.with_name(target.name + suffix))
    sync_folder(path.parent)
    return target


def damaged_files(path: Path) -> list[Path]:
    """Return the files that were set aside beside ``path``, oldest first."""
    return sorted(each for each in path.parent.glob(f"{path.name}.damaged-*") if not each.name.endswith(SIDE_FILES))


def _value(connection: sqlite3.Connection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])


def _decode(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
