"""Rows of the ADL tables as values: what a database's driver gives, read tolerantly. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from swim_server.detection.reading import MAX_EQUIPMENT, MAX_ROUTE
from swim_server.detection.stage import NO_PLAN, Plan
from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

MAX_CODE = 16
MAX_TEXT = 1_000
MAX_UID = 2**53 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Fix(msgspec.Struct, frozen=True, gc=False):
    """Where a flight is, as the tables tell it. Altitude in feet, speed in knots, climb in feet a minute."""

    latitude: float
    longitude: float
    altitude_ft: int | None = None
    groundspeed_kts: int | None = None
    heading_deg: int | None = None
    vertical_rate_fpm: int | None = None


class FlightRow(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One flight of now: the joined rows of the four tables."""

    uid: int
    callsign: str
    is_active: bool
    first_seen_ms: int | None = None
    last_seen_ms: int | None = None
    artcc: str | None = None
    plan: Plan = NO_PLAN
    fix: Fix | None = None
    fix_ms: int | None = None
    off_ms: int | None = None
    in_ms: int | None = None


class ProgramRow(msgspec.Struct, frozen=True, kw_only=True):
    """One traffic management initiative of now."""

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


def read_flight(row: Mapping[str, Any]) -> FlightRow | None:
    """Read a row; None when it has no number or no callsign, by which nobody could tell which flight it is."""
    uid, callsign = read_integer(row.get("flight_uid")), read_text(row.get("callsign"), MAX_CODE)
    if uid is None or not 0 <= uid <= MAX_UID or callsign is None:
        return None
    return FlightRow(
        uid=uid,
        callsign=callsign,
        is_active=read_flag(row.get("is_active")),
        first_seen_ms=read_moment(row.get("first_seen_utc")),
        last_seen_ms=read_moment(row.get("last_seen_utc")),
        artcc=read_code(row.get("current_artcc")),
        plan=Plan(
            read_code(row.get("fp_dept_icao")),
            read_code(row.get("fp_dest_icao")),
            read_text(row.get("aircraft_equip"), MAX_EQUIPMENT),
            read_text(row.get("fp_route"), MAX_ROUTE),
        ),
        fix=_read_fix(row),
        fix_ms=read_moment(row.get("position_updated_utc")),
        off_ms=read_moment(row.get("off_utc")),
        in_ms=read_moment(row.get("in_utc")),
    )


def read_program(row: Mapping[str, Any]) -> ProgramRow | None:
    """Read a row; None when it has no number."""
    number = read_integer(row.get("program_id"))
    program_id = number if number is not None else read_text(row.get("program_id"), MAX_CODE)
    if program_id is None:
        return None
    return ProgramRow(
        program_id=program_id,
        status=read_code(row.get("status")) or "",
        program_type=read_text(row.get("program_type"), MAX_CODE),
        element=read_code(row.get("ctl_element")),
        start_ms=read_moment(row.get("start_utc")),
        end_ms=read_moment(row.get("end_utc")),
        condition=read_text(row.get("impacting_condition"), MAX_TEXT),
        cause=read_text(row.get("cause_text"), MAX_TEXT),
        created_ms=read_moment(row.get("created_at")),
        updated_ms=read_moment(row.get("updated_at")),
    )


def _read_fix(row: Mapping[str, Any]) -> Fix | None:
    latitude, longitude = read_number(row.get("lat")), read_number(row.get("lon"))
    if latitude is None or longitude is None or not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    heading = read_integer(row.get("heading_deg"))
    return Fix(
        latitude,
        longitude,
        read_integer(row.get("altitude_ft")),
        read_integer(row.get("groundspeed_kts")),
        None if heading is None else heading % 360,
        read_integer(row.get("vertical_rate_fpm")),
    )


def read_number(value: Any) -> float | None:
    """Read a number, DECIMAL too; None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        number = float(value) if isinstance(value, int | float | Decimal | str) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and abs(number) < 1e18 else None


def read_integer(value: Any) -> int | None:
    """Read a whole number, rounding a fraction; None for anything else."""
    if type(value) is int:
        return value if abs(value) < 2**63 else None
    number = read_number(value)
    return None if number is None else round(number)


def read_flag(value: Any) -> bool:
    """Read a BIT, as drivers give it."""
    return value is not None and str(value).strip().lower() in {"1", "true", "t"}


def read_text(value: Any, limit: int) -> str | None:
    """Read a text without the blanks that CHAR columns are padded with; None when nothing remains."""
    return (str(value).strip("\0 \t\r\n")[:limit] or None) if value is not None else None


def read_code(value: Any) -> str | None:
    """Read a code in upper case. A number is a row's number somewhere else, no code."""
    text = read_text(value, MAX_CODE) if isinstance(value, str) else None
    return None if text is None else text.upper()


def read_moment(value: Any) -> int | None:
    """Read a time in UTC as milliseconds since the epoch: what drivers give, or text as SQLite keeps it."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return (moment - _EPOCH) // _MILLISECOND
    try:
        return parse_ms(value) if isinstance(value, str) else None
    except InvalidTimestamp:
        return None
