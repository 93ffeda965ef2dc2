"""A whole service in a temporary home: its own daemon on a free port, a key, and nothing left at the end."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from swimctl.client.connect import Gone
from swimctl.errors import CommandFailed

if TYPE_CHECKING:
    from swimctl.invocation import Invocation

START_SECONDS = 30.0
STOP_SECONDS = 8.0
LOOK_SECONDS = 0.03
LOG_LINES = 8
_PR_SET_PDEATHSIG = 1


class TemporaryService:
    """A daemon started by ``start``; ``end`` stops it and removes the home in any case."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="swim-demo-"))
        self.config_path = self.home / "swim.toml"
        self.environ = {name: value for name, value in environ.items() if not name.startswith("SWIM_")}
        self.environ |= {"SWIM_HOME": str(self.home)}
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, sources: Sequence[str], *, port: int = 0) -> Self:
        """Start the daemon and wait until clients can connect. Raises CommandFailed with the end of its log."""
        self.config_path.write_text("# The demo's own: nothing of this machine's configuration is used.\n", "utf-8")
        words = ["--config", str(self.config_path), "serve", "--port", str(port)]
        for source in sources:
            words += ["--source", source]
        with (self.home / "swim.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "swimctl", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environ,
                start_new_session=True,  # Ctrl-C reaches only us: we stop the daemon once the screen is restored
                preexec_fn=_end_with_parent,  # noqa: PLW1509  # no other thread runs yet
            )
        # Importing these takes a while, and so does starting the daemon: do both at once.
        import swim_server.keys.opening
        import swim_server.keys.store  # noqa: F401

        self.url = self._await_url()
        return self

    @property
    def invocation(self) -> Invocation:
        """The invocation with which commands use this service."""
        from swimctl.invocation import Invocation

        return Invocation(config_path=self.config_path, environ=self.environ)

    def create_key(self, tier: str, owner: str) -> str:
        """Create a key for it."""
        from swim_server.keys.audit import operating_user
        from swim_server.keys.format import Tier
        from swim_server.keys.new_key import NewKey

        from swimctl.key_access import open_store

        with open_store(self.invocation) as store:
            return store.create(NewKey(tier=Tier(tier), owner_name=owner), operating_user()).api_key

    def check_alive(self) -> None:
        """Raise Gone if the daemon has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise Gone(f"the service ended unexpectedly with exit code {self._process.returncode}", self._log_tail())

    def end(self) -> None:
        """Stop the daemon and remove its home. Idempotent; can't be interrupted."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._end_process()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)
            self._remove_control_socket()
            signal.signal(signal.SIGINT, before)

    def _remove_control_socket(self) -> None:
        """Remove the control socket that a killed daemon leaves behind; it may lie outside the home."""
        from swim_server.daemon.home import Home

        Home(self.home).remove_control_socket()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _end_process(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_url(self) -> str:
        from swim_server.daemon.home import Home
        from swim_server.daemon.lockfile import Lockfile

        lockfile = Lockfile(Home(self.home).lockfile)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            info = lockfile.read()
            if info is not None and info.url:
                return info.url
            self.check_alive()
            time.sleep(LOOK_SECONDS)
        raise CommandFailed(f"the service did not start within {START_SECONDS:g} s", self._log_tail())

    def _log_tail(self) -> str:
        try:
            lines = (self.home / "swim.log").read_text("utf-8", "replace").splitlines()
        except OSError as error:
            return f"and its log can't be read: {error.strerror}"
        return "\n".join(["the end of its log:", *lines[-LOG_LINES:]])


def _end_with_parent() -> None:
    """Ask the kernel, in the child, for a SIGTERM when the parent dies, even by SIGKILL."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == 1:
        os._exit(1)  # it died before we could ask
