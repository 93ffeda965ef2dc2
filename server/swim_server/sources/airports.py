"""Loads the airfields of the world from the ``airportsdata`` package. The detection is given them as a value."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from swim_server.detection.airfields import Airfield, Airfields

LoadAirfields = Callable[[], Airfields]

FORMER_CODES = MappingProxyType(
    {"KPBI": "KDJT", "OKBK": "OKKK", "UTTT": "UZTT", "WAEE": "WAMT", "WAFF": "WAML", "WAHS": "WARS"}
)
"""Codes that pilots file (and simulators have) for fields that are recorded under another one."""


def load_airfields() -> Airfields:
    """Load all airfields, found by ICAO, FAA and IATA code. Blocks for a few tenths of a second; call it once."""
    import airportsdata

    rows = airportsdata.load("ICAO")
    fields = [Airfield(code, row["lat"], row["lon"], row["elevation"]) for code, row in rows.items()]
    other_codes: dict[str, str] = {}
    for kind in ("lid", "iata"):
        for code, row in rows.items():
            if row[kind]:
                other_codes.setdefault(row[kind], code)
    for former, code in FORMER_CODES.items():
        other_codes.setdefault(former, code if code in rows else former)
    return Airfields(fields, other_codes)
