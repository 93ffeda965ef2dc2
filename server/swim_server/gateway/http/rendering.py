"""Entries of the state as documents: JSON, JSON lines, GeoJSON and CSV. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from swim_server.protocol.control_characters import escape_json
from swim_server.protocol.predicates import place_of
from swim_server.state.folding import FLIGHT_FIELDS

_encode = msgspec.json.Encoder().encode
_FORMULA = frozenset("=+-@\t\r")
"""A spreadsheet takes a cell that begins with one of these for a formula."""
_AS_JSON = frozenset({bool, dict, list})


def encode_entry(entry: Mapping[str, object]) -> bytes:
    """Encode one entry, as it is in every document."""
    return escape_json(_encode(entry))


def to_json(name: str, rows: Sequence[bytes], as_of: str) -> bytes:
    """Return the entries as one JSON document."""
    return b'{"as_of":"%b","count":%d,"%b":[%b]}\n' % (as_of.encode(), len(rows), name.encode(), b",".join(rows))


def to_ndjson(rows: Sequence[bytes]) -> bytes:
    """Return the entries as JSON lines."""
    return b"".join([row + b"\n" for row in rows])


class Feature(NamedTuple):
    """An entry that has a position, as it is shown on a map."""

    key: Any
    latitude: float
    longitude: float
    encoded: bytes
    """The entry as JSON."""

    def to_json(self) -> bytes:
        """Encode it; longitude first (RFC 7946, section 3.1.1)."""
        return b'{"type":"Feature","id":%b,"geometry":{"type":"Point","coordinates":[%a,%a]},"properties":%b}' % (
            escape_json(_encode(self.key)),
            self.longitude,
            self.latitude,
            self.encoded,
        )


def feature_of(key: object, entry: Mapping[str, object], encoded: bytes) -> Feature | None:
    """Build the feature of an entry; None if it has no position."""
    place = place_of(entry)
    if place is None or not (-90 <= place[0] <= 90 and -180 <= place[1] <= 180):
        return None
    return Feature(key, place[0], place[1], encoded)


def to_geojson(features: Iterable[bytes], as_of: str) -> bytes:
    """Return a FeatureCollection (RFC 7946) of encoded features."""
    return b'{"type":"FeatureCollection","as_of":"%b","features":[%b]}\n' % (as_of.encode(), b",".join(features))


class CsvTable:
    """A table with a header, for flights always the same columns. Takes rows of one moment, writes them singly."""

    def __init__(self, entries: Sequence[Mapping[str, object]], *, is_flights: bool) -> None:
        names = FLIGHT_FIELDS if is_flights else dict.fromkeys(name for entry in entries for name in entry)
        self.columns = list(names)
        self.rows = [[entry.get(name) for name in self.columns] for entry in entries]
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow(self.columns)

    def write(self, row: Sequence[object]) -> None:
        """Write the next row."""
        self._writer.writerow([_cell(value) for value in row])

    def content(self) -> bytes:
        """Return what was written."""
        return self._text.getvalue().encode()


def to_csv(entries: Sequence[Mapping[str, object]], *, is_flights: bool) -> bytes:
    """Return a complete table."""
    table = CsvTable(entries, is_flights=is_flights)
    for row in table.rows:
        table.write(row)
    return table.content()


def _cell(value: Any) -> Any:
    kind = type(value)
    if kind is str:  # the common case; null is an empty cell
        return f"'{value}" if value[:1] in _FORMULA else value
    return _encode(value).decode() if kind in _AS_JSON else value
