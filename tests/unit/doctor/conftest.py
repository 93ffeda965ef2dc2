"""A context whose facts are set by the test."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.fake_context import FakeContext


@pytest.fixture
def context(tmp_path: Path) -> FakeContext:
    return FakeContext(tmp_path)
