"""Random faults of the process and its surroundings: signals, clocks, limits, neighbours, sources, the proxy."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.doctor_faults import Patient
from support.doctor_faults_cases import LISTEN_ON_SIX
from support.doctor_faults_process import LISTEN_AND_WAIT, program
from support.doctor_faults_service import immutable
from support.fault_search.elements import HISTORY, Element, ids, once
from support.fault_search.world import World, feed_document, is_root
from support.packages import apt_install

FAKE_CLOCK = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
RENAME = "import ctypes\nctypes.CDLL(None).prctl(15, b'feeder', 0, 0, 0)\n"
"""Run by Python at its start: PR_SET_NAME."""


@contextmanager
def _stopped(world: World) -> Iterator[None]:
    pid = world.patient.info.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def _doubled(world: World) -> Iterator[None]:
    """Start a second daemon in another home with the same configuration: both read one event file."""
    twin = Patient(world.patient.folder / "twin", world.patient.code, config=world.config)
    try:
        twin.start(port=0)
        yield
    finally:
        twin.finish()


def _renamed(world: World) -> None:
    """Run it under another name than its program's: not a fault at all."""
    folder = world.patient.folder / "names"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(RENAME, "utf-8")
    world.start_again({"PYTHONPATH": f"{folder}{os.pathsep}{world.patient.environ['PYTHONPATH']}"})


def process() -> list[Element]:
    """Return the faults of the process and its limits."""
    return [
        Element(name="stopped", slot="process", produce=_stopped, roots=ids("process.answers"), one_command=True),
        Element(
            name="killed", slot="process", produce=once(lambda world: world.patient.kill()), one_command=True,
            roots=ids("process.lock process.running"),
        ),
        Element(name="doubled", slot="twin", produce=_doubled, roots=ids("stream.event-file")),
        Element(name="renamed", slot="process", produce=once(_renamed), roots=frozenset(), is_visible=False),
        Element(
            name="few descriptors", slot="limits", is_visible=False, one_command=True, roots=ids("process.descriptors"),
            produce=once(lambda world: resource.prlimit(world.patient.info.pid, resource.RLIMIT_NOFILE, (300, 300))),
        ),
        Element(
            name="files of no length", slot="limits", one_command=True,
            roots=ids(f"{HISTORY} process.descriptors process.file-length"),
            produce=once(lambda world: resource.prlimit(world.patient.info.pid, resource.RLIMIT_FSIZE, (0, 0))),
        ),
    ]  # fmt: skip


def _clock(name: str, before: int, after: int, roots: str) -> Element:
    """Start a daemon with a clock some seconds ahead, and later others, with libfaketime."""

    def act(world: World) -> None:
        offset = world.patient.folder / "clock"
        offset.write_text(f"{before:+d}\n", "ascii")
        world.start_again({
            "LD_PRELOAD": str(FAKE_CLOCK), "FAKETIME_TIMESTAMP_FILE": str(offset), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
        })  # fmt: skip
        world.publish()
        offset.write_text(f"{after:+d}\n", "ascii")

    return Element(name=name, slot="process", produce=once(act), roots=ids(roots), is_visible=False)


def clocks() -> list[Element]:
    """Return the faults of the clock, if possible here."""
    if not FAKE_CLOCK.exists():
        apt_install("libfaketime")
    return [
        _clock("clock was ahead, then set back", 900, 0, "stream.ids-forward database.clock"),
        _clock("clock is behind", 0, -900, "front.clock stream.ids-forward stream.sources database.clock"),
        _clock("clock is ahead", 900, 900, "front.clock stream.ids-forward stream.sources database.clock"),
    ]


@contextmanager
def _neighbour(world: World) -> Iterator[None]:
    """Let another program listen somewhere: not a fault at all."""
    with program(LISTEN_AND_WAIT):
        yield


@contextmanager
def _neighbour_on_six(world: World) -> Iterator[None]:
    with program(LISTEN_ON_SIX, str(world.port)):
        yield


@contextmanager
def _neighbour_at_socket(world: World) -> Iterator[None]:
    path = world.patient.home / "control.sock"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as listening:
        with contextlib.chdir(path.parent):  # a socket's address is short
            listening.bind(path.name)
        listening.listen()
        yield


def neighbours() -> list[Element]:
    """Return the neighbours it may have."""
    return [
        Element(name="a neighbour", slot="neighbour", produce=_neighbour, roots=frozenset(), is_visible=False),
        Element(name="a neighbour on ::1", slot="neighbour", produce=_neighbour_on_six, roots=ids("process.port")),
        Element(
            name="a neighbour at the socket", slot="home control.sock", produce=_neighbour_at_socket,
            roots=ids("process.answers"), is_healed=True, is_visible=False,
        ),
    ]  # fmt: skip


@contextmanager
def _event_file_frozen(world: World) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        with _stopped(world):  # else it is taken before it is frozen
            world.event_file.write_text("[]", "utf-8")
            stack.enter_context(immutable(world.event_file))
        yield


def _nonsense(world: World) -> None:
    whole = world.event_file.with_name("whole.json")
    whole.write_text(f"[{','.join(['7'] * 60)}]", "utf-8")
    whole.rename(world.event_file)


def _folder(name: str, operation: str) -> Element:
    """Return a fault that changes the folder the provider writes to."""

    def act(world: World) -> None:
        folder = world.event_file.parent
        if operation == "renamed":
            folder.rename(folder.with_name("old"))
        else:
            subprocess.run(["rm", "-r", str(folder)], check=True)

    return Element(
        name=name,
        slot="event file",
        produce=once(act),
        one_command=True,
        roots=ids("host.folders stream.sources stream.event-file"),
    )


def _feed(name: str, roots: str, fault: int | str) -> Element:
    def act(world: World) -> None:
        world.feed.faults = [fault] * 10_000

    return Element(name=name, slot="feed", produce=once(act), roots=ids(roots))


def _said(name: str, document: bytes) -> Element:
    """Make the feed repeat one answer."""
    return Element(
        name=name, slot="feed", produce=once(lambda world: world.feed_says(document)), roots=ids("stream.sources")
    )


def sources() -> list[Element]:
    """Return the faults of the sources' inputs."""
    old = feed_document(datetime.now(UTC) - timedelta(seconds=1500))
    found = [
        Element(
            name="a provider writes nonsense", slot="event file", produce=once(_nonsense), roots=ids("stream.sources")
        ),
        _folder("the provider's folder renamed", "renamed"),
        _folder("the provider's folder deleted", "deleted"),
        _feed("feed answers 503", "stream.sources", 503),
        _feed("feed refuses us", "stream.sources", 403),
        _feed("feed is cut", "stream.sources", "cut"),
        _feed("feed is silent", "stream.sources", "silent"),
        Element(
            name="feed is late", slot="feed", produce=once(lambda world: world.start_with_feed(old)),
            roots=ids("stream.sources"),
        ),
        _said("feed is a page", b"<!doctype html><title>Maintenance</title>"),
        _said("feed of another shape", b'{"general": {"version": 4}, "planes": []}'),
    ]  # fmt: skip
    if is_root():
        found.append(
            Element(
                name="event file frozen", slot="event file", produce=_event_file_frozen, one_command=True,
                roots=ids("stream.event-file stream.sources"),
            )
        )  # fmt: skip
    return found


def _front(name: str, roots: str, **switches: object) -> Element:
    def act(world: World) -> None:
        for switch, value in switches.items():
            setattr(world.proxy, switch, value)

    return Element(name=name, slot="front", produce=once(act), roots=ids(roots))


def fronts() -> list[Element]:
    """Return the faults of the proxy."""
    silence = "front.upgrade front.key-header front.answers"
    return [
        _front("front leads elsewhere", "front.upgrade", target_port=9),
        _front("front strips the key", "front.key-header", strips_key=True),
        _front("front passes no upgrade", "front.upgrade", passes_upgrade=False),
        _front("front drops", silence, drops=True),
        _front("front redirects", "front.upgrade", redirects_to="https://www.example.org/"),
        _front("front rewrites the path", "front.upgrade", path=b"/ws"),
        _front("front buffers", silence, buffers_bytes=65_536),
    ]
