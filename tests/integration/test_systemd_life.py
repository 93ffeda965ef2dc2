"""What a service manager and its log see of a daemon: readiness, restarts, the log's file."""

from __future__ import annotations

import queue
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live_daemon import LiveDaemon, await_true, live_daemon
from support.wire_client import dial


class Manager:
    """systemd's end of the notification socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self._heard: queue.Queue[bytes] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Take what comes at once: the kernel keeps no more than ten."""
        while told := self.socket.recv(4096):
            self._heard.put(told)

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RD)
        self._listener.join(10)
        self.socket.close()

    def until(self, name: str, value: str | None = None) -> dict[str, str]:
        """Hear on until this is told."""
        deadline = time.monotonic() + 60
        while True:
            heard = self._heard.get(timeout=max(0.01, deadline - time.monotonic()))
            told = dict(line.split("=", 1) for line in heard.decode().split("\n"))
            if name in told and value in (None, told[name]):
                return told

    def hear_to_the_end(self) -> None:
        """Hear on until nothing comes any more: a process that stands still does not beat."""
        for _ in range(1000):
            try:
                self._heard.get(timeout=1.5)  # several beats
            except queue.Empty:
                return
        raise AssertionError("it goes on beating")


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "n")
    yield manager
    manager.close()


def test_service_manager_follows_the_service_through_its_life(tmp_path: Path, manager: Manager) -> None:
    environ = {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "600000"}
    with live_daemon(tmp_path / "h", environ=environ) as daemon:
        first = daemon.info.pid
        assert manager.until("READY")["MAINPID"] == str(first)
        assert manager.until("WATCHDOG") != {}
        daemon.call("reload")
        assert manager.until("RELOADING")["STATUS"] == "reloading the configuration"
        assert manager.until("READY")["STATUS"].startswith("serving ws://")
        daemon.signal(signal.SIGSTOP)
        try:
            manager.hear_to_the_end()
        finally:
            daemon.signal(signal.SIGCONT)
        assert manager.until("WATCHDOG") != {}
        second = daemon.call("restart")["pid"]
        assert manager.until("RELOADING")["STATUS"].startswith("restarting")
        assert manager.until("READY")["MAINPID"] == str(second) != str(first)
        assert manager.until("WATCHDOG") != {}, "the process that took over is watched too"
        daemon.signal(signal.SIGTERM)
        assert manager.until("STOPPING") != {}


def test_failed_restart_is_no_end_for_the_service_manager(tmp_path: Path, manager: Manager) -> None:
    with live_daemon(tmp_path / "h", environ={"NOTIFY_SOCKET": str(manager.path)}) as daemon:
        manager.until("READY")
        daemon.config_path.write_text("[nonsense]\n")
        assert daemon.swimctl("restart").returncode == 1
        manager.until("RELOADING")
        told = manager.until("READY")
        assert (told["MAINPID"], "a restart failed" in told["STATUS"]) == (str(daemon.info.pid), True)


async def test_log_is_rotated_by_size_reopened_on_a_signal_and_limits_change_with_a_reload(tmp_path: Path) -> None:
    log = tmp_path / "swim.log"
    config = f'[logging]\nfile = "{log}"\nlevel = "debug"\nmax_bytes = 2000\nkeep_files = 2\n'
    with live_daemon(tmp_path / "h", config=config) as daemon:
        for _ in range(30):
            daemon.status()  # each comes and goes with two lines
        files = {"swim.log", "swim.log.1", "swim.log.2"}
        await_true(  # the last line may just be rotating them
            lambda: {path.name for path in tmp_path.glob("swim.log*")} == files and log.stat().st_size > 0,
            what="two files that were rotated, and one that is written",
        )
        assert log.stat().st_size <= 2000
        shown = daemon.swimctl("logs", "-n", "1000", check=True).stdout
        assert shown.endswith(log.read_text()[-20:]) or "disconnected" in shown
        assert len(shown.splitlines()) > len(log.read_text().splitlines())
        daemon.config_path.write_text(config.replace("2000", "0"))
        assert set(daemon.call("reload")["changed"]) == {"logging.max_bytes"}
        moved = log.rename(tmp_path / "moved")
        daemon.signal(signal.SIGUSR2)
        await_true(log.exists, what="the new file")
        before = moved.stat().st_size
        daemon.status()
        await_true(lambda: log.stat().st_size > 0, what="a line in the new file")
        assert moved.stat().st_size == before


async def test_full_disk_under_the_log_hurts_nobody(tmp_path: Path) -> None:
    config = '[logging]\nfile = "/dev/full"\nlevel = "debug"\n'
    with live_daemon(tmp_path / "h", config=config) as daemon:
        async with dial(daemon.url, daemon.api_key()) as client:
            await client.subscribe("*")
            (event_id,) = daemon.put(("flight.departed", {"callsign": "DAL1"}))
            (event,) = await client.events(1)
        assert event["id"] == event_id


def test_log_of_a_detached_daemon_is_rotated_with_all_that_leads_into_it(tmp_path: Path) -> None:
    daemon = LiveDaemon(tmp_path / "h", config='[logging]\nlevel = "debug"\nmax_bytes = 3000\nkeep_files = 1\n')
    try:
        daemon.swimctl("serve", "--detach", "--port", "0", check=True)
        log = tmp_path / "h" / "swim.log"
        for _ in range(40):
            daemon.status()
        assert log.stat().st_size <= 3000
        assert log.with_name("swim.log.1").exists()
        opened = {Path(f"/proc/{daemon.info.pid}/fd/{number}").readlink() for number in (1, 2)}
        assert opened == {log}
    finally:
        daemon.swimctl("stop")
