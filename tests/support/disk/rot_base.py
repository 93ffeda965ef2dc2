"""The installation whose files are damaged: made by the real daemon, kept in memory, and restored for each case."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import time
from pathlib import Path

import msgspec
from support.disk import home_files
from support.disk.forked_daemon import ForkedDaemon, free_port
from support.disk.ledger import KnownKey, Ledger, content
from support.disk.sdk_program import handle_events
from support.disk.wire import Wire

EVENTS = 240
DROPPED_LINES = 1100
ATTEMPTS = 20
LARGE_EVENTS, LARGE_EVENT_BYTES = 4600, 60_000

Files = dict[str, tuple[bytes, int]]
"""Path below the root → content and time of change in nanoseconds."""


class Installation:
    """One home and the truth about it. ``killed`` and ``stopped`` are its files after either end."""

    def __init__(self, root: Path, notes: Path) -> None:
        self.ledger = Ledger()
        self.root = root
        self.daemon = ForkedDaemon(root, free_port(), notes)
        self.killed: Files = {}
        self.stopped: Files = {}
        self.older: Files = {}
        """Before the second half of its events."""
        self.older_keys: Files = {}
        """The key database before any key was ended."""
        home_files.make_folders(root)
        home_files.write_config(root, self.daemon.port, "normal")

    @property
    def listener_key(self) -> str:
        return self.ledger.keys["1"].api_key

    @property
    def oldest(self) -> str:
        return self.ledger.acknowledged["event-0"]

    def in_another_place(self, root: Path, notes: Path) -> Installation:
        """Return the same installation, to be restored into another folder by ``put_back``."""
        other = Installation(root, notes)
        other.ledger, other.killed, other.stopped, other.older = self.ledger, self.killed, self.stopped, self.older
        other.older_keys = self.older_keys
        return other

    def put_back(self, files: Files) -> None:
        """Make its folder contain these files and nothing else."""
        put_back(files, self.root)
        home_files.write_config(self.root, self.daemon.port, "normal")

    def fill(self) -> None:
        """Let the daemon do everything that leaves files; stop it, and kill it in the middle of a dropped file."""
        self.daemon.start()
        self._create_keys()
        self.publish(0, EVENTS // 2)
        time.sleep(0.6)  # history's log is written back every quarter of a second
        self.older = read_files(self.root)
        self.publish(EVENTS // 2, EVENTS)
        self._record()
        self._remember_place()
        for attempt in range(ATTEMPTS):
            self._give_dropped_file(attempt)
            self.daemon.kill()
            if list((self.root / home_files.DROP).glob(".*.taken")):
                break
            self.daemon.start()  # it was quicker: the whole file is published
        self.killed = read_files(self.root)
        self.daemon.start()
        self._await_empty_drop_folder()
        self.daemon.end(signal.SIGTERM)
        self.stopped = read_files(self.root)

    def known_from(self, files: Files) -> Ledger:
        """Return what was known when only these files existed: dropped events in them were delivered."""
        found = home_files.stored_events({name: data for name, (data, _) in files.items()})
        ledger = Ledger()
        ledger.acknowledged, ledger.sent, ledger.keys = self.ledger.acknowledged, self.ledger.sent, self.ledger.keys
        ledger.seen = {name: event_id for name, event_id in found.items() if name in self.ledger.given}
        ledger.given = {name: way for name, way in self.ledger.given.items() if name not in found}
        return ledger

    def fill_with_large_events(self) -> None:
        """Create a history that is too large to be read completely at each start."""
        self.daemon.start()
        self._create_keys()
        self.publish(0, LARGE_EVENTS, at_once=12, padding="x" * LARGE_EVENT_BYTES)
        self.daemon.end(signal.SIGTERM)
        self.stopped = read_files(self.root)

    def publish(self, start: int, end: int, *, at_once: int = 40, padding: str = "") -> None:
        """Publish events with these numbers, some at a time."""
        control = Wire.control(self.daemon.control_socket)
        more = {"padding": padding} if padding else {}
        for first in range(start, end, at_once):
            names = [f"event-{number}" for number in range(first, min(first + at_once, end))]
            self.ledger.sent.update(names)
            rows = [{"type": "flight.departed", "data": content(name) | more, "event_id": name} for name in names]
            answers = control.publish(rows)
            self.ledger.acknowledged.update({name: a["id"] for name, a in zip(names, answers, strict=True)})
        control.close()

    def handle_events(self, count: int) -> list[str]:
        """Run an SDK program that handles this many events."""
        url = f"ws://127.0.0.1:{self.daemon.port}/api/swim/v1/ws"
        return asyncio.run(handle_events(url, self.listener_key, self.root / home_files.RESUME_FILE, count))

    def _create_keys(self) -> None:
        for tier in ("system", "developer", "developer", "developer"):
            code, output = self.daemon.run(["keys", "create", "--tier", tier, "--owner", "a test", "--json"])
            assert code == 0, output
            made = msgspec.json.decode(output)
            self.ledger.keys[str(made["id"])] = KnownKey(made["api_key"], is_good=True)
        self.older_keys = {name: file for name, file in read_files(self.root).items() if name == home_files.KEYS}
        for number, word in (("3", "revoke"), ("4", "expire")):
            code, output = self.daemon.run(["keys", word, number, "--yes"])
            assert code == 0, output
            self.ledger.keys[number].is_good = False

    def _record(self) -> None:
        code, output = self.daemon.run(
            ["record", str(self.root / home_files.RECORDING), "--last", "1000", "--no-follow"]
        )
        assert code == 0, output

    def _remember_place(self) -> None:
        """Let an SDK program handle half of the events and end."""
        self.handle_events(EVENTS // 2)

    def _give_dropped_file(self, attempt: int) -> None:
        first = attempt * DROPPED_LINES
        names = [f"drop-{number}" for number in range(first, first + DROPPED_LINES)]
        rows: list[dict[str, object]] = [{"type": "flight.arrived", "data": content(name)} for name in names]
        self.ledger.sent.update(names)
        self.ledger.given.update(dict.fromkeys(names, "drop folder"))
        home_files.put_in_drop_folder(self.root, f"batch-{attempt}", rows, lambda _: None)
        deadline = time.monotonic() + 60
        begun = f"batch-{attempt}".encode()
        while not any(begun in path.read_bytes() for path in (self.root / home_files.SOURCE_STATE).glob("*.json")):
            assert time.monotonic() < deadline, "the dropped file was not begun"
            time.sleep(0.001)

    def _await_empty_drop_folder(self) -> None:
        deadline = time.monotonic() + 60
        while list((self.root / home_files.DROP).iterdir()):
            assert time.monotonic() < deadline, "the dropped file was not finished"
            time.sleep(0.01)


def read_files(root: Path) -> Files:
    """Read all files below a folder into memory."""
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }


def put_back(files: Files, root: Path) -> None:
    """Make the folder contain these files and nothing else."""
    shutil.rmtree(root, ignore_errors=True)
    home_files.make_folders(root)
    for name, (data, changed_ns) in files.items():
        path = root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o600)
        os.utime(path, ns=(changed_ns, changed_ns))
