"""The whole daemon, started in 0.06 s: ``swimctl serve`` in a fork of a process that has imported everything.

Real but for its imports, the digests of its source files and the look at the machine's other processes, which are
made once for all: command line, configuration, lock, files, sockets and signals are those of any daemon.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import pkgutil
import random
import select
import signal
import socket
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from support.disk.workers import end_with_parent

START_SECONDS = 180.0
PORTS = 15_000, 32_000
ROOT = Path(__file__).parents[3]
_IMPORTED_LATE = (
    "uvloop", "sqlalchemy.dialects.sqlite", "watchfiles", "anyio.to_thread", "anyio._backends._asyncio",
    "encodings.idna", "encodings.utf_8_sig",
)  # fmt: skip
"""By libraries, when they are first used: that would be in every fork."""
_LEFT_OUT = (
    "migrations", "sqlserver", "odbc", "swimctl.doctor", "swimctl.commands.doctor", "swimctl.bench", "swimctl.systemd",
    "swimctl.archive", "swimctl.completion",
)  # fmt: skip
"""No harness runs these: the less there is in memory, the less a fork costs."""


class DidNotStart(Exception):
    """The daemon ended, or did not become ready; contains its last output."""


def preload_product() -> None:
    """Import what daemons and commands need, once. No thread may run when daemons are forked."""
    for name in ("swim_server", "swimctl"):
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not any(word in found.name for word in (*_LEFT_OUT, "__main__")):
                importlib.import_module(found.name)
    for name in _IMPORTED_LATE:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    _warm_up()
    _look_around_once()
    gc.collect()
    gc.freeze()


def _warm_up() -> None:
    """Read a configuration and the table of airports once: what is remembered of them every fork has already."""
    from swim_server.sources.airports import load_airport_codes

    from swimctl.app import run

    load_airport_codes()

    with tempfile.TemporaryDirectory(prefix="swim-warm-") as folder, contextlib.redirect_stdout(io.StringIO()):
        config = Path(folder) / "swim.toml"
        config.touch()
        os.environ.update(SWIM_HOME=folder, SWIM_CONFIG=str(config))
        run(["config", "show"])
        del os.environ["SWIM_HOME"], os.environ["SWIM_CONFIG"]


def _look_around_once() -> None:
    """Do for all forks what has nothing to do with the disk.

    They run the same source files; and none of the machine's processes has a lockfile of theirs that is gone.
    """
    from swim_server.daemon import fingerprint, main
    from swim_server.daemon.upkeep import other_holder

    taken = fingerprint.take_fingerprint()
    vars(main)["take_fingerprint"] = lambda: taken
    vars(other_holder)["holders_of_deleted"] = lambda _: []


class BootId:
    """The file that replaces the kernel's boot_id in the processes forked with the preloaded library."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.renew()
        os.environ["SWIM_DISK_BOOT_ID"] = str(path)

    def renew(self) -> None:
        """Simulate a reboot."""
        self.path.write_text(f"{uuid.uuid4()}\n", "ascii")


class ForkedDaemon:
    """One daemon at a time in one home. The forking process must have the preloaded library itself."""

    def __init__(self, root: Path, port: int, notes: Path | None = None) -> None:
        """``notes``: the folder of its output and of what waits for it; by default beside ``root``."""
        self.root = root
        self.port = port
        self.home = root / "home"
        self.pid: int | None = None
        self.cpu_seconds = 0.0
        notes = notes or root.parent
        self._log, self._output = notes / f"{root.name}.log", notes / f"{root.name}.output"
        self._notices = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notice_path = notes / f"{root.name}.notify"
        self._notice_path.unlink(missing_ok=True)
        self._notices.bind(str(self._notice_path))
        self._notices.settimeout(0.05)

    @property
    def control_socket(self) -> Path:
        return self.home / "control.sock"

    @property
    def log(self) -> str:
        """What it has logged since its start."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def start(self, environ: Mapping[str, str] | None = None) -> None:
        """Start it and wait until it serves. Raises DidNotStart."""
        self._log.write_bytes(b"")
        self.pid = self._fork(["serve"], environ, self._log)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in self._notices.recv(4096):
                    return
            done, status, usage = os.wait4(self.pid, os.WNOHANG)
            if done:
                self.pid = None
                self.cpu_seconds += usage.ru_utime + usage.ru_stime
                raise DidNotStart(f"exit {os.waitstatus_to_exitcode(status)}: {self.log[-600:]}")
        self.kill()
        raise DidNotStart(f"not ready within {START_SECONDS:g} s: {self.log[-600:]}")

    def run(self, words: list[str], environ: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run a command to completion; return its exit code and output."""
        self._output.write_bytes(b"")
        _, status = os.waitpid(self._fork(words, environ, self._output), 0)
        return os.waitstatus_to_exitcode(status), self._output.read_text("utf-8", "replace")

    def spawn(self, words: list[str], output: Path) -> int:
        """Start a command that keeps running; return its pid, which the caller must wait for."""
        output.write_bytes(b"")
        return self._fork(words, None, output)

    def _fork(self, words: list[str], environ: Mapping[str, str] | None, output: Path) -> int:
        pid = os.fork()
        if pid == 0:
            self._be(words, environ or {}, output)
        return pid

    def kill(self) -> None:
        """SIGKILL it, if it runs."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> int | None:
        """Signal it and wait; return its exit code, or None if it was not running."""
        pid, self.pid = self.pid, None
        if pid is None:
            return None
        os.kill(pid, number)
        _, status, usage = os.wait4(pid, 0)
        self.cpu_seconds += usage.ru_utime + usage.ru_stime
        while select.select([self._notices], [], [], 0)[0]:
            self._notices.recv(4096)  # what it said last belongs to it, not to the next one
        return os.waitstatus_to_exitcode(status)

    def close(self) -> None:
        """End it and close everything."""
        self.kill()
        self._notices.close()
        self._notice_path.unlink(missing_ok=True)

    def _be(self, words: list[str], environ: Mapping[str, str], output: Path) -> None:
        code = 70
        try:
            from swimctl.app import run

            end_with_parent(signal.SIGKILL)
            for name in [name for name in os.environ if name.startswith("SWIM_") and "DISK" not in name]:
                del os.environ[name]
            os.environ.update(
                SWIM_HOME=str(self.home), SWIM_CONFIG=str(self.root / "swim.toml"), NO_COLOR="1",
                NOTIFY_SOCKET=str(self._notice_path), **environ,
            )  # fmt: skip
            log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            code = run(words)
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        finally:
            os._exit(code)


def free_port() -> int:
    """Return a port on which nothing listens, outside the range that the kernel assigns automatically."""
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
