"""A context whose facts are set by the test."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_examination import FakeExamination


@pytest.fixture
def context(tmp_path: Path) -> FakeExamination:
    return FakeExamination(tmp_path)
