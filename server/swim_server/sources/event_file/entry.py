"""One object of the event file as an event, with an event id that identifies it if it appears again. Pure."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

import msgspec

from swim_server.protocol.channels import LOOSE_TYPES, Catalogue, loose_data
from swim_server.protocol.codes import show
from swim_server.protocol.events import NewEvent
from swim_server.protocol.json_data import InvalidData
from swim_server.protocol.normalise import normalise
from swim_server.protocol.payloads import BadPosition, check_payload, part_positions
from swim_server.protocol.positions import POSITIONS
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms
from swim_server.sources.event_file.text import Found, ObjectScanner, Unreadable

EARLIEST_MS = 946_684_800_000
"""2000-01-01: an earlier time is a formatted zero."""
LATEST_MS = 253_402_300_799_999
"""The end of the year 9999."""
RECENT_SECONDS = 10.0
"""An entry without a time that is repeated sooner is a writer's older copy, not another event."""
RECENT_ENTRIES = 200_000
_MILLISECONDS_FROM = 100_000_000_000
"""Larger numbers are milliseconds, smaller ones seconds."""

_encoder = msgspec.json.Encoder(order="sorted")


class InvalidEntry(ValueError):
    """An object that is not an event: why."""

    def __init__(self, reason: str, unknown_type: str | None = None) -> None:
        self.reason = reason
        self.unknown_type = unknown_type
        """The event type, if it is unknown."""
        super().__init__(reason)


class Batch(msgspec.Struct):
    """The content of a part of the file."""

    events: list[NewEvent]
    rejected: list[Unreadable]


class RecentNames:
    """Remembers for a while the names under which entries without a time were published.

    Equal ones are distinguished by their files, unless the later one is so close that it must be a writer's older copy.
    """

    def __init__(self, window_seconds: float = RECENT_SECONDS, limit: int = RECENT_ENTRIES) -> None:
        self._window_seconds = window_seconds
        self._limit = limit
        self._names: OrderedDict[str, tuple[str, float]] = OrderedDict()
        """Name and last time by content; longest unseen first."""

    def name(self, content: str, file: str, now: float) -> str:
        """Return the name of an entry with this content, found in ``file`` at ``now`` (monotonic seconds)."""
        name, seen_at = self._names.pop(content, ("", now))
        if not name or now - seen_at > self._window_seconds:
            name = f"{content}@{file}"
        self._names[content] = name, now
        return name

    def forget(self, now: float) -> None:
        """Forget what was not seen recently. Call between two files, never within one."""
        while self._names:
            content, (_, seen_at) = next(iter(self._names.items()))
            if now - seen_at <= self._window_seconds and len(self._names) <= self._limit:
                return
            del self._names[content]


class EntryReader:
    """Reads one file from its beginning. The same content in the same file gives the same events and event ids.

    Of equal entries the first has ordinal 0, the next 1: so all of them are published, and none again if the file, or a
    writer's older copy of it, is read another time.
    """

    def __init__(self, catalogue: Catalogue, file: str, recent: RecentNames, now: float) -> None:
        self._catalogue = catalogue
        self._file = file
        self._recent = recent
        self.now = now
        """Monotonic seconds, set by the caller before reading on."""
        self._scanner = ObjectScanner()
        self._seen: Counter[str] = Counter()

    @property
    def is_within(self) -> bool:
        """Tell whether what was received ends inside an entry, as far as can be told."""
        return self._scanner.is_within

    def holds_back(self) -> bool:
        """Tell whether entries wait after one that is cut off."""
        return self._scanner.holds_back()

    @property
    def pending_bytes(self) -> int:
        """Return how many received bytes are not processed."""
        return self._scanner.pending_bytes

    def feed(self, data: bytes) -> Batch:
        """Process the next bytes of the file."""
        return self._batch(self._scanner.feed(data))

    def finish(self) -> Batch:
        """Process the end of the file."""
        return self._batch(self._scanner.finish())

    def _batch(self, pieces: Iterable[Found | Unreadable]) -> Batch:
        batch = Batch([], [])
        for piece in pieces:
            if isinstance(piece, Unreadable):
                batch.rejected.append(piece)
                continue
            try:
                event, bad = self._event(piece.value)
            except InvalidEntry as invalid:
                unreadable = piece.as_unreadable(invalid.reason)
                batch.rejected.append(msgspec.structs.replace(unreadable, unknown_type=invalid.unknown_type))
                continue
            batch.events.append(event)
            place = piece.as_unreadable("")
            batch.rejected += [_position_aside(each, place) for each in bad]
        return batch

    def _event(self, entry: dict[str, Any]) -> tuple[NewEvent, list[BadPosition]]:
        event, bad = read_parts(entry, self._catalogue)
        content = digest(entry)
        ordinal = self._seen[content]
        self._seen[content] = ordinal + 1
        name = f"{content}#{ordinal}"
        if event.timestamp_ms is None:
            name = self._recent.name(name, self._file, self.now)
        return msgspec.structs.replace(event, event_id=name), bad


def _position_aside(bad: BadPosition, place: Unreadable) -> Unreadable:
    """Set aside a position left out of its batch, as an entry that can be corrected and written again."""
    text = json.dumps({"type": POSITIONS, "data": {"positions": [bad.position]}})
    return msgspec.structs.replace(place, text=text, reason=bad.reason)


def read_parts(entry: Mapping[str, object], catalogue: Catalogue) -> tuple[NewEvent, list[BadPosition]]:
    """Read ``{"type","data","_received_at"}``; positions of a batch that can't be sent are left out and returned.

    Raises InvalidEntry, also if all positions are wrong.
    """
    event_type = entry.get("type")
    if not isinstance(event_type, str):
        raise InvalidEntry(f"type: must be an event type, got {show(event_type)}" if "type" in entry else "no type")
    if not catalogue.knows(event_type):
        nearest = catalogue.nearest(event_type)
        hint = f": did you mean {nearest}?" if nearest in catalogue.types else ""
        raise InvalidEntry(f"unknown event type {show(event_type)}{hint}", unknown_type=event_type)
    data = entry.get("data")
    if "data" not in entry and event_type in LOOSE_TYPES:
        data = loose_data(entry)
    if data == []:
        data = {}  # PHP writes an empty object as an empty array
    if not isinstance(data, dict):
        raise InvalidEntry(f"data: must be an object, got {show(data)}" if "data" in entry else "no data")
    data, bad = part_positions(event_type, normalise(event_type, data))
    if bad and not data["positions"]:
        raise InvalidEntry(bad[0].reason)
    try:
        check_payload(event_type, data)
    except InvalidData as invalid:
        raise InvalidEntry(str(invalid)) from None
    moment = read_time(entry.get("_received_at"))
    if moment is None:
        moment = read_time(entry.get("timestamp"))
    return NewEvent(type=event_type, data=data, timestamp_ms=moment), bad


def read_time(value: object) -> int | None:
    """Read RFC 3339, ``YYYY-MM-DD HH:MM:SS`` (UTC), or Unix time in seconds or milliseconds; None for anything else."""
    moment: float | None = None
    if isinstance(value, str):
        try:
            moment = parse_ms(value)
        except InvalidTimestamp:
            value = _number(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        moment = value if abs(value) >= _MILLISECONDS_FROM else value * 1000
    return int(moment) if moment is not None and EARLIEST_MS <= moment <= LATEST_MS else None


def digest(entry: object) -> str:
    """Return a digest of an entry's content, independent of how a writer that rewrote it has formatted it."""
    try:
        canonical = _canonical(entry)
        try:
            content = _encoder.encode(canonical)
        except (ValueError, OverflowError):  # lone surrogates or huge numbers, in fields that are not used
            content = json.dumps(canonical, sort_keys=True).encode()
    except RecursionError:
        raise InvalidEntry("it nests too deeply") from None
    return blake2b(content, digest_size=16).hexdigest()


def _canonical(value: object) -> Any:
    """Return the form that PHP's decoding and encoding leaves unchanged: 1.0 may become 1, and {} becomes []."""
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()} if value else []
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _number(text: str) -> float | None:
    try:
        return float(text) if len(text) < 32 else None
    except ValueError:
        return None
