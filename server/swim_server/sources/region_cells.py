"""Cells of the globe that are entirely in one region: most places need no look-up in the boundaries."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor
from types import ModuleType
from typing import Any

from swim_server.detection.regions import Place, Region

CELLS_A_DEGREE = 8
MAX_CELLS = 50_000
"""Maximum number of cached cells; traffic needs some thousands. Beyond it they are computed again."""
MAX_LONGITUDE = 178.0
"""Beyond it a boundary may continue at the other end of the map: such places are always looked up."""
MIXED = -1
"""Used instead of a number: a relevant boundary crosses the cell."""
EDGE_DEG = 1e-6
"""Boundaries follow whole degrees: touching a cell's edge does not count. The feed has five decimals."""
_COLUMNS = 360 * CELLS_A_DEGREE

Cell = int
Numbers = tuple[int, int]
"""Of the smallest FIR and the smallest boundary; the number of boundaries if there is none."""


class RegionCells:
    """Knows for each cell that has occurred which boundaries contain all of it, or that it is mixed."""

    def __init__(self, tree: Any, is_fir: Any, shapely: ModuleType) -> None:
        self._tree = tree
        self._is_fir: list[bool] = is_fir.tolist()
        self._shapely = shapely
        self._regions: dict[Cell, Region | None] = {}
        """None if the cell is mixed."""

    def settle(self, places: Iterable[Place], located: dict[Place, Region]) -> tuple[list[Place], set[Cell]]:
        """Add the regions of places whose cells have one. Returns the other places, and their new cells."""
        if len(self._regions) > MAX_CELLS:
            self._regions.clear()
        regions, unsettled, new = self._regions, [], set()
        for place in places:
            row, column = place[0] * CELLS_A_DEGREE, place[1] * CELLS_A_DEGREE
            whole_row, whole_column = floor(row), floor(column)
            cell = whole_row * _COLUMNS + whole_column
            region = regions.get(cell)
            if region is not None and row != whole_row and column != whole_column:
                located[place] = region
                continue
            unsettled.append(place)
            if region is None and cell not in regions and abs(place[1]) < MAX_LONGITUDE:
                new.add(cell)
        return unsettled, new

    def add(self, cell: Cell, region: Region | None) -> None:
        """Remember the region of a cell; None: it is mixed."""
        self._regions[cell] = region

    def examine(self, cells: Iterable[Cell]) -> dict[Cell, Numbers]:
        """Find which boundaries contain each whole cell, in one query for all of them."""
        numbers = sorted(cells)
        corners = [_corner(cell) for cell in numbers]
        near, far = EDGE_DEG, 1 / CELLS_A_DEGREE - EDGE_DEG
        boxes = self._shapely.box(
            [west + near for _, west in corners],
            [south + near for south, _ in corners],
            [west + far for _, west in corners],
            [south + far for south, _ in corners],
        )
        touching = _grouped(*self._tree.query(boxes, predicate="intersects").tolist())
        holding = _grouped(*self._tree.query(boxes, predicate="covered_by").tolist())
        return {
            cell: self._numbers(touching.get(place, ()), frozenset(holding.get(place, ())))
            for place, cell in enumerate(numbers)
        }

    def _numbers(self, touching: Iterable[int], holding: frozenset[int]) -> Numbers:
        """Return the smallest FIR and boundary that contain a cell; mixed if a smaller one contains a part of it."""
        nowhere = len(self._is_fir)
        smallest = min(holding, default=nowhere)
        fir = min((number for number in holding if self._is_fir[number]), default=nowhere)
        for number in touching:
            if number not in holding and (number < smallest or (self._is_fir[number] and number < fir)):
                return MIXED, MIXED
        return (fir if fir < nowhere else smallest), smallest


def _corner(cell: Cell) -> tuple[float, float]:
    """Return the south-western corner of a cell."""
    row = (cell + _COLUMNS // 2) // _COLUMNS
    return row / CELLS_A_DEGREE, (cell - row * _COLUMNS) / CELLS_A_DEGREE


def _grouped(places: list[int], numbers: list[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for place, number in zip(places, numbers, strict=True):
        found.setdefault(place, []).append(number)
    return found
