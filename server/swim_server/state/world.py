"""The world: all entries of all kinds after an event. A pure fold; knows no loop, no clock and no connection."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from swim_server.protocol.control_characters import escape_json
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.positions import POSITIONS
from swim_server.state.folding import Entry, fold_entry, fold_flight
from swim_server.state.kinds import BUILT_IN, FLIGHTS, Key, Kind

if TYPE_CHECKING:
    from swim_server.protocol.events import Event

MAX_ENTRIES = 20_000
"""Maximum per kind. Further entries are refused, so that invented entries can't displace real ones."""
SMALL_EVENT_BYTES = 512
"""An entry with the maximum number of fields from events of this size is not large: such events aren't measured."""
MAX_ENTRY_BYTES = 65_535
"""As JSON. An event that would make its entry longer is ignored: it could not be sent to clients."""
LARGE_ENTRY_BYTES = 4096
MAX_LARGE_BYTES = 64 * 1024 * 1024
"""Total size of large entries, per kind."""
MAX_UID_DIGITS = 20
"""No uid is longer; numbers with thousands of digits are not parsed."""
_TIMESTAMP = len('{"type":"","timestamp":"')
"""Offset of the timestamp in an event's wire form, without the type."""
_TIMESTAMP_LENGTH = len("2026-01-16T14:30:15.000Z")

_encoder = msgspec.json.Encoder()


class Change(NamedTuple):
    """Which entries one event concerned. Of a batch one key per position, None if it names no flight."""

    kind: Kind
    keys: Sequence[Key | None]
    opened: Sequence[Key] = ()
    """Keys of new entries."""


class Entries:
    """The entries of one kind, each with the time of its last event and, once requested, its encoding."""

    __slots__ = (
        "_encoded", "_is_flights", "_large", "_large_bytes", "by_key", "kind", "opened", "refused", "touched_ms",
    )  # fmt: skip

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.by_key: dict[Key, Entry] = {}
        self.touched_ms: dict[Key, int] = {}
        """Milliseconds of the id of the last event about it: its time of arrival, not its timestamp."""
        self.opened: list[Key] = []
        """New entries, for the code that runs after each event."""
        self.refused = 0
        """Number of events about entries that were not added for lack of space."""
        self._encoded: dict[Key, bytes] = {}
        self._large: dict[Key, int] = {}
        """Size in bytes of large entries."""
        self._large_bytes = 0
        self._is_flights = kind is FLIGHTS

    def __len__(self) -> int:
        return len(self.by_key)

    def fold(self, event_type: str, data: Mapping[str, Any], timestamp: str, at_ms: int) -> Key | None:
        """Apply an event, or one position of a batch. Returns the key of its entry."""
        key: Key | None = data.get("flight_uid") if self._is_flights else None
        if type(key) is not int:  # else it is a common flight
            key = self.kind.key_of(data)
            if key is None:
                return None
        if self._encoded:
            self._encoded.pop(key, None)
        entry = self.by_key.get(key)
        if event_type in self.kind.ends:
            if entry is not None:
                del self.by_key[key], self.touched_ms[key]
                self._measure(key, 0)
            return key
        if entry is None and len(self.by_key) >= MAX_ENTRIES:
            self.refused += 1
            return None
        if self._is_flights:
            folded = fold_flight(entry, event_type, data, timestamp)
        else:
            folded = fold_entry(entry, data, timestamp)
        if entry is None:
            self.by_key[key] = folded
            self.opened.append(key)
        self.touched_ms[key] = at_ms
        return key

    def fold_large(self, event_type: str, data: Mapping[str, Any], timestamp: str, at_ms: int) -> Key | None:
        """Apply a large event, unless it would make the entry, or all of them, too large."""
        key = self.kind.key_of(data)
        if key is None or event_type in self.kind.ends:
            return self.fold(event_type, data, timestamp, at_ms)
        entry = self.by_key.get(key)
        tried = dict(entry) if entry is not None else None
        fold = (
            fold_flight(tried, event_type, data, timestamp) if self._is_flights else fold_entry(tried, data, timestamp)
        )
        size_bytes = len(_encoder.encode(fold))
        room = MAX_LARGE_BYTES - self._large_bytes + self._large.get(key, 0)
        if size_bytes > MAX_ENTRY_BYTES or (size_bytes >= LARGE_ENTRY_BYTES and size_bytes > room):
            self.refused += 1
            return None
        folded = self.fold(event_type, data, timestamp, at_ms)
        if folded is not None:
            self._measure(key, size_bytes)
        return folded

    def _measure(self, key: Key, size_bytes: int) -> None:
        self._large_bytes -= self._large.pop(key, 0)
        if size_bytes >= LARGE_ENTRY_BYTES:
            self._large[key] = size_bytes
            self._large_bytes += size_bytes

    def restore(self, rows: Iterable[tuple[Entry, int]]) -> None:
        """Restore the entries of a checkpoint, each with the time of its last event."""
        for entry, touched_ms in rows:
            key = self.kind.key_of(entry)
            if key is not None:
                self.by_key[key] = entry
                self.touched_ms[key] = touched_ms
                self._measure(key, len(_encoder.encode(entry)))

    def encoded(self, key: Key) -> bytes:
        """Return an entry as JSON, encoded once until it changes."""
        found = self._encoded.get(key)
        if found is None:
            found = self._encoded[key] = escape_json(_encoder.encode(self.by_key[key]))
        return found

    @property
    def cold(self) -> int:
        """Return how many entries are not encoded."""
        return len(self.by_key) - len(self._encoded)

    def forget_encodings(self) -> None:
        """Free the memory of the encodings: they have not been requested for a while."""
        self._encoded.clear()


class World:
    """The state at id X is exactly the fold of all events up to and including X."""

    def __init__(self, kinds: Sequence[Kind] = BUILT_IN) -> None:
        self.as_of: EventId = ZERO
        """The last event applied."""
        self.events = 0
        """Number of events applied by this process."""
        self.kinds: Mapping[str, Entries] = {kind.name: Entries(kind) for kind in kinds}
        self.flights = self.kinds.get(FLIGHTS.name, Entries(FLIGHTS))
        self._by_type: dict[str, tuple[Entries, ...]] = {}
        """Which kinds use the events of a type; filled when a type first occurs."""

    def fold(self, event: Event) -> Sequence[Change]:
        """Apply the next event. Events come in the order of their ids, each once; never raises for invalid data."""
        self.as_of = event.id
        self.events += 1
        concerned = self._by_type.get(event.type)
        if concerned is None:
            concerned = self._find_concerned(event.type)
        if not concerned:
            return ()
        begin = _TIMESTAMP + len(event.type)
        timestamp = event.wire[begin : begin + _TIMESTAMP_LENGTH].decode()
        return [self._fold_into(entries, event, timestamp) for entries in concerned]

    def _fold_into(self, entries: Entries, event: Event, timestamp: str) -> Change:
        at_ms, data, event_type, fold = event.id.milliseconds, event.data, event.type, entries.fold
        if event_type != POSITIONS:
            if len(event.wire) > SMALL_EVENT_BYTES:
                fold = entries.fold_large
            keys: Sequence[Key | None] = (fold(event_type, data, timestamp, at_ms),)
        else:
            rows = data.get("positions")
            if isinstance(rows, list) and len(event.wire) > SMALL_EVENT_BYTES * len(rows):
                fold = entries.fold_large
            keys = [
                fold(event_type, row, timestamp, at_ms) if isinstance(row, dict) else None
                for row in (rows if isinstance(rows, list) else ())
            ]
        if not entries.opened:
            return Change(entries.kind, keys)
        opened, entries.opened = entries.opened, []
        return Change(entries.kind, keys, opened)

    def _find_concerned(self, event_type: str) -> tuple[Entries, ...]:
        found = tuple(entries for entries in self.kinds.values() if entries.kind.takes(event_type))
        if len(self._by_type) < 1000:  # there may be any number of open-ended types
            self._by_type[event_type] = found
        return found

    def of_families(self, families: Iterable[str]) -> Iterator[Entries]:
        """Return the kinds of these families, flights first."""
        wanted = set(families)
        return (entries for entries in self.kinds.values() if entries.kind.family in wanted)

    def find_flight(self, name: str) -> Entry | None:
        """Return a flight by uid or callsign; of several with one callsign, the most recently updated."""
        is_number = name.isascii() and name.isdecimal() and len(name) <= MAX_UID_DIGITS
        if is_number and (found := self.flights.by_key.get(int(name))) is not None:
            return found
        wanted = name.strip().upper()
        found_all = [
            (self.flights.touched_ms[key], number, entry)
            for number, (key, entry) in enumerate(self.flights.by_key.items())
            if isinstance(callsign := entry.get("callsign"), str) and callsign.strip().upper() == wanted
        ]
        return max(found_all)[2] if found_all else None
