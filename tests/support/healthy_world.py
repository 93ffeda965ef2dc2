"""A healthy daemon in a busy world: behind nginx, with three sources, clients, bursts, and loops of restart and reload.

Nothing in it is a fault: whatever doctor tells of it is a false alarm.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import trustme
from support.daemon import NotAnswering
from support.doctor_faults import AS_ROOT, Patient, fired, roots_of
from support.doctor_faults_process import free_port
from support.fault_search.world import TYPE, Listener
from support.feed_server import FeedServer, feed_server
from support.live_daemon import await_true
from support.preloaded import Preloaded
from support.proxies import Nginx
from support.proxy import HOST

LOCAL = "localhost"
CLIENTS_PER_KEY = 30
PILOTS = 50
FEED_SECONDS, PROVIDER_SECONDS, BATCH_SECONDS, BURST_SECONDS = 1.0, 0.5, 2.0, 10.0
BURST_EVENTS = 100
DOCTOR_SECONDS = 120.0


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of doctor said."""

    exit_code: int
    told: dict[str, str]
    """The checks that were not well, with what they observed: false alarms."""
    seconds: float
    beside: str
    """What was going on when it began: ``restart``, ``reload`` or nothing."""

    @property
    def is_clean(self) -> bool:
        return self.exit_code == 0 and not self.told


class HealthyWorld:
    """Everything that is going on around one daemon. ``done`` counts it."""

    def __init__(self, folder: Path, nginx: Nginx, feed: FeedServer, *, clients: int, life_seconds: float) -> None:
        self.done: Counter[str] = Counter()
        self.taken: list[int] = []
        """The numbers of acknowledged events, in their order."""
        self._folder = folder
        self._nginx, self._feed, self._clients, self._life_seconds = nginx, feed, clients, life_seconds
        self._beside = ""
        self._failures: list[BaseException] = []
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._program: subprocess.Popen[str] | None = None
        for name in ("spool", "drops"):
            (folder / name).mkdir()
        self.patient = Patient(folder, config=self._config())
        self.patient.environ["SSL_CERT_FILE"] = str(nginx.folder / "authority.pem")
        code = os.pathsep.join(map(str, roots_of(self.patient.code)))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SWIM_", "_SWIM"))}
        self._commands = Preloaded(kept | {"PYTHONPATH": code, "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": ""})
        """For what runs beside doctor."""

    def _config(self) -> str:
        return f"""\
[server]
port = {self._nginx.backend_port}
public_url = "wss://{LOCAL}:{self._nginx.port}/api/swim/v1/ws"
[tiers.partner]
connections = {2 * self._clients + 100}
[tiers.system]
connections = 100
[[sources]]
kind = "vatsim"
url = "{self._feed.url}"
interval_seconds = 1.0
[[sources]]
kind = "file"
path = "{self._folder}/spool/events.json"
[[sources]]
kind = "drop"
path = "{self._folder}/drops"
"""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start it, and everything around it; return once everybody is there."""
        logging.getLogger("swim_client").addHandler(logging.NullHandler())  # it is restarted again and again
        self.patient.start(port=self._nginx.backend_port)
        listener = Listener(self.patient.url, self.patient.api_key("partner"))
        listener.start()
        self._program = self._start_clients()
        try:
            await_true(lambda: len(self.patient.connections) > 0.9 * self._clients, seconds=120, what="clients")
            self._repeat(self._feed_news, FEED_SECONDS)
            self._repeat(self._provide, PROVIDER_SECONDS)
            self._repeat(self._bring_batch, BATCH_SECONDS)
            self._repeat(self._burst, BURST_SECONDS)
            self._repeat(self._live_on, self._life_seconds)
            yield
            self._stop_loops()
            await_true(lambda: listener.numbers == self.taken, seconds=30, what="every event, once, in order")
            assert not self._failures, self._failures
        finally:
            self._stop_loops()
            listener.stop()
            self.done += Counter(self._end_clients())
            self._commands.end()
            self.patient.finish()

    def examine(self, *words: str) -> Run:
        """Run doctor once, with its own limits of time, in a fork of a process that has imported it."""
        beside, began = self._beside, time.perf_counter()
        facts = ("--save-facts", str(self.patient.facts))
        done = self.patient.swimctl("doctor", "--json", *AS_ROOT, *facts, *words, timeout=DOCTOR_SECONDS)
        seconds = round(time.perf_counter() - began, 3)
        assert done.stdout, done.stderr
        return Run(exit_code=done.returncode, told=fired(json.loads(done.stdout)), seconds=seconds, beside=beside)

    def _repeat(self, act: Callable[[], None], seconds: float) -> None:
        def loop() -> None:
            while not self._is_over.wait(seconds):
                try:
                    act()
                except Exception as error:  # noqa: BLE001  # told at the end: this world is not healthy
                    self._failures.append(error)
                    return

        thread = threading.Thread(target=loop, name=act.__name__)
        self._threads.append(thread)
        thread.start()

    def _stop_loops(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _feed_news(self) -> None:
        self._feed.documents = [moving_traffic(time.time())]

    def _provide(self) -> None:
        """Append to the event file as a provider does that renames a whole file into place."""
        self.done["events of the provider"] += 1
        number = self.done["events of the provider"]
        path = self._folder / "spool" / "events.json"
        if path.exists():
            return  # it is about to be taken; the next one comes soon
        whole = path.with_name("whole.json")
        whole.write_text(json.dumps([{"type": "flight.updated", "data": _flight(number)}]), "utf-8")
        whole.rename(path)

    def _bring_batch(self) -> None:
        self.done["batches"] += 1
        name = f"batch-{self.done['batches']}.jsonl"
        lines = [json.dumps({"type": "flight.updated", "data": _flight(number)}) for number in range(20)]
        aside = self._folder / name
        aside.write_text("\n".join(lines) + "\n", "utf-8")
        aside.rename(self._folder / "drops" / name)

    def _burst(self) -> None:
        """Publish many events at once; during a handover nobody may take them."""
        first = len(self.taken)
        numbers = range(first, first + BURST_EVENTS)
        rows = [{"type": TYPE, "data": {"number": number, "tmi_type": "GS"}} for number in numbers]
        with contextlib.suppress(NotAnswering):
            self.patient.publish_many(rows)
            self.taken += numbers
            self.done["bursts"] += 1

    def _live_on(self) -> None:
        """Restart and reload in turns."""
        self._beside = "reload" if self.done["restarts"] > self.done["reloads"] else "restart"
        done = self._commands.run([self._beside], self.patient.environ, self._folder, 90)
        assert done.returncode == 0, f"{self._beside}: {done.stderr}"
        self.done[f"{self._beside}s"] += 1
        self._beside = ""

    def _start_clients(self) -> subprocess.Popen[str]:
        keys = [self.patient.api_key("partner") for _ in range(1 + self._clients // CLIENTS_PER_KEY)]
        program = Path(__file__).with_name("healthy_clients.py")
        words = [str(self._nginx.port), str(self._nginx.folder / "authority.pem"), str(self._clients), *keys]
        return subprocess.Popen(
            [sys.executable, str(program), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )

    def _end_clients(self) -> dict[str, int]:
        if self._program is None:
            return {}
        self._program.send_signal(signal.SIGTERM)
        out, _ = self._program.communicate(timeout=60)
        found: dict[str, int] = json.loads(out or "{}")
        return found


@contextmanager
def healthy_world(folder: Path, *, clients: int, life_seconds: float) -> Iterator[HealthyWorld]:
    """Run everything, with the shipped file of nginx on this machine's own name."""
    with feed_server(moving_traffic(time.time())) as feed, local_nginx() as nginx:
        world = HealthyWorld(folder, nginx, feed, clients=clients, life_seconds=life_seconds)
        with world.running():
            yield world


@contextmanager
def local_nginx() -> Iterator[Nginx]:
    """Run nginx with the shipped file, for ``localhost``, before a port where nobody listens yet."""
    folder = Path(tempfile.mkdtemp(prefix="swim-proxy-"))
    folder.chmod(0o755)
    nginx = Nginx(folder, free_port())
    try:
        authority = trustme.CA()
        certificate = authority.issue_cert(LOCAL)
        (folder / "fullchain.pem").write_bytes(b"".join(each.bytes() for each in certificate.cert_chain_pems))
        (folder / "privkey.pem").write_bytes(certificate.private_key_pem.bytes())
        authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        nginx.edits = {HOST: LOCAL}
        nginx.start()
        yield nginx
    finally:
        nginx.stop()
        shutil.rmtree(folder, ignore_errors=True)


def moving_traffic(moment: float) -> bytes:
    """Return a feed of some moment in which everybody flies on."""
    stamp = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
    general = {"version": 3, "update_timestamp": stamp, "connected_clients": PILOTS}
    pilots = [_pilot(number, moment, stamp) for number in range(PILOTS)]
    return json.dumps({"general": general, "pilots": pilots, "prefiles": []}).encode()


def _pilot(number: int, moment: float, stamp: str) -> dict[str, Any]:
    east = (number * 1.7 + moment / 600) % 60
    return {
        "cid": 1_000_000 + number, "name": "X", "callsign": f"TST{number}", "server": "X", "pilot_rating": 0,
        "latitude": 30.0 + number / 3, "longitude": round(east, 5), "altitude": 30_000, "groundspeed": 440,
        "transponder": "2000", "heading": 90, "qnh_i_hg": 29.92, "qnh_mb": 1013, "flight_plan": None,
        "logon_time": "2026-01-16T14:30:15.0000000Z", "last_updated": stamp,
    }  # fmt: skip


def _flight(number: int) -> dict[str, Any]:
    return {"callsign": f"PRV{number % 500}", "route": f"DCT {number}"}
