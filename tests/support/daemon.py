"""A real daemon for tests: its own process, home and port; ended by pid, whatever happens to the test."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from support.preloaded import run_command

ROOT = Path(__file__).parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 15.0
CALL_SECONDS = 60.0
WORKERS = "TEST_WORKERS"
"""Environment variable: how many worker processes every daemon has that is started for a test."""


def measuring() -> dict[str, str]:
    """Return the variables that enable coverage in a process with an otherwise empty environment."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}


class Daemon:
    """``start`` it, use its ``url``, ``home``, ``key`` and ``swimctl``; ``stop``, ``kill`` and ``start`` it again."""

    def __init__(
        self,
        home: Path,
        *,
        sources: Sequence[str] = (),
        config: str = "",
        environ: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.home = home
        self.sources = sources
        self.arguments = arguments
        """More words for ``serve``."""
        self.start_seconds = START_SECONDS
        """So long a start may take."""
        self.before: Sequence[str] = ()
        """A command that runs it, ``setpriv`` say."""
        self.process: subprocess.Popen[bytes] | None = None
        self._spawned: list[subprocess.Popen[str]] = []
        home.mkdir(parents=True, exist_ok=True)
        self.config_path = home / "swim.toml"
        """Nothing of this machine's own configuration is used."""
        self.config_path.write_text(config, "utf-8")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SWIM_", "_SWIM"))}
        self.environ = kept | {
            "SWIM_HOME": str(home),
            "SWIM_CONFIG": str(self.config_path),
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "server", ROOT / "sdk" / "python"))),
            "PYTHONWARNINGS": "",
            **({"SWIM_SERVER__WORKERS": workers} if (workers := os.environ.get(WORKERS)) is not None else {}),
            **(environ or {}),
        }

    @property
    def url(self) -> str:
        """The address for clients."""
        return str(self.status()["url"])

    @property
    def log(self) -> str:
        """Everything that it has logged."""
        path = self.home / "daemon.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self, *, port: int = 0) -> Daemon:
        """Start it as a foreground process; return once it answers."""
        words = ["serve", "--port", str(port), *self.arguments]
        for source in self.sources:
            words += ["--source", source]
        with (self.home / "daemon.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.before, sys.executable, "-m", "swimctl", *words], env=self.environ,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + self.start_seconds
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.log}")
            try:
                self.status()
            except NotAnswering:
                time.sleep(0.05)
            else:
                return self
        self.kill()
        raise AssertionError(f"the daemon did not start within {self.start_seconds:g} s:\n{self.log}")

    def status(self) -> dict[str, Any]:
        """Return its status document over the control socket. Raises NotAnswering."""
        document: dict[str, Any] = self.call("status")
        return document

    def call(self, method: str, params: Mapping[str, Any] | None = None) -> Any:
        """Call a method over the control socket, from this process. Raises NotAnswering if there is no daemon."""
        from swim_server.daemon.home import Home

        from swimctl.client.control import ControlClient, RpcFailed
        from swimctl.errors import CommandError

        try:
            with ControlClient.connect(Home(self.home), timeout=0.0) as control:
                return control.call(method, params, CALL_SECONDS)
        except RpcFailed:
            raise
        except CommandError as error:
            raise NotAnswering(str(error)) from None

    @property
    def connections(self) -> list[dict[str, Any]]:
        """Return the live connections, without the one that asks."""
        return [one for one in self.call("connections")["connections"] if one["channels"] or one["tier"] != "local"]

    def swimctl(
        self, *words: str, stdin: str | None = None, timeout: float = 60, check: bool = False, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as a script would: on no terminal, its output taken."""
        whole = self.environ | environ
        done = run_command(words, whole, ROOT, timeout) if stdin is None else None
        done = done or subprocess.run(
            [sys.executable, "-m", "swimctl", *words], env=whole, input=stdin, text=True,
            capture_output=True, timeout=timeout, check=False, cwd=ROOT,
            stdin=subprocess.DEVNULL if stdin is None else None,
        )  # fmt: skip
        if check and done.returncode != 0:
            raise AssertionError(f"swimctl {' '.join(words)}: exit {done.returncode}\n{done.stderr}\n{self.log}")
        return done

    def spawn(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        """Start a command that keeps running, with pipes; it is ended with the daemon at the latest."""
        process = subprocess.Popen(
            [sys.executable, "-m", "swimctl", *words], env=self.environ | environ, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        self._spawned.append(process)
        return process

    def end_spawned(self) -> None:
        """End the commands still running and close their pipes."""
        for process in self._spawned:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()
        self._spawned.clear()

    def key(self, tier: str = "developer", owner: str = "test", **more: str) -> str:
        """Create a key and return it."""
        return str(self.issue(tier, owner, **more)["api_key"])

    def issue(self, tier: str = "developer", owner: str = "test", **more: str) -> dict[str, Any]:
        """Create a key and return it with its details, as ``keys create --json`` prints them."""
        options = [word for name, value in more.items() for word in (f"--{name.replace('_', '-')}", value)]
        done = self.swimctl("keys", "create", "--tier", tier, "--owner", owner, "--json", *options, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def publish(self, type: str, **data: Any) -> str:
        """Publish one event; return its id."""
        return self.publish_many([{"type": type, "data": data}])[0]

    def publish_many(self, events: Sequence[Mapping[str, Any]]) -> list[str]:
        """Publish up to a thousand events; return their ids."""
        return [one["id"] for one in self.call("publish", {"events": list(events)})["published"]]

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Send SIGTERM and wait for the end; then SIGKILL. Return the exit code. Idempotent."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the daemon did not stop within {STOP_SECONDS:g} s:\n{self.log}") from None


class NotAnswering(Exception):
    """No daemon answers in that home."""


@contextmanager
def running_daemon(home: Path, **settings: Any) -> Iterator[Daemon]:
    """Run a daemon during a ``with``. Settings as for ``Daemon``."""
    daemon = Daemon(home, **settings)
    try:
        yield daemon.start()
    finally:
        end_all(daemon)


def end_all(daemon: Daemon) -> None:
    """End the process that was started, and any that took over from it with ``restart``."""
    daemon.end_spawned()
    try:
        successor = daemon.status()["pid"]
    except NotAnswering:
        successor = None
    daemon.stop()
    if successor is not None and (daemon.process is None or successor != daemon.process.pid):
        _kill_and_wait(successor)


def _kill_and_wait(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
