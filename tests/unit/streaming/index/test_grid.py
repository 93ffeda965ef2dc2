"""The grid: every place of a region lies in one of the region's cells."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from swim_server.protocol.predicates import Box
from swim_server.streaming.index.grid import CELL_DEGREES, MAX_CELLS, cells_at, cells_of

latitudes = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, -30.0, 0.0, 30.0, 89.0, 90.0]))
longitudes = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, -120.0, 0.0, 60.0, 179.0, 180.0]))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    south, north = sorted((draw(latitudes), draw(latitudes)))
    return Box(north, south, draw(longitudes), draw(longitudes))


@given(boxes(), latitudes, longitudes)
@settings(max_examples=200, deadline=None)
def test_place_in_a_region_shares_a_cell_with_it(box: Box, latitude: float, longitude: float) -> None:
    if box.contains(latitude, longitude):
        assert cells_at([(latitude, longitude)]) & set(cells_of(box))


@given(boxes())
@settings(max_examples=100, deadline=None)
def test_region_stands_in_few_cells_each_once(box: Box) -> None:
    cells = cells_of(box)
    assert len(cells) == len(set(cells))
    assert 0 < len(cells) <= max(MAX_CELLS, 4 * 7)
    assert len({level for level, _, _ in cells}) == 1


def test_small_region_stands_in_small_cells() -> None:
    cells = cells_of(Box(north=41, south=40, east=-73, west=-74))
    assert {level for level, _, _ in cells} == {len(CELL_DEGREES) - 1}


def test_whole_earth_stands_in_the_coarsest() -> None:
    assert {level for level, _, _ in cells_of(Box(90, -90, 180, -180))} == {0}


def test_place_lies_in_one_cell_of_each_size() -> None:
    assert {level for level, _, _ in cells_at([(40.6, -73.8)])} == set(range(len(CELL_DEGREES)))
    assert len(cells_at([(40.6, -73.8)])) == len(CELL_DEGREES)


@pytest.mark.parametrize(
    "place", [(float("nan"), 0.0), (0.0, float("nan")), (float("inf"), 0.0), (91, 0), (0, 181), (10**400, 0)]
)
def test_what_is_no_place_on_earth_lies_nowhere(place: tuple[float, float]) -> None:
    assert not cells_at([place])
