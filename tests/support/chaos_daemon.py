"""The daemon under test as an operator sees it: a process, a home, signals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from swim_server.daemon.home import Home
from swim_server.daemon.lockfile import Lockfile

START_SECONDS = 180.0
"""Of a start on a machine that is busy with other work; what a start may cost is asserted in CPU seconds elsewhere."""
COMMAND_SECONDS = 600.0
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


class ChaosDaemon:
    """Starts, kills, freezes and restarts one daemon; its port stays the same so that clients find it again."""

    def __init__(self, home: Path, event_file: Path, *, with_clock: bool) -> None:
        self.home = Home(home)
        self.event_file = event_file
        self.clock_file = home.parent / "clock"
        self.clock_file.write_text("+0")
        self.port = _free_port()
        self.url = f"ws://127.0.0.1:{self.port}/api/swim/v1/ws"
        self.environ = {**os.environ, "SWIM_HOME": str(home)}
        self._daemon_environ = dict(self.environ)
        if with_clock:
            self._daemon_environ |= {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self.clock_file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        self._children: list[subprocess.Popen[bytes]] = []
        self._log = (home.parent / "daemon.log").open("ab")

    @property
    def lockfile(self) -> Lockfile:
        return Lockfile(self.home.lockfile)

    @property
    def pid(self) -> int | None:
        info = self.lockfile.read()
        return info.pid if info is not None else None

    def is_running(self) -> bool:
        """Whether a process holds the lock."""
        return self.lockfile.is_held()

    def start(self) -> None:
        """Start it as ``swimctl serve`` does and wait until it serves."""
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "swimctl", "serve", "--port", str(self.port)),
                *("--source", f"file:{self.event_file}"),
            ],
            env=self._daemon_environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        self._children.append(child)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            info = self.lockfile.read()
            if info is not None and info.pid == child.pid and info.url is not None:
                return
            if child.poll() is not None:
                raise RuntimeError(f"the daemon ended with {child.returncode} at start:\n{self.log_tail()}")
            time.sleep(0.01)
        raise RuntimeError(f"the daemon does not come up within {START_SECONDS:g} s: {self._described(child.pid)}")

    def _described(self, pid: int) -> str:
        """Describe a process: whether it works or waits, and what it has logged."""
        import psutil

        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            used = sum(process.cpu_times()[:2])
            return f"pid {pid} is {process.status()}, has used {used:.1f} s of CPU; its log:\n{self.log_tail()}"
        return f"pid {pid} is gone; its log:\n{self.log_tail()}"

    def log_tail(self) -> str:
        """Return the last lines that the daemon logged."""
        return "\n".join((self.home.path.parent / "daemon.log").read_text(errors="replace").splitlines()[-15:])

    def ensure(self) -> bool:
        """Start it if nobody holds the lock; return True if it had to be started."""
        for _ in range(20):
            if self.is_running():
                return False
            time.sleep(0.005)
        self.start()
        return True

    def signal(self, number: signal.Signals) -> None:
        """Signal the process that the lockfile names."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        self._reap()

    def kill(self) -> None:
        """``kill -9`` every process that serves this home."""
        deadline = time.monotonic() + 10
        while self.is_running() and time.monotonic() < deadline:
            for pid in self._serving_pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.002)
            self._reap()

    def _serving_pids(self) -> list[int]:
        import psutil

        found = []
        for process in psutil.process_iter(["pid", "cmdline"]):
            words = process.info["cmdline"] or []
            if str(self.port) in words and "serve" in words:
                found.append(process.info["pid"])
        return found

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]

    def swimctl(self, *words: str, timeout: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command against this home."""
        return subprocess.run(
            [sys.executable, "-m", "swimctl", *words],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def create_key(self, tier: str) -> str:
        """Create a key and return it."""
        answer = self.swimctl("keys", "create", "--tier", tier, "--owner", "chaos", "--json")
        document: dict[str, Any] = json.loads(answer.stdout)
        return str(document["api_key"])

    def close(self) -> None:
        """End all of its processes."""
        self.kill()
        for child in self._children:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            child.wait()
        self._log.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
