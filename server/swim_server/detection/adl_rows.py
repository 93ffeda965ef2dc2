"""Rows of the ADL tables as values: a driver's results, read tolerantly. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from swim_server.detection.network_state import NO_PLAN, Plan
from swim_server.detection.reading import MAX_EQUIPMENT, MAX_ROUTE
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

MAX_CODE = 16
MAX_TEXT = 1_000
MAX_UID = 2**53 - 1
MAX_INTEGER = 2**63

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Fix(msgspec.Struct, frozen=True, gc=False):
    """A flight's position according to the tables. Altitude in feet, speed in knots, climb in feet per minute."""

    latitude: float
    longitude: float
    altitude_ft: int | None = None
    groundspeed_kts: int | None = None
    heading_deg: int | None = None
    vertical_rate_fpm: int | None = None


class FlightRow(msgspec.Struct, frozen=True, gc=False):
    """One current flight: the joined rows of the four tables."""

    uid: int
    callsign: str
    is_active: bool
    first_seen_ms: int | None = None
    last_seen_ms: int | None = None
    artcc: str | None = None
    plan: Plan = NO_PLAN
    fix: Fix | None = None
    off_ms: int | None = None
    in_ms: int | None = None


class ProgramRow(msgspec.Struct, frozen=True, kw_only=True):
    """One current traffic management initiative."""

    program_id: int | str
    status: str
    """Upper-case."""
    program_type: str | None = None
    element: str | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    condition: str | None = None
    cause: str | None = None
    created_ms: int | None = None
    updated_ms: int | None = None


FLIGHT_FIELDS = (
    *("flight_uid", "callsign", "is_active", "first_seen_utc", "last_seen_utc", "current_artcc"),
    *("fp_dept_icao", "fp_dest_icao", "aircraft_equip", "fp_route"),
    *("lat", "lon", "altitude_ft", "groundspeed_kts", "vertical_rate_fpm", "heading_deg"),
    *("off_utc", "in_utc"),
)
"""The order of the values in a flight's row."""
PROGRAM_FIELDS = (
    *("program_id", "program_type", "ctl_element", "start_utc", "end_utc", "status"),
    *("impacting_condition", "cause_text", "created_at", "updated_at"),
)
"""The order of the values in an initiative's row."""
MAX_REMEMBERED = 100_000

Values = Sequence[object]


class FlightReader:
    """Reads rows of flights. Most of a row rarely changes: what was read of it is cached."""

    def __init__(self) -> None:
        self._plans: dict[int, tuple[Values, Plan]] = {}
        self._moments: dict[str, int | None] = {}

    def read(self, values: Values) -> FlightRow | None:
        """Read a row; None if it has no number or no callsign, which identify a flight."""
        (uid, callsign, is_active, first_seen, last_seen, artcc), off, came_in = values[:6], values[16], values[17]
        uid, callsign = read_integer(uid), read_text(callsign, MAX_CODE)
        if uid is None or not 0 <= uid <= MAX_UID or callsign is None:
            return None
        return FlightRow(
            uid,
            callsign,
            read_flag(is_active),
            self._moment(first_seen),
            self._moment(last_seen),
            read_code(artcc),
            self._plan(uid, values[6:10]),
            read_fix(*values[10:16]),
            self._moment(off),
            self._moment(came_in),
        )

    def _plan(self, uid: int, values: Values) -> Plan:
        known = self._plans.get(uid)
        if known is not None and known[0] == values:
            return known[1]
        departure, destination, equipment, route = values
        plan = Plan(
            read_code(departure),
            read_code(destination),
            read_text(equipment, MAX_EQUIPMENT),
            read_text(route, MAX_ROUTE),
        )
        if len(self._plans) >= MAX_REMEMBERED:
            self._plans.clear()
        self._plans[uid] = values, plan
        return plan

    def _moment(self, value: object) -> int | None:
        if not isinstance(value, str):
            return None if value is None else read_moment(value)
        if value not in self._moments:
            if len(self._moments) >= MAX_REMEMBERED:
                self._moments.clear()
            self._moments[value] = read_moment(value)
        return self._moments[value]


def read_fix(
    latitude: object, longitude: object, altitude: object, speed: object, climb: object, heading: object
) -> Fix | None:
    """Read a position; None if there is none."""
    latitude, longitude = read_number(latitude), read_number(longitude)
    if latitude is None or longitude is None or not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    direction = read_integer(heading)
    return Fix(
        latitude,
        longitude,
        read_integer(altitude),
        read_integer(speed),
        None if direction is None else direction % 360,
        read_integer(climb),
    )


def read_program(values: Values) -> ProgramRow | None:
    """Read a row; None if it has no number."""
    number, program_type, element, start, end, status, condition, cause, created, updated = values
    whole = read_integer(number)
    program_id = whole if whole is not None else read_text(number, MAX_CODE)
    if program_id is None:
        return None
    return ProgramRow(
        program_id=program_id,
        status=read_code(status) or "",
        program_type=read_text(program_type, MAX_CODE),
        element=read_code(element),
        start_ms=read_moment(start),
        end_ms=read_moment(end),
        condition=read_text(condition, MAX_TEXT),
        cause=read_text(cause, MAX_TEXT),
        created_ms=read_moment(created),
        updated_ms=read_moment(updated),
    )


def read_number(value: object) -> float | None:
    """Read a number, including DECIMAL; None for anything else."""
    if type(value) is float:
        return value if abs(value) < 1e18 else None
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value) if isinstance(value, int | float | Decimal | str) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and abs(number) < 1e18 else None


def read_integer(value: object) -> int | None:
    """Read a whole number, rounding a fraction; None for anything else."""
    if type(value) is int:
        return value if -MAX_INTEGER < value < MAX_INTEGER else None
    if value is None:
        return None
    number = read_number(value)
    return None if number is None else round(number)


def read_flag(value: object) -> bool:
    """Read a BIT, as drivers return it."""
    if type(value) is int:
        return value == 1
    return value is not None and str(value).strip().lower() in {"1", "true", "t"}


def read_text(value: object, limit: int) -> str | None:
    """Read a text, stripped of the padding of CHAR columns; None if nothing remains."""
    if value is None:
        return None
    text = value if type(value) is str else str(value)
    return text.strip("\0 \t\r\n")[:limit] or None


def read_code(value: object) -> str | None:
    """Read a code in upper case. A number is the id of a row elsewhere, not a code."""
    text = read_text(value, MAX_CODE) if isinstance(value, str) else None
    return None if text is None else text.upper()


def read_moment(value: object) -> int | None:
    """Read a UTC time as milliseconds since the epoch: what drivers return, or text as in SQLite."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    try:
        return parse_ms(value) if isinstance(value, str) else None
    except InvalidTimestamp:
        return None
