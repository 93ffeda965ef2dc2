"""Runs ``swimctl doctor`` for the operator's page, one at a time, as a separate program; keeps the last report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from swim_server.protocol.timestamps import format_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swim_server.concurrency.clock import Clock

LONGEST_SECONDS = 180.0
NICENESS = 10
MAX_ANSWER_BYTES = 4 * 1024 * 1024


class Finding(msgspec.Struct):
    """One check, as in ``doctor --json``."""

    id: str
    area: str = ""
    status: str = ""
    expected: str | None = None
    observed: str | None = None
    fix: str | None = None


class _Document(msgspec.Struct):
    ok: bool
    checks: list[Finding]


class DoctorReport(msgspec.Struct, kw_only=True):
    """The last run."""

    is_running: bool = False
    at: str | None = None
    """When it began; None: doctor has not been run from the page since the start."""
    ok: bool | None = None
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    """Checks that did not pass."""
    problem: str | None = None
    """Why there is no result."""


class DoctorRuns:
    """At most one run at a time; the service continues meanwhile."""

    def __init__(self, home: Path, config_files: Sequence[Path], *, clock: Clock) -> None:
        self._home = home
        self._config_files = config_files
        self._now_ms = clock.now_ms
        self.last = DoctorReport()

    async def run(self) -> DoctorReport:
        """Run doctor and keep its report. If a run is in progress, return that."""
        if self.last.is_running:
            return self.last
        began = format_ms(self._now_ms())
        self.last = msgspec.structs.replace(self.last, is_running=True)
        found = DoctorReport(problem="it was interrupted")
        try:
            found = await self._examine()
        finally:
            self.last = msgspec.structs.replace(found, at=began)
        return self.last

    async def _examine(self) -> DoctorReport:
        try:
            done = await run_doctor(self._home, self._config_files, ["--json"])
        except TimeoutError:
            return DoctorReport(problem=f"doctor was not done within {LONGEST_SECONDS:g} s")
        return read_report(done.output, done.errors)


class Done(NamedTuple):
    """What the program wrote."""

    code: int | None
    output: bytes
    errors: bytes


async def run_doctor(home: Path, config_files: Sequence[Path], options: Sequence[str]) -> Done:
    """Run ``swimctl doctor`` on the service of a home. Raises TimeoutError."""
    files = [path for path in config_files if path.name != "swim.local.toml"]
    config = ["--config", str(files[0])] if files else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "swimctl", *config, "doctor", *options), env={**os.environ, "SWIM_HOME": str(home)},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        start_new_session=True, limit=MAX_ANSWER_BYTES,
    )  # fmt: skip
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with the commands that it has started; its session is its own
            await process.wait()
    return Done(process.returncode, output, errors)


def read_report(answer: bytes, errors: bytes) -> DoctorReport:
    """Read doctor's output."""
    try:
        report = msgspec.json.decode(answer, type=_Document)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return DoctorReport(problem=f"doctor gave no verdict: {last_line(errors)}")
    counts: dict[str, int] = {}
    for check in report.checks:
        counts[check.status] = counts.get(check.status, 0) + 1
    findings = [check for check in report.checks if check.status not in ("ok", "skipped", "skip", "pass")]
    return DoctorReport(ok=report.ok, counts=counts, findings=findings)


def last_line(errors: bytes) -> str:
    """Return the last line that a program wrote to its standard error."""
    last = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or ["it said nothing"]
    return last[0][:300]
