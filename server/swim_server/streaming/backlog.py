"""What waits for one client that reads slowly: other events all, positions only the newest of each flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from swim_server.streaming.frames import text_frame
from swim_server.streaming.subscription import POSITIONS

if TYPE_CHECKING:
    from swim_server.protocol.events import Event


class Backlog:
    """Frames in the order of their ids. A newer position of a flight takes the older one's batch down by one."""

    __slots__ = ("_batches", "_entries", "conflated", "size_bytes")

    def __init__(self) -> None:
        self._entries: deque[bytes | _Batch] = deque()
        self._batches: dict[Hashable, _Batch] = {}
        self.size_bytes = 0
        """Of all that waits, as it would be sent now."""
        self.conflated = 0
        """Positions that were left out because a newer one of the same flight waits behind them."""

    def __bool__(self) -> bool:
        return bool(self._entries)

    def append(self, frame: bytes, event: Event | None = None) -> None:
        """Put one frame at the end; with its event where it is one that may be conflated."""
        if event is not None and event.type == POSITIONS:
            self._append_batch(frame, event)
        else:
            self._entries.append(frame)
            self.size_bytes += len(frame)

    def _append_batch(self, frame: bytes, event: Event) -> None:
        batch = _Batch(frame, event)
        for flight in batch.positions:
            older = self._batches.get(flight)
            if older is not None:
                self.size_bytes -= older.drop(flight)
                self.conflated += 1
            self._batches[flight] = batch
        self._entries.append(batch)
        self.size_bytes += batch.size_bytes

    def take(self) -> bytes | None:
        """Take the oldest frame that still has something to say; None when nothing waits."""
        while self._entries:
            entry = self._entries.popleft()
            if isinstance(entry, bytes):
                self.size_bytes -= len(entry)
                return entry
            self.size_bytes -= entry.size_bytes
            for flight in entry.positions:
                del self._batches[flight]
            frame = entry.frame()
            if frame is not None:
                return frame
        return None


class _Batch:
    """One positions event of which newer ones may take parts away."""

    __slots__ = ("_event", "_frame", "_share_bytes", "positions", "size_bytes")

    def __init__(self, frame: bytes, event: Event) -> None:
        self._event = event
        self._frame: bytes | None = frame
        self.size_bytes = len(frame)
        rows: list[Any] = event.data.get("positions") or []
        self.positions = {_flight(number, row): row for number, row in enumerate(rows)}
        self._share_bytes = len(frame) // (len(self.positions) or 1)

    def drop(self, flight: Hashable) -> int:
        """Take one flight out; return by how many bytes this made it smaller (an estimate that never sums past all)."""
        del self.positions[flight]
        self._frame = None
        share = self._share_bytes if self.positions else self.size_bytes
        self.size_bytes -= share
        return share

    def frame(self) -> bytes | None:
        """The frame of what remains, or None when nothing does."""
        if self._frame is not None:
            return self._frame
        if not self.positions:
            return None
        rows = list(self.positions.values())
        return text_frame(self._event.with_data({**self._event.data, "count": len(rows), "positions": rows}).wire)


def _flight(number: int, row: Any) -> Hashable:
    """What makes two positions the same flight's; a row that names none stands for itself."""
    if isinstance(row, dict):
        for field in ("flight_uid", "callsign"):
            value = row.get(field)
            if isinstance(value, (int, str)):
                return (field, value)
    return ("row", number, id(row))
