"""Loads the airfields of the world from the ``airportsdata`` package, with corrections from a table of our own.

The detection is given them as a value.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from functools import cache
from importlib import resources
from types import MappingProxyType

import msgspec

from swim_server.detection.airfields import Airfield, Airfields
from swim_server.streaming.hints import AirportCodes

LoadAirfields = Callable[[], Airfields]

FORMER_CODES = MappingProxyType(
    {"KPBI": "KDJT", "OKBK": "OKKK", "UTTT": "UZTT", "WAEE": "WAMT", "WAFF": "WAML", "WAHS": "WARS"}
)
"""Codes that pilots file (and simulators have) for fields that are recorded under another one."""


CORRECTIONS = "data/airport_corrections.csv"
"""Made by ``server/tools/airport_corrections.py``; its head says from which sources, and under which licence."""


class Correction(msgspec.Struct, frozen=True):
    """Where a field really is."""

    latitude: float
    longitude: float
    elevation_ft: float | None
    """None: as recorded."""

    def applied_to(self, field: Airfield) -> Airfield:
        """Give the field at its right place."""
        elevation_ft = field.elevation_ft if self.elevation_ft is None else self.elevation_ft
        return Airfield(field.code, self.latitude, self.longitude, elevation_ft)


def load_corrections() -> dict[str, Correction]:
    """Load the table of fields whose recorded position is wrong, by code."""
    text = resources.files("swim_server.sources").joinpath(CORRECTIONS).read_text("utf-8")
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {
        row["code"]: Correction(
            float(row["latitude"]), float(row["longitude"]), float(row["elevation_ft"]) if row["elevation_ft"] else None
        )
        for row in csv.DictReader(lines)
    }


@cache
def load_airport_codes() -> AirportCodes:
    """Load the codes alone; once for all. Blocks for a tenth of a second."""
    import airportsdata

    rows = airportsdata.load("ICAO")
    others: dict[str, str] = {}
    for kind in ("iata", "lid"):
        for code, row in rows.items():
            if row[kind] and row[kind] not in rows:
                others.setdefault(row[kind], code)
    return AirportCodes(frozenset(rows) | FORMER_CODES.keys(), others)


@cache
def load_airfields() -> Airfields:
    """Load all airfields, found by ICAO, FAA and IATA code; once for all. Blocks for a few tenths of a second."""
    import airportsdata

    rows = airportsdata.load("ICAO")
    recorded = (Airfield(code, row["lat"], row["lon"], row["elevation"]) for code, row in rows.items())
    corrections = load_corrections()
    fields = [corrections[field.code].applied_to(field) if field.code in corrections else field for field in recorded]
    other_codes: dict[str, str] = {}
    for kind in ("lid", "iata"):
        for code, row in rows.items():
            if row[kind]:
                other_codes.setdefault(row[kind], code)
    for former, code in FORMER_CODES.items():
        other_codes.setdefault(former, code if code in rows else former)
    return Airfields(fields, other_codes)
