"""A power cut costs nothing that was promised: images of a recorded run, cut off at any moment, and what they tell.

The run and its images are those of ``tests/load/power.py --short``.
"""

from __future__ import annotations

import pytest
from support.disk.judgement import FAULTS
from support.disk.short_run import Rows, found, short_run

SEED = 20260116
pytestmark = [
    pytest.mark.timeout(900),  # on a busy machine the run that all share takes minutes
    pytest.mark.unmeasured,
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return short_run("power", SEED, tmp_path_factory)


def test_full_loses_repeats_and_reorders_nothing_wherever_the_power_is_cut(rows: Rows) -> None:
    promised = ("lost_silently", "lost_but_told", "lost_by_provider", "repeated", "reordered", "reused", "set_aside")
    assert not found(rows, *promised, written="full")


def test_normal_repeats_and_reorders_nothing_and_always_starts(rows: Rows) -> None:
    promised = ("repeated", "reordered", "reused", "wrong_content", "never_published", "not_started", "stuck")
    assert not found(rows, *promised, written="normal")


def test_a_key_stays_as_the_command_left_it(rows: Rows) -> None:
    assert not found(rows, "key_good_again", "key_lost")


def test_a_cut_soon_after_a_restart_is_told_to_clients(rows: Rows) -> None:
    assert not found(rows, "lost_silently", written="normal", started="normal", aim="restart")


def test_a_cut_under_normal_is_told_when_full_is_started_then(rows: Rows) -> None:
    assert not found(rows, "lost_silently", written="normal", started="full")


def test_a_provider_s_file_goes_only_when_its_events_are_on_the_disk(rows: Rows) -> None:
    assert not found(rows, "lost_by_provider", written="normal")


def test_a_setting_stays_as_the_command_left_it(rows: Rows) -> None:
    assert not found(rows, "undone_setting")


def test_a_program_of_the_sdk_goes_on_where_it_ended(rows: Rows) -> None:
    assert not found(rows, "undone_place")


def test_what_may_be_lost_under_normal_is_told_by_a_gap_or_is_named_above(rows: Rows) -> None:
    """No fault beside those that have a test of their own."""
    named = {"lost_silently", "lost_by_provider", "key_good_again", "key_lost", "undone_setting", "undone_place"}
    assert not found(rows, *(fault for fault in FAULTS if fault not in named))
