"""The grammar of faults: what can be done to which thing, what a user would notice of it, where its root is."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random

import msgspec
from support.doctor_faults_process import LISTEN_AND_WAIT, program
from support.doctor_faults_service import HOLD_A_LOCK, immutable
from support.fault_search.world import World, is_root

HISTORY = "process.files stream.history-writable stream.history-sound stream.history-kept"
Produce = Callable[[World], AbstractContextManager[None]]


class Element(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that can be drawn."""

    name: str
    slot: str
    """What it is done to: of a pair, each is done to another thing."""
    produce: Produce
    roots: frozenset[str]
    """Checks any of which names it; empty: nothing is to be told."""
    is_visible: bool = True
    """A user would notice it within a day."""
    is_healed: bool = False
    """The daemon mends it by itself within seconds: it need not be found."""
    has_own_code: bool = False


class Draw(msgspec.Struct, frozen=True):
    """What was drawn with one seed."""

    seed: int
    elements: tuple[Element, ...]

    @property
    def name(self) -> str:
        return " + ".join(each.name for each in self.elements)

    @property
    def roots(self) -> frozenset[str]:
        return frozenset().union(*(each.roots for each in self.elements))

    @property
    def is_visible(self) -> bool:
        return any(each.is_visible for each in self.elements)


def draw(seed: int) -> Draw:
    """Draw a fault, or two at a time on different things."""
    random = Random(seed)  # a seed that repeats is what is wanted
    elements = grammar()
    first = random.choice(elements)
    others = [each for each in elements if each.slot != first.slot]
    return Draw(seed, (first, random.choice(others)) if random.random() < 0.3 else (first,))


def _once(act: Callable[[World], object]) -> Produce:
    @contextmanager
    def produce(world: World) -> Iterator[None]:
        act(world)
        yield

    return produce


def _home(name: str, operation: str, roots: str, **more: bool) -> Element:
    """Something done to a file of the home."""

    def act(world: World) -> None:
        path = world.patient.home / name
        if operation == "deleted":
            path.unlink()
        elif operation == "replaced":
            shutil.copy2(path, path.with_suffix(".copy"))
            path.with_suffix(".copy").replace(path)
        elif operation == "another's":
            shutil.chown(path, "nobody")
        elif operation == "unreadable":
            path.chmod(0)
        elif operation == "open to all":
            path.chmod(0o666)
        else:
            os.truncate(path, 0)

    ids = frozenset(roots.split())
    return Element(name=f"{name} {operation}", slot=f"home {name}", produce=_once(act), roots=ids, **more)


def _configured(name: str, roots: str, change: Callable[[str], str], **more: bool) -> Element:
    """Something written to the configuration file."""

    def act(world: World) -> None:
        world.patient.configure(change(world.config))

    return Element(
        name=name, slot="configuration", produce=_once(act), roots=frozenset(roots.split()), is_visible=False, **more
    )


def _code(name: str, roots: str, act: Callable[[Path], object]) -> Element:
    """Something done to a source file."""

    def change(world: World) -> None:
        act(world.patient.source("swim_server/sources/simulator/source.py"))

    return Element(
        name=name, slot="code", produce=_once(change), roots=frozenset(roots.split()), is_visible=False,
        has_own_code=True,
    )  # fmt: skip


def _front(name: str, roots: str, **switches: object) -> Element:
    def act(world: World) -> None:
        for switch, value in switches.items():
            setattr(world.proxy, switch, value)

    return Element(name=name, slot="front", produce=_once(act), roots=frozenset(roots.split()))


def _feed(name: str, roots: str, fault: object, **more: bool) -> Element:
    def act(world: World) -> None:
        world.feed.faults = [fault] * 10_000  # type: ignore[list-item]  # a status or a word

    return Element(name=name, slot="feed", produce=_once(act), roots=frozenset(roots.split()), **more)


@contextmanager
def _stopped(world: World) -> Iterator[None]:
    pid = world.patient.info.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _killed(world: World) -> None:
    world.patient.kill()


def _few_descriptors(world: World) -> None:
    resource.prlimit(world.patient.info.pid, resource.RLIMIT_NOFILE, (300, 300))


def _variable_is_gone(world: World) -> None:
    world.patient.environ["SWIM_TIERS__PUBLIC__CONNECTIONS"] = "3"


@contextmanager
def _database_locked(world: World) -> Iterator[None]:
    with program(HOLD_A_LOCK, str(world.patient.home / "swim.db")):
        yield


@contextmanager
def _neighbour(world: World) -> Iterator[None]:
    """Another program listens somewhere: no fault at all."""
    with program(LISTEN_AND_WAIT):
        yield


@contextmanager
def _event_file_frozen(world: World) -> Iterator[None]:
    world.event_file.write_text("[]", "utf-8")
    with immutable(world.event_file):
        yield


def _nonsense(world: World) -> None:
    whole = world.event_file.with_name("whole.json")
    whole.write_text(f"[{','.join(['7'] * 60)}]", "utf-8")
    whole.rename(world.event_file)


def _revoked_by_hand(world: World) -> None:
    database = sqlite3.connect(world.patient.home / "swim.db", timeout=20)
    with database:
        database.execute("UPDATE swim_api_keys SET is_active = 0")
    database.close()


def grammar() -> list[Element]:
    """Return everything that can be drawn on this machine."""
    found = [
        _home("swim.lock", "deleted", "process.lock", is_healed=True, is_visible=False),
        _home("swim.lock", "replaced", "process.lock", is_healed=True, is_visible=False),
        _home("control.sock", "deleted", "process.answers", is_healed=True, is_visible=False),
        *(_home("history.db", operation, HISTORY) for operation in ("deleted", "replaced")),
        _home("swim.db", "deleted", "database.reachable process.files"),
        _home("swim.db", "replaced", "database.same-store process.files", is_healed=True),
        _home("swim.db", "open to all", "config.permissions", is_visible=False),
        _home("starts.jsonl", "deleted", "", is_visible=False),
        _home("starts.jsonl", "truncated", "", is_visible=False),
        _configured("unknown setting", "config.valid", lambda text: f'{text}[logging]\nlevle = "info"\n'),
        _configured("no TOML", "config.valid", lambda text: f"{text}[logging\n"),
        _configured("a limit not reloaded", "config.running", lambda text: f"{text}[tiers.public]\nconnections = 7\n"),
        _configured("another level", "config.running", lambda text: f'{text}[logging]\nlevel = "warning"\n'),
        Element(
            name="a variable in this shell", slot="environment", produce=_once(_variable_is_gone), is_visible=False,
            roots=frozenset({"config.environment"}),
        ),
        _code("source edited", "code.process-is-disk", lambda path: path.write_text(f"{path.read_text()}# x\n")),
        _code("source gone", "code.process-is-disk", Path.unlink),
        _code("source broken", "code.compiles", lambda path: path.write_text("<<<<<<< HEAD\n")),
        Element(name="stopped", slot="process", produce=_stopped, roots=frozenset({"process.answers"})),
        Element(name="killed", slot="process", produce=_once(_killed), roots=frozenset({"process.lock"})),
        Element(
            name="few descriptors", slot="limits", produce=_once(_few_descriptors), is_visible=False,
            roots=frozenset({"process.descriptors"}),
        ),
        Element(
            name="database locked", slot="database", produce=_database_locked, roots=frozenset({"database.writable"}),
        ),
        Element(
            name="keys ended by hand", slot="keys", produce=_once(_revoked_by_hand),
            roots=frozenset({"connections.keys-hold", "keys.as-written"}),
        ),
        Element(name="a neighbour", slot="neighbour", produce=_neighbour, roots=frozenset(), is_visible=False),
        Element(
            name="a provider writes nonsense", slot="event file", produce=_once(_nonsense),
            roots=frozenset({"stream.sources"}),
        ),
        _feed("feed answers 503", "stream.sources", 503),
        _feed("feed is cut", "stream.sources", "cut"),
        _front("front leads elsewhere", "front.upgrade", target_port=9),
        _front("front strips the key", "front.key-header", strips_key=True),
        _front("front passes no upgrade", "front.upgrade", passes_upgrade=False),
    ]  # fmt: skip
    if is_root():
        found += [
            Element(
                name="event file frozen", slot="event file", produce=_event_file_frozen,
                roots=frozenset({"stream.event-file", "stream.sources"}),
            ),
            _home("swim.db", "another's", "", is_visible=False),  # root may read and write it all the same
        ]  # fmt: skip
    return found
