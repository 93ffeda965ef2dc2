"""Faults thought up from what goes wrong around services, not from what doctor looks at. They are tried, not drawn."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.doctor_faults import SMALL, Patient
from support.doctor_faults_process import program
from support.doctor_faults_service import HOLD_A_LOCK
from support.fault_search.elements import HISTORY, Element, ids, once
from support.fault_search.world import World, feed_document
from support.live_daemon import await_true
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

DEBUGGER = """
import ctypes, sys, time
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long] * 4
pid = int(sys.argv[1])
done = [ptrace(request, pid, 0, 0) for request in (0x4206, 0x4207)]
print(done, flush=True)
time.sleep(600)
"""
"""Attaches to the main thread, PTRACE_SEIZE and PTRACE_INTERRUPT, and is forgotten."""
SPARE_BYTES = 1 << 20
CUT_IN_THE_MIDDLE = '[{"type": "flight.updated", "data": {"callsign": "DLH1", "route": "DCT"}}, {"type": "flight.upd'


@contextmanager
def _former_server(world: World) -> Iterator[None]:
    """Leave the public address with the service of before a move: it answers, and knows nobody's news."""
    former = Patient(world.patient.folder / "former", world.patient.code, config=SMALL)
    try:
        former.start(port=0)
        shutil.copy2(world.patient.home / "swim.db", former.home / "swim.db")
        world.proxy.target_port = former.port
        yield
    finally:
        former.finish()


@contextmanager
def _log_reader_died(world: World) -> Iterator[None]:
    """Start the daemon as ``swimctl serve | logger``, and let the logger die."""
    reading, writing = os.pipe()
    world.patient.stop()
    words = [sys.executable, "-m", "swimctl", "serve", "--port", str(world.port)]
    world.patient.process = subprocess.Popen(
        words, env=world.patient.environ, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing,
        start_new_session=True,
    )  # fmt: skip
    os.close(writing)
    await_true(lambda: world.ask("status"), seconds=60, what="the start")
    os.close(reading)
    yield


@contextmanager
def _history_locked(world: World) -> Iterator[None]:
    with program(HOLD_A_LOCK, str(world.patient.home / "history.db")):
        yield


@contextmanager
def _debugged(world: World) -> Iterator[None]:
    pid = world.patient.info.pid
    with program(DEBUGGER, str(pid)):
        yield
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _cut_files(world: World) -> Iterator[None]:
    """Let the provider die while it writes, again and again, and have its files moved into place all the same."""
    is_over = threading.Event()

    def write() -> None:
        while not is_over.wait(0.5):
            whole = world.event_file.with_name("whole.json")
            whole.write_text(CUT_IN_THE_MIDDLE, "utf-8")
            whole.rename(world.event_file)

    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(8)
    try:
        yield
    finally:
        is_over.set()
        writer.join()


def _no_address_space(world: World) -> None:
    """Leave it no more address space than it has: ``ulimit -v`` in a start script, reached after a day."""
    pid = world.patient.info.pid
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0])
    limit = pages * resource.getpagesize() + SPARE_BYTES
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, limit))


def _configuration_emptied(world: World) -> None:
    os.truncate(world.patient.config_path, 0)


def _other_configuration(world: World) -> None:
    """Have another file in this shell's environment, that of a test installation, say."""
    other = world.patient.folder / "test.toml"
    other.write_text(SMALL, "utf-8")
    world.patient.environ["SWIM_CONFIG"] = str(other)


def _future_feed(world: World) -> None:
    world.feed_says(feed_document(datetime.now(UTC) + timedelta(hours=1)))


@contextmanager
def _impatient_front(world: World) -> Iterator[None]:
    """Cut what is quiet for three seconds; a few quiet clients come back each time."""
    world.proxy.idle_seconds = 3.0
    is_over = threading.Event()
    key = world.patient.api_key("partner")

    def come_back() -> None:
        while not is_over.is_set():
            with contextlib.suppress(WebSocketException, OSError), connect(
                world.proxy.url, additional_headers={"Authorization": f"Bearer {key}"}, proxy=None, open_timeout=20
            ) as client:  # fmt: skip
                for _ in client:
                    pass

    clients = [threading.Thread(target=come_back) for _ in range(3)]
    for each in clients:
        each.start()
        time.sleep(1.1)
    time.sleep(12)
    try:
        yield
    finally:
        is_over.set()
        for each in clients:
            each.join()


def _home_tidied(world: World) -> None:
    """Let a cleaner of temporary files take all that is old: folders of state among it."""
    shutil.rmtree(world.patient.home / "sources")


def thought_up() -> list[Element]:
    """Return them; what is expected was written down before doctor was asked."""
    return [
        Element(
            name="front leads to the former server", slot="front", produce=_former_server,
            roots=ids("front.same-process"),
        ),
        Element(
            name="configuration emptied", slot="configuration", produce=once(_configuration_emptied),
            roots=ids("config.running"), is_visible=False,
        ),
        Element(
            name="configuration deleted", slot="configuration",
            produce=once(lambda world: world.patient.config_path.unlink()), roots=ids("config.valid"), is_visible=False,
        ),
        Element(
            name="history locked by a forgotten shell", slot="home history.db", produce=_history_locked,
            roots=ids(HISTORY),
        ),
        Element(
            name="reader of the log's pipe died", slot="process", produce=_log_reader_died, roots=ids("host.log"),
            is_visible=False, one_command=True,
        ),
        Element(
            name="files of the provider cut in the middle", slot="event file", produce=_cut_files,
            roots=ids("stream.sources stream.event-file stream.known-types"),
        ),
        Element(
            name="feed of an hour ahead", slot="feed", produce=once(_future_feed), roots=ids("stream.sources"),
            is_visible=False,
        ),
        Element(
            name="no address space left", slot="limits", produce=once(_no_address_space), roots=ids("process.memory"),
            is_visible=False, one_command=True,
        ),
        Element(name="held by a debugger", slot="process", produce=_debugged, roots=ids("process.answers")),
        Element(
            name="another configuration in this shell", slot="environment", produce=once(_other_configuration),
            roots=ids("config.same-files config.environment"), is_visible=False,
        ),
        Element(
            name="front cuts what is idle", slot="front", produce=_impatient_front,
            roots=ids("front.idle connections.not-cut"),
        ),
        Element(
            name="home tidied", slot="home sources", produce=once(_home_tidied), roots=ids("host.folders"),
            is_visible=False, one_command=True,
        ),
    ]  # fmt: skip
