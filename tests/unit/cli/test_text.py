"""Values as text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swimctl.text import cell, clean, clock, count, duration, plural, rate, short_timestamp, size, to_json


@given(st.text())
def test_clean_text_moves_no_cursor(text: str) -> None:
    assert clean(text).isprintable()
    assert len(clean(text)) == len(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"), ("", "-"), ([], "-"), (0, "0"), (True, "yes"), (False, "no"), (1.5, "1.5"), (2.0, "2"),
        (["a", 1], "a, 1"), ({"a": 1, "b": None}, "a=1, b=-"), ("a\nb", "a b"),
        (datetime(2026, 1, 16, 14, 30, 15, tzinfo=UTC), "2026-01-16T14:30:15Z"),
        (datetime(2026, 1, 16, 14, 30, 15), "2026-01-16T14:30:15Z"),  # naive means UTC
    ],
)  # fmt: skip
def test_cell_of_a_value(value: Any, text: str) -> None:
    assert cell(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"), (0, "0.0s"), (0.42, "0.4s"), (-3, "0.0s"), (12.7, "12s"), (60, "1m"), (200, "3m 20s"),
        (3600, "1h 0m"), (18_720, "5h 12m"), (273_600, "3d 4h"),
    ],
)  # fmt: skip
def test_duration_has_two_units_at_most(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_numbers_have_units_and_separators() -> None:
    assert [count(None), count(0), count(12_345)] == ["-", "0", "12,345"]
    assert [size(None), size(0), size(1023), size(1536), size(3 * 2**20), size(5000 * 2**30)] == [
        "-", "0 B", "1023 B", "1.5 KiB", "3.0 MiB", "5000.0 GiB",
    ]  # fmt: skip
    assert [rate(None), rate(0), rate(0.34), rate(12.4), rate(1234)] == ["-", "0/s", "0.3/s", "12/s", "1,234/s"]
    assert [plural(1, "event"), plural(2, "event"), plural(2, "entry", "entries")] == [
        "1 event", "2 events", "2 entries",
    ]  # fmt: skip


def test_short_timestamp_is_the_minute() -> None:
    assert short_timestamp("2026-01-16T14:30:15.123Z") == "2026-01-16 14:30"
    assert short_timestamp(None) == "-"
    assert short_timestamp("soon") == "soon"


@pytest.mark.parametrize(
    ("value", "shown"),
    [("2026-01-16T14:30:59.123Z", "14:30:59Z"), ("2026-01-16T14:30:59Z", "14:30:59Z"), ("soon", "soon"), (None, "-")],
)
def test_clock_is_the_time_of_day(value: object, shown: str) -> None:
    assert clock(value) == shown


def test_json_has_only_its_own_types() -> None:
    assert to_json({1: (datetime(2026, 1, 16, tzinfo=UTC), {"a"}), "b": [None, 1.5, object]}) == {
        "1": ["2026-01-16T00:00:00Z", ["a"]], "b": [None, 1.5, "<class 'object'>"],
    }  # fmt: skip
