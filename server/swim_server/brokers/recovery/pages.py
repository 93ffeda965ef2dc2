"""Reads the pages of an SQLite file without SQLite, for what can still be read of a damaged one.

The file format is at https://www.sqlite.org/fileformat2.html. Knows pages and tables, not their content.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from swim_server.brokers.recovery.records import BadPage, Value, read_columns, read_varint
from swim_server.brokers.recovery.write_ahead_log import read_log
from swim_server.files.opening import open_to_read

INTERIOR, LEAF = 0x05, 0x0D
INDEX_INTERIOR, INDEX_LEAF = 0x02, 0x0A
MAX_KEY = (1 << 63) - 1
_MAX_PAYLOAD_BYTES = 64 * 1024 * 1024


class Cell(NamedTuple):
    """One row of a table: its key and its columns, texts as bytes."""

    key: int
    columns: list[Value]


class Stretch(NamedTuple):
    """Rows with ``after < key <= up_to`` that can't be read, or may be incomplete."""

    after: int
    up_to: int


class Pages:
    """A file's pages as of its last commit, including those in its write-ahead log. Blocks; raises OSError."""

    def __init__(self, path: Path) -> None:
        self._file = open_to_read(path, may_have_links=True)
        head = self._file.read(100)
        size = int.from_bytes(head[16:18], "big")
        size = 65536 if size == 1 else size
        self.size = size if size >= 512 and size & (size - 1) == 0 else 4096
        reserved = head[20] if len(head) > 20 else 0
        self.usable = self.size - (reserved if reserved <= 32 else 0)
        self._newer = read_log(path.with_name(f"{path.name}-wal"), self.size)
        in_file = -(-os.fstat(self._file.fileno()).st_size // self.size)
        self.count = max(in_file, max(self._newer, default=0))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def page(self, number: int) -> bytes:
        """Read a page by its number, from 1. Raises BadPage, OSError."""
        if not 1 <= number <= self.count:
            raise BadPage(f"there is no page {number}")
        content = self._newer.get(number)
        if content is None:
            self._file.seek((number - 1) * self.size)
            content = self._file.read(self.size)
        if len(content) != self.size:
            raise BadPage(f"page {number} is cut off")
        return content

    def roots(self, *kinds: bytes) -> dict[str, int]:
        """Return the first page of each table by its name, according to the schema. Raises BadPage, OSError.

        ``kinds``: ``b"table"`` by default, or ``b"index"``.
        """
        roots: dict[str, int] = {}
        for found in self.walk(1, set()):
            if isinstance(found, Cell) and len(found.columns) >= 5:
                kind, name, _, root = found.columns[:4]
                if kind in (kinds or (b"table",)) and isinstance(name, bytes) and isinstance(root, int):
                    roots[name.decode("utf-8", "replace")] = root
        return roots

    def walk(self, root: int, visited: set[int]) -> Iterator[Cell | Stretch]:
        """Yield every row of a table in the order of keys, and the ranges that can't be read. Raises OSError."""
        waiting = [(root, -1, MAX_KEY)]
        while waiting:
            number, after, up_to = waiting.pop()
            try:
                if number in visited:
                    raise BadPage(f"page {number} comes twice")
                page = self.page(number)
                start = 100 if number == 1 else 0
                children = None if page[start] == LEAF else self._children(page, start, after, up_to)
            except BadPage:
                yield Stretch(after, up_to)
                continue
            visited.add(number)
            if children is None:
                yield from self.rows(page, start, after, up_to)
            else:
                waiting += reversed(children)

    def entries(self, root: int, visited: set[int]) -> Iterator[list[Value] | None]:
        """Yield every entry of an index or of a table without row ids; None: some can't be read. Raises OSError."""
        waiting = [root]
        while waiting:
            number = waiting.pop()
            try:
                if number in visited:
                    raise BadPage(f"page {number} comes twice")
                visited.add(number)
                page = self.page(number)
                found, children = self._entries(page)
            except BadPage:
                yield None
                continue
            waiting += children
            yield from found

    def leaf_entries(self, page: bytes) -> list[list[Value]]:
        """Return the entries of one leaf of an index. Raises BadPage."""
        return self._entries(page)[0]

    def _entries(self, page: bytes) -> tuple[list[list[Value]], list[int]]:
        """Return the entries of one page of an index, and the pages below it."""
        if page[0] not in {INDEX_INTERIOR, INDEX_LEAF}:
            raise BadPage("it is not an index page")
        link, header = (4, 12) if page[0] == INDEX_INTERIOR else (0, 8)
        places = self._cells(page, 0, header)
        if not self._is_whole(page, 0, header, lambda at: link + self._entry_bytes(page, at + link)):
            raise BadPage("its cells are not all that it holds")
        children = [int.from_bytes(page[at : at + 4], "big") for at in (*places, 8)] if link else []
        return [self._entry(page, at + link) for at in places], children

    def _children(self, page: bytes, start: int, after: int, up_to: int) -> list[tuple[int, int, int]]:
        if page[start] != INTERIOR:
            raise BadPage("it is not a table page")
        children, low = [], after
        for at in self._cells(page, start, 12):
            key, _ = read_varint(page, at + 4)
            if not low <= key <= up_to or at + 5 > len(page):
                raise BadPage("keys out of order")
            children.append((int.from_bytes(page[at : at + 4], "big"), low, key))
            low = key
        children.append((int.from_bytes(page[start + 8 : start + 12], "big"), low, up_to))
        if not self._is_whole(page, start, 12, lambda at: 4 + read_varint(page, at + 4)[1]):
            raise BadPage("its cells are not all that it holds")
        return children

    def rows(self, page: bytes, start: int, after: int = -1, up_to: int = MAX_KEY) -> Iterator[Cell | Stretch]:
        """Yield the rows of one leaf."""
        last, is_open = after, False
        try:
            places = self._cells(page, start, 8)
            is_whole = self._is_whole(page, start, 8, lambda at: self._cell_bytes(page, at))
        except BadPage:
            yield Stretch(after, up_to)
            return
        for at in places:
            try:
                cell = self._cell(page, at)
            except BadPage:
                is_open = True
                continue
            if not last < cell.key <= up_to:
                is_open = True
                continue
            if is_open:
                yield Stretch(last, cell.key - 1)
                is_open = False
            yield cell
            last = cell.key
        if is_open:
            yield Stretch(last, up_to)
        if not is_whole:
            yield Stretch(after, up_to)

    def _cells(self, page: bytes, start: int, header: int) -> list[int]:
        count = int.from_bytes(page[start + 3 : start + 5], "big")
        if start + header + 2 * count > self.usable:
            raise BadPage("more cells than it can hold")
        places = list(struct.unpack_from(f">{count}H", page, start + header))
        if any(not start + header + 2 * count <= at <= self.usable - 4 for at in places):
            raise BadPage("a cell outside of it")
        return places

    def _is_whole(self, page: bytes, start: int, header: int, size_of: Callable[[int], int]) -> bool:
        """Tell whether cells and free space together fill the page: a wrong count of cells hides rows."""
        places = self._cells(page, start, header)
        content = int.from_bytes(page[start + 5 : start + 7], "big") or 65536
        try:
            taken = sum(max(4, size_of(at)) for at in places) + page[start + 7]
        except BadPage:
            return False
        free, hops = int.from_bytes(page[start + 1 : start + 3], "big"), 0
        while free:
            if free + 4 > self.usable or (hops := hops + 1) > self.usable // 4:
                return False
            taken += int.from_bytes(page[free + 2 : free + 4], "big")
            free = int.from_bytes(page[free : free + 2], "big")
        return taken == self.usable - content

    def _cell_bytes(self, page: bytes, at: int) -> int:
        length, size = read_varint(page, at)
        _, key_size = read_varint(page, at + size)
        local = self._local(length, self.usable - 35)
        return size + key_size + local + (4 if local < length else 0)

    def _entry_bytes(self, page: bytes, at: int) -> int:
        length, size = read_varint(page, at)
        local = self._local(length, self._most_of_an_entry)
        return size + local + (4 if local < length else 0)

    def _cell(self, page: bytes, at: int) -> Cell:
        length, size = read_varint(page, at)
        key, key_size = read_varint(page, at + size)
        if key < 0:
            raise BadPage("a row without a key")
        return Cell(key, self._record(page, at + size + key_size, length, self.usable - 35))

    def _entry(self, page: bytes, at: int) -> list[Value]:
        length, size = read_varint(page, at)
        return self._record(page, at + size, length, self._most_of_an_entry)

    def _record(self, page: bytes, begin: int, length: int, most: int) -> list[Value]:
        if not 0 <= length <= _MAX_PAYLOAD_BYTES:
            raise BadPage("a row too large")
        local = self._local(length, most)
        if begin + local > self.usable:
            raise BadPage("a row beyond its page")
        payload = page[begin : begin + local]
        if local < length:
            payload += self._overflow(int.from_bytes(page[begin + local : begin + local + 4], "big"), length - local)
        return read_columns(payload)

    @property
    def _most_of_an_entry(self) -> int:
        """Return how many bytes of an index entry its page holds at most."""
        return (self.usable - 12) * 64 // 255 - 23

    def _local(self, length: int, most: int) -> int:
        if length <= most:
            return length
        least = (self.usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (self.usable - 4)
        return local if local <= most else least

    def _overflow(self, number: int, length: int) -> bytes:
        parts: list[bytes] = []
        while length > 0:
            page = self.page(number)
            part = page[4 : min(self.usable, 4 + length)]
            parts.append(part)
            length -= len(part)
            number = int.from_bytes(page[:4], "big")
        return b"".join(parts)
