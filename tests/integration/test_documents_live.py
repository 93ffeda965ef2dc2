"""What documents say, held against a running service: the README's first hour, the fields of status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemon import Daemon
from support.documents import code_in, document

ENDS = "until Ctrl-C"
LINE_SECONDS = 60


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A shell's environment: ``swimctl`` on its PATH, a home of its own, any free port."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "swimctl"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m swimctl "$@"\n', "utf-8")
    program.chmod(0o755)
    environ = Daemon(tmp_path / "home").environ | {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "SWIM_SERVER__PORT": "0",
    }
    yield environ
    subprocess.run([program, "stop"], env=environ, capture_output=True, timeout=LINE_SECONDS, check=False)


def test_lines_of_the_first_hour_do_what_they_say(environ: dict[str, str], tmp_path: Path) -> None:
    block = document("README.md").section("The first hour").partition("```bash\n")[2].partition("```")[0]
    lines = block.splitlines()
    assert lines[0].startswith(". .venv/bin/activate"), "what the shell of this test has done already"
    said = [type_into_a_shell(line, environ, tmp_path) for line in lines[1:]]
    serve, key, tail, status, restart, stop = said
    assert serve.startswith("serving at ws://")
    assert key.startswith("swim_dev_")
    assert "flight." in tail
    assert "simulator" in status
    assert restart.startswith("restarted (pid ")
    assert stop.startswith("stopped (pid ")


def type_into_a_shell(line: str, environ: dict[str, str], folder: Path) -> str:
    """Type a line, Ctrl-C where it says so, when something has come; return all that it says."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {line}"], env=environ, cwd=folder, text=True, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    first = ""
    if ENDS in line:
        first = process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=LINE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == (130 if ENDS in line else 0), f"{line}\n{first}{output}\n{errors}"
    return first + output + errors


def test_fields_of_status_are_those_that_operating_lists(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path / "home", sources=["simulator"]).start()
    try:
        status = daemon.status()
    finally:
        daemon.stop()
    rows = {field: row[1] for row in document("server/OPERATING.md").rows("Monitoring") for field in code_in(row[0])}
    assert rows.keys() == status.keys()
    assert set(status["history"]) <= set(code_in(rows["history"]))
    assert set(status["sources"][0]) == set(code_in(rows["sources"]))
    assert set(status["log"]) == set(code_in(rows["log"]))
    assert set(status["slow_consumers"]) == set(code_in(rows["slow_consumers"])) - {"4008"}
