"""Random faults of home, configuration, code and keys: files deleted, renamed, replaced, given away, emptied."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec
from support.doctor_faults_process import program
from support.doctor_faults_service import HOLD_A_LOCK, immutable
from support.fault_search.world import World, is_root

HISTORY = "process.files stream.history-writable stream.history-sound stream.history-kept"
KEYS = "database.reachable database.login database.schema database.same-store database.in-use process.files"
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
    one_command: bool = False
    """An operator who knows what happened mends it with one command, and loses nothing that is not lost already."""


def once(act: Callable[[World], object]) -> Produce:
    """Turn an action whose effect stays into a fault."""

    @contextmanager
    def produce(world: World) -> Iterator[None]:
        act(world)
        yield

    return produce


def ids(text: str) -> frozenset[str]:
    """Split the names of checks."""
    return frozenset(text.split())


def _do(path: Path, operation: str) -> None:
    copy = path.with_name(f"{path.name}.copy")
    if operation == "deleted":
        path.unlink()
    elif operation == "renamed":
        path.rename(path.with_name(f"{path.name}.old"))
    elif operation == "replaced":
        shutil.copy2(path, copy)
        copy.replace(path)
    elif operation == "replaced by an empty one":
        copy.touch(0o600)
        copy.replace(path)
    elif operation == "another's":
        shutil.chown(path, "nobody")
    elif operation == "open to all":
        path.chmod(0o666)
    else:
        os.truncate(path, 0)


def _home(name: str, operation: str, roots: str, **more: bool) -> Element:
    """Return a fault that changes a file of the home."""
    act = once(lambda world: _do(world.patient.home / name, operation))
    return Element(name=f"{name} {operation}", slot=f"home {name}", produce=act, roots=ids(roots), **more)


@contextmanager
def _home_renamed(world: World) -> Iterator[None]:
    home = world.patient.home
    aside = home.with_name("home.old")
    home.rename(aside)
    try:
        yield
    finally:
        if home.exists() and aside.exists():  # what was pasted made another one
            world.patient.swimctl("stop")
            home.rename(home.with_name("home.new"))
        if aside.exists():
            aside.rename(home)


@contextmanager
def _history_frozen(world: World) -> Iterator[None]:
    with immutable(world.patient.home / "history.db"):
        yield


def files_of_the_home() -> list[Element]:
    """Return the faults of the home's files."""
    mended = {"is_healed": True, "is_visible": False}
    command = {"one_command": True}
    found = [
        *(_home("swim.lock", each, "process.lock", **mended) for each in ("deleted", "replaced", "renamed")),
        *(_home("control.sock", each, "process.answers", **mended) for each in ("deleted", "renamed")),
        _home("history.db", "deleted", HISTORY),
        _home("history.db", "replaced", HISTORY, **mended),  # by the same content: the daemon goes on with it
        _home("history.db", "renamed", HISTORY),
        _home("swim.db", "deleted", KEYS),
        _home("swim.db", "renamed", KEYS, **command),
        _home("swim.db", "emptied", KEYS),
        _home("swim.db", "replaced", KEYS, is_healed=True),
        _home("swim.db", "open to all", "config.permissions", is_visible=False, **command),
        *(_home("starts.jsonl", each, "", is_visible=False) for each in ("deleted", "emptied")),
        *(_home("daemon.log", each, "host.log", is_visible=False, **command)
          for each in ("deleted", "renamed", "replaced by an empty one")),
        Element(
            name="the home renamed", slot="home", produce=_home_renamed,
            roots=ids("process.files process.port process.lock process.running config.valid host.ownership"),
        ),
    ]  # fmt: skip
    if is_root():
        found += [
            _home("swim.db", "another's", "host.ownership", is_visible=False, is_healed=True),  # root writes it
            Element(
                name="history.db frozen",
                slot="home history.db",
                produce=_history_frozen,
                roots=ids(f"{HISTORY} host.ownership"),
                **command,
            ),
        ]
    return found


def _configured(name: str, roots: str, change: Callable[[str], str], **more: bool) -> Element:
    """Return a fault that changes the configuration file."""

    def act(world: World) -> None:
        world.patient.configure(change(world.config))

    return Element(
        name=name, slot="configuration", produce=once(act), roots=ids(roots), **{"is_visible": False, **more}
    )


def _write_local_file(world: World) -> None:
    world.patient.config_path.with_name("swim.local.toml").write_text("[tiers.public]\nconnections = 9\n", "utf-8")


def _database_of_another(world: World) -> None:
    other = world.patient.folder / "other.db"
    world.patient.configure(f'{world.config}[database]\nurl = "sqlite:///{other}"\n')


def configuration() -> list[Element]:
    """Return the faults of the configuration: its files, variables, options."""
    command = {"one_command": True}
    return [
        _configured("unknown setting", "config.valid", lambda text: f'{text}[logging]\nlevle = "info"\n', **command),
        _configured("no TOML", "config.valid", lambda text: f"{text}[logging\n"),
        _configured(
            "a limit not reloaded", "config.running", lambda text: f"{text}[tiers.public]\nconnections = 7\n", **command
        ),
        _configured("another level", "config.running", lambda text: f'{text}[logging]\nlevel = "warning"\n', **command),
        Element(
            name="a local file", slot="local file", produce=once(_write_local_file), is_visible=False, **command,
            roots=ids("config.running"),
        ),
        Element(
            name="another database configured", slot="configuration", produce=once(_database_of_another),
            is_visible=False, roots=ids("config.running database.same-store"),
        ),
        Element(
            name="a variable in this shell", slot="environment", is_visible=False, roots=ids("config.environment"),
            produce=once(lambda world: world.patient.environ.update(SWIM_TIERS__PUBLIC__CONNECTIONS="3")),
        ),
        Element(
            name="a variable of the process", slot="process", is_visible=False, roots=ids("config.environment"),
            **command, produce=once(lambda world: world.start_again({"SWIM_TIERS__PUBLIC__CONNECTIONS": "3"})),
        ),
        Element(
            name="another port by an option", slot="process", roots=ids("front.upgrade front.same-process"),
            produce=once(lambda world: world.start_again({}, port=0)),
        ),
    ]  # fmt: skip


def _code(name: str, roots: str, act: Callable[[Path], object], **more: bool) -> Element:
    """Return a fault that changes a source file."""

    def change(world: World) -> None:
        act(world.patient.source("swim_server/sources/simulator/source.py"))

    return Element(
        name=name, slot="code", produce=once(change), roots=ids(roots), is_visible=False, has_own_code=True, **more
    )  # fmt: skip


def code() -> list[Element]:
    """Return the faults of the installation's files."""
    return [
        _code(
            "source edited",
            "code.process-is-disk",
            lambda path: path.write_text(f"{path.read_text()}# x\n"),
            one_command=True,
        ),
        _code("source gone", "code.process-is-disk", Path.unlink),
        _code("source renamed", "code.process-is-disk", lambda path: path.rename(path.with_name("source_old.py"))),
        _code("source emptied", "code.process-is-disk", lambda path: os.truncate(path, 0)),
        _code("source broken", "code.compiles", lambda path: path.write_text("<<<<<<< HEAD\n")),
    ]


@contextmanager
def _database_locked(world: World) -> Iterator[None]:
    with program(HOLD_A_LOCK, str(world.patient.home / "swim.db")):
        yield


def _changed_by_hand(statement: str) -> Produce:
    def act(world: World) -> None:
        with contextlib.closing(sqlite3.connect(world.patient.home / "swim.db", timeout=20)) as database, database:
            database.execute(statement)

    return once(act)


def keys() -> list[Element]:
    """Return the faults of the key database."""
    return [
        Element(name="database locked", slot="database", produce=_database_locked, roots=ids("database.writable")),
        Element(
            name="keys ended by hand", slot="keys", roots=ids("connections.keys-hold keys.as-written"),
            produce=_changed_by_hand("UPDATE swim_api_keys SET is_active = 0"),
        ),
        Element(
            name="keys of another tier by hand", slot="keys", roots=ids("connections.keys-hold keys.as-written"),
            produce=_changed_by_hand("UPDATE swim_api_keys SET tier = 'public'"),
        ),
    ]  # fmt: skip
