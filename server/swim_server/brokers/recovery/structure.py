"""Checks the pages of a history that is too large to be copied, in a process of its own.

SQLite is not used: it reports a read that failed with EIO as a malformed database. Here such a read raises.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from swim_server.brokers.recovery.pages import Pages, Stretch
from swim_server.brokers.recovery.records import BadPage, Value

NAMES, NAMES_INDEX = "event_ids", "sqlite_autoindex_event_ids_1"

_WITHOUT_ROW_IDS = frozenset({"pruned", "meta", "types"})
_PENDING_BYTE = 0x40000000
_MAP_KINDS = range(1, 6)
NOT_READ = 3


def find_damage(path: Path, *, only_names: bool = False) -> str:
    """Return what is wrong with a history; empty: nothing. Raises OSError, sqlite3.Error if it can't be read now.

    ``only_names``: check only the table of producers' event ids and its index, and whether they agree.
    """
    look = _names_in_pages if only_names else _look_at_pages
    return look(path) and look(path)  # pages may be written at this moment: real damage stays


def _look_at_pages(path: Path) -> str:
    with _pages(path) as pages:
        try:
            return _bad_in_tables(pages) or _bad_in_map(pages)
        except BadPage as error:
            return str(error)


def _bad_in_tables(pages: Pages) -> str:
    tables, indexes = pages.roots(), pages.roots(b"index")
    visited: set[int] = {1}
    for name, root in (tables | indexes).items():
        is_table = name in tables and name not in _WITHOUT_ROW_IDS
        found = pages.walk(root, visited) if is_table else pages.entries(root, visited)
        for each in found:
            if each is None or isinstance(each, Stretch):
                where = f" between {each.after} and {each.up_to}" if each is not None else ""
                return f"rows of {name} can't be read{where}"
    return "" if "events" in tables else "it has no events table"


def _names_in_pages(path: Path) -> str:
    with _pages(path) as pages:
        try:
            root, index = pages.roots()[NAMES], pages.roots(b"index")[NAMES_INDEX]
        except (BadPage, KeyError):
            return f"{NAMES} can't be found"
        named: set[tuple[Value, ...]] = set()
        for cell in pages.walk(root, {1}):
            if isinstance(cell, Stretch):
                return f"rows of {NAMES} can't be read"
            named.add((*cell.columns[1:2], cell.key))
        indexed = list(pages.entries(index, {1}))
        is_right = None not in indexed and {tuple(each) for each in indexed if each is not None} == named
        return "" if is_right else f"{NAMES} and its index disagree"


def _bad_in_map(pages: Pages) -> str:
    """Check the pages that record what each page is for; SQLite reports a bad one as one that it could not read."""
    head = pages.page(1)
    count, per_page = int.from_bytes(head[28:32], "big"), pages.usable // 5
    if count > pages.count:
        return f"it has {pages.count} pages of {count}"
    if not any(head[52:56]):
        return ""
    for first in range(2, count + 1, per_page + 1):
        content = pages.page(first)
        for number in range(first + 1, min(first + per_page, count) + 1):
            if content[5 * (number - first - 1)] not in _MAP_KINDS and number != _PENDING_BYTE // pages.size + 1:
                return f"the page map does not mention page {number}"
    return ""


@contextmanager
def _pages(path: Path) -> Iterator[Pages]:
    """Yield the pages as of one moment: while a transaction reads, none that it needs is overwritten."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=5, isolation_level=None)) as reader:
        with suppress(sqlite3.DatabaseError):  # its first page may be bad
            reader.execute("BEGIN")
            reader.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
        with closing(Pages(path)) as pages:
            yield pages


def main(arguments: list[str]) -> int:
    """Print what is wrong, after the word that says that everything could be read; ``NOT_READ`` if it could not."""
    path, *options = arguments
    try:
        print(f"read {find_damage(Path(path), only_names='names' in options)}")
    except (OSError, sqlite3.Error) as error:
        print(error, file=sys.stderr)
        return NOT_READ
    return 0
