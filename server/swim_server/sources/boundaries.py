"""Boundaries of FIRs, centres and their sectors, from a GeoJSON file as the VATSpy data project publishes it.

Needs ``shapely``, which is imported only when there is a file to load.
"""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from swim_server.detection.regions import UNKNOWN, NoRegions, Place, Region, Regions
from swim_server.sources.region_cells import MIXED, Cell, RegionCells

if TYPE_CHECKING:
    from types import ModuleType

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Inflated. The file of the whole world has 20 million."""
HALF_TURN, FULL_TURN = 180.0, 360.0
OUTSIDE_K = {"PAZA": "ZAN", "PHZH": "ZHN", "PGZU": "ZUA", "TJZS": "ZSU"}
"""Centres of the United States whose FIR code isn't K and the centre's code."""


FIR_CODES = "data/fir_codes.txt"
"""Made by ``server/tools/fir_codes.py``; its head says from which source, and under which licence."""


class InvalidBoundaries(ValueError):
    """A file that holds no boundaries, or that can't be used here: why, and what to do."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class _Properties(msgspec.Struct):
    id: str
    oceanic: str | int | bool | None = None


class _Geometry(msgspec.Struct):
    type: str
    coordinates: Any


class _Feature(msgspec.Struct):
    properties: _Properties
    geometry: _Geometry | None = None


class _Collection(msgspec.Struct):
    features: list[_Feature]


NOTHING_KNOWN: Mapping[Place, Region] = MappingProxyType({})


class Boundaries:
    """All boundaries in a tree. Immutable; any thread may ask."""

    def __init__(self, collection: _Collection, shapely: ModuleType) -> None:
        import numpy  # comes with shapely

        self._shapely = shapely
        self._numpy = numpy
        found = [(polygon, region) for polygon, region in _polygons(collection, shapely)]
        if not found:
            raise InvalidBoundaries("it holds no polygon with an id")
        # A point in several lies in the smallest, and its FIR is the smallest FIR: oceans lie under everything.
        found.sort(key=lambda pair: (pair[1].is_oceanic, pair[0].area))
        self._polygons = [polygon for polygon, _ in found]
        self._parts = [part for _, part in found]
        self._is_fir = numpy.array([part.is_fir for part in self._parts])
        self._known: dict[tuple[int, int], Region] = {}
        """Regions by the numbers of the smallest FIR and of the smallest boundary of all: few pairs, many places."""
        shapely.prepare(self._polygons)
        self._tree = shapely.STRtree(self._polygons)
        self._cells = RegionCells(self._tree, self._is_fir, shapely)
        self._west = min(polygon.bounds[0] for polygon in self._polygons)
        self._east = max(polygon.bounds[2] for polygon in self._polygons)

    def __len__(self) -> int:
        return len(self._polygons)

    def locate(self, latitude: float, longitude: float) -> Region:
        """Tell the region of one place."""
        return self.locate_all([(latitude, longitude)])[0]

    def locate_all(self, places: Sequence[Place]) -> list[Region]:
        """Tell the region of each place, in one query for all of them."""
        numpy, nowhere = self._numpy, len(self._polygons)
        degrees = numpy.array(places, dtype=float).reshape(-1, 2)
        smallest = numpy.full(len(places), nowhere)
        firs = smallest.copy()
        for turn in (0.0, FULL_TURN, -FULL_TURN):
            self._search(degrees[:, 0], degrees[:, 1] + turn, smallest, firs)
        firs = numpy.where(firs < nowhere, firs, smallest)
        return [
            UNKNOWN if part == nowhere else self._region(fir, part)
            for fir, part in zip(firs.tolist(), smallest.tolist(), strict=True)
        ]

    def _region(self, fir: int, smallest: int) -> Region:
        region = self._known.get((fir, smallest))
        if region is None:
            whole, part = self._parts[fir].region, self._parts[smallest].identifier
            region = self._known[fir, smallest] = Region(whole.artcc, whole.fir, None if part == whole.fir else part)
        return region

    def around(self, places: Iterable[Place], known: Mapping[Place, Region] = NOTHING_KNOWN) -> LocatedRegions:
        """Look these places up at once, as those that a detection is about to ask for; not those known already."""
        wanted = dict.fromkeys(places)
        located = {place: region for place in wanted if (region := known.get(place)) is not None}
        unsettled, new = self._cells.settle(wanted.keys() - located.keys() if located else wanted, located)
        if new:
            self._examine(new)
            unsettled, _ = self._cells.settle(unsettled, located)
        located.update(zip(unsettled, self.locate_all(unsettled), strict=True))
        return LocatedRegions(self, located)

    def _examine(self, cells: Iterable[Cell]) -> None:
        """Get to know cells that have not come up yet."""
        nowhere = len(self._polygons)
        for cell, (fir, part) in self._cells.examine(cells).items():
            if part == MIXED:
                self._cells.add(cell, None)
            else:
                self._cells.add(cell, UNKNOWN if part == nowhere else self._region(fir, part))

    def _search(self, latitudes: Any, longitudes: Any, smallest: Any, firs: Any) -> None:
        """Find what holds the places as seen some turn of the globe further; smaller numbers are better."""
        numpy, shapely = self._numpy, self._shapely
        chosen = numpy.nonzero((self._west <= longitudes) & (longitudes <= self._east))[0]
        if not len(chosen):
            return
        latitudes, longitudes = latitudes[chosen], longitudes[chosen]
        found, polygons = self._tree.query(shapely.points(longitudes, latitudes))
        holds = shapely.intersects_xy(self._tree.geometries.take(polygons), longitudes[found], latitudes[found])
        places, polygons = chosen[found[holds]], polygons[holds]
        numpy.minimum.at(smallest, places, polygons)
        is_fir = self._is_fir[polygons]
        numpy.minimum.at(firs, places[is_fir], polygons[is_fir])


class LocatedRegions:
    """The regions of places that were looked up together; any other place is looked up by itself."""

    def __init__(self, boundaries: Boundaries, located: dict[Place, Region]) -> None:
        self._boundaries = boundaries
        self.located = located

    def around(self, places: Iterable[Place]) -> Regions:
        """Look other places up."""
        return self._boundaries.around(places)

    def locate(self, latitude: float, longitude: float) -> Region:
        """Tell the region of a place."""
        region = self.located.get((latitude, longitude))
        return self._boundaries.locate(latitude, longitude) if region is None else region


class BoundariesFile:
    """The configured file, loaded when it is first needed. Blocking; any thread may ask."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.problem: str | None = None if path is not None else "no boundaries configured: centre and FIR are null"
        """Why regions are unknown, and what to do; None if they are known or were not requested yet."""
        self._lock = threading.Lock()
        self._boundaries: Boundaries | None = None
        self._has_tried = path is None
        self._located: Mapping[Place, Region] = NOTHING_KNOWN
        """Positions of the last lookup: aircraft that have not moved are not looked up again."""

    def around(self, places: Iterable[Place]) -> Regions:
        """Return the regions of these places and any other; unknown ones where there is no usable file."""
        boundaries = self._loaded()
        if not isinstance(boundaries, Boundaries):
            return boundaries
        found = boundaries.around(places, self._located)
        self._located = found.located
        return found

    def locate(self, latitude: float, longitude: float) -> Region:
        """Tell the region of a place."""
        return self._loaded().locate(latitude, longitude)

    def _loaded(self) -> Regions:
        with self._lock:
            if not self._has_tried:
                self._try()
        return NoRegions() if self._boundaries is None else self._boundaries

    def _try(self) -> None:
        self._has_tried = True
        assert self.path is not None, "without a path there is nothing to try"
        try:
            self._boundaries = load_boundaries(self.path)
        except InvalidBoundaries as error:
            self.problem = f"boundaries {self.path}: {error.reason}; centre and FIR are null"


def load_boundaries(path: Path) -> Boundaries:
    """Load a GeoJSON file, compressed or not. Raises InvalidBoundaries. Blocks for some tenths of a second."""
    try:
        import shapely
    except ImportError:
        raise InvalidBoundaries("they need shapely: pip install 'swimctl[boundaries]'") from None
    try:
        collection = msgspec.json.decode(_read(path), type=_Collection)
    except OSError as error:
        raise InvalidBoundaries(f"can't be read: {error.strerror or error}") from None
    except (EOFError, zlib.error) as error:
        raise InvalidBoundaries(f"is damaged: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBoundaries(f"is not GeoJSON of the VATSpy kind: {error}") from None
    return Boundaries(collection, shapely)


def fir_codes() -> frozenset[str]:
    """Load the codes that are those of FIRs; other boundaries are sectors within them, or oceans."""
    text = resources.files("swim_server.sources").joinpath(FIR_CODES).read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def region_of(identifier: str) -> Region:
    """Return the region that a boundary's id stands for: ``KZNY-W`` is a part of FIR KZNY, the centre ZNY.

    Outside the United States the centre's code is the FIR's, as it is in the tables of other detections.
    """
    fir = identifier.strip().upper().partition("-")[0]
    is_american = len(fir) == 4 and fir.startswith("KZ")
    return Region(fir[1:] if is_american else OUTSIDE_K.get(fir, fir), fir)


class _Part(msgspec.Struct, frozen=True):
    identifier: str
    region: Region
    is_oceanic: bool
    is_fir: bool


def _read(path: Path) -> bytes:
    with path.open("rb") as plain:
        is_compressed = plain.read(2) == b"\x1f\x8b"
    with gzip.open(path) if is_compressed else path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise InvalidBoundaries(f"has more than {MAX_FILE_BYTES} bytes")
    return content


def _polygons(collection: _Collection, shapely: ModuleType) -> Iterable[tuple[Any, _Part]]:
    firs = fir_codes()
    for feature in collection.features:
        geometry = feature.geometry
        if geometry is None or not feature.properties.id.strip():
            continue
        several = [geometry.coordinates] if geometry.type == "Polygon" else geometry.coordinates
        if geometry.type not in {"Polygon", "MultiPolygon"}:
            continue
        identifier = feature.properties.id.strip().upper()
        region = region_of(identifier)
        is_oceanic = str(feature.properties.oceanic) in {"1", "True"}
        part = _Part(identifier, region, is_oceanic, is_fir=region.fir in firs)
        for rings in several:
            try:
                polygon = shapely.Polygon(_unwrapped(rings[0]), [_unwrapped(ring, rings[0]) for ring in rings[1:]])
            except (ValueError, TypeError, IndexError, shapely.GEOSException) as error:
                raise InvalidBoundaries(f"in boundary {feature.properties.id}: {error}") from None
            yield polygon if polygon.is_valid else shapely.make_valid(polygon), part


def _unwrapped(ring: Any, beside: Any = None) -> list[Place]:
    """Return a ring without jumps: one that crosses the antimeridian goes on beyond 180 degrees.

    ``beside``: the outer ring, near whose beginning a hole has to stay.
    """
    points: list[Place] = []
    before = written_before = float((beside or ring)[0][0])
    for point in ring:
        written = longitude = float(point[0])
        if {written, written_before} != {HALF_TURN, -HALF_TURN}:  # else from edge to edge: a region around a pole
            longitude += FULL_TURN * round((before - longitude) / FULL_TURN)
        points.append((longitude, float(point[1])))
        before, written_before = longitude, written
    return points
