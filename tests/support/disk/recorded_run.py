"""A run of the real daemon with every file change recorded: power.py cuts it off at any moment.

As a program: ``recorded_run.py SYNCHRONOUS SEED SECONDS``, with the recorder preloaded and SWIM_DISK_LOG and
SWIM_DISK_ROOT set. The providers' own files are written here, synced as careful providers do.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from support.daemon import Daemon, end_all
from support.disk import home_files
from support.disk.change_log import Marks
from support.disk.forked_daemon import free_port
from support.disk.ledger import content
from support.disk.sdk_program import handle_events
from support.disk.wire import Closed, Wire
from support.disk.workers import end_with_parent
from support.preloaded import Preloaded

LISTENERS = 3
COMMAND_SECONDS, RESTARTS_TRIED = 180.0, 3
SHORT_SECONDS = 4.0
LOOK_SECONDS = 0.5
"""A shorter run has one restart only."""
HANDLED_EVENTS = 10
KEEP_POSITIONS = "1s"
CHANNELS = ["flight.departed", "flight.arrived", "flight.deleted"]
"""Of publishers, the drop folder, the event file; ``flight.position`` is what retention removes."""
STORED = "the change is stored"
"""What a command about keys says that could not tell the daemon, which is being restarted."""
BROKEN = (OSError, Closed, RuntimeError)


class RecordedRun:
    def __init__(self, root: Path, log: Path, synchronous: str, seed: int, seconds: float) -> None:
        self._root = root
        self._marks = Marks(log)
        self._rng = random.Random(seed)
        self._seconds = seconds
        self._over = threading.Event()
        self._keys: dict[int, str] = {}
        self._port = free_port()
        home_files.make_folders(root)
        config = home_files.write_config(root, self._port, synchronous, keep_positions=KEEP_POSITIONS)
        recorder = {name: value for name, value in os.environ.items() if name.startswith("SWIM_DISK_")}
        environ = {"SWIM_CONFIG": str(config), **recorder}
        self._daemon = Daemon(root / "home", environ=environ)
        self._commands = Preloaded(self._daemon.environ)
        self._control = root / "home" / "control.sock"

    def run(self) -> None:
        """Run everything. An exception in any part ends it."""
        try:
            self._daemon.start(port=self._port)
            self._listener_key = self._create_key("system")
            self._publish_baseline()
            home_files.sync_file_system(self._root)
            self._marks.put("baseline")
            self._traffic()
            self._last_words()
        finally:
            self._over.set()
            end_all(self._daemon)
            self._commands.end()
            self._marks.close()

    def _traffic(self) -> None:
        failures: list[BaseException] = []
        parts: list[Callable[[], None]] = [
            lambda: self._publish("a"), lambda: self._publish("b"), self._publish_positions, self._write_event_file,
            self._fill_drop_folder, self._change_keys,
            *(lambda number=number: self._listen(f"client-{number}") for number in range(LISTENERS)),
        ]  # fmt: skip

        def guarded(part: Callable[[], None]) -> None:
            try:
                part()
            except BaseException as error:  # noqa: BLE001 - told by the main thread
                failures.append(error)
                self._over.set()

        threads = [threading.Thread(target=guarded, args=[part]) for part in parts]
        for thread in threads:
            thread.start()
        guarded(self._restarts)
        self._over.set()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def _restarts(self) -> None:
        """Restart, kill and start, restart again, with traffic before and after each."""
        part = self._seconds / 4
        self._over.wait(part)
        self._restart()
        self._over.wait(part)
        if self._seconds < SHORT_SECONDS:
            return
        os.kill(self._daemon.status()["pid"], 9)
        time.sleep(0.1)
        self._daemon.start(port=self._port)
        self._marks.put("phase", name="started after kill")
        self._over.wait(part)
        self._restart()
        self._over.wait(part)

    def _restart(self) -> None:
        """Restart it; on a busy machine the new process may be too late and the old one continues: then try again."""
        for _ in range(RESTARTS_TRIED):
            self._marks.put("phase", name="restart begins")
            # Not through ``_commands``, which does one thing at a time.
            done = self._daemon.swimctl("restart", timeout=COMMAND_SECONDS)
            if done.returncode == 0:
                self._marks.put("phase", name="restart returned")
                return
        raise RuntimeError(f"swimctl restart: exit {done.returncode}: {done.stderr}")

    def _command(self, *words: str) -> str:
        done = self._commands.run(words, self._daemon.environ, self._root, COMMAND_SECONDS)
        if done.returncode != 0 and STORED not in done.stderr:
            raise RuntimeError(f"swimctl {' '.join(words)}: exit {done.returncode}: {done.stderr}")
        return done.stdout

    def _publish(self, who: str) -> None:
        rng, number, pending = random.Random(self._rng.random()), 0, list[str]()
        while not self._over.is_set():
            try:
                control = Wire.control(self._control)
                while not self._over.is_set():
                    pending = pending or [f"{who}-{number + index}" for index in range(rng.randint(1, 8))]
                    self._marks.put("sent", names=pending)
                    answers = control.publish([_row("flight.departed", name) for name in pending])
                    ids = {name: answer["id"] for name, answer in zip(pending, answers, strict=True)}
                    self._marks.put("acknowledged", ids=ids)
                    number, pending = number + len(pending), []
                    self._over.wait(rng.uniform(0.01, 0.06))
            except BROKEN:
                self._over.wait(0.02)

    def _publish_baseline(self) -> None:
        control, names = Wire.control(self._control), [f"baseline-{number}" for number in range(20)]
        answers = control.publish([_row("flight.departed", name) for name in names])
        self._marks.put("acknowledged", ids={name: a["id"] for name, a in zip(names, answers, strict=True)})
        control.close()

    def _publish_positions(self) -> None:
        number = 0
        while not self._over.is_set():
            with suppress(*BROKEN):
                control = Wire.control(self._control)
                while not self._over.is_set():
                    names = [f"position-{number + index}" for index in range(5)]
                    number += 5
                    answers = control.publish([_row("flight.position", name) for name in names])
                    self._marks.put("position", ids=[answer["id"] for answer in answers])
                    self._over.wait(0.05)
            self._over.wait(0.05)

    def _listen(self, name: str) -> None:
        last: str | None = None
        while not self._over.is_set():
            with suppress(*BROKEN):
                wire = Wire.connect(self._port, self._listener_key)
                wire.send({"action": "subscribe", "channels": CHANNELS} | ({"after": last} if last else {}))
                answer = wire.until("subscribed")
                if answer["gap"]:
                    self._marks.put("phase", name=f"{name} was told of a gap")
                while not self._over.is_set():
                    ids: dict[str, str] = {}
                    try:
                        message = wire.until(*CHANNELS, seconds=LOOK_SECONDS)
                    except TimeoutError:
                        continue  # nothing comes: is it over?
                    while True:
                        if message["type"] in CHANNELS:
                            last = message["id"]
                            ids[message["data"]["callsign"]] = message["id"]
                        if not wire.has_more():
                            break
                        message = wire.next()
                    if ids:
                        self._marks.put("seen", client=name, ids=ids, last=last)
            self._over.wait(0.02)

    def _write_event_file(self) -> None:
        rng, number = random.Random(self._rng.random()), 0
        while not self._over.is_set():
            names = [f"file-{number + index}" for index in range(rng.randint(1, 4))]
            number += len(names)
            self._marks.put("sent", names=names)
            rows = [{**_row("flight.deleted", name), "_received_at": "2026-01-16T14:30:15Z"} for name in names]
            home_files.append_to_event_file(self._root, rows, home_files.sync)
            self._marks.put("given", names=names, source="event file")
            self._over.wait(rng.uniform(0.05, 0.2))

    def _fill_drop_folder(self) -> None:
        rng, number = random.Random(self._rng.random()), 0
        while not self._over.is_set():
            names = [f"drop-{number + index}" for index in range(rng.randint(1, 20))]
            number += len(names)
            self._marks.put("sent", names=names)
            rows = [{"type": "flight.arrived", "data": content(name)} for name in names]
            home_files.put_in_drop_folder(self._root, f"batch-{number}", rows, home_files.sync)
            self._marks.put("given", names=names, source="drop folder")
            self._over.wait(rng.uniform(0.05, 0.2))

    def _create_key(self, tier: str = "developer") -> str:
        made = json.loads(self._command("keys", "create", "--tier", tier, "--owner", "a run", "--json"))
        self._mark_key(made["id"], made["api_key"], is_good=True)
        self._keys[made["id"]] = made["api_key"]
        return str(made["api_key"])

    def _mark_key(self, number: int, api_key: str, *, is_good: bool, is_sure: bool = True) -> None:
        self._marks.put("key", id=str(number), api_key=api_key, is_good=is_good, is_sure=is_sure)

    def _change_keys(self) -> None:
        """Create, revoke and expire in turn; a key in use by a listener stays."""
        while not self._over.is_set():
            self._create_key()
            self._create_key()
            for words in (("revoke", "{}", "--yes"), ("expire", "{}", "--yes")):
                if self._over.is_set():
                    return
                number = max(self._keys)
                api_key = self._keys.pop(number)
                self._mark_key(number, api_key, is_good=True, is_sure=False)
                self._command("keys", *(word.format(number) for word in words))
                self._mark_key(number, api_key, is_good=False)

    def _last_words(self) -> None:
        """Return from something just before the power cut: a setting, and a program that has handled events."""
        self._command("config", "set", "server.heartbeat_seconds", "31")
        self._marks.put("setting", name="server.heartbeat_seconds", value="31")
        url, place = f"ws://127.0.0.1:{self._port}/api/swim/v1/ws", self._root / home_files.RESUME_FILE
        asyncio.run(handle_events(url, self._listener_key, place, HANDLED_EVENTS))
        self._marks.put("resume", id=home_files.resume_id(place))


def _row(event_type: str, name: str) -> dict[str, Any]:
    return {"type": event_type, "data": content(name), "event_id": name}


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    end_with_parent(signal.SIGTERM)
    RecordedRun(
        Path(os.environ["SWIM_DISK_ROOT"]), Path(os.environ["SWIM_DISK_LOG"]), sys.argv[1], int(sys.argv[2]),
        float(sys.argv[3]),
    ).run()  # fmt: skip
