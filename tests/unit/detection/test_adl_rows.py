"""Values as the drivers of different databases give them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.detection.adl_rows import (
    FLIGHT_FIELDS,
    FlightReader,
    read_code,
    read_flag,
    read_integer,
    read_moment,
    read_number,
    read_text,
)
from swim_server.detection.network_state import NO_PLAN

NOON = 1_732_190_400_000
SQL_SERVER = (
    *(17, "DAL5  ", True, datetime(2024, 11, 21, 12), datetime(2024, 11, 21, 12, 0, 15), "ZNY       "),
    *("KJFK", "KLAX", "H/B77W/L", "DCT"),
    *(Decimal("40.6413000"), Decimal("-73.7781000"), 35000, 450, -500, 360),
    *(datetime(2024, 11, 21, 12), None),
)


def test_a_row_of_sql_server() -> None:
    row = FlightReader().read(SQL_SERVER)
    assert row is not None
    assert (row.uid, row.callsign, row.is_active, row.artcc) == (17, "DAL5", True, "ZNY")
    assert (row.first_seen_ms, row.last_seen_ms, row.off_ms, row.in_ms) == (NOON, NOON + 15_000, NOON, None)
    assert row.fix is not None
    assert (row.fix.latitude, row.fix.longitude, row.fix.heading_deg) == (40.6413, -73.7781, 0)
    assert type(row.fix.latitude) is float


def test_a_row_without_anything_but_its_key() -> None:
    row = FlightReader().read((1, "N1", 1, *[None] * (len(FLIGHT_FIELDS) - 3)))
    assert row is not None
    assert (row.plan, row.fix, row.artcc) == (NO_PLAN, None, None)


@pytest.mark.parametrize(
    ("uid", "callsign"), [(None, "N1"), (1, None), (1, "   "), ("x", "N1"), (-1, "N1"), (2**53, "N")]
)
def test_a_row_without_number_or_callsign_is_none(uid: Any, callsign: Any) -> None:
    assert FlightReader().read((uid, callsign, 1, *[None] * (len(FLIGHT_FIELDS) - 3))) is None


def test_a_plan_that_has_not_changed_is_the_same_object() -> None:
    reader = FlightReader()
    first, second = reader.read(SQL_SERVER), reader.read(SQL_SERVER)
    assert first is not None
    assert second is not None
    assert first.plan is second.plan


@pytest.mark.parametrize(
    ("value", "number"),
    [(Decimal("1.50"), 1.5), ("40.6", 40.6), (7, 7.0), (None, None), ("x", None), (True, None), (float("nan"), None)],
)
def test_numbers(value: Any, number: float | None) -> None:
    assert read_number(value) == number


@pytest.mark.parametrize(
    ("value", "number"), [(5, 5), (Decimal("2.6"), 3), ("12", 12), (None, None), (2**70, None), (float("inf"), None)]
)
def test_integers(value: Any, number: int | None) -> None:
    assert read_integer(value) == number


@pytest.mark.parametrize(
    ("value", "flag"), [(1, True), (True, True), ("1", True), (0, False), (None, False), ("", False)]
)
def test_flags(value: Any, flag: bool) -> None:
    assert read_flag(value) is flag


@pytest.mark.parametrize(
    "value",
    [
        datetime(2024, 11, 21, 12),
        datetime(2024, 11, 21, 12, tzinfo=UTC),
        "2024-11-21 12:00:00",
        "2024-11-21T12:00:00.000Z",
    ],
)
def test_moments(value: Any) -> None:
    assert read_moment(value) == NOON


@pytest.mark.parametrize("value", [None, "", "soon", 5, b"x"])
def test_what_is_no_moment(value: Any) -> None:
    assert read_moment(value) is None


def test_codes_are_trimmed_and_numbers_are_none() -> None:
    assert read_code("kjfk \0") == "KJFK"
    assert read_code("    ") is None
    assert read_code(5) is None
    assert read_text("x" * 50, 16) == "x" * 16


@given(st.tuples(*[st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals()] * 18))
def test_no_row_raises(values: tuple[Any, ...]) -> None:
    FlightReader().read(values)
