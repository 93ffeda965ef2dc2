"""Boundaries as a map draws them."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.boundary_files import VATSPY, square, write
from swim_server.sources.boundary_file import BoundaryCollection, InvalidBoundaries, read_boundaries
from swim_server.sources.boundary_lines import BoundaryLines, LinesFile, build_lines


def lines(path: Path, *features: tuple[str, Any]) -> BoundaryLines:
    return build_lines(read_boundaries(write(path, *features)))


def points(line: list[int]) -> list[tuple[int, int]]:
    """Undo the steps."""
    x, y, found = 0, 0, []
    for dx, dy in zip(line[::2], line[1::2], strict=True):
        x, y = x + dx, y + dy
        found.append((x, y))
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "boundaries.geojson"


def test_line_between_two_firs_is_drawn_once(path: Path) -> None:
    found = lines(path, ("EGTT", [square(0, 50, 2, 52)]), ("EHAA", [square(2, 50, 4, 52)]))
    edges = [frozenset(pair) for line in found.firs for pair in zip(points(line), points(line)[1:], strict=False)]
    assert len(edges) == len(set(edges)) == 7
    assert frozenset({(200, 5000), (200, 5200)}) in edges


def test_sector_adds_what_its_fir_has_not_drawn(path: Path) -> None:
    found = lines(path, ("EGTT", [square(0, 50, 2, 52)]), ("EGTT-S", [square(0, 50, 2, 51)]))
    assert [points(line) for line in found.firs] == [[(0, 5000), (200, 5000), (200, 5200), (0, 5200), (0, 5000)]]
    assert (200, 5100) in {point for line in found.sectors for point in points(line)}


def test_points_on_the_way_straight_on_and_within_a_step_of_the_grid_are_left_out(path: Path) -> None:
    ring = [[0, 50], [0.5, 50], [1, 50], [1, 50.001], [1, 51], [0, 51], [0, 50]]
    found = lines(path, ("EGTT", [[ring]]))
    assert [points(line) for line in found.firs] == [[(0, 5000), (100, 5000), (100, 5100), (0, 5100), (0, 5000)]]


def test_area_across_the_antimeridian_goes_on_beyond_it(path: Path) -> None:
    ring = [[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]
    found = lines(path, ("NZZO", [[ring]]))
    assert max(x for x, _ in points(found.firs[0])) == 18_100


def test_names_are_of_firs_where_the_file_puts_them() -> None:
    feature = {
        "properties": {"id": "EGTT", "label_lat": "51.5", "label_lon": "-1.25"},
        "geometry": {"type": "Polygon", "coordinates": square(0, 50, 2, 52)},
    }
    sector = {**feature, "properties": {"id": "EGTT-S", "label_lat": "50", "label_lon": "1"}}
    odd = {**feature, "properties": {"id": "EHAA", "label_lat": "north", "label_lon": "1"}}
    found = build_lines(msgspec.convert({"features": [feature, sector, odd]}, BoundaryCollection))
    assert [(each.name, each.latitude, each.longitude) for each in found.labels] == [("EGTT", 51.5, -1.25)]


def test_file_without_a_usable_boundary_is_refused(path: Path) -> None:
    with pytest.raises(InvalidBoundaries, match="no polygon"):
        lines(path)
    with pytest.raises(InvalidBoundaries, match="EGTT"):
        lines(path, ("EGTT", [[[["west", 50]]]]))


def test_document_follows_the_file_and_says_that_it_can_not_be_used(path: Path) -> None:
    file = LinesFile()
    assert json.loads(gzip.decompress(file.load(None).compressed))["problem"] is None
    broken = file.load(path)
    assert "can't be used" in json.loads(gzip.decompress(broken.compressed))["problem"]
    assert str(path) not in gzip.decompress(broken.compressed).decode()
    write(path, ("EGTT", [square(0, 50, 2, 52)]))
    good = file.load(path)
    assert json.loads(gzip.decompress(good.compressed))["firs"]
    assert file.load(path) is good
    assert good.tag != broken.tag
    os.utime(path, ns=(1, 1))
    assert file.load(path).tag == good.tag


def test_boundaries_of_the_whole_world_are_a_small_document() -> None:
    if not VATSPY.exists():
        pytest.skip("the boundaries of the VATSpy project are not there")
    found = LinesFile().load(VATSPY)
    assert len(found.compressed) < 70_000
    assert len(json.loads(gzip.decompress(found.compressed))["labels"]) > 300
