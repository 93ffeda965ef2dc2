from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from support.feed import Network, pilot, plan, snapshot
from support.world import world
from swim_server.detection.geodesy import destination, distance_nm
from swim_server.sources.airports import load_corrections
from swim_server.sources.simulator.world import AIRLINES, CENTRES, PRIVATE_AIRPORTS, TYPES, airport_codes


@pytest.mark.parametrize(
    ("filed", "code"),
    [
        ("EGLL", "EGLL"),
        ("ATL", "KATL"),
        ("39N", "K39N"),
        ("MYR", "KMYR"),
        ("LHR", "EGLL"),
        ("UTTT", "UZTT"),
        ("KPBI", "KDJT"),
        ("KDJT", "KDJT"),
    ],
)
def test_an_airfield_is_found_by_the_code_that_pilots_file(filed: str, code: str) -> None:
    field = world().get(filed)
    assert field is not None
    assert field.code == code


@pytest.mark.parametrize("filed", ["ZZZZ", "VHHX", "", "AFIL"])
def test_a_code_that_is_none_is_not_found(filed: str) -> None:
    assert world().get(filed) is None


def test_high_fields_are_high() -> None:
    heights = [field.elevation_ft for field in map(world().get, ("SKBO", "KDEN")) if field is not None]
    assert heights == [8361.0, 5433.8]


def test_the_invented_world_has_real_airports_only() -> None:
    codes = airport_codes()
    assert [code for code in codes if world().get(code) is None] == []
    assert len(codes) > 150


def test_the_invented_world_is_complete_in_itself() -> None:
    assert {kind for airline in AIRLINES for kind in airline.types.split()} <= set(TYPES)
    assert set(airport_codes()) >= PRIVATE_AIRPORTS
    assert all(-90 < latitude < 90 and -180 < longitude < 0 for latitude, longitude in CENTRES.values())


VATSPY = Path(__file__).parents[4] / "shared" / "data" / "vatspy" / "VATSpy.dat.gz"


def dms(degrees: int, minutes: float, seconds: float = 0) -> float:
    """Degrees as an aeronautical publication has them."""
    return degrees + minutes / 60 + seconds / 3600


PUBLISHED = {
    "EBBR": (dms(50, 54, 5), dms(4, 29, 4)),
    "ELLX": (dms(49, 37, 24), dms(6, 12, 16)),
    "ZPPP": (dms(25, 6, 7), dms(102, 55, 45)),
    "EBLG": (dms(50, 38, 11), dms(5, 26, 34)),
    "EBCI": (dms(50, 27, 36), dms(4, 27, 10)),
    "EBOS": (dms(51, 11, 56), dms(2, 51, 44)),
    "EHAM": (dms(52, 18, 29), dms(4, 45, 51)),
}
"""Aerodrome reference points; the last one was right all along."""


@pytest.mark.parametrize("code", PUBLISHED)
def test_a_field_lies_where_it_is_published(code: str) -> None:
    field = world().get(code)
    assert field is not None
    assert distance_nm(field.latitude, field.longitude, *PUBLISHED[code]) < 1


@pytest.mark.parametrize("code", PUBLISHED)
def test_an_approach_to_the_published_position_ends_in_an_arrival(code: str) -> None:
    """Eight snapshots a minute apart: down the approach, on the runway, at the gate."""
    network, field = Network(world()), world().get(code)
    assert field is not None
    ways = [(18, 6000, 220), (14, 4600, 190), (11, 3400, 170), (8, 2500, 150), (5.3, 1600, 140), (2.6, 800, 135)]
    for number, (away_nm, height_ft, kts) in enumerate([*ways, (0, 0, 15), (0, 0, 0)]):
        latitude, longitude = destination(*PUBLISHED[code], 70, away_nm)
        report = pilot(
            number * 60,
            latitude=latitude,
            longitude=longitude,
            altitude=field.elevation_ft + height_ft,
            groundspeed=kts,
            flight_plan=plan("EGLL", code),
        )
        network.take(snapshot(number * 60, [report]))
    (arrival,) = [event for event in network.events if event.type == "flight.arrived"]
    assert arrival.data["arr"] == code
    phases = [
        row["phase"] for event in network.events if event.type == "flight.positions" for row in event.data["positions"]
    ]
    assert phases[-2:] == ["LANDED", "ARRIVED"]


def test_a_correction_moves_a_field_that_is_known() -> None:
    corrections = load_corrections()
    assert len(corrections) >= 28
    for code, correction in corrections.items():
        field = world().get(code)
        assert field is not None
        assert (field.latitude, field.longitude) == (correction.latitude, correction.longitude)


@pytest.mark.skipif(not VATSPY.exists(), reason=f"no second table of airports in {VATSPY}")
def test_few_fields_still_stand_elsewhere_in_a_second_table() -> None:
    """More than 5 NM apart: 532 before the corrections. Nothing tells who is right about the others."""
    lines = gzip.decompress(VATSPY.read_bytes()).decode("utf-8", "replace").partition("[Airports]")[2]
    rows = [line.strip().split("|") for line in lines.partition("[FIRs]")[0].splitlines() if line.count("|") >= 6]
    shared = [(row, field) for row in rows if row[6] == "0" and (field := world().get(row[0])) and field.code == row[0]]
    apart = [
        row[0]
        for row, field in shared
        if distance_nm(field.latitude, field.longitude, float(row[2]), float(row[3])) > 5
    ]
    assert len(shared) > 12_000
    assert len(apart) < 510
    assert not set(apart) & set(PUBLISHED)
