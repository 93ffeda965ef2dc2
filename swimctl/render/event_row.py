"""One event as a line for people: when, what, who, from where to where. Pure; copes with invalid data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple, TypeGuard

from swim_server.protocol.positions import POSITION, POSITIONS

from swimctl.text import clean

Data = Mapping[str, object]
"""A JSON object from a peer: any field may be missing or of another type."""
NOTHING = "-"
LONGEST_TEXT = 200

POSITION_FIELDS = (
    "latitude", "longitude", "altitude_ft", "groundspeed_kts", "heading_deg", "vertical_rate_fpm", "current_artcc",
    "current_fir", "current_sector",
)  # fmt: skip

STYLES: Mapping[str, str] = MappingProxyType(
    {
        "flight.departed": "green",
        "flight.arrived": "cyan",
        "flight.created": "",
        "flight.updated": "dim",
        "flight.deleted": "dim",
        POSITION: "dim",
        POSITIONS: "dim",
        "tmi.issued": "bold red",
        "tmi.modified": "bold yellow",
        "tmi.released": "bold green",
        "system.notice": "bold magenta",
    }
)


class EventRow(NamedTuple):
    """The columns of one line."""

    timestamp: str
    """RFC 3339, as received."""
    type: str
    callsign: str
    origin: str
    destination: str
    text: str
    id: str
    style: str

    @property
    def clock(self) -> str:
        """The time as ``14:30:15``, UTC."""
        return self.timestamp[11:19] if len(self.timestamp) >= 19 else NOTHING

    @property
    def short_type(self) -> str:
        """``departed``; other families keep their name: ``tmi issued``."""
        family, _, name = self.type.partition(".")
        return name if family == "flight" else f"{family} {name}".strip()

    @property
    def route(self) -> str:
        """``KJFK → EGLL``, or the part that is known."""
        if self.destination == NOTHING and self.origin == NOTHING:
            return NOTHING
        if self.type.startswith("flight."):
            return f"{self.origin} → {self.destination}"
        return self.origin

    def to_line(self) -> str:
        """Return the stable line for pipes: cells separated by tabs."""
        cells = (self.timestamp, self.type, self.callsign, self.origin, self.destination, self.text, self.id)
        return "\t".join(cell or NOTHING for cell in cells)


def describe(event: Data) -> EventRow:
    """Convert a message of the wire protocol to a row."""
    type, found = _text(event.get("type")), event.get("data")
    data: Data = found if isinstance(found, dict) else {}
    callsign, origin, destination = _who_and_where(type, data)
    return EventRow(
        timestamp=_text(event.get("timestamp")),
        type=type,
        callsign=callsign,
        origin=origin,
        destination=destination,
        text=_DESCRIPTIONS.get(type, _anything)(data) or NOTHING,
        id=_text(event.get("id")),
        style=STYLES.get(type, ""),
    )


def describe_position(event: Data, position: Data) -> EventRow:
    """Convert one position of a batch to a row."""
    return describe({**event, "type": POSITION, "data": position})


def positions_of(event: Data) -> list[Data]:
    """Return the positions in a ``flight.positions`` event; invalid ones are omitted."""
    data = event.get("data")
    found = data.get("positions") if isinstance(data, dict) else None
    return [position for position in found if isinstance(position, dict)] if isinstance(found, list) else []


def _who_and_where(type: str, data: Data) -> tuple[str, str, str]:
    if type.startswith("tmi."):
        return _field(data, "program_type"), _field(data, "airport"), NOTHING
    if type.startswith("splits."):
        return _field(data, "artcc"), _field(data, "config_name"), NOTHING
    origin = _field(data, "dep", "departure_aerodrome", "airport")
    return _field(data, "callsign"), origin, _field(data, "arr", "arrival_aerodrome")


def _created(data: Data) -> str:
    return _join(_known(data, "equipment"), _place(data), _known(data, "route"))


def _updated(data: Data) -> str:
    changed = data.get("changed")
    names = [_text(name) for name in changed] if isinstance(changed, list) else []
    plan = [name for name in names if name not in POSITION_FIELDS]
    first = "connected" if len(plan) < len(names) else ""  # a prefiled flight has no position until its pilot connects
    return _join(first, f"changed {', '.join(plan)}" if plan else "" if first else "changed", _place(data))


def _departed(data: Data) -> str:
    return _join(_clock("off", data.get("off_utc")), _place(data))


def _arrived(data: Data) -> str:
    place = _text(data.get("arrived_at")) or "an unlisted place"
    elsewhere = f"diverted to {place}" if data.get("diverted") is True else ""
    return _join(_clock("in", data.get("in_utc")), elsewhere, _place(data))


def _deleted(data: Data) -> str:
    place = _place(data)
    return _join("gone", f"last {place}" if place else "")


def _position(data: Data) -> str:
    heading = data.get("heading_deg")
    turned = f"heading {heading:.0f}°" if _is_number(heading) else ""
    return _join(_place(data), turned)


def _positions(data: Data) -> str:
    number = data.get("count")
    if not isinstance(number, int):
        number = len(positions_of({"data": data}))
    return f"{number:,} positions"


def _tmi(data: Data) -> str:
    begin, end = _hour(data.get("start_time")), _hour(data.get("end_time"))
    span = f"{begin}–{end}Z" if begin and end else f"until {end}Z" if end else f"from {begin}Z" if begin else ""
    return _join(span, _known(data, "reason"), _known(data, "status").lower())


def _splits(data: Data) -> str:
    number = data.get("position_count")
    return _join(
        _known(data, "status"), f"{number} positions" if _is_number(number) else "", _known(data, "triggered_by")
    )


def _heartbeat(data: Data) -> str:
    return f"{_field(data, 'connected_clients')} clients, up {_field(data, 'uptime_seconds')} s"


def _anything(data: Data) -> str:
    message = data.get("message") or data.get("text")
    if isinstance(message, str):
        return _text(message)
    parts = [f"{_text(key)}={_text(value)}" for key, value in list(data.items())[:8] if key != "callsign" and value]
    return _text(" ".join(parts))


_DESCRIPTIONS: Mapping[str, Callable[[Data], str]] = MappingProxyType(
    {
        "flight.created": _created,
        "flight.updated": _updated,
        "flight.departed": _departed,
        "flight.arrived": _arrived,
        "flight.deleted": _deleted,
        POSITION: _position,
        POSITIONS: _positions,
        "tmi.issued": _tmi,
        "tmi.modified": _tmi,
        "tmi.released": _tmi,
        "splits.activated": _splits,
        "splits.deactivated": _splits,
        "splits.updated": _splits,
        "splits.ingested": _splits,
        "system.heartbeat": _heartbeat,
    }
)


def _place(data: Data) -> str:
    """Return ``FL350 480 kt ZNY``: altitude, speed, airspace."""
    altitude, speed = data.get("altitude_ft"), data.get("groundspeed_kts")
    high = (
        "" if not _is_number(altitude) else f"FL{altitude / 100:03.0f}" if altitude >= 18_000 else f"{altitude:,.0f} ft"
    )
    fast = f"{speed:.0f} kt" if _is_number(speed) else ""
    return " ".join(part for part in (high, fast, _known(data, "current_artcc")) if part)


def _clock(word: str, value: object) -> str:
    hour = _hour(value)
    return f"{word} {hour}Z" if hour else ""


def _hour(value: object) -> str:
    """Return the ``14:29`` of an RFC 3339 time."""
    text = value if isinstance(value, str) else ""
    return text[11:16] if len(text) >= 16 and text[13] == ":" and text[11:13].isdigit() else ""


def _join(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _known(data: Data, name: str) -> str:
    value = data.get(name)
    return _text(value) if value not in (None, "", [], {}) else ""


def _field(data: Data, *names: str) -> str:
    """Return the first of these fields that is present, as one cell."""
    return next((known.strip() for name in names if (known := _known(data, name))), NOTHING) or NOTHING


def _text(value: object) -> str:
    """Convert any value to a short text that moves no cursor."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    return clean(text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e9 < value < 1e9
