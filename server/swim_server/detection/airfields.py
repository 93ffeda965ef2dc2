"""Airfields: where they are and how high they lie. A value: it is given its data, and never changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import cos, floor, radians

import msgspec

from swim_server.detection.geodesy import distance_nm

CELL_DEG = 0.25
"""Airfields are kept by squares of this side: the ones around an aircraft hold a handful of them."""


FIELD_NM = 5.0
"""On the ground no farther than this from a field's reference point, an aircraft is at that field."""


class Airfield(msgspec.Struct, frozen=True, gc=False):
    """One airfield, of any size."""

    code: str
    """ICAO code, or the code that is used in its place (``K39N``)."""
    latitude: float
    longitude: float
    elevation_ft: float


class Airfields:
    """All airfields known, found by code or by place."""

    def __init__(self, airfields: Iterable[Airfield], other_codes: Mapping[str, str] | None = None) -> None:
        """``other_codes``: further codes (FAA, IATA, former ICAO ones) and the code they stand for."""
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
        """Find an airfield by a code as a flight plan has it, upper-cased; None for an unknown one."""
        return None if code is None else self._by_code.get(code)

    def nearest(self, latitude: float, longitude: float, within_nm: float) -> Airfield | None:
        """Find the airfield nearest to a place, none farther than ``within_nm`` (at most 10)."""
        best, best_distance = None, within_nm
        for airfield in self._around(latitude, longitude):
            distance = distance_nm(latitude, longitude, airfield.latitude, airfield.longitude)
            if distance <= best_distance:
                best, best_distance = airfield, distance
        return best

    def at(self, latitude: float, longitude: float, *preferred: str | None) -> Airfield | None:
        """Find the field that an aircraft on the ground is at; None where no field is near.

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
        # A degree of longitude shrinks towards the poles: more cells lie within the same distance there.
        reach = min(columns // 2, 1 + floor(1 / max(0.01, cos(radians(latitude)))))
        for near_row in (row - 1, row, row + 1):
            for near_column in range(column - reach, column + reach + 1):
                yield from self._by_cell.get((near_row, near_column % columns), ())


def _cell(latitude: float, longitude: float) -> tuple[int, int]:
    return floor(latitude / CELL_DEG), floor(longitude % 360 / CELL_DEG) % round(360 / CELL_DEG)
