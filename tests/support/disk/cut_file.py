"""One file at a power cut: what is certainly on the disk, what came later, and what may be left of that."""

from __future__ import annotations

import random
from typing import NamedTuple

PAGE_BYTES = 4096
SECTOR_BYTES = (512, 4096)


class Edit(NamedTuple):
    """A change of a file's content: a write, or, with ``data`` None, a truncation to ``offset``."""

    offset: int
    data: bytes | None
    changed_ns: int = 0


class CutFile:
    """One inode: what is certainly on the disk, and what came later."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[Edit] = []
        self.size = 0
        self.changed_ns = 0
        self.is_size_pending = True
        """A data sync must write the journal too: the size or the name has changed."""
        self.forced = 0
        """So many pending edits are on the disk if the newest name is: ext4 writes a file that replaces another."""

    def edit(self, edit: Edit) -> None:
        """Add a change that is not synced."""
        end = edit.offset if edit.data is None else max(self.size, edit.offset + len(edit.data))
        self.is_size_pending |= end != self.size
        self.size = end
        self.pending.append(edit)

    def settle(self, count: int) -> None:
        """Put the first ``count`` edits on the disk."""
        for edit in self.pending[:count]:
            _apply(self.durable, edit)
            self.changed_ns = edit.changed_ns
        del self.pending[:count]
        self.forced = max(0, self.forced - count)


def _apply(content: bytearray, edit: Edit) -> None:
    if edit.data is None:
        del content[edit.offset :]
        content.extend(bytes(edit.offset - len(content)))
        return
    content.extend(bytes(max(0, edit.offset - len(content))))
    content[edit.offset : edit.offset + len(edit.data)] = edit.data


def prefix(file: CutFile, count: int) -> bytearray:
    """Return its content after the first ``count`` unsynced edits."""
    content = bytearray(file.durable)
    for edit in file.pending[:count]:
        _apply(content, edit)
    return content


def ordered(file: CutFile, forced: int, rng: random.Random) -> bytes:
    """Return its content at some moment, plus any pages overwritten later within the size of that moment."""
    count = len(file.pending)
    moment = rng.choice((forced, count, rng.randint(min(forced, count), count)))
    content = prefix(file, moment)
    share = rng.choice((0.0, 0.5, 1.0))
    for edit in file.pending[moment:]:
        if edit.data is not None:
            for offset, data in _pieces(edit.offset, edit.data, PAGE_BYTES):
                if offset + len(data) <= len(content) and rng.random() < share:
                    content[offset : offset + len(data)] = data
    return bytes(content)


def torn(file: CutFile, rng: random.Random) -> bytes:
    """Apply any sectors of unsynced writes, and any truncations."""
    content = bytearray(file.durable)
    share, sector = rng.choice((0.1, 0.5, 0.9)), rng.choice(SECTOR_BYTES)
    for edit in file.pending:
        if edit.data is None:
            if rng.random() < share:
                _apply(content, edit)
            continue
        for offset, data in _pieces(edit.offset, edit.data, sector):
            if rng.random() < share:
                _apply(content, Edit(offset, data))
    return bytes(content)


def _pieces(offset: int, data: bytes, size: int) -> list[tuple[int, bytes]]:
    """Split a write where a sector or page ends."""
    pieces, place = [], 0
    while place < len(data):
        end = min(len(data), (offset + place) // size * size + size - offset)
        pieces.append((offset + place, data[place:end]))
        place = end
    return pieces
