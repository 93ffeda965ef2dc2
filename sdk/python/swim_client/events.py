"""What handlers receive: each message's ``data`` as a dict, with the protocol's fields as attributes.

Nothing a server sends makes this raise: absent fields have defaults, unknown ones are in the dict.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime, timezone
from enum import Enum
from types import MappingProxyType
from typing import Any, Callable, Dict, List, Mapping, Optional, Type, TypeVar, Union

_E = TypeVar("_E", bound="Event")
_NOTHING: Mapping[str, Callable[[Any], Any]] = MappingProxyType({})


class EventType(str, Enum):
    """The names that ``on`` and ``subscribe`` accept; plain strings work too."""

    CONNECTED = "connected"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    DISCONNECTED = "disconnected"
    RECONNECTED = "reconnected"
    GAP = "gap"
    ERROR = "error"
    PONG = "pong"
    STATUS = "status"
    HEARTBEAT = "system.heartbeat"
    NOTICE = "system.notice"
    FLIGHT_CREATED = "flight.created"
    FLIGHT_UPDATED = "flight.updated"
    FLIGHT_DEPARTED = "flight.departed"
    FLIGHT_ARRIVED = "flight.arrived"
    FLIGHT_DELETED = "flight.deleted"
    FLIGHT_POSITION = "flight.position"
    FLIGHT_POSITIONS = "flight.positions"
    TMI_ISSUED = "tmi.issued"
    TMI_MODIFIED = "tmi.modified"
    TMI_RELEASED = "tmi.released"
    FLIGHT_ALL = "flight.*"
    TMI_ALL = "tmi.*"
    SYSTEM_ALL = "system.*"
    ALL = "*"


class Event(Dict[str, Any]):
    """One message, as a dict of its data: ``event["callsign"]``, ``json.dumps(event)``. Also ``event.callsign``."""

    type: str = ""
    """Such as ``flight.departed``."""
    timestamp: str = ""
    """RFC 3339, UTC: when it happened."""
    id: Optional[str] = None
    """The event's place in the order of all events, ``<unix-ms>-<seq>``. None from a server that gives no ids."""
    raw: Mapping[str, Any] = {}
    """The whole message, as it was decoded."""

    @property
    def data(self) -> Dict[str, Any]:
        """The message's data, as a plain dict."""
        return dict(self)

    @property
    def time(self) -> Optional[datetime]:
        """The timestamp as an aware datetime; None if it is not an RFC 3339 time."""
        return parse_time(self.timestamp)

    @classmethod
    def from_dict(cls: Type[_E], data: Mapping[str, Any]) -> _E:
        """Make one of its data. Fields that are absent or null have their defaults as attributes."""
        event = cls.__new__(cls)
        event.update(data)
        return event

    def __getattr__(self, name: str) -> Any:
        # Reached only for what is no attribute: fields of the data that no class names.
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.type or '-'}, {super().__repr__()})"


class _Field:
    """An attribute that is converted from the data on access, as most fields of a stream are never read."""

    def __init__(self, name: str, default: Callable[[], Any], convert: Optional[Callable[[Any], Any]]) -> None:
        self._name = name
        self._default = default
        self._convert = convert

    def __get__(self, event: Optional[Event], owner: Type[Event]) -> Any:
        if event is None:
            return self._default()
        value = event.get(self._name)
        if value is None:
            return self._default()
        return value if self._convert is None else self._convert(value)

    def __set__(self, event: Event, value: Any) -> None:
        event[self._name] = value


def _typed(converts: Mapping[str, Callable[[Any], Any]] = _NOTHING) -> Callable[[Type[_E]], Type[_E]]:
    """Make the fields of a dataclass attributes of the data, converted by a function if one is given."""

    def make(made: Type[_E]) -> Type[_E]:
        for each in fields(made):  # type: ignore[arg-type]  # only dataclasses are decorated
            default = each.default_factory if each.default is MISSING else _constant(each.default)
            setattr(made, each.name, _Field(each.name, default, converts.get(each.name)))  # type: ignore[arg-type]  # every field has a default
        return made

    return make


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _number(value: Any) -> float:
    """Convert a number that the former server may send as text; 0 for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if abs(number) < 1e12 else 0.0


def _integer(value: Any) -> int:
    """Convert a whole number likewise."""
    return int(_number(value))


_POSITION = {
    "latitude": _number, "longitude": _number, "altitude_ft": _integer, "groundspeed_kts": _integer,
    "heading_deg": _integer, "vertical_rate_fpm": _integer,
}  # fmt: skip


@_typed()
@dataclass(eq=False, repr=False)
class FlightEvent(Event):
    """``flight.created``, ``updated``, ``departed``, ``arrived``, ``deleted``, ``position``."""

    callsign: str = ""
    """As filed: ``DAL123``."""
    flight_uid: int = 0
    """Stable for the life of the flight."""
    dep: Optional[str] = None
    """Departure aerodrome, ICAO code."""
    arr: Optional[str] = None
    """Arrival aerodrome, ICAO code."""
    equipment: Optional[str] = None
    """Aircraft type and equipment as filed."""
    route: Optional[str] = None
    """The route as filed."""
    off_utc: Optional[str] = None
    """Of ``flight.departed``: when it left the ground, RFC 3339."""
    in_utc: Optional[str] = None
    """Of ``flight.arrived``: when it was on the ground, RFC 3339."""
    latitude: Optional[float] = None
    """Decimal degrees, north positive."""
    longitude: Optional[float] = None
    """Decimal degrees, east positive."""
    altitude_ft: Optional[int] = None
    """Feet."""
    groundspeed_kts: Optional[int] = None
    """Knots."""
    heading_deg: Optional[int] = None
    """Degrees true, 0 to 359."""
    vertical_rate_fpm: Optional[int] = None
    """Feet a minute, climbing positive."""
    current_artcc: Optional[str] = None
    """The centre whose airspace it is in: ``ZNY``; outside the United States its FIR."""
    changed: List[str] = field(default_factory=list)
    """Of ``flight.updated``: the names of the fields that changed."""
    current_fir: Optional[str] = None
    """The FIR that it is in: ``KZNY``."""
    phase: Optional[str] = None
    """``PREFLIGHT``, ``DEPARTING``, ``CLIMBING``, ``ENROUTE``, ``DESCENDING``, ``APPROACH``, ``LANDED`` or
    ``ARRIVED``; None while it isn't known whether it flies."""
    current_sector: Optional[str] = None
    """The sector of that FIR, where it has a boundary of its own: ``EGTL``."""
    arrived_at: Optional[str] = None
    """Of ``flight.arrived``: the field where it is, ICAO code; None at an unlisted place."""
    diverted: Optional[bool] = None
    """Of ``flight.arrived``: elsewhere than filed. None where that can't be told."""


@_typed(_POSITION)
@dataclass(eq=False, repr=False)
class Position(Event):
    """One aircraft of a batch. A number that the server doesn't know is 0 as attribute and None in the dict."""

    callsign: str = ""
    """As filed: ``DAL123``."""
    flight_uid: int = 0
    """Stable for the life of the flight."""
    latitude: float = 0.0
    """Decimal degrees, north positive."""
    longitude: float = 0.0
    """Decimal degrees, east positive."""
    altitude_ft: int = 0
    """Feet."""
    groundspeed_kts: int = 0
    """Knots."""
    heading_deg: int = 0
    """Degrees true, 0 to 359."""
    vertical_rate_fpm: int = 0
    """Feet a minute, climbing positive."""
    current_artcc: Optional[str] = None
    """The centre whose airspace it is in: ``ZNY``; outside the United States its FIR."""
    dep: Optional[str] = None
    """Departure aerodrome, ICAO code."""
    arr: Optional[str] = None
    """Arrival aerodrome, ICAO code."""
    current_fir: Optional[str] = None
    """The FIR that it is in: ``KZNY``."""
    phase: Optional[str] = None
    """``PREFLIGHT``, ``DEPARTING``, ``CLIMBING``, ``ENROUTE``, ``DESCENDING``, ``APPROACH``, ``LANDED`` or
    ``ARRIVED``; None while it isn't known whether it flies."""


@_typed()
@dataclass(eq=False, repr=False)
class PositionBatch(Event):
    """``flight.positions``. Its positions become objects when they are first asked for."""

    count: int = 0
    """How many there are."""
    positions: List[Position] = field(default_factory=list)
    """The batch's positions, in the server's order."""


class _Positions:
    """Creates a batch's positions on first access."""

    def __get__(self, batch: Optional[PositionBatch], owner: Type[PositionBatch]) -> Any:
        if batch is None:
            return []
        rows = batch.get("positions")
        made = batch.__dict__.get("_positions")
        if made is None or made[0] is not rows:
            given = [row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)]
            made = (rows, [row if isinstance(row, Position) else Position.from_dict(row) for row in given])
            batch.__dict__["_positions"] = made
        return made[1]

    def __set__(self, batch: PositionBatch, positions: List[Position]) -> None:
        batch["positions"] = positions


PositionBatch.positions = _Positions()  # type: ignore[assignment]  # reads and writes what the annotation says


@_typed()
@dataclass(eq=False, repr=False)
class TMIEvent(Event):
    """``tmi.issued``, ``modified``, ``released``: a traffic management initiative."""

    program_id: Union[int, str] = ""
    """An integer where the source has one."""
    program_type: str = ""
    """For instance ``GS`` (ground stop) or ``GDP`` (ground delay programme)."""
    airport: str = ""
    """The aerodrome it applies to, ICAO code."""
    start_time: Optional[str] = None
    """RFC 3339."""
    end_time: Optional[str] = None
    """RFC 3339."""
    reason: Optional[str] = None
    """Why, in the words of whoever issued it."""
    status: Optional[str] = None
    """As the source names it: ``ACTIVE``."""


@_typed()
@dataclass(eq=False, repr=False)
class SplitsEvent(Event):
    """``splits.*``: a configuration of a centre's sectors."""

    config_id: Union[int, str] = ""
    """An integer where the source has one."""
    artcc: str = ""
    """The centre: ``ZNY``."""
    config_name: Optional[str] = None
    """The name that the centre gave it."""
    status: Optional[str] = None
    """As the source names it: ``ACTIVE``."""
    source: Optional[str] = None
    """Where the configuration was made."""
    position_count: Optional[int] = None
    """How many positions it has."""
    triggered_by: Union[int, str, None] = None
    """Who changed it."""


@_typed()
@dataclass(eq=False, repr=False)
class HeartbeatEvent(Event):
    """``system.heartbeat``: a sign of life, every 30 s."""

    connected_clients: int = 0
    """How many clients the server serves."""
    uptime_seconds: int = 0
    """For how long it has, in seconds."""
    last_event_id: Optional[str] = None
    """The newest event that it has stored."""
    sources: Dict[str, Optional[float]] = field(default_factory=dict)
    """The age of each source's last event, in seconds; None: it had none."""


@_typed()
@dataclass(eq=False, repr=False)
class ConnectionInfo(Event):
    """``connected``: the server knows the key. Comes with every connection."""

    client_id: str = ""
    """The server's name for this connection."""
    server_time: str = ""
    """Its clock, RFC 3339, UTC."""
    version: str = ""
    """Of the protocol."""
    tier: Optional[str] = None
    """What the key allows: ``public``, ``developer``, ``partner``, ``system``."""
    heartbeat_interval: Optional[float] = None
    """Between two heartbeats, in seconds."""
    resume: bool = False
    """Whether this server can send what was missed."""
    last_event_id: Optional[str] = None
    """The newest event that it has stored."""
    epoch: Optional[str] = None
    """The order of events that ids belong to."""


@_typed()
@dataclass(eq=False, repr=False)
class Disconnection(Event):
    """``disconnected``: a connection ended."""

    code: int = 1006
    """The close code; 1006 where the line broke without one."""
    reason: str = ""
    """The server's own words."""
    will_reconnect: bool = False
    """Whether there will be another connection."""
    retry_in_seconds: Optional[float] = None
    """When the next attempt begins; None: there is none."""


@_typed()
@dataclass(eq=False, repr=False)
class Reconnection(Event):
    """``reconnected``: there is a connection again, and what could be recovered was handed over."""

    recovered: Optional[int] = None
    """How many missed events were recovered from history; None: unknown."""
    after: Optional[str] = None
    """The id after which the stream was resumed."""
    disconnected_seconds: float = 0.0
    """How long there was no connection."""


@_typed()
@dataclass(eq=False, repr=False)
class Gap(Event):
    """``gap``: events may be missing between ``after`` and what comes next."""

    after: Optional[str] = None
    """The last event before it; None: none is known."""
    reason: str = ""
    """Why events may be missing."""


@_typed()
@dataclass(eq=False, repr=False)
class ErrorMessage(Event):
    """``error``: the server refused something. The dict is the whole message."""

    code: str = ""
    """The protocol's error code, such as ``INVALID_CHANNEL``."""
    message: str = ""
    """What was refused, and why."""


def matches(pattern: str, event_type: str) -> bool:
    """Return True if a pattern (a type, ``family.*``, or ``*`` for every event) includes a message's type.

    ``*`` means events, which have a dot in their type, not the client's own notices such as ``connected``.
    """
    if pattern == "*":
        return "." in event_type
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def parse_time(text: str) -> Optional[datetime]:
    """Parse an RFC 3339 time; None for anything else. A time without an offset is taken as UTC."""
    head, _, rest = text.strip().replace("z", "Z").replace("Z", "+00:00").partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    fraction = f".{rest[:digits][:6]:0<6}" if digits else ""
    try:
        moment = datetime.fromisoformat(head + fraction + rest[digits:])
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


_WHOLE = frozenset({"error", "subscribed", "unsubscribed", "pong", "publish_ack"})
"""Messages whose fields are at the top, not in ``data``."""

_CLASSES: Dict[str, Type[Event]] = {
    "connected": ConnectionInfo,
    "disconnected": Disconnection,
    "reconnected": Reconnection,
    "gap": Gap,
    "error": ErrorMessage,
    "system.heartbeat": HeartbeatEvent,
    "flight.positions": PositionBatch,
}
_FAMILIES: Dict[str, Type[Event]] = {"flight": FlightEvent, "tmi": TMIEvent, "splits": SplitsEvent}


def decode(message: Mapping[str, Any]) -> Event:
    """Create a typed event from a decoded message. Never raises for a JSON object."""
    kind = str(message.get("type", ""))
    content: Any = message if kind in _WHOLE else message.get("data")
    content = content if isinstance(content, dict) else {}
    if kind == "error":
        content = _error_content(content)
    event = (_CLASSES.get(kind) or _FAMILIES.get(kind.partition(".")[0]) or Event).from_dict(content)
    timestamp, event_id = message.get("timestamp"), message.get("id")
    event.type = kind
    event.timestamp = timestamp if isinstance(timestamp, str) else ""
    event.id = event_id if isinstance(event_id, str) else None
    event.raw = message
    return event


def _error_content(message: Mapping[str, Any]) -> Dict[str, Any]:
    """Move code and text to the top: they may also be in ``data``."""
    data = message.get("data")
    inner = data if isinstance(data, dict) else {}
    content = dict(message)
    for name in ("code", "message"):
        content[name] = str(message.get(name) or inner.get(name) or "")
    return content
