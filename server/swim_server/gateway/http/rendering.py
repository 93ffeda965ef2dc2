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
"""What a spreadsheet takes for a formula where a cell begins with it."""
_AS_JSON = frozenset({bool, dict, list})


def encode_entry(entry: Mapping[str, Any]) -> bytes:
    """Encode one entry, as it stands in every document."""
    return escape_json(_encode(entry))


def to_json(name: str, rows: Sequence[bytes], as_of: str) -> bytes:
    """Write one document."""
    return b'{"as_of":"%b","count":%d,"%b":[%b]}\n' % (as_of.encode(), len(rows), name.encode(), b",".join(rows))


def to_ndjson(rows: Sequence[bytes]) -> bytes:
    """Write one line an entry."""
    return b"".join([row + b"\n" for row in rows])


class Feature(NamedTuple):
    """An entry that has a place on earth: what is shown of it on a map."""

    key: Any
    latitude: float
    longitude: float
    encoded: bytes
    """The entry as JSON."""

    def to_json(self) -> bytes:
        """Write it; longitude first (RFC 7946, 3.1.1)."""
        return b'{"type":"Feature","id":%b,"geometry":{"type":"Point","coordinates":[%a,%a]},"properties":%b}' % (
            escape_json(_encode(self.key)),
            self.longitude,
            self.latitude,
            self.encoded,
        )


def feature_of(key: Any, entry: Mapping[str, Any], encoded: bytes) -> Feature | None:
    """Make a feature of an entry; None where it has no place on earth."""
    place = place_of(entry)
    if place is None or not (-90 <= place[0] <= 90 and -180 <= place[1] <= 180):
        return None
    return Feature(key, place[0], place[1], encoded)


def to_geojson(features: Iterable[bytes], as_of: str) -> bytes:
    """Write a FeatureCollection (RFC 7946) of features that are written already."""
    return b'{"type":"FeatureCollection","as_of":"%b","features":[%b]}\n' % (as_of.encode(), b",".join(features))


class CsvTable:
    """A table with a head; of flights always the same columns. Takes the rows of one moment, writes them one by one."""

    def __init__(self, entries: Sequence[Mapping[str, Any]], *, is_flights: bool) -> None:
        names = FLIGHT_FIELDS if is_flights else dict.fromkeys(name for entry in entries for name in entry)
        self.columns = list(names)
        self.rows = [[entry.get(name) for name in self.columns] for entry in entries]
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._writer.writerow(self.columns)

    def write(self, row: Sequence[Any]) -> None:
        """Write one of the rows."""
        self._writer.writerow([_cell(value) for value in row])

    def content(self) -> bytes:
        """Return what was written."""
        return self._text.getvalue().encode()


def to_csv(entries: Sequence[Mapping[str, Any]], *, is_flights: bool) -> bytes:
    """Write all of a table at once."""
    table = CsvTable(entries, is_flights=is_flights)
    for row in table.rows:
        table.write(row)
    return table.content()


def _cell(value: Any) -> Any:
    kind = type(value)
    if kind is str:  # what most are; a cell that is null is empty
        return f"'{value}" if value[:1] in _FORMULA else value
    return _encode(value).decode() if kind in _AS_JSON else value
