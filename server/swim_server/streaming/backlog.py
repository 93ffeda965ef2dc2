"""What waits for a client that reads slowly: all other events, but only the newest position of each flight."""

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
    """Frames in the order of their ids. A newer position of a flight removes the older one from its event.

    An event of which nothing is left is dropped, so what is held is bounded by ``size_bytes``.
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
        """How many catch-ups the client had begun when it stopped reading."""
        self._framing = framing
        """The framing of what is left of an event."""
        self._max_message_bytes = max_message_bytes
        self._is_folded = is_folded
        """The client keeps a folded state: a position replaces an older one only if that has no further fields."""
        self._entries: dict[int, bytes | _Positions] = {}
        """By increasing numbers; where one is missing, its event was conflated away."""
        self._first = 0
        self._next = 0
        self._newest: dict[Hashable, _Positions] = {}
        """The entry with the newest position of each flight."""
        self.size_bytes = 0
        """Size of all that waits, as it would be sent now; savings from conflation are estimated."""
        self._ids: dict[int, EventId] = {}
        """The ids of entries that are events, by entry number."""
        self.first_id: EventId | None = None
        """The first and the last event that came to wait here; everything between them waited too."""
        self.last_id: EventId | None = None
        self.conflated: dict[EventId, int] = {}
        """How many positions were left out of an event."""

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._entries)

    @property
    def oldest_id(self) -> EventId | None:
        """The first event that still waits."""
        return next(iter(self._ids.values()), None)

    def append(self, frame: bytes, framed: FramedEvent | None = None) -> int:
        """Append a frame and, if it is an event's, its event. Returns how many other entries it replaced."""
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
        """Take the oldest frames, joined: at least one, and at most ``limit_bytes`` if there are several."""
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
    """Tell whether a client that folds positions would miss something without the older one."""
    return isinstance(newer, dict) and isinstance(older, dict) and not newer.keys() >= older.keys()


def _repeats_a_flight(framed: FramedEvent) -> bool:
    """Tell whether a batch has a flight twice: the first row may have more fields."""
    rows = framed.event.data.get("positions") if framed.event.type == POSITIONS else None
    return isinstance(rows, list) and len(rows) != len(framed.flights)


class _Positions:
    """An event with positions, some of which newer ones may replace."""

    __slots__ = ("_event", "_frame", "_share_bytes", "number", "rows", "size_bytes")

    def __init__(self, number: int, frame: bytes, framed: FramedEvent) -> None:
        self.number = number
        self.rows: dict[Hashable, Any] = dict(framed.flights)
        self.size_bytes = len(frame)
        self._event = framed.event
        self._frame: bytes | None = frame
        self._share_bytes = len(frame) // len(self.rows)

    def drop(self, flight: Hashable) -> int:
        """Remove one flight; return by how many bytes that shrinks it (estimates that never sum to more than all)."""
        if self._frame is not None and self._event.type == POSITIONS:
            # From now on only the head of the event is kept: the rows may be few of many.
            self._event = self._event.with_data({**self._event.data, "count": 0, "positions": []})
        del self.rows[flight]
        self._frame = None
        dropped_bytes = self._share_bytes if self.rows else self.size_bytes
        self.size_bytes -= dropped_bytes
        return dropped_bytes

    def frame(self, framing: int, max_message_bytes: int) -> bytes:
        """Return the frame, or frames, of what remains: uncompressed if anything was removed, as it is not shared."""
        if self._frame is not None:
            return self._frame
        rows = list(self.rows.values())
        remaining = self._event.with_data({**self._event.data, "count": len(rows), "positions": rows})
        return FramedEvent(remaining).frame(framing, max_message_bytes)
