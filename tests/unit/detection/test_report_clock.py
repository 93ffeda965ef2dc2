from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feed import NOON_MS
from swim_server.detection.report_clock import MAX_AHEAD_MS, MAX_BEHIND_MS, ReportClock
from swim_server.protocol.timestamps import format_ms


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2024-11-21T12:00:01.2345678Z", 1234),
        ("2024-11-21T12:00:01.234567Z", 1234),
        ("2024-11-21T12:00:01.5Z", 1500),
        ("2024-11-21T12:00:01Z", 1000),
        ("2024-11-21T12:00:01", 1000),
        ("2024-11-21T13:00:01.250+01:00", 1250),
        ("2024-11-21T11:59:58.9999999Z", -1001),
    ],
)
def test_reads_a_time_in_any_form_the_feed_has_sent(text: str, milliseconds: int) -> None:
    assert ReportClock(NOON_MS).read(text) == NOON_MS + milliseconds


@pytest.mark.parametrize(
    "text", [None, "", "yesterday", "2024-11-21T12:00:71.1234567Z", "2024-13-41T12:00:01.1234567Z", "9" * 500, "…" * 30]
)
def test_nonsense_becomes_the_snapshot_s_own_time(text: str | None) -> None:
    assert ReportClock(NOON_MS).read(text) == NOON_MS


@pytest.mark.parametrize(
    ("offset_ms", "is_believed"),
    [
        (MAX_AHEAD_MS, True),
        (MAX_AHEAD_MS + 1, False),
        (-MAX_BEHIND_MS, True),
        (-MAX_BEHIND_MS - 1, False),
        (10**11, False),
        (-(10**12), False),
    ],
)
def test_a_time_far_from_the_snapshot_is_not_believed(offset_ms: int, is_believed: bool) -> None:
    read = ReportClock(NOON_MS).read(format_ms(NOON_MS + offset_ms))
    assert read == NOON_MS + (offset_ms if is_believed else 0)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_raises(text: str) -> None:
    assert abs(ReportClock(NOON_MS).read(text) - NOON_MS) <= MAX_BEHIND_MS
