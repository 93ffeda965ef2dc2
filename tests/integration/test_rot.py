"""A bit that rots at rest is noticed: nobody is given wrong content, and what is gone is told.

The flips are those of ``tests/load/rot.py --short``.
"""

from __future__ import annotations

import pytest
from support.disk.judgement import FAULTS
from support.disk.rot_base import DROPPED_LINES, EVENTS
from support.disk.short_run import Rows, found, short_run

SEED = 20260116
pytestmark = [
    pytest.mark.timeout(900),  # on a busy machine the run that all share takes minutes
    pytest.mark.unmeasured,
]
LIES = tuple(fault for fault in FAULTS if fault != "key_lost")
MOST_LOST_WITH_A_PAGE = (EVENTS + DROPPED_LINES) // 20


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return short_run("rot", SEED, tmp_path_factory)


@pytest.mark.parametrize("aim", ["mark", "history log", "recording", "resume file", "keys"])
def test_rot_of_a_file_with_checksums_is_silent_nowhere(rows: Rows, aim: str) -> None:
    assert not found(rows, *LIES, aim=aim)


@pytest.mark.parametrize("aim", ["other text in an event", "no text in an event", "event"])
def test_a_rotten_event_is_given_to_nobody(rows: Rows, aim: str) -> None:
    assert not found(rows, *LIES, aim=aim)


def test_a_bad_page_costs_no_more_than_its_own_events(rows: Rows) -> None:
    (row,) = (row for row in rows if row["aim"] == "a page of events")
    assert not found(rows, *LIES, aim="a page of events")
    assert row.get("lost_but_told", 0) <= MOST_LOST_WITH_A_PAGE


@pytest.mark.long
def test_events_that_a_large_history_hides_are_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert not found(short_run("rot", SEED, tmp_path_factory, "--large"), *LIES, aim="large history")


def test_an_event_is_not_published_again_though_its_name_rots(rows: Rows) -> None:
    assert not found(rows, *LIES, aim="another name in the index")


@pytest.mark.parametrize("aim", ["history of another installation", "older history"])
def test_history_that_is_not_this_installation_s_newest_is_told(rows: Rows, aim: str) -> None:
    assert not found(rows, "lost_silently", aim=aim)


def test_a_revoked_key_stays_revoked_though_its_row_rots(rows: Rows) -> None:
    assert not found(rows, "key_good_again", aim="a revoked key is good")


def test_a_dropped_file_is_published_once_though_its_state_rots(rows: Rows) -> None:
    assert not found(rows, *LIES, aim="another place in the drop state")


def test_a_program_of_the_sdk_does_not_go_on_elsewhere(rows: Rows) -> None:
    assert not found(rows, "resumed_elsewhere", aim="another id in the resume file")


@pytest.mark.long
def test_files_that_are_cut_off_zeroed_gone_or_older_lie_to_nobody(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert not found(short_run("rot", SEED, tmp_path_factory, "--damages"), *LIES)
