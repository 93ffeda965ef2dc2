"""A disk that errs costs time and never an event.

The scenarios are those of ``tests/load/disk_faults.py --short``.
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
COSTS = (*FAULTS, "lost_but_told", "set_aside")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return short_run("disk_faults", SEED, tmp_path_factory)


@pytest.mark.parametrize(
    "scenario",
    [
        "history: a quarter of writes fail",
        "history: syncs fail, full",
        "drop state: writes fail",
    ],
)
def test_a_disk_that_errs_for_a_while_loses_and_repeats_nothing(rows: Rows, scenario: str) -> None:
    assert not found(rows, *COSTS, scenario=scenario)


def test_reads_that_fail_while_it_runs_cost_nothing(rows: Rows) -> None:
    assert not found(rows, *COSTS, scenario="history: a quarter of reads fail")


def test_a_read_that_fails_at_the_start_sets_no_history_aside(rows: Rows) -> None:
    assert not found(rows, *COSTS, scenario="history: a quarter of reads fail at the start")


def test_who_resumes_after_a_start_without_space_is_given_everything(rows: Rows) -> None:
    assert not found(rows, *COSTS, scenario="history: no space at the start")


def test_a_checkpoint_that_failed_is_told(rows: Rows) -> None:
    assert not found(rows, "untold", scenario="history: a failed checkpoint")


def test_a_checkpoint_that_failed_is_tried_again(rows: Rows) -> None:
    assert not found(rows, "not_tried_again", scenario="history: a failed checkpoint")
