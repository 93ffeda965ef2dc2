"""Faults of database, keys, tiers, connections, stream and front: each is named, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.doctor_faults import Fault, copy_of_the_code, judge
from support.doctor_faults_service import service_faults


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that no fault changes."""
    return copy_of_the_code(tmp_path_factory.mktemp("code"))


@pytest.mark.parametrize("fault", service_faults(), ids=lambda fault: fault.name.replace(" ", "-").replace("'", ""))
def test_fault_fires_its_checks_and_no_others(fault: Fault, tmp_path: Path, code: Path) -> None:
    judge(fault, tmp_path, None if fault.name == "nothing comes out" else code)
