"""What can still be read of a damaged history: its events and producers' event ids, and where something is missing."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from swim_server.brokers.checksum import name_checksum
from swim_server.brokers.history_rows import RowReader
from swim_server.brokers.recovery.pages import INDEX_LEAF, LEAF, MAX_KEY, Cell, Pages, Stretch
from swim_server.brokers.recovery.records import BadPage, Value
from swim_server.brokers.recovery.structure import NAMES, NAMES_INDEX
from swim_server.protocol.events import Event

DIGEST_CHARACTERS = 32


class Name(msgspec.Struct, frozen=True):
    """A producer's event id, as its digest."""

    packed_id: int
    digest: str


NAMES_MISSING = Name(0, "")
"""Stands for producers' event ids that can no longer be read."""
Piece = Event | Name | Stretch
"""A Stretch is a range in which events may be missing."""


def salvage(path: Path) -> Iterator[Piece]:
    """Yield what can be read: first what the tables lead to, in the order of ids, then what only the pages hold.

    Producers' event ids are stored twice, in their table and in its index: one supplies what the other lacks. Blocks
    briefly for each piece. Raises OSError if the disk can't read it at the moment.
    """
    pages = Pages(path)
    with closing(pages):
        try:
            roots, indexes = pages.roots(), pages.roots(b"index")
        except BadPage:
            roots, indexes = {}, {}
        visited: set[int] = {1}
        rows = RowReader()
        has_events = has_names = True
        if "events" not in roots:
            has_events = False
            yield Stretch(-1, MAX_KEY)
        else:
            for piece in _walk(pages, roots["events"], visited, rows, "events"):
                has_events &= not isinstance(piece, Stretch)
                yield piece
        if NAMES not in roots:
            has_names = False
        else:
            for piece in _walk(pages, roots[NAMES], visited, rows, NAMES):
                has_names &= not isinstance(piece, Stretch)
                if not isinstance(piece, Stretch):
                    yield piece
        if not has_names:
            has_names = yield from _indexed_names(pages, indexes.get(NAMES_INDEX), visited)
        if not has_names:
            yield NAMES_MISSING
        if not (has_events and has_names):
            yield from _scan(pages, visited, rows)


def _indexed_names(pages: Pages, root: int | None, visited: set[int]) -> Generator[Piece, None, bool]:
    """Yield the names in the index; return whether they are complete."""
    is_whole = root is not None
    for entry in pages.entries(root, visited) if root is not None else ():
        name = _name_in(entry)
        is_whole &= name is not None
        if name is not None:
            yield name
    return is_whole


def _walk(pages: Pages, root: int, visited: set[int], rows: RowReader, table: str) -> Iterator[Piece]:
    last, is_open = -1, False
    for found in pages.walk(root, visited):
        if isinstance(found, Stretch):
            yield found
            continue
        piece = _piece_of(found, rows)
        if piece is None or isinstance(piece, Event) != (table == "events"):
            is_open = True
            continue
        if is_open:
            yield Stretch(last, found.key - 1)
            is_open = False
        yield piece
        last = found.key
    if is_open:
        yield Stretch(last, MAX_KEY)


def _scan(pages: Pages, visited: set[int], rows: RowReader) -> Iterator[Piece]:
    """Yield rows of pages that no table leads to any more, including rows deleted long ago."""
    for number in range(2, pages.count + 1):
        if number in visited:
            continue
        try:
            page = pages.page(number)
        except BadPage:
            continue
        if page[0] == INDEX_LEAF:
            with suppress(BadPage):
                yield from (name for entry in pages.leaf_entries(page) if (name := _name_in(entry)) is not None)
        if page[0] != LEAF:
            continue
        for cell in pages.rows(page, 0):
            if isinstance(cell, Cell) and (piece := _piece_of(cell, rows)) is not None:
                yield piece


def _piece_of(cell: Cell, rows: RowReader) -> Event | Name | None:
    """Return what a row is, by its columns and its checksum; None: not ours, or damaged."""
    values = [*cell.columns, None, None]
    if not isinstance(values[1], bytes) or cell.key <= 0:
        return None
    if isinstance(values[2], bytes):
        return rows.event((cell.key, values[1], values[2], values[3]))
    if len(values[1]) == DIGEST_CHARACTERS and len(cell.columns) <= 3:
        return _name_of(cell.key, values[1], values[2])
    return None


def _name_in(entry: list[Value] | None) -> Name | None:
    """Return the name in an entry of the index; None: there is none."""
    if entry is None or len(entry) != 2 or not isinstance(entry[0], bytes) or not isinstance(entry[1], int):
        return None
    is_one = len(entry[0]) == DIGEST_CHARACTERS and 0 < entry[1] <= MAX_KEY
    return _name_of(entry[1], entry[0], None) if is_one else None


def _name_of(packed_id: int, raw: bytes, crc: Value) -> Name | None:
    digest = raw.decode("utf-8", "surrogateescape")
    is_digest = all(character in "0123456789abcdef" for character in digest)
    return Name(packed_id, digest) if is_digest and crc in {None, name_checksum(packed_id, digest)} else None


class Account(msgspec.Struct, frozen=True):
    """What a damaged history recorded about itself."""

    pruned: list[tuple[str, int]]
    """The newest id of each type that retention has removed."""
    holes: list[tuple[int, int, str]]
    """``up_to``, ``after``, reason."""


def read_account(path: Path) -> Account | None:
    """Read it; None: it can no longer be read. Raises OSError if the disk can't read it at the moment."""
    with closing(Pages(path)) as pages:
        try:
            roots = pages.roots()
            pruned = [_columns(each) for each in pages.entries(roots["pruned"], set())]
            holes = [_columns(each) for each in pages.walk(roots["holes"], set())]
            return Account(
                [(_text(event_type), _whole(up_to)) for event_type, up_to, *_ in pruned],
                [(_whole(up_to), _whole(after), _text(reason)) for up_to, _, after, reason, *_ in holes],
            )
        except (BadPage, KeyError, TypeError, ValueError):
            return None


def _columns(row: Cell | Stretch | list[Value] | None) -> list[Value]:
    """Return the columns of a row, preceded by its key if it has one. Raises BadPage for what can't be read."""
    if row is None or isinstance(row, Stretch):
        raise BadPage("rows are missing")
    return [row.key, *row.columns] if isinstance(row, Cell) else row


def _text(value: Value) -> str:
    if not isinstance(value, bytes):
        raise TypeError("it is not text")
    return value.decode("utf-8")


def _whole(value: Value) -> int:
    if not isinstance(value, int):
        raise TypeError("it is not a number")
    return value
