"""What tests stand on: code that coverage leaves out, commands that are run in forks."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from support.preloaded import run_command
from support.unmeasured import unmeasured

MEASURING = "COVERAGE_PROCESS_CONFIG"


@pytest.mark.unmeasured
def test_marked_test_and_its_processes_are_not_measured() -> None:
    assert sys.gettrace() is None
    assert threading.gettrace() is None
    assert MEASURING not in os.environ


def test_measuring_goes_on_behind_what_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEASURING, os.environ.get(MEASURING, "asked for"))
    before = sys.gettrace(), threading.gettrace(), os.environ[MEASURING]
    with pytest.raises(KeyError), unmeasured():
        assert (sys.gettrace(), MEASURING in os.environ) == (None, False)
        raise KeyError
    assert (sys.gettrace(), threading.gettrace(), os.environ[MEASURING]) == before


@pytest.mark.parametrize(
    "changed", [{"LD_PRELOAD": "x.so"}, {"LC_ALL": "C"}, {"PYTHONUTF8": "0"}, {"TZ": "Asia/Tokyo"}]
)
def test_command_is_not_forked_where_a_new_process_would_begin_otherwise(
    changed: dict[str, str], tmp_path: Path
) -> None:
    assert run_command(["--version"], os.environ | changed, tmp_path, 10) is None
