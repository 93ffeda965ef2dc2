"""The file of the embedded key database: how it is opened, and what its errors mean. Knows no SQLAlchemy."""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from pathlib import Path

from swim_server.files.replacing import sync_folder
from swim_server.files.sqlite_copy import find_damage_in_copy
from swim_server.sql.errors import DatabaseAbsent, SchemaMissing, StoreError, StoreMisconfigured, StoreUnavailable

_PASSING = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_PLAIN_URL = re.compile(r"sqlite(?:\+pysqlite)?:///([^?]+)")


def plain_path(url: str) -> Path | None:
    """Return the file that a URL names; None: it is no plain ``sqlite:///PATH``, and SQLAlchemy must read it."""
    match = _PLAIN_URL.fullmatch(url)
    return None if match is None or match[1].startswith((":", "file:")) else Path(match[1])


def set_up(connection: sqlite3.Connection) -> None:
    """Set up a new connection: transactions begin explicitly, and are on the disk when they end."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = EXTRA")  # a revoked key must stay revoked after a power cut


def uri_to_read(path: Path) -> str:
    """Return the URI of an existing file, to which ``mode=ro`` is to be added (https://sqlite.org/uri.html).

    Raises DatabaseAbsent if there is nothing to read, StoreMisconfigured.
    """
    try:
        if path.stat().st_size == 0:
            raise DatabaseAbsent(path)
    except FileNotFoundError:
        raise DatabaseAbsent(path) from None
    except OSError as error:
        raise StoreMisconfigured(f"can't open the key database {path}", error.strerror or str(error)) from error
    return path.absolute().as_uri()


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


def explain_of_file(path: Path, error: BaseException | None, was_used: bool) -> StoreError:
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
