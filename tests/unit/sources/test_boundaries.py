"""The centre and FIR of a place."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest
from support.boundary_files import VATSPY, square, write
from swim_server.detection.regions import UNKNOWN, Region
from swim_server.sources import region_cells
from swim_server.sources.boundaries import Boundaries, BoundariesFile, load_boundaries, region_of
from swim_server.sources.boundary_file import InvalidBoundaries


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "boundaries.geojson"


@pytest.mark.parametrize(
    ("identifier", "region"),
    [
        ("KZNY", Region("ZNY", "KZNY")),
        ("KZNY-W", Region("ZNY", "KZNY")),
        ("KZAK", Region("ZAK", "KZAK")),
        ("PAZA-P", Region("ZAN", "PAZA")),
        ("TJZS", Region("ZSU", "TJZS")),
        ("CZQX", Region("CZQX", "CZQX")),
        ("egtt-sc", Region("EGTT", "EGTT")),
        ("ADR", Region("ADR", "ADR")),
        ("KAAA", Region("KAAA", "KAAA")),
    ],
)
def test_the_code_of_a_centre_and_of_its_fir(identifier: str, region: Region) -> None:
    assert region_of(identifier) == region


def test_a_place_outside_of_all_boundaries_is_unknown(path: Path) -> None:
    boundaries = load_boundaries(write(path, ("EGTT", [square(-5, 50, 2, 55)])))
    assert boundaries.locate(52, 0) == Region("EGTT", "EGTT")
    assert boundaries.locate(52, 10) is UNKNOWN


def test_a_place_in_several_is_in_the_smallest_and_in_no_ocean(path: Path) -> None:
    features = [("KZNY", [square(-80, 35, -70, 45)]), ("EGGX", [square(-75, 40, -74, 41)])]
    boundaries = load_boundaries(
        write(path, *features, ("KZBW", [square(-76, 39, -73, 42)]), oceanic=frozenset({"EGGX"}))
    )
    assert boundaries.locate(40.5, -74.5).artcc == "ZBW"


def test_a_sector_with_a_code_of_its_own_is_told_beside_the_fir_that_it_is_part_of(path: Path) -> None:
    features = [
        ("EGTT", [square(-5, 50, 2, 55)]),
        ("EGTL", [square(-1, 51, 1, 52)]),
        ("EGTT-N", [square(-5, 54, 2, 55)]),
    ]
    boundaries = load_boundaries(write(path, *features))
    assert boundaries.locate(51.5, 0) == Region("EGTT", "EGTT", "EGTL")
    assert boundaries.locate(54.5, 0) == Region("EGTT", "EGTT", "EGTT-N")
    assert boundaries.locate(53, 0) == Region("EGTT", "EGTT")


def test_a_boundary_that_no_fir_holds_is_taken_for_one(path: Path) -> None:
    """A file newer than the list of FIRs, or an ocean."""
    boundaries = load_boundaries(write(path, ("XXXX", [square(-5, 50, 2, 55)]), ("KZNY-W", [square(-80, 35, -70, 45)])))
    assert boundaries.locate(52, 0) == Region("XXXX", "XXXX")
    assert boundaries.locate(40, -75) == Region("ZNY", "KZNY", "KZNY-W")


PLACES = [
    (51.148, -0.19, "EGTT", "EGTL"),
    (53.354, -2.275, "EGTT", "EGTM"),
    (53.421, -6.27, "EISN", "EIDW"),
    (46.238, 6.109, "LSAS", "LSAG"),
    (47.458, 8.548, "LSAS", "LSAZ"),
    (39.552, 2.739, "LECB", "LECP"),
    (39.489, -0.482, "LECB", "LECL"),
    (35.689, 51.313, "OIIX", "TEH-T"),
    (37.936, 23.944, "LGGG", "LGMD"),
    (32.811, 35.043, "LLLL", "LLPT"),
]
"""Over Gatwick, Manchester, Dublin, Geneva, Zurich, Palma, Valencia, Tehran, Athens and Haifa."""


@pytest.mark.skipif(not VATSPY.exists(), reason=f"no boundaries in {VATSPY}")
def test_the_fir_over_a_place_is_the_fir() -> None:
    boundaries = load_boundaries(VATSPY)
    for latitude, longitude, fir, sector in PLACES:
        region = boundaries.locate(latitude, longitude)
        assert (region.fir, region.artcc) == (fir, fir)
        assert (region.sector or "")[:3] == sector[:3]


@pytest.mark.skipif(not VATSPY.exists(), reason=f"no boundaries in {VATSPY}")
def test_the_fir_of_an_airport_is_that_of_its_own_list_but_beside_a_border() -> None:
    """Of 17,756 airports 3,477 had another one before; 596 have, where one FIR controls a strip of its neighbour's."""
    boundaries = load_boundaries(VATSPY)
    text = gzip.decompress(VATSPY.with_name("VATSpy.dat.gz").read_bytes()).decode("utf-8", "replace")
    lines = text.partition("[Airports]")[2].partition("[FIRs]")[0].splitlines()
    rows = [
        row for row in (line.strip().split("|") for line in lines if line.count("|") >= 6) if row[6] == "0" and row[5]
    ]
    found = boundaries.locate_all([(float(row[2]), float(row[3])) for row in rows])
    wrong = sum(region.fir != row[5].partition("-")[0] for row, region in zip(rows, found, strict=True))
    assert len(rows) > 17_000
    assert wrong <= 620


@pytest.mark.parametrize("longitude", [180, -180, 179.5, -179.5])
def test_a_boundary_that_is_cut_at_the_antimeridian_holds_both_sides_and_the_line(path: Path, longitude: float) -> None:
    polygons = [square(175, -25, 180, -10), square(-180, -25, -175, -10)]
    assert load_boundaries(write(path, ("NFFJ", polygons))).locate(-20, longitude).fir == "NFFJ"


@pytest.mark.parametrize("longitude", [180, -180, 179.5, -179.5])
def test_a_boundary_that_crosses_the_antimeridian_uncut_holds_both_sides_and_the_line(
    path: Path, longitude: float
) -> None:
    ring = [[[175, -25], [-175, -25], [-175, -10], [175, -10], [175, -25]]]
    boundaries = load_boundaries(write(path, ("NFFJ", [ring])))
    assert boundaries.locate(-20, longitude).fir == "NFFJ"
    assert boundaries.locate(-20, 0) is UNKNOWN


def test_many_places_are_located_as_one_by_one(path: Path) -> None:
    boundaries = load_boundaries(write(path, ("EGTT", [square(-5, 50, 2, 55)]), ("EDGG", [square(5, 48, 10, 52)])))
    places = [(49.0 + step / 10, -6.0 + step / 5) for step in range(80)]
    assert boundaries.locate_all(places) == [boundaries.locate(*place) for place in places]
    around = boundaries.around(places)
    assert [around.locate(*place) for place in places] == boundaries.locate_all(places)
    assert around.locate(50.5, 6.0).fir == "EDGG"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not GeoJSON"),
        (b"<html>", "is not GeoJSON"),
        (b"{}", "is not GeoJSON"),
        (b'{"features": []}', "it holds no polygon"),
        (b'{"features": [{"properties": {"id": "X"}, "geometry": null}]}', "it holds no polygon"),
        (b'{"features": [{"properties": {"id": "X"}, "geometry": {"type": "Polygon", "coordinates": [["x"]]}}]}', "X"),
        (gzip.compress(b'{"features": []}' * 100, mtime=0)[:40], "damaged"),
    ],
    ids=["empty", "html", "no-features", "none", "null", "absurd", "cut"],
)
def test_a_file_that_holds_no_boundaries_is_told(path: Path, content: bytes, reason: str) -> None:
    path.write_bytes(content)
    with pytest.raises(InvalidBoundaries, match=reason):
        load_boundaries(path)


def test_without_a_file_regions_are_unknown_and_it_says_so(path: Path) -> None:
    for file in (BoundariesFile(None), BoundariesFile(path)):
        assert file.around([(50.0, 8.0)]).locate(50, 8) is UNKNOWN
        assert file.problem is not None
        assert file.problem.endswith("centre and FIR are null")


def test_without_shapely_regions_are_unknown_and_it_says_what_to_install(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shapely", None)
    file = BoundariesFile(write(path, ("EGTT", [square(-5, 50, 2, 55)])))
    assert file.locate(52, 0) is UNKNOWN
    assert "pip install 'swimctl[boundaries]'" in str(file.problem)


def test_who_stands_where_he_stood_is_not_looked_up_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[list[tuple[float, float]]] = []
    locate_all = Boundaries.locate_all

    def watched(self: Boundaries, places: Sequence[tuple[float, float]]) -> list[Region]:
        looked_up.append(list(places))
        return locate_all(self, places)

    monkeypatch.setattr(Boundaries, "locate_all", watched)
    file = BoundariesFile(write(path, ("EGTT", [square(-5, 50, 2, 55)])))
    for places in ([(52.0, 0.0), (52.0, 9.0)], [(52.0, 0.0), (52.5, 0.0)], [(52.0, 9.0)]):
        regions = file.around(places)
        assert [regions.locate(*place).fir for place in places] == ["EGTT" if y < 5 else None for _, y in places]
    assert looked_up == [[(52.0, 0.0), (52.0, 9.0)], [(52.5, 0.0)], [(52.0, 9.0)]]


def test_most_places_need_no_look_at_the_boundaries(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In cells that one region holds as a whole, seen before, and that no border runs through."""
    rows = ("EGTT", [square(-5, 50, 2, 55)]), ("EGTL", [square(0.4, 51.4, 0.9, 52.9)])
    boundaries = load_boundaries(write(path, *rows))
    looked_up: list[tuple[float, float]] = []
    locate_all = Boundaries.locate_all

    def watched(self: Boundaries, places: Sequence[tuple[float, float]]) -> list[Region]:
        looked_up.extend(places)
        return locate_all(self, places)

    inside, sector, border, edge, nowhere = (53.01, 0.01), (51.51, 0.51), (52.01, 0.41), (53.0, 0.01), (40.01, 0.01)
    monkeypatch.setattr(Boundaries, "locate_all", watched)
    found = boundaries.around([inside, sector, border, edge, nowhere])
    assert looked_up == [border, edge]
    assert found.locate(*inside) == Region("EGTT", "EGTT", None)
    assert found.locate(*sector) == found.locate(*border) == Region("EGTT", "EGTT", "EGTL")
    assert found.locate(*edge) == Region("EGTT", "EGTT", None)
    assert found.locate(*nowhere) is UNKNOWN


def test_cells_are_forgotten_when_there_are_too_many(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region_cells, "MAX_CELLS", 10)
    boundaries = load_boundaries(write(path, ("EGTT", [square(-5, 50, 2, 55)])))
    for step in range(200):
        place = (50.01 + step / 50, 0.01)
        expected = "EGTT" if place[0] < 55 else None
        assert boundaries.around([place]).locate(*place).fir == expected


@pytest.mark.skipif(not VATSPY.exists(), reason=f"no boundaries in {VATSPY}")
def test_regions_by_cells_are_those_by_the_boundaries_themselves() -> None:
    boundaries = load_boundaries(VATSPY)
    random = Random(15)
    places = [(round(random.uniform(-90, 90), 5), round(random.uniform(-180, 180), 5)) for _ in range(4_000)]
    places += [(random.randint(-320, 320) / 4, random.randint(-720, 720) / 4) for _ in range(400)]
    exact = dict(zip(places, boundaries.locate_all(places), strict=True))
    for _ in range(2):  # as new cells, and as known ones
        found = boundaries.around(places)
        assert {place: found.locate(*place) for place in places} == exact


@pytest.mark.skipif(not VATSPY.exists(), reason=f"no boundaries in {VATSPY}")
def test_the_world_as_vatspy_has_it() -> None:
    file = BoundariesFile(VATSPY)
    places = {
        (40.64, -73.78): "ZNY", (35.0, -60.0): "ZNY", (39.86, -104.67): "ZDV", (61.2, -150.0): "ZAN",
        (21.3, -157.9): "ZHN", (43.7, -79.6): "CZYZ", (51.47, -0.45): "EGTT", (50.03, 8.57): "EDGG",
        (-20.0, 180.0): "NFFJ", (-20.0, -180.0): "NFFJ", (30.0, -150.0): "ZAK",
    }  # fmt: skip
    regions = file.around(places)
    assert {place: regions.locate(*place).artcc for place in places} == places
    assert file.problem is None
