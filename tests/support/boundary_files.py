"""Files of boundaries as the VATSpy project publishes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VATSPY = Path(__file__).parents[3] / "shared" / "data" / "vatspy" / "Boundaries.geojson.gz"
Square = list[list[list[float]]]


def square(west: float, south: float, east: float, north: float) -> Square:
    return [[[west, south], [east, south], [east, north], [west, north], [west, south]]]


def write(path: Path, *features: tuple[str, Any], oceanic: frozenset[str] = frozenset()) -> Path:
    """A file as VATSpy publishes it. Polygons are given as a list of them."""
    rows = [
        {
            "type": "Feature",
            "properties": {"id": name, "oceanic": "1" if name in oceanic else "0"},
            "geometry": {"type": "MultiPolygon", "coordinates": polygons},
        }
        for name, polygons in features
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": rows}))
    return path
