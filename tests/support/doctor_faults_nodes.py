"""The faults of nodes that share a Redis server: each is produced on two real daemons while they serve, and undone."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.chaos_daemon import FAKETIME
from support.doctor_faults import SMALL, Patient, copy_of_the_code, fired, first_command
from support.doctor_faults_service import DiagnosedDaemon
from support.live_daemon import LiveDaemon, await_true
from support.redis_server import RedisServer

from swimctl.doctor.catalogue import all_checks

CATALOGUE = [check.id for check in all_checks()]
SIMULATOR = '[[sources]]\nkind = "simulator"\nflights = 20\nspeed = 60\n'
PASSWORD = "opensesame"
KEYS_BUT_SOURCES = (
    "state", "events", "positions", "control", "losses", "nodes", "places", "beats", "event_id:*", "commit:*",
    "answers:*",
)  # fmt: skip
SECONDS = 60.0
LOOK_SECONDS = 0.4


class Ward:
    """Two nodes: doctor is asked on ``here``; most faults are ``there``'s or the server's."""

    def __init__(self, folder: Path, server: RedisServer) -> None:
        self.server = server
        self.folder = folder
        self.prefix = secrets.token_hex(4)
        self.clock = folder / "clock"
        self.clock.write_text("+0\n", "utf-8")
        for user in ("here", "there", "guest"):
            server.command("ACL", "SETUSER", user, "on", f">{PASSWORD}", "~*", "&*", "+@all")
        folders = [folder / name for name in ("here", "there")]
        for each in folders:
            each.mkdir()
        self.here = DiagnosedDaemon(folders[0], config=self.config("here"))
        self.there = Patient(folders[1], config=self.config("there"))
        for daemon in (self.here, self.there):
            daemon.config_path.chmod(0o600)  # it has a password
        if FAKETIME.exists():
            self.there.environ |= {
                "LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
            }  # fmt: skip

    def config(self, name: str, more: str = "", *, user: str | None = None, database: str = "keys.db") -> str:
        """Return a node's configuration."""
        return (
            f'{SMALL}[broker]\nurl = "redis://127.0.0.1:{self.server.port}"\nprefix = "{self.prefix}"\n'
            f'username = "{user or name}"\npassword = "{PASSWORD}"\n[cluster]\nnode = "{name}"\n'
            f'[database]\nurl = "sqlite:///{self.folder}/{database}"\n{more}'
        )

    def start(self) -> None:
        for daemon in (self.here, self.there):
            daemon.start(port=0)

    def finish(self) -> None:
        for daemon in (self.there, self.here):
            daemon.finish()

    @contextmanager
    def guest(self, name: str, config: str, *, code: Path | None = None) -> Iterator[LiveDaemon]:
        """Run a third node."""
        folder = self.folder / name
        folder.mkdir()
        daemon = Patient(folder, code, config=config)
        try:
            daemon.start(port=0)
            yield daemon
        finally:
            daemon.finish()
            shutil.rmtree(folder)

    def make_key(self) -> None:
        """Create a key in the database that both nodes read."""
        self.here.swimctl("keys", "create", "--tier", "developer", "--owner", "a test", check=True)
        await_true(lambda: all(node["keys"] for node in self.here.call("nodes")["nodes"]), seconds=60, what="the keys")

    def examine(self, *words: str) -> dict[str, Any]:
        """Run doctor here; return its document."""
        return self.here.doctor(*words)[1]

    def await_well(self, what: str) -> None:
        """Wait until the area ``nodes`` is well."""
        self.await_fired(frozenset(), what)

    def await_fired(self, checks: frozenset[str], what: str) -> None:
        """Wait until these checks of the area fire; none: until none does."""
        deadline = time.monotonic() + SECONDS
        while not _is_fired(checks, told := fired(self.examine("--only", "nodes"))):
            assert time.monotonic() < deadline, f"{what} was not seen within {SECONDS:g} s: {told}"
            time.sleep(LOOK_SECONDS)

    def states(self) -> dict[str, str]:
        return {node["name"]: node["state"] for node in self.here.call("nodes")["nodes"]}


class NodesFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can go wrong between nodes."""

    name: str
    produce: Callable[[Ward], AbstractContextManager[None]]
    fires: frozenset[str]
    first: str = ""
    """The check that must be told first; the others must follow from it."""
    names: str = ""
    advises: str = ""
    """How the first command begins."""
    is_mended_by_paste: bool = False
    is_long: bool = False
    """It takes long to produce."""
    are_roots: bool = False
    """Each of them is a root of its own."""
    elsewhere: frozenset[str] = frozenset()
    """What may fire beside, outside the area ``nodes``."""


def _is_fired(checks: frozenset[str], told: Mapping[str, str]) -> bool:
    return checks <= set(told) if checks else not told


def judge_nodes(fault: NodesFault, ward: Ward, *words: str) -> None:
    """Produce a fault; compare what fires with the table; paste the advice; wait until all is well again."""
    with fault.produce(ward):
        ward.await_fired(fault.fires, fault.name)
        document = ward.examine(*words)
        told = fired(document)
        area = {id for id in told if id.startswith("nodes.")}
        assert area == fault.fires, f"{fault.name}: {told}"
        assert set(told) - area <= fault.elsewhere, f"{fault.name}: {told}"
        found = {each["id"]: each for each in document["checks"]}
        first = fault.first or next(id for id in CATALOGUE if id in fault.fires)
        causes = {found[id]["cause"] for id in set(told) - {first}}
        assert causes <= ({None} if fault.are_roots else {first}), f"{fault.name}: {causes}: {told}"
        assert fault.are_roots or document["first"] == first, f"{fault.name}: {document['first']}: {told}"
        assert fault.names in found[first]["observed"], told
        assert (first_command(found[first]) or "").startswith(fault.advises), first_command(found[first])
        if fault.is_mended_by_paste:
            ward.here.paste(f"export REDISCLI_AUTH={PASSWORD}; {first_command(found[first])} >&2")
            ward.await_well(f"{fault.name}: what its advice mends")
    ward.await_well(f"a good report after {fault.name}")


def _setting(name: str, value: str, usual: str) -> Callable[[Ward], AbstractContextManager[None]]:
    @contextmanager
    def produce(ward: Ward) -> Iterator[None]:
        ward.server.command("CONFIG", "SET", name, value)
        try:
            yield
        finally:
            ward.server.command("CONFIG", "SET", name, usual)

    return produce


@contextmanager
def nearly_full(ward: Ward) -> Iterator[None]:
    info = ward.server.command("INFO", "memory").decode()
    used = next(int(line.partition(":")[2]) for line in info.splitlines() if line.startswith("used_memory:"))
    with _setting("maxmemory", str(int(used * 1.08)), "0")(ward):
        yield


@contextmanager
def stopped_node(ward: Ward) -> Iterator[None]:
    ward.there.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        ward.there.signal(signal.SIGCONT)


@contextmanager
def killed_node(ward: Ward) -> Iterator[None]:
    """It alone has the source."""
    with ward.guest("guest", ward.config("guest", SIMULATOR)) as guest:
        await_true(lambda: guest.status()["sources"][0]["state"] == "running", what="the source")
        guest.kill()
        try:
            await_true(lambda: ward.states()["guest"] == "gone", seconds=60, what="the end of its leases")
            yield
        finally:
            guest.start(port=0)  # and ends in order: it leaves


@contextmanager
def lease_that_can_not_be_taken(ward: Ward) -> Iterator[None]:
    """The node's user has no rights to the keys of sources."""
    with ward.guest("guest", ward.config("guest", SIMULATOR)) as guest:
        await_true(lambda: guest.status()["sources"][0]["state"] == "running", what="the source")
        patterns = [f"~{{{ward.prefix}}}:{key}" for key in KEYS_BUT_SOURCES]
        ward.server.command("ACL", "SETUSER", "guest", "resetkeys", *patterns)
        try:
            await_true(lambda: ward.here.call("nodes")["leases"][0]["holder"] is None, seconds=60, what="a free lease")
            yield
        finally:
            ward.server.command("ACL", "SETUSER", "guest", "~*")


@contextmanager
def killed_server(ward: Ward) -> Iterator[None]:
    ward.server.kill()
    try:
        yield
    finally:
        ward.server.start()
        for user in ("here", "there", "guest"):  # its users are in no file
            ward.server.command("ACL", "SETUSER", user, "on", f">{PASSWORD}", "~*", "&*", "+@all")


@contextmanager
def unreadable_stream(ward: Ward) -> Iterator[None]:
    """Its user may no longer read streams, and is disconnected, as after a change of the server's rules."""
    ward.server.command("ACL", "SETUSER", "there", "-xread")
    ward.server.command("CLIENT", "KILL", "USER", "there")
    try:
        yield
    finally:
        ward.server.command("ACL", "SETUSER", "there", "+xread")


@contextmanager
def clock_minutes_off(ward: Ward) -> Iterator[None]:
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed: apt-get install faketime")
    ward.clock.write_text("+180\n", "utf-8")
    try:
        yield
    finally:
        ward.clock.write_text("+0\n", "utf-8")


@contextmanager
def other_settings(ward: Ward) -> Iterator[None]:
    with ward.guest("guest", ward.config("guest", "[tiers.public]\nconnections = 6\n" + SIMULATOR)):
        yield


@contextmanager
def other_keys(ward: Ward) -> Iterator[None]:
    """Another installation has the same prefix."""
    ward.make_key()
    config = ward.config("guest", database="other.db")
    with ward.guest("guest", config) as guest:
        guest.swimctl("keys", "create", "--tier", "developer", "--owner", "another", check=True)
        yield


@contextmanager
def other_code(ward: Ward) -> Iterator[None]:
    code = copy_of_the_code(ward.folder / "code")
    with (code / "server" / "swim_server" / "logs.py").open("a", encoding="utf-8") as file:
        file.write("# another release\n")
    with ward.guest("guest", ward.config("guest"), code=code):
        yield


@contextmanager
def two_with_one_name(ward: Ward) -> Iterator[None]:
    """A copy of the node was started elsewhere while this one stood still, and now both report."""
    ward.there.signal(signal.SIGSTOP)
    try:
        await_true(lambda: ward.states()["there"] != "alive", what="a silent node")
        with contextlib.ExitStack() as stack:
            stack.enter_context(ward.guest("copy", ward.config("there")))
            ward.there.signal(signal.SIGCONT)
            yield
    finally:
        ward.there.signal(signal.SIGCONT)


def _fault(
    name: str, produce: Callable[[Ward], AbstractContextManager[None]], *checks: str, **more: object
) -> NodesFault:  # fmt: skip
    return NodesFault(name=name, produce=produce, fires=frozenset(checks), **more)  # type: ignore[arg-type]  # the fields of NodesFault


REDIS_CLI = "redis-cli -u redis://127.0.0.1:"
NODES_FAULTS: tuple[NodesFault, ...] = (
    _fault(
        "the server keeps nothing", _setting("appendonly", "no", "yes"), "nodes.persistence",
        names="a restart of the server loses events", advises=REDIS_CLI, is_mended_by_paste=True,
    ),
    _fault(
        "the server never syncs", _setting("appendfsync", "no", "everysec"), "nodes.persistence",
        names="a power cut may lose half a minute", advises=REDIS_CLI, is_mended_by_paste=True,
    ),
    _fault(
        "the server evicts", _setting("maxmemory-policy", "allkeys-lru", "noeviction"), "nodes.memory",
        names="it may drop whole streams", advises=REDIS_CLI, is_mended_by_paste=True,
    ),
    _fault(
        "the server is nearly full", nearly_full, "nodes.memory", names="raise maxmemory", advises=REDIS_CLI,
        is_mended_by_paste=True,
    ),
    _fault(
        "a node stands still", stopped_node, "nodes.present", names="there: nothing heard for",
        advises="swimctl doctor",
    ),
    _fault(
        "a node's clock is minutes off", clock_minutes_off, "nodes.clocks", names="there +1",
        advises="timedatectl status",
    ),
    _fault(
        "a node may not read the stream", unreadable_stream, "nodes.probe", names="there: ",
        advises="swimctl doctor --node there",
    ),
    _fault(
        "the server is gone", killed_server, "nodes.present", names="127.0.0.1", advises="swimctl logs",
        elsewhere=frozenset({"stream.event-comes-out", "stream.history-writable", "stream.history-sound"}),
    ),
    _fault(
        "a node is gone with its source", killed_node, "nodes.present", names="guest: nothing heard for",
        advises="swimctl doctor", is_long=True,
    ),
    _fault(
        "nobody runs a source", lease_that_can_not_be_taken, "nodes.leases", "nodes.configuration",
        names="nobody runs simulator, which is for guest", advises="swimctl doctor --node guest", is_long=True,
        are_roots=True,
    ),
    _fault(
        "a node has other settings", other_settings, "nodes.configuration", names="[sources] and [tiers] differ",
        advises="swimctl config show", is_long=True,
    ),
    _fault(
        "another installation has the prefix", other_keys, "nodes.keys", names="another [broker] prefix",
        advises="swimctl config show", is_long=True,
    ),
    _fault(
        "a node runs another release", other_code, "nodes.versions", names="guest", advises="swimctl version",
        is_long=True,
    ),
    _fault(
        "two processes have one name", two_with_one_name, "nodes.names", names="two processes report as there",
        advises="swimctl config show", is_long=True,
    ),
)  # fmt: skip
