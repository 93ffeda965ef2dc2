"""The daemon as operators have it: a process of its own, a home of its own, port 0, a control socket."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import swim_client
import swim_server
from swim_server.config import DatabaseConfig
from swim_server.daemon.home import Home
from swim_server.daemon.lockfile import Lockfile, LockInfo
from swim_server.keys.audit import Actor
from swim_server.keys.format import Tier
from swim_server.keys.new_key import NewKey
from swim_server.keys.opening import open_database
from swim_server.keys.store import IssuedKey, KeyStore

import swimctl
from swimctl.session import Session

START_SECONDS = 30.0
STOP_SECONDS = 15.0
PACKAGES = (swimctl, swim_server, swim_client)


def source_folders() -> list[str]:
    """The folders that the packages under test are imported from."""
    return list(dict.fromkeys(str(Path(package.__path__[0]).parent.absolute()) for package in PACKAGES))


def await_true(condition: Callable[[], Any], *, seconds: float = 10.0, what: str = "it") -> Any:
    """Look again and again until something is true; return it. For things that happen in another process."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.01)


class Daemon:
    """One installation. ``start`` and ``stop`` as often as the test wants; ``close`` leaves no process behind."""

    def __init__(
        self,
        folder: Path,
        *,
        config: str = "",
        environ: Mapping[str, str] | None = None,
        code: Sequence[Path | str] | None = None,
    ) -> None:
        """``folder``: an empty one for this installation. ``config``: TOML. ``code``: other source folders to run."""
        self.folder = folder
        self.home = Home(folder / "home")
        self.config_path = folder / "swim.toml"
        self.config_path.write_text(config)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SWIM_", "_SWIM_"))}
        self.environ = {
            **inherited,
            "SWIM_HOME": str(self.home.path),
            "SWIM_CONFIG": str(self.config_path),
            "PYTHONPATH": os.pathsep.join(str(each) for each in code or source_folders()),
            "PYTHONDONTWRITEBYTECODE": "1",
            **(environ or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        """The process that was started last; after a restart another one serves."""
        self._store: KeyStore | None = None

    # Its life.

    def start(self, *arguments: str, port: int = 0) -> LockInfo:
        """Start it in the foreground and wait until clients can connect. Raises AssertionError with its output."""
        process = self.spawn(*arguments, port=port)
        info = await_true(
            lambda: process.poll() is not None or self._info_of(process.pid), seconds=START_SECONDS, what="serving"
        )
        if process.poll() is not None:
            raise AssertionError(f"the daemon ended with {process.returncode}:\n{self.output()}")
        assert isinstance(info, LockInfo)
        return info

    def spawn(self, *arguments: str, port: int = 0) -> subprocess.Popen[bytes]:
        """Start it and wait for nothing."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "output.log").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "swimctl", "serve", "--port", str(port), *arguments],
                env=self.environ,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        return self.process

    def _info_of(self, pid: int) -> LockInfo | None:
        info = self.lockfile.read()
        return info if info is not None and info.pid == pid and info.url is not None else None

    def run(self, *arguments: str, timeout: float = 60, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a ``swimctl`` command against this installation."""
        return subprocess.run(
            [sys.executable, "-m", "swimctl", *arguments],
            env=self.environ,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **options,
        )

    def stop(self) -> int:
        """Stop it gracefully; return its exit code."""
        self.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """``kill -9`` whoever serves."""
        self.send_signal(signal.SIGKILL)
        await_true(lambda: not self.is_serving, what="the end of a killed process")
        self._reap()

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process that the lockfile names."""
        info = self.lockfile.read()
        assert info is not None, "nobody serves"
        os.kill(info.pid, number)

    def wait(self) -> int:
        """Wait until the process that was started ends by itself; return its exit code."""
        assert self.process is not None
        return self.process.wait(STOP_SECONDS)

    def close(self) -> None:
        """End whatever still runs."""
        for _ in range(5):
            info = self.lockfile.read() if self.is_serving else None
            if info is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(info.pid, signal.SIGKILL)
            time.sleep(0.01)
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
        self._reap()
        if self._store is not None:
            self._store.close()

    def _reap(self) -> None:
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)

    # What it says of itself.

    @property
    def lockfile(self) -> Lockfile:
        return Lockfile(self.home.lockfile)

    @property
    def is_serving(self) -> bool:
        return self.lockfile.is_held()

    @property
    def info(self) -> LockInfo:
        info = self.lockfile.read()
        assert info is not None and info.url is not None, "nobody serves"
        return info

    @property
    def url(self) -> str:
        url = self.info.url
        assert url is not None
        return url

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])

    def output(self) -> str:
        """Everything it has written, from its first start on: to its terminal, then to the home's log."""
        paths = [self.folder / "output.log", self.home.log]
        return "".join(path.read_text(errors="replace") for path in paths if path.exists())

    @contextmanager
    def control(self) -> Iterator[Session]:
        """A conversation over the control socket."""
        with Session.open_unix(self.home.control_socket) as session:
            yield session

    def call(self, method: str, timeout: float = 30, /, **params: Any) -> Any:
        """Ask it over its control socket. Raises RpcFailed, SessionLost."""
        with self.control() as session:
            return session.call(method, params, timeout)

    def publish(self, *events: tuple[str, Mapping[str, Any]]) -> list[str]:
        """Put events in; return their ids."""
        rows = [{"type": type, "data": data} for type, data in events]
        return [one["id"] for one in self.call("publish", events=rows)["published"]]

    def connections(self) -> dict[str, int]:
        """How many clients are counted, by tier."""
        by_tier = self.call("status")["connections"]["by_tier"]
        return {tier: counts["current"] for tier, counts in by_tier.items()}

    # Its keys.

    @property
    def store(self) -> KeyStore:
        """The keys of this installation, as ``swimctl keys`` sees them."""
        if self._store is None:
            self.home.prepare()
            self._store = KeyStore(
                open_database(DatabaseConfig(), self.home.database),
                clock=lambda: datetime.now(UTC),
                randbytes=secrets.token_bytes,
            )
        return self._store

    def issue(self, tier: str = "developer", **fields: Any) -> IssuedKey:
        """Make a key."""
        return self.store.create(NewKey(tier=Tier(tier), owner_name="a test", **fields), Actor("test", "test"))

    def key(self, tier: str = "developer", **fields: Any) -> str:
        """Make a key; return what a client presents."""
        return self.issue(tier, **fields).api_key


@contextmanager
def running_daemon(folder: Path, *arguments: str, **settings: Any) -> Iterator[Daemon]:
    """A daemon that serves, until the block ends."""
    daemon = Daemon(folder, **settings)
    try:
        daemon.start(*arguments)
        yield daemon
    finally:
        daemon.close()
