"""Sessions that have ended, packed: some two hundred bytes each instead of a thousand in a dozen objects.

A service whose clients come and go remembers tens of thousands of them. They are rarely asked for, and then unpacked.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator

import msgspec

from swim_server.protocol.event_id import EventId
from swim_server.protocol.filters import EMPTY, Box, Filters
from swim_server.streaming.explain.session import NO_STARTS, Change, End, Session, SlowPeriod
from swim_server.streaming.subscription import NOTHING, Subscription

MAX_BYTES = 4 * 1024 * 1024
"""Maximum size of all of them together, about twenty thousand; the oldest are dropped."""
NO_KEY, MAX_KEY = -1, (1 << 63) - 1
_KEY = struct.Struct(">q")
_OVERHEAD = 49
"""Bytes that an object of the type ``bytes`` and its place in the queue take beside its content."""


class _PackedFilters(msgspec.Struct, array_like=True, frozen=True):
    airports: frozenset[str]
    artccs: frozenset[str]
    firs: frozenset[str]
    callsign_prefixes: frozenset[str]
    phases: frozenset[str]
    dep_window: tuple[int | None, int | None]
    bbox: tuple[float, float, float, float] | None


class _PackedChange(msgspec.Struct, array_like=True, frozen=True):
    after: int
    at_ms: int
    channels: frozenset[str]
    filters: _PackedFilters | None
    starts: dict[str, int]
    max_message_bytes: int
    catch_ups: int
    is_catching_up: bool


class _PackedLag(msgspec.Struct, array_like=True, frozen=True):
    first: int
    last: int
    catch_ups: int
    conflated: dict[int, int]


class _PackedEnd(msgspec.Struct, array_like=True, frozen=True):
    at_ms: int
    until: int
    unsent_from: int | None
    history_until: int | None
    code: int
    reason: str


class _PackedSession(msgspec.Struct, array_like=True, frozen=True):
    tier: str
    remote: str
    connected_at_ms: int
    is_cut: bool
    catch_ups: int
    changes: list[_PackedChange]
    lags: list[_PackedLag]
    end: _PackedEnd


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_PackedSession).decode


class PastSessions:
    """Ended sessions, oldest first, as many as fit."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._packed: deque[bytes] = deque()
        """Each begins with its key's id and its own, so that it is found without unpacking."""
        self._bytes = 0

    def add(self, session: Session, end: End) -> None:
        """Remember a session that has ended, and forget the oldest if it does not fit."""
        packed = pack(session, end)
        self._packed.append(packed)
        self._bytes += len(packed) + _OVERHEAD
        while self._bytes > self._max_bytes:
            self._bytes -= len(self._packed.popleft()) + _OVERHEAD

    def find(self, session_id: str) -> Session | None:
        """Return one session, if it is remembered."""
        wanted = _named(session_id)
        found = next((each for each in reversed(self._packed) if each.startswith(wanted, _KEY.size)), None)
        return unpack(found) if found is not None else None

    def of_key(self, key_id: int) -> Iterator[Session]:
        """Return the sessions of a key that are remembered now, the one that ended last first, unpacked in turn."""
        if not NO_KEY < key_id <= MAX_KEY:  # whatever an operator may ask for
            return iter(())
        wanted = _KEY.pack(key_id)
        return map(unpack, [each for each in reversed(self._packed) if each.startswith(wanted)])

    def __iter__(self) -> Iterator[Session]:
        return map(unpack, self._packed)

    def __len__(self) -> int:
        return len(self._packed)


def pack(session: Session, end: End) -> bytes:
    """Return everything that is remembered of a session that has ended."""
    packed = _PackedSession(
        tier=session.tier,
        remote=session.remote,
        connected_at_ms=session.connected_at_ms,
        is_cut=session.is_cut,
        catch_ups=session.catch_ups,
        changes=[_pack_change(change) for change in session.changes],
        lags=[
            _PackedLag(
                first=lag.first.to_integer(),
                last=lag.last.to_integer(),
                catch_ups=lag.catch_ups,
                conflated={event_id.to_integer(): number for event_id, number in lag.conflated.items()},
            )
            for lag in session.lags
        ],
        end=_PackedEnd(
            at_ms=end.at_ms,
            until=end.until.to_integer(),
            unsent_from=_integer(end.unsent_from),
            history_until=_integer(end.history_until),
            code=end.code,
            reason=end.reason,
        ),
    )
    key_id = session.key_id if session.key_id is not None else NO_KEY
    return _KEY.pack(key_id) + _named(session.id) + _encode(packed)


def unpack(data: bytes) -> Session:
    """Undo ``pack``."""
    (key_id,) = _KEY.unpack_from(data)
    name, _, rest = data[_KEY.size :].partition(b"\n")
    packed = _decode(rest)
    session = Session(
        name.decode(),
        tier=packed.tier,
        key_id=key_id if key_id != NO_KEY else None,
        remote=packed.remote,
        connected_at_ms=packed.connected_at_ms,
    )
    session.is_cut, session.catch_ups = packed.is_cut, packed.catch_ups
    session.changes = [_unpack_change(session, change) for change in packed.changes]
    session.lags = tuple(_unpack_lag(lag) for lag in packed.lags)
    session.end = end = End(
        packed.end.at_ms,
        EventId.from_integer(packed.end.until),
        _event_id(packed.end.unsent_from),
        _event_id(packed.end.history_until),
    )
    end.code, end.reason = packed.end.code, packed.end.reason
    return session


def _named(session_id: str) -> bytes:
    return session_id.encode() + b"\n"


def _integer(event_id: EventId | None) -> int | None:
    return event_id.to_integer() if event_id is not None else None


def _event_id(packed: int | None) -> EventId | None:
    return EventId.from_integer(packed) if packed is not None else None


def _pack_change(change: Change) -> _PackedChange:
    filters = change.subscription.filters
    return _PackedChange(
        after=change.after.to_integer(),
        at_ms=change.at_ms,
        channels=change.subscription.channels,
        filters=_pack_filters(filters) if filters != EMPTY else None,
        starts={key: start.to_integer() for key, start in change.starts.items()},
        max_message_bytes=change.max_message_bytes,
        catch_ups=change.catch_ups,
        is_catching_up=change.is_catching_up,
    )


def _pack_filters(filters: Filters) -> _PackedFilters:
    return _PackedFilters(
        airports=filters.airports,
        artccs=filters.artccs,
        firs=filters.firs,
        callsign_prefixes=filters.callsign_prefixes,
        phases=filters.phases,
        dep_window=filters.dep_window,
        bbox=filters.bbox,
    )


def _unpack_change(session: Session, packed: _PackedChange) -> Change:
    filters = _unpack_filters(packed.filters) if packed.filters is not None else EMPTY
    is_nothing = not packed.channels and filters is EMPTY
    starts = {key: EventId.from_integer(start) for key, start in packed.starts.items()} if packed.starts else NO_STARTS
    change = Change(
        session,
        EventId.from_integer(packed.after),
        packed.at_ms,
        NOTHING if is_nothing else Subscription(packed.channels, filters),
        starts,
        packed.max_message_bytes,
    )
    change.catch_ups, change.is_catching_up = packed.catch_ups, packed.is_catching_up
    return change


def _unpack_filters(packed: _PackedFilters) -> Filters:
    return Filters(
        airports=packed.airports,
        artccs=packed.artccs,
        firs=packed.firs,
        callsign_prefixes=packed.callsign_prefixes,
        phases=packed.phases,
        dep_window=packed.dep_window,
        bbox=Box(*packed.bbox) if packed.bbox is not None else None,
    )


def _unpack_lag(packed: _PackedLag) -> SlowPeriod:
    conflated = {EventId.from_integer(event_id): number for event_id, number in packed.conflated.items()}
    return SlowPeriod(
        EventId.from_integer(packed.first), EventId.from_integer(packed.last), packed.catch_ups, conflated
    )
