"""What an error of SQLite or of the system means for history: a temporary problem, a full disk, or damage."""

from __future__ import annotations

import errno
import re
import sqlite3
from pathlib import Path

from swim_server.brokers.broker import BrokerUnavailable

_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_TRUNCATED = sqlite3.SQLITE_IOERR_SHORT_READ
_DISK = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
                   sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_CANTOPEN})  # fmt: skip
_CODE = re.compile(r"error code=?\s*(\d+)")
_NOT_READ = re.compile(r"disk I/O error|failed to get page|failed to read ptrmap|out of memory", re.IGNORECASE)


class DiskTrouble(BrokerUnavailable):
    """No space, or the disk fails: it may recover by itself."""


class HistoryDamaged(Exception):
    """The file is not a history that this program can use."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def is_damage(error: sqlite3.Error) -> bool:
    """Tell whether an error is about the file's content rather than the disk, a lock or a permission."""
    code = getattr(error, "sqlite_errorcode", None)
    return code == _TRUNCATED or (code is not None and code & 0xFF in _DAMAGE)


def is_unread(finding: str) -> bool:
    """Tell whether a line of ``quick_check`` is about a page that could not be read, rather than a bad one.

    It returns a disk error as a row of text, like any finding.
    """
    code = _CODE.search(finding)
    if code is not None:
        return int(code[1]) & 0xFF in _DISK and int(code[1]) != _TRUNCATED
    return _NOT_READ.search(finding) is not None


def unavailable(error: sqlite3.Error | OSError, path: Path) -> BrokerUnavailable:
    """Return the error that says what is wrong with the environment and what to do."""
    if isinstance(error, OSError):
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return DiskTrouble(f"no space left for {path}: free some; nothing acknowledged is lost")
        if error.errno == errno.EIO:
            return DiskTrouble(f"the disk of {path} has a problem ({error}): see the system's log")
        return BrokerUnavailable(f"{path}: {error}")
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
        case sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
            return DiskTrouble(f"the disk of {path} has a problem ({error}): check its free space and the system's log")
        case _:
            reason = f"{path}: {error}"
    return BrokerUnavailable(reason)
