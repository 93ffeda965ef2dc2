"""Determines on opening where history ends, what may be missing and whose it is, and records what is new about that."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

import msgspec

from swim_server.brokers import history_file, holes
from swim_server.brokers.history_file import Synchronous, transaction
from swim_server.brokers.history_mark import newest_of
from swim_server.brokers.marks import Marks
from swim_server.brokers.origin import BEGUN, Hole, Identity, find_hole, identity_of
from swim_server.brokers.recovery.names import are_names_sound, rebuild_names
from swim_server.brokers.storing import NAMES_ROTTEN, StoredTypes
from swim_server.logs import get_logger
from swim_server.protocol.event_id import ZERO, EventId

FUTURE_MS = 24 * 60 * 60 * 1000
"""How far ahead a clock may have been when a row was stored; an id beyond that is damaged."""
NAMES_SECONDS = 0.5
"""How long producers' event ids are checked while opening; the rest is checked in the background."""

_log = get_logger("broker")


class Opened(msgspec.Struct, frozen=True):
    """What was found."""

    newest: EventId
    """No id up to this one is ever given again."""
    newest_shown: EventId
    """The newest id that an event has, or may once have had."""
    identity: Identity
    types: StoredTypes


class Known(msgspec.Struct, frozen=True):
    """What this process knows beforehand."""

    newest: EventId
    now_ms: int
    boot_id: str
    loss: str
    """The reason recorded for the hole if events were known and the file is new."""
    are_names_damaged: bool = False
    """Producers' event ids must be rebuilt, as SQLite has found damage among them."""
    is_copy: bool = False
    """What it lacks is read again: no hole is recorded, and only stored ids count as given."""


def take_stock(
    connection: sqlite3.Connection, path: Path, marks: Marks, synchronous: Synchronous, known: Known
) -> Opened:
    """Check a history that was just connected to, and prepare it. Raises HistoryDamaged, DiskTrouble, OSError."""
    is_new = history_file.prepare(connection, path, synchronous)
    found = marks.find(holes.read_identity(connection), is_new=is_new)
    now = EventId(known.now_ms, 0)
    latest = max(EventId(known.now_ms + FUTURE_MS, 0), known.newest, newest_of(found.mark))
    end = holes.read_end(connection, latest.to_integer())
    hole = None
    if not known.is_copy:
        hole = find_hole(found, stored=end.newest, known=known.newest, now=now, boot_id=known.boot_id, loss=known.loss)
    identity = identity_of(found, hole, Identity(secrets.token_hex(16), secrets.token_hex(4)))
    _put_down(connection, path, end, hole, identity, known, is_new=is_new)
    if synchronous == "full" and not is_new:
        history_file.sync(path)  # what was committed under ``normal``, before the mark promises more
    newest = max(end.newest, hole.up_to if hole else ZERO)
    shown = newest if hole and hole.reason != BEGUN else end.newest_shown
    return Opened(newest, shown, identity, StoredTypes(connection))


def _put_down(
    connection: sqlite3.Connection,
    path: Path,
    end: holes.End,
    hole: Hole | None,
    identity: Identity,
    known: Known,
    *,
    is_new: bool,
) -> None:
    now_ms = known.now_ms
    is_sound = is_new or (not known.are_names_damaged and are_names_sound(connection, path, NAMES_SECONDS))
    with transaction(connection):
        if not is_sound:
            _log.error(NAMES_ROTTEN, lost=rebuild_names(connection))
        if not holes.seal_holes(connection):
            _log.error("the table of gaps in history was damaged: clients that resume are told of a gap")
        if hole is not None:
            holes.write_hole(connection, hole, now_ms)
        holes.write_rotten(connection, [(packed - 1, packed) for packed in end.rotten], now_ms)
        if holes.read_identity(connection) != identity:
            holes.write_identity(connection, identity)
        if is_new:
            holes.write_meta(connection, "types", "complete")
    if hole is not None and hole.reason != BEGUN:
        _log.warning(
            "history has a gap: clients that resume from before it are told", reason=hole.reason, up_to=str(hole.up_to)
        )
