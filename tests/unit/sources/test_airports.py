from __future__ import annotations

import pytest
from support.world import world
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
