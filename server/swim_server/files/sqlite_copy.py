"""Checks an SQLite file for damage, judging only what could be read of it.

SQLite reports a read that failed with EIO as a malformed database (SQLITE_IOERR_CORRUPTFS becomes SQLITE_CORRUPT when a
statement runs). Copying into memory is not a statement: what can't be read is reported as such there, and the copy can
be checked without a disk.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


def find_damage_in_copy(path: Path, check: str = "PRAGMA quick_check(1)") -> str:
    """Return what SQLite's check finds in a file as of one moment; empty: nothing. Blocks.

    Takes as much memory as the file is large. Raises sqlite3.Error, OSError if it can't be read at the moment.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=5)) as source, closing(sqlite3.connect(":memory:")) as copy:
        try:
            source.backup(copy)
            copy.text_factory = bytes
            copy.execute("PRAGMA cell_size_check = ON")
            finding = copy.execute(check).fetchone()[0]
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code is None or code & 0xFF not in _DAMAGE:
                raise
            return str(error)
    text = str(finding, "utf-8", "replace")
    return "" if text == "ok" else text
