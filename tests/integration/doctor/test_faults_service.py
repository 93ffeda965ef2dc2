"""Faults of database, keys, tiers, connections, stream and front: each is named, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.daemon import ROOT
from support.doctor_faults import Fault, judge
from support.doctor_faults_service import FAULTS, DiagnosedDaemon

pytestmark = pytest.mark.unmeasured


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-").replace("'", ""))
def test_fault_fires_its_checks_and_no_others(fault: Fault, tmp_path: Path) -> None:
    judge(fault, tmp_path, None if fault.has_own_code else ROOT, kind=DiagnosedDaemon)
