"""What handlers are given: each message's ``data`` as a dict, and the fields that the protocol names as attributes.

Nothing a server sends makes this raise: absent fields have their defaults, unknown ones are in the dict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any, Dict, Iterable, List, Mapping, Optional, Type, TypeVar, Union

_E = TypeVar("_E", bound="Event")


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
        event = cls(**{name: data[name] for name in _field_names(cls) if data.get(name) is not None})
        event.clear()
        event.update(data)
        return event

    def __post_init__(self) -> None:
        self.update({name: getattr(self, name) for name in _field_names(type(self))})

    def __getattr__(self, name: str) -> Any:
        # Reached only for what is no attribute: fields of the data that no class names.
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.type or '-'}, {super().__repr__()})"


def _field_names(event_class: Type[Event]) -> Iterable[str]:
    """Return what the protocol names of this type; nothing for an event that is a plain Event."""
    names: Iterable[str] = getattr(event_class, "__dataclass_fields__", ())
    return names


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

    def __post_init__(self) -> None:
        self.latitude, self.longitude = float(_number(self.latitude)), float(_number(self.longitude))
        for name in ("altitude_ft", "groundspeed_kts", "heading_deg", "vertical_rate_fpm"):
            setattr(self, name, int(_number(getattr(self, name))))
        super().__post_init__()


@dataclass(eq=False, repr=False)
class PositionBatch(Event):
    """``flight.positions``. Its positions become objects when they are first asked for."""

    count: int = 0

    @property
    def positions(self) -> List[Position]:
        """The batch's positions, in the server's order."""
        made: Optional[List[Position]] = self.__dict__.get("_positions")
        if made is None:
            rows = self.get("positions")
            made = [
                Position.from_dict(row) for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)
            ]
            self.__dict__["_positions"] = made
        return made


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


@dataclass(eq=False, repr=False)
class HeartbeatEvent(Event):
    """``system.heartbeat``: a sign of life, every 30 s."""

    connected_clients: int = 0
    uptime_seconds: int = 0
    last_event_id: Optional[str] = None
    sources: Dict[str, Optional[float]] = field(default_factory=dict)
    """The age of each source's last event in seconds."""


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


@dataclass(eq=False, repr=False)
class Disconnection(Event):
    """``disconnected``: a connection ended."""

    code: int = 1006
    reason: str = ""
    will_reconnect: bool = False
    retry_in_seconds: Optional[float] = None


@dataclass(eq=False, repr=False)
class Reconnection(Event):
    """``reconnected``: there is a connection again, and what could be recovered was handed over."""

    recovered: Optional[int] = None
    """How many missed events came from history; None: it can't be known."""
    after: Optional[str] = None
    """The id after which the stream was resumed."""
    disconnected_seconds: float = 0.0


@dataclass(eq=False, repr=False)
class Gap(Event):
    """``gap``: events may be missing between ``after`` and what comes next."""

    after: Optional[str] = None
    reason: str = ""


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


def _number(value: Any) -> float:
    """Read a number as the former server may send it, also as text; 0 for anything else."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if abs(number) < 1e12 else 0.0
