"""Writes a recording of events. However writing ends, what was flushed can be played."""

from __future__ import annotations

import gzip
from hashlib import sha256
from typing import Protocol

from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.recording.lines import End, Gap, Header, one_line, write_line

BLOCK_BYTES = 8_192
"""Lines are compressed in blocks of this size: damage affects only its own block."""
FLUSH_SECONDS = 1.0
"""Maximum time that an event waits for its block to be written."""


class Sink(Protocol):
    """Where a recording goes."""

    def write(self, data: bytes, /) -> object:
        """Write all of the bytes. Raises OSError."""
        ...

    def flush(self) -> None:
        """Flush what was written. Raises OSError."""
        ...


class RecordingWriter:
    """Writes to a stream that it does not own. Raises OSError from the stream."""

    def __init__(self, stream: Sink, header: Header, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.events = 0
        self.gaps = 0
        self.packed_bytes = 0
        self.first_id: str | None = None
        self.last_id: str | None = None
        self._stream = stream
        self._clock = clock
        self._digest = sha256()
        self._block = bytearray()
        self._due: float | None = None
        """When waiting events must be written."""
        self._write(write_line(header))

    def add(self, wire: bytes, event_id: str | None) -> None:
        """Take one event, as it was received."""
        line = one_line(wire) + b"\n"
        self._digest.update(line)
        self._block += line
        self.events += 1
        self.first_id = self.first_id or event_id
        self.last_id = event_id or self.last_id
        if self._due is None:
            self._due = self._clock.monotonic() + FLUSH_SECONDS
        if len(self._block) >= BLOCK_BYTES:
            self.flush()

    def mark_gap(self) -> None:
        """Note that events may be missing here."""
        self.gaps += 1
        self._block += write_line(Gap(after=self.last_id))
        self.flush()

    @property
    def wait_seconds(self) -> float | None:
        """Return how long until something must be flushed; None: nothing waits."""
        return None if self._due is None else max(0.0, self._due - self._clock.monotonic())

    def flush(self) -> None:
        """Write what waits."""
        block, self._block, self._due = bytes(self._block), bytearray(), None
        if block:
            self._write(block)

    def finish(self, reason: str, now_ms: int) -> End:
        """Write what waits and the end mark."""
        self.flush()
        end = End(
            events=self.events,
            sha256=self._digest.hexdigest(),
            first_id=self.first_id,
            last_id=self.last_id,
            gaps=self.gaps,
            finished=format_ms(now_ms),
            reason=reason,
        )
        self._write(write_line(end))
        return end

    def _write(self, lines: bytes) -> None:
        packed = gzip.compress(lines, 6, mtime=0)
        self._stream.write(packed)
        self._stream.flush()
        self.packed_bytes += len(packed)
