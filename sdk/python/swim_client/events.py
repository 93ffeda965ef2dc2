"""What handlers are given: each message's ``data`` as a dict, and the fields that the protocol names as attributes.

Nothing a server sends makes this raise: absent fields have their defaults, unknown ones are in the dict.
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
    """The names that ``on`` and ``subscribe`` take; plain strings do as well."""

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
        """The timestamp as an aware datetime; None where it is no RFC 3339 time."""
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
    """An attribute that is read from the data when it is asked for: most of a stream's fields never are."""

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
    """Let the fields of a dataclass be those of the data, converted where a function is given."""

    def make(made: Type[_E]) -> Type[_E]:
        for each in fields(made):  # type: ignore[arg-type]  # only dataclasses are decorated
            default = each.default_factory if each.default is MISSING else _constant(each.default)
            setattr(made, each.name, _Field(each.name, default, converts.get(each.name)))  # type: ignore[arg-type]  # every field has a default
        return made

    return make


def _constant(value: Any) -> Callable[[], Any]:
    return lambda: value


def _number(value: Any) -> float:
    """Read a number as the former server may send it, also as text; 0 for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if abs(number) < 1e12 else 0.0


def _integer(value: Any) -> int:
    """Read a whole number likewise."""
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
    flight_uid: int = 0
    dep: Optional[str] = None
    arr: Optional[str] = None
    equipment: Optional[str] = None
    route: Optional[str] = None
    off_utc: Optional[str] = None
    in_utc: Optional[str] = None
    latitude: Optional[float] = None
    longitude: Optional[float] = None
    altitude_ft: Optional[int] = None
    groundspeed_kts: Optional[int] = None
    heading_deg: Optional[int] = None
    vertical_rate_fpm: Optional[int] = None
    current_artcc: Optional[str] = None
    changed: List[str] = field(default_factory=list)
    """Of ``flight.updated``: the names of the fields that changed."""


@_typed(_POSITION)
@dataclass(eq=False, repr=False)
class Position(Event):
    """One aircraft of a batch. A number that the server doesn't know is 0 as attribute and None in the dict."""

    callsign: str = ""
    flight_uid: int = 0
    latitude: float = 0.0
    longitude: float = 0.0
    altitude_ft: int = 0
    groundspeed_kts: int = 0
    heading_deg: int = 0
    vertical_rate_fpm: int = 0
    current_artcc: Optional[str] = None
    dep: Optional[str] = None
    arr: Optional[str] = None


@_typed()
@dataclass(eq=False, repr=False)
class PositionBatch(Event):
    """``flight.positions``. Its positions become objects when they are first asked for."""

    count: int = 0
    positions: List[Position] = field(default_factory=list)
    """The batch's positions, in the server's order."""


class _Positions:
    """Makes a batch's positions when they are first asked for."""

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
    program_type: str = ""
    airport: str = ""
    start_time: Optional[str] = None
    end_time: Optional[str] = None
    reason: Optional[str] = None
    status: Optional[str] = None


@_typed()
@dataclass(eq=False, repr=False)
class SplitsEvent(Event):
    """``splits.*``: a configuration of a centre's sectors."""

    config_id: Union[int, str] = ""
    artcc: str = ""
    config_name: Optional[str] = None
    status: Optional[str] = None
    source: Optional[str] = None
    position_count: Optional[int] = None
    triggered_by: Optional[str] = None


@_typed()
@dataclass(eq=False, repr=False)
class HeartbeatEvent(Event):
    """``system.heartbeat``: a sign of life, every 30 s."""

    connected_clients: int = 0
    uptime_seconds: int = 0
    last_event_id: Optional[str] = None
    sources: Dict[str, Optional[float]] = field(default_factory=dict)
    """The age of each source's last event in seconds."""


@_typed()
@dataclass(eq=False, repr=False)
class ConnectionInfo(Event):
    """``connected``: the server knows the key. Comes with every connection."""

    client_id: str = ""
    server_time: str = ""
    version: str = ""
    tier: Optional[str] = None
    heartbeat_interval: Optional[float] = None
    resume: bool = False
    """Whether this server can send what was missed."""
    last_event_id: Optional[str] = None


@_typed()
@dataclass(eq=False, repr=False)
class Disconnection(Event):
    """``disconnected``: a connection ended."""

    code: int = 1006
    reason: str = ""
    will_reconnect: bool = False
    retry_in_seconds: Optional[float] = None


@_typed()
@dataclass(eq=False, repr=False)
class Reconnection(Event):
    """``reconnected``: there is a connection again, and what could be recovered was handed over."""

    recovered: Optional[int] = None
    """How many missed events came from history; None: it can't be known."""
    after: Optional[str] = None
    """The id after which the stream was resumed."""
    disconnected_seconds: float = 0.0


@_typed()
@dataclass(eq=False, repr=False)
class Gap(Event):
    """``gap``: events may be missing between ``after`` and what comes next."""

    after: Optional[str] = None
    reason: str = ""


@_typed()
@dataclass(eq=False, repr=False)
class ErrorMessage(Event):
    """``error``: the server refused something. The dict is the whole message."""

    code: str = ""
    message: str = ""


def matches(pattern: str, event_type: str) -> bool:
    """Tell whether a pattern (a type, ``family.*``, or ``*`` for every event) takes in a message's type.

    ``*`` means events, which have a dot in their type, not the connection's own news such as ``connected``.
    """
    if pattern == "*":
        return "." in event_type
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return pattern == event_type


def parse_time(text: str) -> Optional[datetime]:
    """Read an RFC 3339 time; None where it is none. One without an offset is taken as UTC."""
    head, _, rest = text.strip().replace("z", "Z").replace("Z", "+00:00").partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    fraction = f".{rest[:digits][:6]:0<6}" if digits else ""
    try:
        moment = datetime.fromisoformat(head + fraction + rest[digits:])
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
