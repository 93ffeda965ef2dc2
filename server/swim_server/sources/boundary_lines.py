"""Boundaries as a map draws them: each line once, on a grid, in few bytes; with the names of the FIRs."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from hashlib import blake2s
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from swim_server.sources.boundaries import fir_codes, region_of
from swim_server.sources.boundary_file import (
    BoundaryCollection,
    BoundaryFeature,
    InvalidBoundaries,
    read_boundaries,
    unwrapped,
)

UNITS_A_DEGREE = 100
"""The grid: about a kilometre."""

Point = tuple[int, int]
"""Longitude and latitude in units of the grid."""


class Label(msgspec.Struct, array_like=True, frozen=True):
    """The name of an FIR, and where it is written."""

    name: str
    latitude: float
    longitude: float


class BoundaryLines(msgspec.Struct):
    """What a map draws. A line is a list of numbers: longitude and latitude of its first point, then steps."""

    units: int = UNITS_A_DEGREE
    """How many steps a degree has."""
    firs: list[list[int]] = []
    """Lines between FIRs."""
    sectors: list[list[int]] = []
    """Lines of sectors within them."""
    labels: list[Label] = []
    problem: str | None = None
    """Why there are none although a file is configured."""


class LinesDocument(NamedTuple):
    """The lines as they are sent."""

    compressed: bytes
    """JSON, gzip."""
    tag: str
    """Changes with the content."""


class LinesFile:
    """The configured file's lines. Reads the file again when it has changed. Blocks; not for several threads."""

    def __init__(self) -> None:
        self._read: tuple[object, LinesDocument] | None = None

    def load(self, path: Path | None) -> LinesDocument:
        """Return the document; it takes some tenths of a second where the file is new or has changed."""
        version = _version(path)
        if self._read is None or self._read[0] != version:
            self._read = (version, _document(path))
        return self._read[1]


def _version(path: Path | None) -> object:
    if path is None:
        return None
    try:
        found = path.stat()
    except OSError as error:
        return (path, error.errno)
    return (path, found.st_mtime_ns, found.st_size, found.st_ino)


def _document(path: Path | None) -> LinesDocument:
    lines = BoundaryLines()
    if path is not None:
        try:
            lines = build_lines(read_boundaries(path))
        except InvalidBoundaries:
            lines = BoundaryLines(problem="the service's file of boundaries can't be used; its log says why")
    body = msgspec.json.encode(lines)
    compressor = zlib.compressobj(9, wbits=31)
    return LinesDocument(compressor.compress(body) + compressor.flush(), blake2s(body, digest_size=8).hexdigest())


def build_lines(collection: BoundaryCollection) -> BoundaryLines:
    """Build the lines. Raises InvalidBoundaries."""
    features = [each for each in collection.features if each.polygons()]
    if not features:
        raise InvalidBoundaries("it holds no polygon with an id")
    known = fir_codes() | {_name(each) for each in features}
    whole = [each for each in features if not _is_part(each, known)]
    parts = [each for each in features if _is_part(each, known)]
    drawn: set[tuple[Point, Point]] = set()
    return BoundaryLines(
        firs=[_steps(line) for each in whole for line in _lines(each, drawn)],
        sectors=[_steps(line) for each in parts for line in _lines(each, drawn)],
        labels=list({each.name: each for each in map(_label, whole) if each is not None}.values()),
    )


def _name(feature: BoundaryFeature) -> str:
    return feature.properties.id.strip().upper()


def _is_part(feature: BoundaryFeature, known: frozenset[str]) -> bool:
    """Tell whether it is a sector: part of an FIR that is known, or has a boundary of its own."""
    whole = region_of(_name(feature)).fir
    return whole != _name(feature) and whole in known


def _label(feature: BoundaryFeature) -> Label | None:
    try:
        latitude, longitude = float(feature.properties.label_lat or ""), float(feature.properties.label_lon or "")
    except ValueError:
        return None
    is_on_globe = abs(latitude) <= 90 and abs(longitude) <= 180
    return Label(_name(feature), latitude, longitude) if is_on_globe else None


def _lines(feature: BoundaryFeature, drawn: set[tuple[Point, Point]]) -> Iterator[list[Point]]:
    """Cut the rings of a boundary where what follows has been drawn with another one."""
    try:
        for rings in feature.polygons():
            for ring in rings:
                yield from _undrawn(_on_grid(unwrapped(ring, rings[0])), drawn)
    except (ValueError, TypeError, IndexError) as error:
        raise InvalidBoundaries(f"in boundary {feature.properties.id}: {error}") from None


def _on_grid(ring: Iterable[tuple[float, float]]) -> list[Point]:
    found: list[Point] = []
    for longitude, latitude in ring:
        point = (round(longitude * UNITS_A_DEGREE), round(latitude * UNITS_A_DEGREE))
        if not found or point != found[-1]:
            found.append(point)
    return found


def _undrawn(points: list[Point], drawn: set[tuple[Point, Point]]) -> Iterator[list[Point]]:
    line: list[Point] = []
    for one, other in pairwise(points):
        edge = (one, other) if one < other else (other, one)
        if edge in drawn:
            if line:
                yield line
            line = []
            continue
        drawn.add(edge)
        if not line:
            line.append(one)
        line.append(other)
    if line:
        yield line


def _steps(line: list[Point]) -> list[int]:
    """Write a line as its first point and the steps from each to the next; straight on is one step."""
    kept = line[:1]
    for before, point, after in zip(line, line[1:], line[2:], strict=False):
        across: Any = (point[0] - before[0]) * (after[1] - point[1]) - (point[1] - before[1]) * (after[0] - point[0])
        if across != 0:
            kept.append(point)
    kept.append(line[-1])
    steps = [*kept[0]]
    for one, other in pairwise(kept):
        steps += (other[0] - one[0], other[1] - one[1])
    return steps
