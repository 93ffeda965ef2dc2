"""What waits for one client that reads slowly: other events all, positions only the newest of each flight."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from swim_server.protocol.positions import MAX_MESSAGE_BYTES, POSITIONS
from swim_server.streaming.framed_event import PLAIN, FramedEvent

if TYPE_CHECKING:
    from swim_server.protocol.event_id import EventId

MAX_CONFLATED = 1000
"""For how many events it is remembered that positions were left out."""


class Backlog:
    """Frames in the order of their ids. A newer position of a flight takes the older one out of its event.

    An event of which nothing is left goes away altogether, so what is held is bounded by ``size_bytes``.
    """

    __slots__ = (
        "_entries",
        "_first",
        "_framing",
        "_ids",
        "_is_folded",
        "_max_message_bytes",
        "_newest",
        "_next",
        "catch_ups",
        "conflated",
        "first_id",
        "last_id",
        "size_bytes",
    )

    def __init__(
        self,
        catch_ups: int = 0,
        framing: int = PLAIN,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        is_folded: bool = False,
    ) -> None:
        self.catch_ups = catch_ups
        """How often the client had begun to be sent history when it stopped reading."""
        self._framing = framing
        """Of what is left of an event."""
        self._max_message_bytes = max_message_bytes
        self._is_folded = is_folded
        """The client folds what it is sent: a position only makes one needless that tells nothing more."""
        self._entries: dict[int, bytes | _Positions] = {}
        """By a number that counts up; where one is missing, its event was conflated away."""
        self._first = 0
        self._next = 0
        self._newest: dict[Hashable, _Positions] = {}
        """Which entry has the newest position of each flight."""
        self.size_bytes = 0
        """Of all that waits, as it would be sent now; what conflation saves is estimated."""
        self._ids: dict[int, EventId] = {}
        """Of the entries that are events', by their numbers."""
        self.first_id: EventId | None = None
        """The first event that came to wait here, and the last: what stood between them, waited too."""
        self.last_id: EventId | None = None
        self.conflated: dict[EventId, int] = {}
        """How many positions were left out of an event."""

    def __len__(self) -> int:
        """How many messages wait."""
        return len(self._entries)

    @property
    def oldest_id(self) -> EventId | None:
        """The first event that still waits."""
        return next(iter(self._ids.values()), None)

    def append(self, frame: bytes, framed: FramedEvent | None = None) -> int:
        """Put one frame at the end; with its event, where it is one's. Returns how many others that made needless."""
        vanished = 0
        number, self._next = self._next, self._next + 1
        if framed is not None:
            self._ids[number] = self.last_id = framed.event.id
            self.first_id = self.first_id or framed.event.id
        if framed is not None and framed.flights and not (self._is_folded and _repeats_a_flight(framed)):
            entry = _Positions(number, frame, framed)
            for flight, row in framed.flights.items():
                older = self._newest.get(flight)
                if older is not None and not (self._is_folded and _tells_more(older.rows[flight], row)):
                    vanished += self._conflate(older, flight)
                self._newest[flight] = entry
            self._entries[number] = entry
        else:
            self._entries[number] = frame
        self.size_bytes += len(frame)
        return vanished

    def _conflate(self, older: _Positions, flight: Hashable) -> int:
        self.size_bytes -= older.drop(flight)
        event_id = self._ids[older.number]
        if event_id in self.conflated or len(self.conflated) < MAX_CONFLATED:
            self.conflated[event_id] = self.conflated.get(event_id, 0) + 1
        if older.rows:
            return 0
        del self._entries[older.number], self._ids[older.number]
        return 1

    def take(self, limit_bytes: int) -> bytes:
        """Take the oldest frames, joined: at least one, and not more than ``limit_bytes`` where there are several."""
        frames: list[bytes] = []
        taken_bytes = 0
        while self._first < self._next:
            entry = self._entries.get(self._first)
            if entry is not None:
                size_bytes = len(entry) if isinstance(entry, bytes) else entry.size_bytes
                if frames and taken_bytes + size_bytes > limit_bytes:
                    break
                taken_bytes += size_bytes
                frames.append(self._remove(entry, size_bytes))
            self._first += 1
        return b"".join(frames)

    def _remove(self, entry: bytes | _Positions, size_bytes: int) -> bytes:
        del self._entries[self._first]
        self._ids.pop(self._first, None)
        self.size_bytes -= size_bytes
        if isinstance(entry, bytes):
            return entry
        for flight in entry.rows:
            if self._newest.get(flight) is entry:
                del self._newest[flight]
        return entry.frame(self._framing, self._max_message_bytes)


def _tells_more(older: Any, newer: Any) -> bool:
    """Whether who folds positions would miss something without the older one."""
    return isinstance(newer, dict) and isinstance(older, dict) and not newer.keys() >= older.keys()


def _repeats_a_flight(framed: FramedEvent) -> bool:
    """Whether a batch tells of a flight twice: the first time may tell more."""
    rows = framed.event.data.get("positions") if framed.event.type == POSITIONS else None
    return isinstance(rows, list) and len(rows) != len(framed.flights)


class _Positions:
    """An event that tells positions, of which newer ones may take parts away."""

    __slots__ = ("_event", "_frame", "_share_bytes", "number", "rows", "size_bytes")

    def __init__(self, number: int, frame: bytes, framed: FramedEvent) -> None:
        self.number = number
        self.rows: dict[Hashable, Any] = dict(framed.flights)
        self.size_bytes = len(frame)
        self._event = framed.event
        self._frame: bytes | None = frame
        self._share_bytes = len(frame) // len(self.rows)

    def drop(self, flight: Hashable) -> int:
        """Take one flight out; return by how many bytes this made it smaller (an estimate that never sums past all)."""
        if self._frame is not None and self._event.type == POSITIONS:
            # From now on nothing of the event is held but its head: the rows may be few of many.
            self._event = self._event.with_data({**self._event.data, "count": 0, "positions": []})
        del self.rows[flight]
        self._frame = None
        dropped_bytes = self._share_bytes if self.rows else self.size_bytes
        self.size_bytes -= dropped_bytes
        return dropped_bytes

    def frame(self, framing: int, max_message_bytes: int) -> bytes:
        """Return the frame, or frames, of what remains: plain where anything was taken out, as it is nobody else's."""
        if self._frame is not None:
            return self._frame
        rows = list(self.rows.values())
        remaining = self._event.with_data({**self._event.data, "count": len(rows), "positions": rows})
        return FramedEvent(remaining).frame(framing, max_message_bytes)
