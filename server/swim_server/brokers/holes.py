"""What history records about itself: its holes, its identity, and where its events end. Used inside transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

import msgspec

from swim_server.brokers.checksum import row_checksum
from swim_server.brokers.history_rows import RowReader
from swim_server.brokers.origin import BEGUN, Hole, Identity
from swim_server.protocol.event_id import EventId

ROTTEN = "rot"
LOOKED_AT = 50
"""How many of the newest rows are scanned if some are damaged."""

_INSERT = "INSERT OR REPLACE INTO holes (up_to, after, reason, at_ms, crc) VALUES (?, ?, ?, ?, ?)"
_FURTHEST = """
    SELECT coalesce((SELECT max(up_to) FROM pruned), 0), coalesce((SELECT max(up_to) FROM holes), 0),
           coalesce((SELECT max(up_to) FROM holes WHERE reason != ?), 0)
"""
_LAST_ROWS = "SELECT id, type, wire, crc FROM events ORDER BY id DESC LIMIT ?"


class End(msgspec.Struct, frozen=True):
    """Where history ends."""

    newest: EventId
    """No id up to this one may be given again."""
    newest_shown: EventId
    """The newest id that an event has, or may once have had."""
    rotten: list[int]
    """Rows at the end that no longer hold what was stored."""


def read_end(connection: sqlite3.Connection, latest: int) -> End:
    """Find where history ends. A damaged row with an id beyond ``latest`` does not count."""
    newest, rotten, rows = 0, list[int](), RowReader()
    for row in connection.execute(_LAST_ROWS, (LOOKED_AT,)):
        is_sound = rows.event(row) is not None
        if not is_sound:
            rotten.append(row[0])
        if not newest and (is_sound or 0 < row[0] <= latest):
            newest = row[0]
    pruned, hole, hole_shown = connection.execute(_FURTHEST, (BEGUN,)).fetchone()
    return End(
        EventId.from_integer(max(newest, pruned, hole)), EventId.from_integer(max(newest, pruned, hole_shown)), rotten
    )


def write_hole(connection: sqlite3.Connection, hole: Hole, at_ms: int) -> None:
    """Record a hole; merged with one that ends at the same id."""
    up_to, after = hole.up_to.to_integer(), hole.after.to_integer()
    known = connection.execute("SELECT after, reason FROM holes WHERE up_to = ?", (up_to,)).fetchone()
    reason = hole.reason
    if known is not None:
        after = min(after, known[0])
        reason = hole.reason if known[1] == BEGUN else known[1]
    connection.execute(_INSERT, (up_to, after, reason, at_ms, row_checksum(up_to, after, reason)))


def write_rotten(connection: sqlite3.Connection, stretches: Iterable[tuple[int, int]], at_ms: int) -> list[Hole]:
    """Record ranges that can't be read; return those that were not known."""
    new: list[Hole] = []
    for after, up_to in stretches:
        known = connection.execute("SELECT after FROM holes WHERE up_to = ?", (up_to,)).fetchone()
        if known is not None and known[0] <= after:
            continue
        hole = Hole(EventId.from_integer(max(after, 0)), EventId.from_integer(up_to), ROTTEN)
        write_hole(connection, hole, at_ms)
        new.append(hole)
    return new


def seal_holes(connection: sqlite3.Connection) -> bool:
    """Check the checksums of the holes; widen those that are damaged. Tells whether all were intact."""
    bad = [
        (up_to, reason)
        for up_to, after, reason, crc in connection.execute("SELECT up_to, after, reason, crc FROM holes").fetchall()
        if crc is not None and crc != row_checksum(up_to, after, reason)
    ]
    if not bad:
        return True
    furthest = connection.execute("SELECT max(id) FROM events").fetchone()[0] or 0
    for up_to, _ in bad:
        connection.execute("DELETE FROM holes WHERE up_to = ?", (up_to,))
        wide = max(furthest, min(up_to, (1 << 62) - 1), 1)
        connection.execute(_INSERT, (wide, 0, ROTTEN, None, row_checksum(wide, 0, ROTTEN)))
    return False


def read_meta(connection: sqlite3.Connection, name: str) -> str | None:
    """Read a value; None: it was never written, or is damaged."""
    row = connection.execute("SELECT value, crc FROM meta WHERE name = ?", (name,)).fetchone()
    return None if row is None or row[1] != row_checksum(name, row[0]) else str(row[0])


def write_meta(connection: sqlite3.Connection, name: str, value: str | None) -> None:
    """Write a value; None: delete it."""
    if value is None:
        connection.execute("DELETE FROM meta WHERE name = ?", (name,))
    else:
        row = (name, value, row_checksum(name, value))
        connection.execute("INSERT OR REPLACE INTO meta (name, value, crc) VALUES (?, ?, ?)", row)


def read_identity(connection: sqlite3.Connection) -> Identity | None:
    """Return the installation and the order of events that history is recorded for."""
    installation, epoch = read_meta(connection, "installation"), read_meta(connection, "epoch")
    return None if installation is None or epoch is None else Identity(installation, epoch)


def write_identity(connection: sqlite3.Connection, identity: Identity) -> None:
    """Record the installation and the order of events."""
    write_meta(connection, "installation", identity.installation)
    write_meta(connection, "epoch", identity.epoch)
