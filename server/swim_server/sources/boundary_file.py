"""GeoJSON of boundaries as the VATSpy data project publishes it: reading the file, compressed or not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import msgspec

from swim_server.detection.regions import Place

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Maximum size, decompressed. The file of the whole world has 20 million bytes."""
HALF_TURN, FULL_TURN = 180.0, 360.0


class InvalidBoundaries(ValueError):
    """A file that contains no boundaries, or can't be used here: why, and what to do."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class BoundaryProperties(msgspec.Struct):
    """What a file says of a boundary, apart from where it is."""

    id: str
    oceanic: str | int | bool | None = None
    label_lat: str | float | None = None
    label_lon: str | float | None = None


class BoundaryGeometry(msgspec.Struct):
    """Where a boundary is."""

    type: str
    coordinates: Any


class BoundaryFeature(msgspec.Struct):
    """One boundary."""

    properties: BoundaryProperties
    geometry: BoundaryGeometry | None = None

    def polygons(self) -> list[Any]:
        """Return its polygons, each a list of rings; none if it has no id or no polygon."""
        geometry = self.geometry
        if geometry is None or not self.properties.id.strip():
            return []
        if geometry.type not in {"Polygon", "MultiPolygon"}:
            return []
        return [geometry.coordinates] if geometry.type == "Polygon" else list(geometry.coordinates)

    @property
    def is_oceanic(self) -> bool:
        """True if it is of an ocean."""
        return str(self.properties.oceanic) in {"1", "True"}


class BoundaryCollection(msgspec.Struct):
    """The content of a file."""

    features: list[BoundaryFeature]


def read_boundaries(path: Path) -> BoundaryCollection:
    """Read a file. Raises InvalidBoundaries. Blocks for some tens of milliseconds."""
    try:
        return msgspec.json.decode(_read(path), type=BoundaryCollection)
    except OSError as error:
        raise InvalidBoundaries(f"can't be read: {error.strerror or error}") from None
    except (EOFError, zlib.error) as error:
        raise InvalidBoundaries(f"is damaged: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBoundaries(f"is not GeoJSON of the VATSpy kind: {error}") from None


def _read(path: Path) -> bytes:
    with path.open("rb") as plain:
        is_compressed = plain.read(2) == b"\x1f\x8b"
    with gzip.open(path) if is_compressed else path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise InvalidBoundaries(f"has more than {MAX_FILE_BYTES} bytes")
    return content


def unwrapped(ring: Any, beside: Any = None) -> list[Place]:
    """Return a ring without jumps: one that crosses the antimeridian continues beyond 180 degrees.

    ``beside``: the outer ring, near whose beginning a hole must stay.
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
