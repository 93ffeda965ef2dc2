"""Airfields: their positions and elevations. An immutable value, given its data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import cos, floor, radians

import msgspec

from swim_server.detection.geodesy import distance_nm

CELL_DEG = 0.25
"""Airfields are stored by squares of this size: the squares around an aircraft hold a handful of them."""


FIELD_NM = 5.0
"""An aircraft on the ground is at a field if it is this close to its reference point."""


class Airfield(msgspec.Struct, frozen=True, gc=False):
    """One airfield, of any size."""

    code: str
    """ICAO code, or the code used instead (``K39N``)."""
    latitude: float
    longitude: float
    elevation_ft: float


class Airfields:
    """All known airfields, by code and by position."""

    def __init__(self, airfields: Iterable[Airfield], other_codes: Mapping[str, str] | None = None) -> None:
        """Index the fields; ``other_codes`` maps further codes (FAA, IATA, old ICAO codes) to those they stand for."""
        self._by_code = {airfield.code: airfield for airfield in airfields}
        self._by_cell: dict[tuple[int, int], list[Airfield]] = {}
        for airfield in list(self._by_code.values()):
            self._by_cell.setdefault(_cell(airfield.latitude, airfield.longitude), []).append(airfield)
        for other, code in (other_codes or {}).items():
            if code in self._by_code:
                self._by_code.setdefault(other, self._by_code[code])

    def __len__(self) -> int:
        return len({airfield.code for airfield in self._by_code.values()})

    def get(self, code: str | None) -> Airfield | None:
        """Return the airfield with a code as in a flight plan, upper-cased; None if it is unknown."""
        return None if code is None else self._by_code.get(code)

    def nearest(self, latitude: float, longitude: float, within_nm: float) -> Airfield | None:
        """Return the airfield nearest to a position, at most ``within_nm`` (up to 10) away."""
        best, best_distance = None, within_nm
        for airfield in self._around(latitude, longitude):
            distance = distance_nm(latitude, longitude, airfield.latitude, airfield.longitude)
            if distance <= best_distance:
                best, best_distance = airfield, distance
        return best

    def at(self, latitude: float, longitude: float, *preferred: str | None) -> Airfield | None:
        """Return the field that an aircraft on the ground is at; None if no field is near.

        ``preferred``: codes of fields that win over a nearer one, as they were filed; the likeliest first.
        """
        for code in preferred:
            field = self.get(code)
            if field is not None and distance_nm(latitude, longitude, field.latitude, field.longitude) <= FIELD_NM:
                return field
        return self.nearest(latitude, longitude, FIELD_NM)

    def _around(self, latitude: float, longitude: float) -> Iterator[Airfield]:
        row, column = _cell(latitude, longitude)
        columns = round(360 / CELL_DEG)
        # A degree of longitude shrinks towards the poles: the same distance covers more cells there.
        reach = min(columns // 2, 1 + floor(1 / max(0.01, cos(radians(latitude)))))
        for near_row in (row - 1, row, row + 1):
            for near_column in range(column - reach, column + reach + 1):
                yield from self._by_cell.get((near_row, near_column % columns), ())


def _cell(latitude: float, longitude: float) -> tuple[int, int]:
    return floor(latitude / CELL_DEG), floor(longitude % 360 / CELL_DEG) % round(360 / CELL_DEG)
