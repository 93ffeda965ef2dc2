"""Faults that nobody had foreseen: each is reported at its root, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.doctor_faults import Fault, judge
from support.doctor_faults_cases import FAULTS


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_fault_fires_its_checks_and_no_others(fault: Fault, tmp_path: Path) -> None:
    judge(fault, tmp_path)
