"""systemd's own tools: the unit folders, and calls of systemctl."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from swimctl.errors import CommandFailed
from swimctl.systemd.unit import Scope

SYSTEM_UNITS = Path("/etc/systemd/system")
ANSWER_SECONDS = 120.0


class Manager:
    """The system's service manager, or the user's."""

    def __init__(self, scope: Scope, environ: Mapping[str, str]) -> None:
        self.scope = scope
        self._environ = environ

    def unit_path(self, name: str) -> Path:
        """Return the path of the unit with this name."""
        if self.scope == "system":
            return SYSTEM_UNITS / f"{name}.service"
        configured = self._environ.get("XDG_CONFIG_HOME")
        folder = Path(configured) if configured else Path.home() / ".config"
        return folder / "systemd" / "user" / f"{name}.service"

    @property
    def command(self) -> list[str]:
        """Return the systemctl command for this manager."""
        return ["systemctl", *(["--user"] if self.scope == "user" else [])]

    def problem(self) -> str | None:
        """Return why systemd can't be used here; None: it can."""
        if shutil.which("systemctl", path=self._environ.get("PATH")) is None:
            return "there is no systemctl"
        done = self._run("show", "--property=Version")
        return None if done.returncode == 0 else _problem_in(done.stderr) or "systemctl does not answer"

    def call(self, *words: str) -> None:
        """Run systemctl. Raises CommandFailed with its message."""
        done = self._run(*words)
        if done.returncode != 0:
            told = _problem_in(done.stderr) or f"exit code {done.returncode}"
            raise CommandFailed(
                f"{' '.join([*self.command, *words])}: {told}", f"see: {' '.join(self.command)} status {words[-1]}"
            )

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                [*self.command, *words], env=dict(self._environ), capture_output=True, text=True, check=False,
                stdin=subprocess.DEVNULL, timeout=ANSWER_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"{' '.join([*self.command, *words])} does not finish") from None


def _problem_in(text: str) -> str:
    """Return the line that says what went wrong; systemctl also prints what it did before."""
    return next((line for line in text.splitlines() if line and not line.startswith(("Created ", "Removed "))), "")
