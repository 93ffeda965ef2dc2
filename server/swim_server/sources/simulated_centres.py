"""Which centre an invented flight is in: the nearest of a table of middles, within the contiguous United States."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, radians

from swim_server.detection.regions import UNKNOWN, Place, Region
from swim_server.sources.simulated_world import CENTRES

SOUTH, NORTH, WEST, EAST = 24.5, 49.0, -125.5, -66.5


class NearestCentre:
    """Finds the region of a place well enough for a simulation. Remembers squares of half a degree; they are few."""

    def __init__(self) -> None:
        self._by_square: dict[tuple[int, int], Region] = {}

    def around(self, places: Iterable[Place]) -> NearestCentre:
        """Know all places already."""
        return self

    def locate(self, latitude: float, longitude: float) -> Region:
        """Tell the US centre; UNKNOWN abroad."""
        if not (SOUTH <= latitude <= NORTH and WEST <= longitude <= EAST):
            return UNKNOWN
        square = (round(latitude * 2), round(longitude * 2))
        region = self._by_square.get(square)
        if region is None:
            region = self._by_square[square] = _nearest(square[0] / 2, square[1] / 2)
        return region


def _nearest(latitude: float, longitude: float) -> Region:
    narrowing = cos(radians(latitude))
    code = min(
        CENTRES,
        key=lambda centre: (CENTRES[centre][0] - latitude) ** 2 + ((CENTRES[centre][1] - longitude) * narrowing) ** 2,
    )
    return Region(code, f"K{code}") if code.startswith("Z") else UNKNOWN
