"""The short run of a disk harness, done once for all tests of a module, in whichever process they run."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.disk.preload import find_compiler
from support.packages import missing, require_program

LOAD = Path(__file__).parents[2] / "load"
SECONDS = 840.0
Rows = list[dict[str, Any]]


def short_run(harness: str, seed: int, factory: pytest.TempPathFactory, how: str = "--short") -> Rows:
    """Run ``tests/load/HARNESS.py --short`` unless another process of this test run has; return its rows."""
    if not sys.platform.startswith("linux"):
        missing("the disk harnesses need Linux")
    if find_compiler() is None:
        require_program("gcc", "gcc")
    folder = factory.getbasetemp()
    if folder.name.startswith("popen-"):
        folder = folder.parent  # that of all workers of pytest-xdist
    report = folder / f"{harness}{how}.json"
    with (folder / f"{harness}{how}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not report.exists():
            words = [sys.executable, str(LOAD / f"{harness}.py"), how, "--json", "--seed", str(seed)]
            done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
            assert done.stdout.strip() and done.returncode in (0, 1), done.stderr[-3000:]
            report.write_text(done.stdout.splitlines()[-1], "utf-8")
    document = json.loads(report.read_text("utf-8"))
    print(f"{harness}.py {how} --seed {seed}: {document['seconds']} s")
    rows: Rows = document["rows"]
    return rows


def found(rows: Rows, *faults: str, **group: str) -> dict[str, Any]:
    """Sum up the faults in the rows of a group; there must be such rows. ``examples`` names them."""
    chosen = [row for row in rows if all(row[name] == value for name, value in group.items())]
    if not chosen:
        raise LookupError(f"no row of {group}")
    sums: dict[str, Any] = {fault: sum(row.get(fault, 0) for row in chosen) for fault in faults}
    told = {fault: number for fault, number in sums.items() if number}
    examples = [example for row in chosen for example in row["examples"]]
    return {**told, "examples": examples} if told else {}
