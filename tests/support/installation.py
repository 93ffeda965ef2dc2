"""A home with the real command line and the real daemon, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.preloaded import run_command

ROOT = Path(__file__).parents[2]
RUN_SECONDS = 60.0


class Installation:
    """One ``SWIM_HOME``."""

    def __init__(self, home: Path, **environment: str) -> None:
        self.home = home
        paths = [str(ROOT), str(ROOT / "server"), str(ROOT / "sdk" / "python")]
        self.environment = os.environ | {"SWIM_HOME": str(home), "PYTHONPATH": os.pathsep.join(paths)} | environment

    def run(self, *words: str, given: str = "", code: int = 0) -> str:
        """Run ``swimctl`` and return its standard output."""
        done = None if given else run_command(words, self.environment, self.home.parent, RUN_SECONDS)
        done = done or subprocess.run(
            [sys.executable, "-m", "swimctl", *words],
            input=given,
            env=self.environment,
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def document(self, *words: str) -> Any:
        """Run ``swimctl … --json``."""
        return json.loads(self.run(*words, "--json"))

    def threads(self) -> int:
        """Return how many threads the running daemon has."""
        pid = self.document("status")["pid"]
        return len(list(Path(f"/proc/{pid}/task").iterdir()))

    @contextmanager
    def serving(self, *options: str) -> Iterator[str]:
        """Run a daemon on a free port; yield the address for clients."""
        source = f"file:{self.home.parent / 'events.json'}"
        self.run("serve", "--detach", "--port", "0", "--source", source, *options)
        try:
            yield str(self.document("status")["url"])
        finally:
            self.run("stop")
