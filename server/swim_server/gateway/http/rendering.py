"""Entries of the state as documents: JSON, JSON lines, GeoJSON and CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from swim_server.protocol.control_characters import escape_json
from swim_server.protocol.predicates import place_of
from swim_server.state.folding import FLIGHT_FIELDS

_encode = msgspec.json.Encoder().encode
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula where a cell begins with it."""


def to_json(name: str, rows: Sequence[bytes], as_of: str) -> bytes:
    """Write one document."""
    return b'{"as_of":"%b","count":%d,"%b":[%b]}\n' % (as_of.encode(), len(rows), name.encode(), b",".join(rows))


def to_ndjson(rows: Sequence[bytes]) -> bytes:
    """Write one line an entry."""
    return b"".join([row + b"\n" for row in rows])


def to_geojson(entries: Iterable[tuple[Any, Mapping[str, Any]]], as_of: str) -> bytes:
    """Write a FeatureCollection (RFC 7946) of what has a place on earth; longitude first."""
    features = []
    for key, entry in entries:
        place = place_of(entry)
        if place is None or not (-90 <= place[0] <= 90 and -180 <= place[1] <= 180):
            continue
        geometry = {"type": "Point", "coordinates": [place[1], place[0]]}
        features.append({"type": "Feature", "id": key, "geometry": geometry, "properties": entry})
    return escape_json(_encode({"type": "FeatureCollection", "as_of": as_of, "features": features})) + b"\n"


def to_csv(entries: Sequence[Mapping[str, Any]], *, is_flights: bool) -> bytes:
    """Write a table with a head; of flights always the same columns."""
    columns = list(FLIGHT_FIELDS) if is_flights else list(dict.fromkeys(name for entry in entries for name in entry))
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(entry.get(name)) for name in columns] for entry in entries)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, dict | list | bool):
        return _encode(value).decode()
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
