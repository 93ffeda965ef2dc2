"""A file that was taken: how far it was read, what could not be read, and whether it was written to since."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from swim_server.files.opening import open_to_read
from swim_server.protocol.events import NewEvent
from swim_server.sources.event_file.entry import Batch, EntryReader
from swim_server.sources.event_file.folder import EventFolder, Signature, is_being_written, signature
from swim_server.sources.event_file.text import Unreadable

CHUNK_BYTES = 1024 * 1024
EDGE_BYTES = 4096
"""How much is compared at the beginning and before the read position: other changes are after it."""
MAX_KEPT_CHARACTERS = 4 * 1024 * 1024
"""Maximum characters kept of what could not be read in one file; more is only counted."""


class Place(msgspec.Struct, frozen=True):
    """How far a file has been read."""

    offset: int = 0
    edges: str = ""
    """Digest of the file's beginning and of what is before the offset."""


class Removal(NamedTuple):
    """What became of a file that was to be removed."""

    is_done: bool
    aside: Path | None
    """Where unreadable parts are now; None: there were none."""


class TakenFile:
    """Kept until all of it is stored. Knows nothing about publishing."""

    def __init__(self, path: Path, *, now: float, place: Place | None = None) -> None:
        self.path = path
        self.place = place or Place()
        self.boundary = self.place
        """The same, but before an entry that is incomplete: another process can read on from there."""
        self.published: Signature | None = None
        """Its signature when it was last read to its end."""
        self.changed_at = now
        """When it was last seen to change, by the monotonic clock."""
        self.whole_at = now
        """When the read position was last at the end of an entry."""
        self.asked_at = float("-inf")
        """When it was last checked whether a process has it open."""
        self.is_finished = False
        """Whether what follows its last complete entry was processed too."""
        self.is_judged_early = False
        """Whether a part was given up while the file still grew: at its end it is read once more as a whole."""
        self.rejected: list[Unreadable] = []
        self.rejected_count = 0
        self.unknown_types: Counter[str] = Counter()
        """The unknown types among what was rejected."""
        self._kept_characters = 0
        self._reader: EntryReader | None = None

    def reject(self, pieces: list[Unreadable]) -> None:
        """Count what can't be read, and keep it while there is space."""
        self.rejected_count += len(pieces)
        self.unknown_types.update(piece.unknown_type for piece in pieces if piece.unknown_type is not None)
        for piece in pieces:
            if self._kept_characters < MAX_KEPT_CHARACTERS:
                self.rejected.append(piece)
                self._kept_characters += len(piece.text)

    def reject_event(self, event: NewEvent, reason: str) -> None:
        """Count an event that can't be stored."""
        text = ascii({"type": event.type, "data": event.data})
        self.reject([Unreadable(text[:MAX_KEPT_CHARACTERS], reason, 0, len(text))])

    def begin_anew(self) -> None:
        """Read from the beginning at the next look: event ids identify what was published before."""
        self._reader = None
        self.place, self.is_finished, self.is_judged_early = Place(), False, False
        self.rejected, self.rejected_count, self._kept_characters = [], 0, 0
        self.unknown_types.clear()

    def read(self, make_reader: Callable[[str, float], EntryReader], *, now: float) -> Iterator[Batch]:
        """Read on, or from the beginning if what is before the read position was changed. Blocks; raises OSError."""
        with open_to_read(self.path) as file:
            if self.place.offset and _edges(file, self.place.offset) != self.place.edges:
                self.begin_anew()
            if self.is_finished:
                self.begin_anew()  # it has grown after what was taken for its end
            if self._reader is None:
                self._reader = make_reader(self.path.name, now)
            self._reader.now = now
            file.seek(self.place.offset)
            while chunk := file.read(CHUNK_BYTES):
                batch = self._reader.feed(chunk)
                offset = self.place.offset + len(chunk)
                yield batch
                self.place = Place(offset)  # its events are stored
                file.seek(offset)
            offset = self.place.offset
            self.place = Place(offset, _edges(file, offset))
            offset = max(0, offset - self._reader.pending_bytes)
            self.boundary = Place(offset, _edges(file, offset))

    def judge_rest(self, *, is_end: bool) -> Batch:
        """Process an entry that is cut off. ``is_end``: nobody writes to the file any more.

        Before the end, only if it holds back others: its writer may just be slow.
        """
        if self._reader is None or not (is_end or self._reader.holds_back()):
            return Batch([], [])
        self.is_finished |= is_end
        self.is_judged_early |= not is_end
        return self._reader.finish()

    @property
    def waits_for_more(self) -> bool:
        """Whether the read position is inside an entry."""
        return self._reader is not None and self._reader.is_within

    def writer(self) -> bool | None:
        """Tell whether a process has it open for writing; None: unknown. Blocks."""
        return is_being_written(self.path)

    def remove(self, folder: EventFolder, seen: Signature) -> Removal:
        """Set aside what could not be read, then remove the file, unless it was written to since.

        Blocks; raises OSError.
        """
        if is_being_written(self.path) or signature(self.path) != seen:
            return Removal(False, None)
        aside = folder.set_aside(self.path, [piece.text for piece in self.rejected])
        self.path.unlink(missing_ok=True)
        return Removal(True, aside)


def _edges(file: BinaryIO, offset: int) -> str:
    """Return a digest of the beginning of a file and of what is before ``offset``."""
    head = os.pread(file.fileno(), min(EDGE_BYTES, offset), 0)
    tail = os.pread(file.fileno(), min(EDGE_BYTES, offset), max(0, offset - EDGE_BYTES))
    return blake2b(head + tail, digest_size=16).hexdigest()
