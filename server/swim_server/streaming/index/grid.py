"""The earth in cells of several sizes: a region is covered by few of them, and a place is in one of each size."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.protocol.predicates import Box

Cell = tuple[int, int, int]
"""Level, row from south, column from west."""

CELL_DEGREES = (60.0, 15.0, 4.0, 1.0)
"""The size of the cells of each level, coarsest first."""
MAX_CELLS = 25
"""A region is covered with the finest cells of which it touches no more than this many."""


def cells_of(box: Box) -> list[Cell]:
    """Return the cells that together cover a region, edges included."""
    for level in range(len(CELL_DEGREES) - 1, -1, -1):
        size = CELL_DEGREES[level]
        rows = range(floor((box.south + 90) / size), floor((box.north + 90) / size) + 1)
        columns = [
            column
            for west, east in _stretches(box)
            for column in range(floor((west + 180) / size), floor((east + 180) / size) + 1)
        ]
        if len(rows) * len(columns) <= MAX_CELLS or not level:
            return [(level, row, column) for row in rows for column in dict.fromkeys(columns)]
    raise AssertionError("the coarsest level takes every region")


def _stretches(box: Box) -> list[tuple[float, float]]:
    """Return the region's ranges from west to east; two if it crosses the antimeridian."""
    if box.west <= box.east:
        return [(box.west, box.east)]
    return [(box.west, 180.0), (-180.0, box.east)]


def cells_at(places: Iterable[tuple[float, float]]) -> set[Cell]:
    """Return the cells that contain places, one of each size for each; an invalid place is in none."""
    return {
        (level, floor((latitude + 90) / size), floor((longitude + 180) / size))
        for latitude, longitude in places
        if -90 <= latitude <= 90 and -180 <= longitude <= 180
        for level, size in enumerate(CELL_DEGREES)
    }
