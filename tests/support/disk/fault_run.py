"""One scenario: the daemon and everything around it run while the disk fails, and are judged once it has recovered."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import time
from pathlib import Path

import msgspec
from support.disk import home_files
from support.disk.fault_scenarios import Scenario
from support.disk.forked_daemon import DidNotStart, ForkedDaemon
from support.disk.judge import Judge
from support.disk.judgement import Judgement
from support.disk.ledger import KnownKey, Ledger, content, event_key
from support.disk.preload import FaultControl, Rule
from support.disk.probes import put_probes
from support.disk.rot_base import Files, put_back, read_files
from support.disk.side_recorder import SideRecorder, replay
from support.disk.wire import Closed, Wire

RECOVERY_SECONDS, ADMISSION_SECONDS = 60.0, 30.0
PLAYED_EVENTS = 500
TROUBLES = (OSError, Closed, RuntimeError, TimeoutError)


class FaultRun:
    """Runs scenarios one after the other, each on the installation's initial files."""

    def __init__(self, root: Path, port: int, faults: FaultControl, notes: Path, seed: int) -> None:
        self._root = root
        self._faults = faults
        self._port = port
        self._seed = seed
        self._daemon = ForkedDaemon(root, port, notes)
        self._ledger = Ledger()
        self._numbers = itertools.count()
        self._base: Files = {}
        self._recorder: SideRecorder | None = None
        self._replayed = Judgement()
        self._recorded_from = ""

    def prepare(self, events: int) -> None:
        """Create the installation: keys, events, a history that has been written back."""
        home_files.make_folders(self._root)
        home_files.write_config(self._root, self._port, "normal")
        self._daemon.start()
        self._listener_key = self._create_key("system")
        control = Wire.control(self._daemon.control_socket)
        for _ in range(events // 100):
            self._publish(control, [f"event-{next(self._numbers)}" for _ in range(100)])
        control.close()
        code, output = self._daemon.run(
            ["record", str(self._root / home_files.PLAYED), "--last", str(PLAYED_EVENTS), "--no-follow"]
        )
        assert code == 0, output
        time.sleep(0.6)
        self._daemon.end(signal.SIGTERM)
        self._base = read_files(self._root)
        self._kept = msgspec.msgpack.encode([self._ledger.acknowledged, sorted(self._ledger.sent)])

    def run(self, scenario: Scenario) -> tuple[Judgement, int]:
        """Run one scenario; return what was found, and how many operations failed or were shortened."""
        self._begin(scenario)
        os.environ["SWIM_DISK_SEED"] = str(self._seed)
        rng = random.Random(f"{self._seed} {scenario.name}")
        if scenario.when == "start":
            self._faults.set(scenario.rules)
            self._start_until(time.monotonic() + scenario.seconds)
        else:
            self._daemon.start()
            if scenario.with_recording:
                self._recorded_from = max(self._ledger.acknowledged.values(), key=event_key)
                self._recorder = SideRecorder(self._daemon, self._recorded_from)
            self._faults.set(scenario.rules)
        self._work(time.monotonic() + scenario.seconds, scenario, rng)
        struck = self._struck + self._faults.struck
        self._faults.set([])
        judgement = self._settle()
        judgement.take(self._replayed)
        if self._recorder is not None:
            judgement.take(self._recorder.judge(self._ledger, self._recorded_from))
        judgement.take(self._judge_again())
        return judgement, struck

    def tell_of_a_failed_checkpoint(self) -> Judgement:
        """Fail the write-back of history's log for a while: it is reported, and done as soon as possible."""
        judgement = Judgement()
        self._begin(None)
        self._daemon.start()
        control = Wire.control(self._daemon.control_socket)
        self._faults.set([Rule("fsync,write", "*/home/history.db", "EIO")])
        self._publish(control, ["the-last-event"])
        time.sleep(0.8)
        told = msgspec.json.encode(control.call("status", {})).decode().casefold()
        judgement.find("untold", "i/o error" not in told, "status says nothing of the disk")
        self._faults.set([])
        time.sleep(1.2)
        written = b"the-last-event" in (self._root / home_files.HISTORY).read_bytes()
        judgement.find("not_tried_again", not written, "history's log is not written back a second after the trouble")
        control.close()
        self._daemon.kill()
        return judgement

    def set_the_clock(self, seconds: int) -> Judgement:
        """The clock is set between two starts, and right again at the third: ids, names and keys are as they were."""
        self._begin(None)
        self._daemon.start()
        control, names = Wire.control(self._daemon.control_socket), [f"event-{next(self._numbers)}" for _ in range(50)]
        self._publish(control, names)
        control.close()
        self._create_key()
        last = max(self._ledger.keys, key=int)
        self._daemon.run(["keys", "expire", last, "--yes"])
        self._ledger.keys[last].is_good = False
        self._daemon.kill()
        self._faults.set_clock(seconds)
        try:
            judge = Judge(self._daemon, self._ledger, random.Random(0), repeated=names, tag="-set")
            judgement = judge.judge(self._listener_key, self._oldest)
        finally:
            self._faults.set_clock(0)
        judgement.take(self._judge_again())
        return judgement

    def close(self) -> None:
        """End everything."""
        self._faults.set([])
        self._daemon.close()

    def _begin(self, scenario: Scenario | None) -> None:
        self._daemon.kill()
        self._struck = 0
        if self._recorder is not None:
            self._recorder.end()
        self._recorder, self._replayed = None, Judgement()
        put_back(self._base, self._root)
        home_files.write_config(self._root, self._port, scenario.synchronous if scenario else "normal")
        acknowledged, sent = msgspec.msgpack.decode(self._kept)
        self._ledger.acknowledged, self._ledger.sent = acknowledged, set(sent)
        self._ledger.given.clear()
        self._ledger.keys = {"1": self._ledger.keys["1"]}

    def _start_until(self, deadline: float) -> None:
        """Start it as a service manager does: repeatedly while it fails; the disk recovers when time is up."""
        while True:
            if time.monotonic() >= deadline:
                self._struck += self._faults.struck
                self._faults.set([])
            try:
                self._daemon.start()
            except DidNotStart:
                time.sleep(0.1)
                if time.monotonic() >= deadline + RECOVERY_SECONDS:
                    raise
            else:
                return

    def _work(self, deadline: float, scenario: Scenario, rng: random.Random) -> None:
        """Publish, provide files and change keys until the deadline, whatever fails."""
        self._pending: list[str] = []
        control: Wire | None = None
        while time.monotonic() < deadline:
            try:
                control = control or Wire.control(self._daemon.control_socket)
                self._pending = self._pending or [f"event-{next(self._numbers)}" for _ in range(rng.randint(1, 20))]
                self._publish(control, self._pending)
                self._pending = []
            except RuntimeError:
                time.sleep(0.05)  # it said that it could not store them: the same again
            except TROUBLES:
                control = None
                time.sleep(0.05)
            with contextlib.suppress(OSError):
                self._give_files(rng)
            self._listen_a_little()
            if scenario.with_keys:
                self._change_a_key()
            if scenario.with_recording:
                self._replayed.take(replay(self._daemon, self._root / home_files.PLAYED, PLAYED_EVENTS))
            time.sleep(0.02)
        if control is not None:
            control.close()

    def _publish(self, control: Wire, names: list[str]) -> None:
        self._ledger.sent.update(names)
        rows = [{"type": "flight.departed", "data": content(name), "event_id": name} for name in names]
        answers = control.publish(rows)
        self._ledger.acknowledged.update({name: a["id"] for name, a in zip(names, answers, strict=True)})

    def _give_files(self, rng: random.Random) -> None:
        number = next(self._numbers)
        names = [f"file-{number}", *(f"drop-{number}-{index}" for index in range(rng.randint(1, 20)))]
        self._ledger.sent.update(names)
        row: dict[str, object] = {
            "type": "flight.deleted", "data": content(names[0]), "_received_at": "2026-01-16T14:30:15Z",
        }  # fmt: skip
        home_files.append_to_event_file(self._root, [row], lambda _: None)
        self._ledger.given[names[0]] = "event file"
        rows: list[dict[str, object]] = [{"type": "flight.arrived", "data": content(name)} for name in names[1:]]
        home_files.put_in_drop_folder(self._root, f"batch-{number}", rows, lambda _: None)
        self._ledger.given.update(dict.fromkeys(names[1:], "drop folder"))

    def _listen_a_little(self) -> None:
        """Read history as a client does, which meets any unreadable page."""
        with contextlib.suppress(*TROUBLES):
            wire = Wire.connect(self._port, self._listener_key)
            wire.send({"action": "subscribe", "channels": ["flight.*"], "after": self._oldest})
            wire.until("subscribed")
            wire.next()
            wire.close()

    @property
    def _oldest(self) -> str:
        return self._ledger.acknowledged["event-0"]

    def _create_key(self, tier: str = "developer") -> str:
        code, output = self._daemon.run(["keys", "create", "--tier", tier, "--owner", "a test", "--json"])
        line = next((line for line in output.splitlines() if line.startswith("{")), None)
        if code != 0 or line is None:
            raise RuntimeError(output)
        made = msgspec.json.decode(line)
        self._ledger.keys[str(made["id"])] = KnownKey(made["api_key"], is_good=True)
        return str(made["api_key"])

    def _change_a_key(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._create_key()
        last = max(self._ledger.keys, key=int)
        key = self._ledger.keys[last]
        if last != "1" and key.is_good:
            key.is_sure = False
            code, _ = self._daemon.run(["keys", "revoke", last, "--yes"])
            if code == 0:
                key.is_sure, key.is_good = True, False

    def _settle(self) -> Judgement:
        """Let the disk recover: everything continues by itself, and what was refused can be published."""
        deadline = time.monotonic() + RECOVERY_SECONDS
        while self._pending and time.monotonic() < deadline:
            try:
                control = Wire.control(self._daemon.control_socket)
                self._publish(control, self._pending)
                self._pending = []
                control.close()
            except TROUBLES:
                time.sleep(0.1)
        judge = Judge(
            self._daemon, self._ledger, random.Random(0), tag="-running", admission_seconds=ADMISSION_SECONDS
        )  # fmt: skip
        judge.judgement.find("stuck", len(self._pending), "events can't be published though the disk is well again")
        put_probes(self._daemon, "-running")
        judge.ask(self._listener_key, self._oldest)
        return judge.judgement

    def _judge_again(self) -> Judgement:
        """Kill and restart it: it must still know everything."""
        reasons = [line for line in self._daemon.log.splitlines() if "set aside" in line]
        self._daemon.kill()
        judgement = Judge(self._daemon, self._ledger, random.Random(0)).judge(self._listener_key, self._oldest)
        judgement.examples = reasons[:2] + judgement.examples
        return judgement
