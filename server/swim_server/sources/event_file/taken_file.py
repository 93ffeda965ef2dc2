"""A file that was taken: what was published of it, what could not be read, and whether somebody has written since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from swim_server.protocol.events import NewEvent
from swim_server.sources.event_file.entry import Batch, EntryReader
from swim_server.sources.event_file.folder import EventFolder, Signature, is_being_written, read_chunks, signature
from swim_server.sources.event_file.text import Unreadable

MAX_KEPT_CHARACTERS = 4 * 1024 * 1024
"""Of all that could not be read in one file; more is only counted."""


class TakenFile:
    """Ours until all of it is stored. Knows nothing of publishing."""

    def __init__(self, path: Path, *, now: float) -> None:
        self.path = path
        self.published: Signature | None = None
        """What it looked like when it was last published as a whole."""
        self.changed_at = now
        """When it was last seen to change, by the monotonic clock."""
        self.rejected: list[Unreadable] = []
        self.rejected_count = 0
        self.unknown_types: Counter[str] = Counter()
        """Of what was rejected, the types that there aren't."""
        self._kept_characters = 0

    def begin(self, *, now: float) -> None:
        """Begin again at the start of the file: what was rejected before is rejected anew, or is whole now."""
        self.changed_at = now
        self.rejected, self.rejected_count, self._kept_characters = [], 0, 0
        self.unknown_types.clear()

    def reject(self, pieces: list[Unreadable]) -> None:
        """Count what can't be read, and keep it while there is room."""
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

    def read(self, reader: EntryReader) -> Iterator[tuple[Batch, bool]]:
        """Read it from its beginning; with each batch, whether it is the last. Blocks; raises OSError."""
        chunk = b""
        for following in read_chunks(self.path):
            if chunk:
                yield reader.feed(chunk), False
            chunk = following
        batch, rest = reader.feed(chunk), reader.finish()
        yield Batch(batch.events + rest.events, batch.rejected + rest.rejected), True

    def remove(self, folder: EventFolder, seen: Signature) -> Removal:
        """Set aside what could not be read, then remove the file, unless somebody still writes to it.

        Blocks; raises OSError.
        """
        if is_being_written(self.path) or signature(self.path) != seen:
            return Removal(False, None)
        aside = folder.set_aside(self.path, [piece.text for piece in self.rejected])
        self.path.unlink(missing_ok=True)
        return Removal(True, aside)


class Removal(NamedTuple):
    """What became of a file that was to be removed."""

    is_done: bool
    aside: Path | None
    """Where what could not be read is now; None: there was no such thing."""
