"""Converts what earlier providers wrote into what the wire protocol specifies: numbers sent as text, a heading of 360.
Pure.

PHP's driver for SQL Server returns BIGINT and DECIMAL as text, and the earlier detection sent the id of a centre's row
instead of its code.
"""

from __future__ import annotations

from typing import Any

from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.timestamps import InvalidTimestamp, format_ms, parse_ms

INTEGERS = frozenset({"flight_uid", "altitude_ft", "groundspeed_kts", "heading_deg", "vertical_rate_fpm"})
DECIMALS = frozenset({"latitude", "longitude", "lat", "lon"})
COUNTS = frozenset({"count", "position_count"})
TIMES = frozenset({"off_utc", "in_utc", "start_time", "end_time"})
CODES = frozenset({"current_artcc", "current_fir", "current_sector"})
_NUMBERS = INTEGERS | DECIMALS | COUNTS
MAX_DIGITS = 24
LARGEST = 1e15


def normalise(event_type: str, data: JsonObject) -> JsonObject:
    """Normalise the data of a ``flight.*`` or ``tmi.*`` event; what can't be repaired is left as it is."""
    data = with_numbers(data)
    if event_type.startswith("tmi."):
        return _normalise_program(data)
    if not event_type.startswith("flight."):
        return data
    mended = _normalise(data)
    positions = data.get("positions")
    if isinstance(positions, list):
        mended = {**mended, "positions": [_normalise(each) if isinstance(each, dict) else each for each in positions]}
    return mended


def with_numbers(data: JsonObject) -> JsonObject:
    """Convert numbers that came as text, of an event and of its positions; other text is left as it is."""
    found = _with_numbers(data)
    positions = data.get("positions")
    if isinstance(positions, list):
        read = [_with_numbers(each) if isinstance(each, dict) else each for each in positions]
        if any(new is not old for new, old in zip(read, positions, strict=True)):
            found = {**found, "positions": read}
    return found


def _with_numbers(data: JsonObject) -> JsonObject:
    changed = {
        field: value
        for field in _NUMBERS & data.keys()
        if isinstance(data[field], str) and (value := _number(data[field])) is not data[field]
    }
    return {**data, **changed} if changed else data


def with_north_as_zero(event_type: str, data: JsonObject) -> JsonObject:
    """Write numbers as numbers and north as heading 0; everything else, valid or not, is left as it is."""
    data = with_numbers(data)
    if not event_type.startswith("flight."):
        return data
    turned = {**data, "heading_deg": 0} if _is_north(data) else data
    positions = data.get("positions")
    if isinstance(positions, list) and any(_is_north(each) for each in positions):
        turned = {
            **turned,
            "positions": [{**each, "heading_deg": 0} if _is_north(each) else each for each in positions],
        }
    return turned


def _is_north(data: Any) -> bool:
    return isinstance(data, dict) and data.get("heading_deg") == 360


def _normalise(data: JsonObject) -> JsonObject:
    changed: JsonObject = {}
    for field in INTEGERS & data.keys():
        value = _number(data[field])
        if isinstance(value, float) and abs(value) < LARGEST:
            value = round(value)
        changed[field] = value % 360 if field == "heading_deg" and type(value) is int else value
    for field in (DECIMALS | COUNTS) & data.keys():
        changed[field] = _number(data[field])
    for field in CODES & data.keys():
        if isinstance(data[field], int):
            changed[field] = None
    for field in TIMES & data.keys():
        changed[field] = _time(data[field])
    return {**data, **changed} if changed else data


def _normalise_program(data: JsonObject) -> JsonObject:
    changed = {field: _time(data[field]) for field in TIMES & data.keys()}
    if "program_id" in data:
        changed["program_id"] = _number(data["program_id"])
    return {**data, **changed} if changed else data


def _time(value: object) -> Any:
    """Return an RFC 3339 time in the format of the wire, and null for an empty text; anything else as it is."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return format_ms(parse_ms(value))
    except InvalidTimestamp:
        return value


def _number(value: object) -> Any:
    """Return the number that a text contains, an integer if it is written as one; anything else as it is."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_DIGITS:
        return value
    text = value.strip()
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return value
    return number if abs(number) < LARGEST else value
