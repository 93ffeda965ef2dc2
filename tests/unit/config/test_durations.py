"""Durations."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.config import InvalidDuration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5), ("30s", 30), ("15m", 900), ("24h", 86_400), ("7d", 604_800), ("1w", 604_800), ("1h30m", 5400),
        ("1.5h", 5400), ("45", 45), (45, 45), (0.25, 0.25), (" 10 m ", 600), ("0", 0), ("2H", 7200),
    ],
)  # fmt: skip
def test_duration_in_any_unit_is_seconds(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "x", "5 parsecs", "-3s", "3 s s", "m", "1e9s", "∞", "3ｓ", "9" * 30, "999999d", "1h-2m"]
)
def test_duration_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidDuration, match="like 30s, 15m, 24h or 7d"):
        parse_duration(text)


@given(st.text(max_size=20))
def test_duration_of_any_text_is_seconds_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidDuration):
        assert parse_duration(text) >= 0


@given(st.integers(0, 999), st.sampled_from(["ms", "s", "m", "h", "d"]), st.integers(0, 999))
def test_duration_of_two_units_is_their_sum(number: int, unit: str, seconds: int) -> None:
    assert parse_duration(f"{number}{unit}{seconds}s") == pytest.approx(parse_duration(f"{number}{unit}") + seconds)
