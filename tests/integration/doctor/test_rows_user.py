"""A home that belongs to root while its daemon runs as a user of its own: judged as that user, whoever asks."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.doctor_faults import Patient, copy_of_the_code
from support.packages import missing

NOBODY = "nobody"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a daemon as another user"),
    pytest.mark.unmeasured,  # nobody may not write the files of coverage
]


@pytest.fixture
def daemon() -> Iterator[Patient]:
    """Run a daemon as nobody, in a folder that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="swim-user-"))
    reads = "+dac_read_search"  # Python may lie where only root may look
    as_nobody = ("setpriv", f"--reuid={NOBODY}", "--clear-groups", f"--inh-caps={reads}", f"--ambient-caps={reads}")
    try:
        folder.chmod(0o755)
        patient = Patient(folder, copy_of_the_code(folder / "code"))
        patient.before = as_nobody
        if subprocess.run([*as_nobody, "true"], check=False, capture_output=True).returncode:
            missing("setpriv (util-linux) can't run a program as another user here")
        shutil.chown(patient.home, NOBODY)
        shutil.chown(patient.config_path, NOBODY)
        try:
            patient.start(port=0)
            yield patient
        finally:
            patient.finish()
    finally:
        shutil.rmtree(folder)


def told(daemon: Patient, *before: str) -> dict[str, dict[str, Any]]:
    """What doctor says that isn't well, asked by root or through a command by another user."""
    words = ["doctor", "--json", "--timeout", "30", "--only", "host,config,process,database"]
    done = subprocess.run(
        [*before, str(daemon.folder / "bin" / "swimctl"), *words], env=daemon.environ, cwd="/", check=False,
        capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stdout + done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert not [each for each in checks if "the check itself failed" in each["observed"]]
    return {each["id"]: each for each in checks if each["status"] not in ("ok", "skip")}


def test_home_of_root_is_given_back_to_the_user_that_the_daemon_runs_as(daemon: Patient) -> None:
    nobody = pwd.getpwnam(NOBODY).pw_uid
    for path in (daemon.home, *daemon.home.iterdir()):
        shutil.chown(path, "root")
    daemon.home.chmod(0o755)
    found = told(daemon)
    first = found["host.ownership"]
    assert (first["status"], first["cause"]) == ("fail", None)
    assert "belongs to root" in first["observed"]
    assert first["fix"] == f"chown -R {NOBODY}: {daemon.home}"
    assert "host.ownership" in told(daemon, *daemon.before), "to the user itself, too"
    daemon.paste(first["fix"])
    assert daemon.home.stat().st_uid == nobody
    assert not {"host.ownership", "process.user", "host.folders"} & told(daemon).keys()
