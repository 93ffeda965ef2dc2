"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.virtual_clock import START

from swimctl.arguments.times import InvalidMoment, parse_moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90d", START + timedelta(days=90)),
        ("1h30m", START + timedelta(minutes=90)),
        ("500ms", START + timedelta(milliseconds=500)),
        (" 7D ", START + timedelta(days=7)),
        ("now", START),
        ("never", None),
        ("None", None),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2027-1-3", datetime(2027, 1, 3, tzinfo=UTC)),
        ("2027-01-31T12:00:00Z", datetime(2027, 1, 31, 12, tzinfo=UTC)),
        ("2027-01-31T12:00:00+02:00", datetime(2027, 1, 31, 10, tzinfo=UTC)),
        ("2027-01-31 12:00:00", datetime(2027, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_moment_is_read(text: str, expected: datetime | None) -> None:
    assert parse_moment(text, START) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "90", "90x", "-1d", "2027-02-30", "2027-13-01", "31.01.2027", "9" * 20 + "d"]
)
def test_other_text_is_told_with_examples(text: str) -> None:
    with pytest.raises(InvalidMoment, match="90d"):
        parse_moment(text, START)


@given(st.text())
def test_any_text_is_a_moment_or_told(text: str) -> None:
    try:
        moment = parse_moment(text, START)
    except InvalidMoment:
        return
    assert moment is None or moment.tzinfo is not None
