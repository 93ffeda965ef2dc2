"""The current flights: the state sent by the server, kept up to date by the events that follow."""

from __future__ import annotations

import logging
import threading
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Set, Tuple, Union

from swim_client.errors import ClientStopped, SwimError
from swim_client.events import FlightEvent
from swim_client.resume import EventId, parse_id
from swim_client.subscriptions import Answer

Key = Union[int, str]
Change = Callable[[str, FlightEvent], Any]
FIELDS = (
    "callsign", "flight_uid", "dep", "arr", "equipment", "route", "latitude", "longitude", "altitude_ft",
    "groundspeed_kts", "heading_deg", "vertical_rate_fpm", "current_artcc", "current_fir", "current_sector", "phase",
    "off_utc", "in_utc", "first_seen_at", "updated_at",
)  # fmt: skip
"""The fields of every flight; None if unknown."""
MAX_FIELDS = 64
_NOT_OF_A_FLIGHT = frozenset({"changed", "count", "positions", "first_seen_at"})
_ALIASES = {"lat": "latitude", "lon": "longitude"}
_LEG_ENDED = ("in_utc", "arrived_at", "diverted")
_ADDED, _CHANGED, _REMOVED = "added", "changed", "removed"

_log = logging.getLogger("swim_client")


class FlightMirror(Mapping[Key, FlightEvent]):
    """Flights by uid (by callsign if the server has no uid). Any thread may read; each value is a copy.

    It stays correct across reconnects, restarts and gaps: after a break the server sends what was missed, or the state
    again.
    """

    def __init__(self, has_filters: Callable[[], bool], is_own_thread: Callable[[], bool] = lambda: False) -> None:
        """Create an empty mirror.

        ``is_own_thread`` says whether the calling thread applies the messages, and so can't wait for them.
        """
        self._has_filters = has_filters
        self._is_own_thread = is_own_thread
        self._lock = threading.Lock()
        self._flights: Dict[Key, Dict[str, Any]] = {}
        self._by_callsign: Dict[str, Set[Key]] = {}
        self._staged: Dict[Key, Dict[str, Any]] = {}
        self._as_of: Optional[EventId] = None
        self._last: Optional[EventId] = None
        self._changes: List[Change] = []
        self._waiters: List[Answer] = []
        self.is_complete = False
        """Whether a whole state has arrived, and everything that followed it."""

    # Reading.

    def __getitem__(self, key: Key) -> FlightEvent:
        with self._lock:
            return FlightEvent.from_dict(self._flights[key])

    def __iter__(self) -> Iterator[Key]:
        with self._lock:
            return iter(list(self._flights))

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def as_of(self) -> Optional[str]:
        """The last event included; None before the first state has arrived."""
        found = self._last
        return None if found is None else str(found)

    def by_callsign(self, callsign: str) -> Optional[FlightEvent]:
        """Return the flight with this callsign; if there are several, the one updated last."""
        with self._lock:
            keys = self._by_callsign.get(callsign.strip().upper(), ())
            found = [self._flights[key] for key in keys]
        if not found:
            return None
        return FlightEvent.from_dict(max(found, key=lambda flight: str(flight.get("updated_at"))))

    def where(self, predicate: Optional[Callable[[FlightEvent], bool]] = None, **fields: Any) -> List[FlightEvent]:
        """List the flights whose fields have these values and that the predicate accepts."""
        with self._lock:
            rows = [
                dict(flight)
                for flight in self._flights.values()
                if all(flight.get(name) == value for name, value in fields.items())
            ]
        flights = [FlightEvent.from_dict(row) for row in rows]
        return [flight for flight in flights if predicate(flight)] if predicate is not None else flights

    def snapshot(self) -> Tuple[Optional[str], List[Dict[str, Any]]]:
        """Return the id of the last event included, and a copy of every flight, as of one moment."""
        with self._lock:
            return self.as_of, [dict(flight) for flight in self._flights.values()]

    def on_change(self, handler: Change) -> Change:
        """Call ``handler(what, flight)`` for each change: ``added``, ``changed`` or ``removed``. Also a decorator.

        It is called in the same thread as event handlers, before them.
        """
        self._changes = [*self._changes, handler]
        return handler

    def complete(self) -> Answer:
        """Return an answer for the arrival of a whole state: ``await`` it, or call ``result(timeout)``.

        It fails with the error that ends the client, if the client ends first.
        """
        waiter = Answer(self._is_own_thread)
        with self._lock:
            if self.is_complete:
                waiter.resolve(None)
            else:
                self._waiters.append(waiter)
        return waiter

    # What comes. Called in the order of the messages, by whoever hands events over.

    def take(self, message: Mapping[str, Any]) -> bool:
        """Apply a message. Returns True if it was only about the state, not an event."""
        kind: str = message["type"]
        if kind.startswith("state") and kind.partition(".")[0] == "state":
            if message.get("kind") == "flights":
                self._take_state(kind, message)
            if kind == "state" and message.get("is_last") is True:
                self._replace(parse_id(message.get("as_of")))
            return True
        if kind == "subscribed":
            self._staged = {}  # of a state whose end never came
        elif kind == "gap":
            self.is_complete = False  # what is held is old until a state comes
        event_id = parse_id(message.get("id")) if self.is_complete else None
        if event_id is not None and (self._as_of is None or event_id > self._as_of):
            self._last = event_id
            if kind.startswith("flight."):
                self._fold(kind, message)
        return False

    def ended(self, error: Optional[BaseException]) -> None:
        """Fail everything that waits for a state, as the client has ended, with an error if given."""
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.fail(error if isinstance(error, SwimError) else ClientStopped())

    def _take_state(self, kind: str, message: Mapping[str, Any]) -> None:
        data = message.get("data")
        if kind == "state":
            rows = data.get("flights") if isinstance(data, dict) else None
            for row in rows if isinstance(rows, list) else ():
                key = _key_of(row)
                if key is not None:
                    self._staged[key] = row
        elif kind == "state.entered" and isinstance(data, dict):
            key = _key_of(data)
            if key is not None:
                self._put(key, dict(data))
        elif kind == "state.left":
            key = _key_of(message)
            if key is not None:
                self._drop(key)

    def _replace(self, as_of: Optional[EventId]) -> None:
        with self._lock:
            before, self._flights, self._staged = self._flights, self._staged, {}
            self._by_callsign = {}
            for key, flight in self._flights.items():
                self._index(key, flight)
            self._as_of = self._last = as_of
            self.is_complete = True
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.resolve(None)
        for key, flight in before.items():
            if key not in self._flights:
                self._tell(_REMOVED, flight)
        for key, flight in list(self._flights.items()):
            if before.get(key) != flight:
                self._tell(_CHANGED if key in before else _ADDED, flight)

    def _fold(self, kind: str, message: Mapping[str, Any]) -> None:
        data, timestamp = message.get("data"), message.get("timestamp")
        if not isinstance(data, dict):
            return
        rows = data.get("positions") if kind == "flight.positions" else [data]
        may_open = not self._has_filters()
        for row in rows if isinstance(rows, list) else ():
            key = _key_of(row)
            if key is None:
                continue
            if kind == "flight.deleted":
                self._drop(key)
            elif may_open or key in self._flights:
                self._put(key, _folded(self._flights.get(key), kind, row, timestamp))

    def _put(self, key: Key, flight: Dict[str, Any]) -> None:
        with self._lock:
            before = self._flights.get(key)
            if before is not None:
                self._unindex(key, before)
            self._flights[key] = flight
            self._index(key, flight)
        if flight != before:
            self._tell(_ADDED if before is None else _CHANGED, flight)

    def _drop(self, key: Key) -> None:
        with self._lock:
            before = self._flights.pop(key, None)
            if before is not None:
                self._unindex(key, before)
        if before is not None:
            self._tell(_REMOVED, before)

    def _index(self, key: Key, flight: Mapping[str, Any]) -> None:
        self._by_callsign.setdefault(_callsign(flight), set()).add(key)

    def _unindex(self, key: Key, flight: Mapping[str, Any]) -> None:
        keys = self._by_callsign.get(_callsign(flight), set())
        keys.discard(key)
        if not keys:
            self._by_callsign.pop(_callsign(flight), None)

    def _tell(self, what: str, flight: Mapping[str, Any]) -> None:
        for handler in self._changes:
            try:
                handler(what, FlightEvent.from_dict(flight))
            except Exception:  # noqa: BLE001  # whatever a handler does wrong, the mirror goes on
                _log.exception("a handler of changed flights failed")


def _folded(flight: Optional[Mapping[str, Any]], kind: str, row: Mapping[str, Any], timestamp: Any) -> Dict[str, Any]:
    """Apply an event to a flight as the server does: fields in the event, None included, replace former values."""
    found = dict(flight) if flight is not None else {**dict.fromkeys(FIELDS), "first_seen_at": timestamp}
    if kind == "flight.departed":
        found.update({name: None for name in _LEG_ENDED if name in found})
    for field, value in row.items():
        name = _ALIASES.get(field, field)
        if field not in _NOT_OF_A_FLIGHT and (name in found or len(found) < MAX_FIELDS):
            found[name] = value
    found["updated_at"] = timestamp
    return found


def _key_of(row: Any) -> Optional[Key]:
    if not isinstance(row, Mapping):
        return None
    uid, callsign = row.get("flight_uid"), row.get("callsign")
    if type(uid) is int:
        return uid
    return callsign if isinstance(callsign, str) and callsign else None


def _callsign(flight: Mapping[str, Any]) -> str:
    callsign = flight.get("callsign")
    return callsign.strip().upper() if isinstance(callsign, str) else ""
