"""Producers' event ids ("names"): checks that table and index agree, and rebuilds them."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from swim_server.brokers.checksum import name_checksum
from swim_server.brokers.recovery.second_look import find_damage
from swim_server.brokers.trouble import DiskTrouble, HistoryDamaged, is_damage

PIECE = 1000
_PAGE = "SELECT id, digest, crc FROM event_ids NOT INDEXED WHERE id > ? ORDER BY id LIMIT ?"
_OF_DIGEST = "SELECT id FROM event_ids WHERE digest = ?"
_INDEX = "SELECT id, digest FROM event_ids INDEXED BY sqlite_autoindex_event_ids_1 ORDER BY digest"
_CREATE = "CREATE TABLE event_ids (id INTEGER PRIMARY KEY, digest TEXT NOT NULL UNIQUE, crc INTEGER)"


def check_names(connection: sqlite3.Connection, after: int) -> tuple[int | None, bool]:
    """Compare rows with their checksums and the index; return the last id (None: the end) and whether all match."""
    last: int | None = None
    count = 0
    for packed, raw, crc in connection.execute(_PAGE, (after, PIECE)).fetchall():
        last, count = packed, count + 1
        digest = _text(raw)
        if crc is not None and crc != name_checksum(packed, digest):
            return packed, False
        if connection.execute(_OF_DIGEST, (digest,)).fetchone() != (packed,):
            return packed, False
    return (last if count == PIECE else None), True


def are_names_sound(connection: sqlite3.Connection, path: Path, seconds: float) -> bool:
    """Check for so many seconds, which covers most of a day's ids as a rule; tell whether all match so far."""
    after: int | None = 0
    deadline = time.monotonic() + seconds
    try:
        while after is not None and time.monotonic() < deadline:
            after, is_right = check_names(connection, after)
            if not is_right:
                return False
    except sqlite3.Error as error:
        return not are_names_damaged(path, error)
    return True


def are_names_damaged(path: Path, error: sqlite3.Error) -> bool:
    """Tell whether an error means that table and index of names no longer agree.

    Raises the error if it means something else, BrokerUnavailable if only a read failed.
    """
    if not is_damage(error):
        raise error
    if find_damage(path, only_names=True):
        return True
    raise DiskTrouble(f"the disk of {path} has a problem: a read failed once ({error}) and succeeded the second time")


def rebuild_names(connection: sqlite3.Connection) -> int:
    """Rebuild the table from what table and index still contain, inside a transaction; return how many were lost.

    Raises HistoryDamaged if SQLite can't, and its error if neither can be read completely.
    """
    rows, error = _readable(connection, "SELECT id, digest, crc FROM event_ids NOT INDEXED")
    entries, index_error = _readable(connection, _INDEX)
    if error is not None and index_error is not None:
        raise error
    table = {packed: (_text(raw), crc) for packed, raw, crc in rows}
    index = {packed: _text(raw) for packed, raw in entries}
    sound: dict[str, int] = {}
    for packed in table.keys() | index.keys():
        digest, crc = table.get(packed, ("", None))
        candidates = [each for each in (digest, index.get(packed)) if each]
        chosen = [each for each in candidates if crc is None or name_checksum(packed, each) == crc]
        if not chosen and len(candidates) == 2 and candidates[0] == candidates[1]:
            chosen = candidates  # the checksum itself is damaged
        if chosen:
            sound.setdefault(chosen[0], packed)
    try:
        connection.execute("DROP TABLE event_ids")
    except sqlite3.DatabaseError as trouble:
        if not is_damage(trouble):
            raise
        raise HistoryDamaged(f"the table of producers' names can't be rebuilt: {trouble}") from trouble
    connection.execute(_CREATE)
    rows = [(packed, digest, name_checksum(packed, digest)) for digest, packed in sound.items()]
    connection.executemany("INSERT OR IGNORE INTO event_ids (id, digest, crc) VALUES (?, ?, ?)", rows)
    return len(table.keys() | index.keys()) - len(rows)


def _readable(connection: sqlite3.Connection, statement: str) -> tuple[list[tuple[Any, ...]], sqlite3.Error | None]:
    """Return as many rows as SQLite can read, and why these are not all."""
    rows: list[tuple[Any, ...]] = []
    try:
        for row in connection.execute(statement):
            rows.append(row)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return rows, error
    return rows, None


def _text(raw: bytes | str) -> str:
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
