"""Timestamps: RFC 3339 in, RFC 3339 with milliseconds and Z out."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from swim_server.protocol.timestamps import InvalidTimestamp, format_ms, parse_ms

FIRST_MS = -62_135_596_800_000
LAST_MS = 253_402_300_799_999


@given(st.integers(FIRST_MS, LAST_MS))
def test_every_moment_of_the_calendar_survives_writing_and_reading(milliseconds: int) -> None:
    text = format_ms(milliseconds)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert parse_ms(text) == milliseconds


@pytest.mark.parametrize("milliseconds", [FIRST_MS - 1, LAST_MS + 1, 10**30, -(10**30)])
def test_format_outside_the_calendar_overflows(milliseconds: int) -> None:
    with pytest.raises(OverflowError):
        format_ms(milliseconds)


@given(st.datetimes(timezones=st.timezones()))
def test_parse_agrees_with_datetime_for_every_time_zone(moment: datetime) -> None:
    text = moment.isoformat()
    try:
        expected = (moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // datetime.resolution // 1000
    except OverflowError:
        return
    if re.search(r"[+-]\d\d:\d\d$", text):
        assert parse_ms(text) == expected


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-01-16T14:30:15Z", "2026-01-16T14:30:15.000Z"),
        ("2026-01-16t14:30:15z", "2026-01-16T14:30:15.000Z"),
        ("2026-01-16 14:30:15", "2026-01-16T14:30:15.000Z"),
        (" 2026-01-16T14:30:15Z\n", "2026-01-16T14:30:15.000Z"),
        ("2026-01-16T14:30Z", "2026-01-16T14:30:00.000Z"),
        ("2026-01-16 14:30", "2026-01-16T14:30:00.000Z"),
        ("2026-01-16T14:30:15.1Z", "2026-01-16T14:30:15.100Z"),
        ("2026-01-16T14:30:15.1234567Z", "2026-01-16T14:30:15.123Z"),
        ("2026-01-16T14:30:15.999999Z", "2026-01-16T14:30:15.999Z"),
        ("2026-01-16T16:30:15+02:00", "2026-01-16T14:30:15.000Z"),
        ("2026-01-16T05:00:15-09:30", "2026-01-16T14:30:15.000Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_parse_reads_what_feeds_forms_and_databases_write(text: str, written: str) -> None:
    assert format_ms(parse_ms(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-16",
        "14:30:15",
        "2026-1-16T14:30:15Z",
        "2026-02-30T14:30:15Z",
        "2026-13-01T14:30:15Z",
        "2026-01-16T24:00:00Z",
        "2026-01-16T14:60:00Z",
        "2026-01-16T14:30:61Z",
        "2026-01-16T14:30.5Z",
        "2026-01-16T14:30:15.Z",
        "2026-01-16T14:30:15+24:00",
        "2026-01-16T14:30:15+0200",
        "2026-01-16T14:30:15 UTC",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-14:00",
        "２０２６-01-16T14:30:15Z",
        "9" * 100_000,
        None,
        1_768_573_815,
        pytest.param(10**5000, id="huge"),
        1.5,
        [],
    ],
)
def test_parse_anything_else_is_refused_with_a_short_text(text: object) -> None:
    with pytest.raises(InvalidTimestamp) as refusal:
        parse_ms(text)
    assert "not an RFC 3339 time" in str(refusal.value)
    assert len(str(refusal.value)) < 150


@given(st.text() | st.from_regex(r"[0-9T:.Z+-]{10,40}"))
def test_parse_any_text_gives_a_moment_that_can_be_written_or_the_refusal(text: str) -> None:
    try:
        milliseconds = parse_ms(text)
    except InvalidTimestamp:
        return
    format_ms(milliseconds)
