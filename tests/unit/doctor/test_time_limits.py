"""A busy machine gets more time."""

from __future__ import annotations

from pathlib import Path

import pytest

from swimctl.doctor.context import load_factor


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.10 0.2 0.3 1/300 77\n", 1.0),
        ("2.00 0.2 0.3 1/300 77\n", 1.0),
        ("5.00 0.2 0.3 1/300 77\n", 2.5),
        ("0.10 0.2 0.3 6/300 77\n", 3.0),
        ("900 0.2 0.3 1/300 77\n", 6.0),
        ("", 1.0),
        ("x y z", 1.0),
        ("nan nan nan 1/2 3", 1.0),
    ],
)
def test_limits_are_stretched_by_what_wants_to_run(tmp_path: Path, text: str, expected: float) -> None:
    path = tmp_path / "loadavg"
    path.write_text(text)
    assert load_factor(path, cores=2) == expected


def test_kernel_that_tells_nothing_stretches_nothing(tmp_path: Path) -> None:
    assert load_factor(tmp_path / "none") == 1.0
