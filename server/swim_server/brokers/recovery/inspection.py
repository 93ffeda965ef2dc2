"""A history file for operators, whether or not a daemon has it open: nothing here changes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from swim_server.brokers import history_file
from swim_server.brokers.broker import BrokerUnavailable
from swim_server.brokers.checksum import row_checksum
from swim_server.brokers.history_mark import HistoryMark
from swim_server.brokers.history_reader import HistoryReader
from swim_server.brokers.recovery.restoring import Restoring
from swim_server.brokers.trouble import HistoryDamaged, is_damage, unavailable
from swim_server.protocol.event_id import ZERO, EventId

PIECE_ROWS = 2000


class KnownHole(msgspec.Struct, frozen=True):
    """A range in which events may be missing: clients that resume from before it are told."""

    after: str
    up_to: str
    reason: str


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """What a history records about itself."""

    path: str
    size_bytes: int
    events: int
    oldest_id: str | None
    newest_id: str | None
    installation: str | None
    """None: it was written by a version that recorded none."""
    epoch: str | None
    mode: str | None
    """How it was last written: ``normal`` or ``full``."""
    is_closed: bool | None
    """None: it has no mark."""
    holes: list[KnownHole]
    damaged_files: list[str]


class Report(msgspec.Struct, kw_only=True):
    """The result of reading all of it."""

    path: str
    events: int = 0
    unchecked: int = 0
    """Events of an earlier version, which have no checksum."""
    damage: str | None = None
    """What is wrong with the file's structure."""
    damaged_events: list[str] = []
    """Events that no longer hold what was stored."""
    names_are_sound: bool = True
    """Whether producers' event ids, which detect duplicates, are intact."""

    @property
    def is_sound(self) -> bool:
        """Whether nothing was found."""
        return self.damage is None and not self.damaged_events and self.names_are_sound


def read_info(path: Path) -> Info:
    """Read what a history records about itself. Raises BrokerUnavailable."""
    try:
        with closing(HistoryReader(path)) as reader, closing(history_file.connect_read_only(path)) as connection:
            oldest, newest = reader.span()
            holes = [_hole(row) for row in connection.execute("SELECT after, up_to, reason FROM holes ORDER BY up_to")]
            mark = HistoryMark(path.with_name(f"{path.stem}.mark"))
            found, owner = mark.read(), mark.read_owner()
            return Info(
                path=str(path),
                size_bytes=path.stat().st_size,
                events=reader.count(),
                oldest_id=str(oldest) if oldest else None,
                newest_id=str(newest) if newest else None,
                installation=_meta(connection, "installation"),
                epoch=_meta(connection, "epoch"),
                mode=owner.mode if owner else None,
                is_closed=found.is_clean if found else None,
                holes=holes,
                damaged_files=[str(each) for each in history_file.damaged_files(path)],
            )
    except (sqlite3.Error, OSError) as error:
        raise unavailable(error, path) from error


def check(path: Path, tell: Callable[[int], None] = lambda _: None) -> Report:
    """Read all of a history; ``tell`` is called with the number of events read. Raises BrokerUnavailable."""
    report = Report(path=str(path))
    try:
        with closing(history_file.connect_read_only(path)) as connection:
            history_file.verify(connection, path)
            report.unchecked = connection.execute("SELECT count(*) FROM events WHERE crc IS NULL").fetchone()[0]
        with closing(HistoryReader(path)) as reader:
            _check_rows(reader, report, tell)
    except HistoryDamaged as damage:
        report.damage = damage.reason
    except sqlite3.Error as error:
        if not is_damage(error):
            raise unavailable(error, path) from error
        report.damage = history_file.damage_of(path, error)
    except OSError as error:
        raise unavailable(error, path) from error
    return report


def _check_rows(reader: HistoryReader, report: Report, tell: Callable[[int], None]) -> None:
    after: int | None = 0
    while after is not None:
        after, _, rotten = reader.rows(after, PIECE_ROWS)
        report.events += PIECE_ROWS if after is not None else 0
        report.damaged_events += [str(EventId.from_integer(up_to)) for _, up_to in rotten]
        tell(report.events)
    report.events = reader.count()
    after = 0
    while after is not None and report.names_are_sound:
        after, report.names_are_sound = reader.names(after)


def salvage_into(path: Path, output: Path, now_ms: int) -> tuple[int, list[KnownHole]]:
    """Copy what can be read of a damaged history into a new file; return how many events, and where some may be
    missing.

    The damaged file is only read. Raises BrokerUnavailable.
    """
    try:
        connection = history_file.connect(output)
        with closing(connection):
            history_file.prepare(connection, output, "normal")
            restoring = Restoring(path)
            while restoring.step(connection, ZERO, now_ms, is_first=True):
                if restoring.trouble is not None:
                    raise BrokerUnavailable(f"{path} can't be read at the moment: {restoring.trouble}")
            holes = [_hole(row) for row in connection.execute("SELECT after, up_to, reason FROM holes ORDER BY up_to")]
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute("PRAGMA journal_mode = DELETE")
        return restoring.restored, holes
    except (sqlite3.Error, OSError) as error:
        raise unavailable(error, output) from error


def _hole(row: tuple[int, int, bytes | str]) -> KnownHole:
    reason = row[2].decode("utf-8", "replace") if isinstance(row[2], bytes) else row[2]
    return KnownHole(str(EventId.from_integer(row[0])), str(EventId.from_integer(row[1])), reason)


def _meta(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value, crc FROM meta WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    value = str(row[0], "utf-8", "replace")
    return value if row[1] == row_checksum(name, value) else None
