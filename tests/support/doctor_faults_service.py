"""The faults of database, keys, tiers, connections, stream and public address."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from support.adl_tables import AdlTables
from support.daemon import running_daemon
from support.doctor_faults import AS_ROOT, PATIENCE_SECONDS, SMALL, Fault, Patient, fired
from support.doctor_faults_process import program
from support.feed_server import feed_server
from support.front_proxy import FrontProxy
from support.live_daemon import await_true
from websockets.sync.client import ClientConnection, connect

from swimctl.doctor.context import Options
from swimctl.doctor.diagnose import Doctor
from swimctl.doctor.saved_facts import write_facts
from swimctl.doctor.selection import Choice
from swimctl.invocation import Invocation

NO_RECHECK = SMALL + "[auth]\nrecheck_seconds = 3600\n"
HOLD_A_LOCK = """
import sqlite3, sys, time
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
time.sleep(600)
"""


class DiagnosedDaemon(Patient):
    """Runs doctor in the test's process, which is faster; the state of the code does not matter here."""

    def doctor(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Examine; return exit code and document."""
        options = Options(is_deep="--deep" in words, timeout_seconds=float(PATIENCE_SECONDS))
        only = words[words.index("--only") + 1 :][:1] if "--only" in words else ()
        invocation = Invocation(config_path=self.config_path, environ=self.environ)
        before = os.environ.get("SSL_CERT_FILE")
        os.environ |= {"SSL_CERT_FILE": self.environ.get("SSL_CERT_FILE", before or "")}
        try:
            doctor = Doctor(invocation, options, Choice(only, () if only else ("install", "code", *AS_ROOT[1:])))
            report = doctor.examine()
            write_facts(self.facts, doctor.run(), ())
        finally:
            os.environ |= {"SSL_CERT_FILE": before or ""}
        return int(report.exit_code), msgspec.json.decode(msgspec.json.encode(report.document()))


def fires(*checks: str) -> frozenset[str]:
    return frozenset(checks)


@contextmanager
def client(patient: Patient, api_key: str, **options: Any) -> Iterator[ClientConnection]:
    """Connect a client that is admitted."""
    headers = {"Authorization": f"Bearer {api_key}"}
    with connect(patient.url, additional_headers=headers, proxy=None, open_timeout=20, **options) as connection:
        assert '"connected"' in str(connection.recv(timeout=20))
        yield connection


def execute(patient: Patient, statement: str, *values: object) -> None:
    """Change the key database as somebody with SQL access would."""
    database = sqlite3.connect(patient.home / "swim.db", timeout=20)
    with database:
        database.execute(statement, values)
    database.close()


# Database.


@contextmanager
def database_gone(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.api_key()
    for name in ("swim.db", "swim.db-wal", "swim.db-shm"):
        (patient.home / name).unlink(missing_ok=True)
    yield


@contextmanager
def database_replaced(patient: Patient) -> Iterator[None]:
    """Replace the database with a copy while the daemon has it open."""
    patient.start(port=0)
    patient.api_key()
    with client(patient, patient.api_key()):
        pass
    copy = patient.folder / "copy.db"
    source, target = sqlite3.connect(patient.home / "swim.db"), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    for name in ("swim.db-wal", "swim.db-shm"):
        (patient.home / name).unlink(missing_ok=True)
    copy.chmod(0o600)
    copy.rename(patient.home / "swim.db")
    yield


@contextmanager
def another_database(patient: Patient) -> Iterator[None]:
    """Start the daemon with another database in its environment."""
    patient.environ["SWIM_DATABASE__URL"] = f"sqlite:///{patient.folder}/other.db"
    patient.start(port=0)
    with client(patient, patient.key()):
        del patient.environ["SWIM_DATABASE__URL"]
        patient.api_key()
        yield


@contextmanager
def database_locked(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.api_key()
    with program(HOLD_A_LOCK, str(patient.home / "swim.db")):
        yield


@contextmanager
def needed_column_missing(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.api_key()
    execute(patient, "ALTER TABLE swim_api_keys DROP COLUMN expires_at")
    yield


@contextmanager
def useful_column_missing(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.api_key()
    execute(patient, "ALTER TABLE swim_api_keys DROP COLUMN key_hint")
    yield


@contextmanager
def clock_was_ahead(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.api_key()
    later = (datetime.now(UTC) + timedelta(hours=5)).strftime("%Y-%m-%d %H:%M:%S")
    execute(patient, "UPDATE swim_api_keys SET created_at = ?", later)
    yield


# Keys.


@contextmanager
def plaintext_rows(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.api_key()
    execute(patient, "UPDATE swim_api_keys SET api_key = 'swim_dev_hp_test'")
    yield


@contextmanager
def expiring_key(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.make_key(expires_at=datetime.now(UTC) + timedelta(days=5))
    execute(patient, "UPDATE swim_api_keys SET created_at = '2026-01-01', last_used_at = '2026-01-01'")
    yield


@contextmanager
def never_used(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.api_key()
    execute(patient, "UPDATE swim_api_keys SET created_at = '2025-01-01 00:00:00'")
    yield


@contextmanager
def system_key_of_nobody(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.api_key("system")
    execute(patient, "UPDATE swim_api_keys SET owner_name = ''")
    yield


@contextmanager
def key_of_no_tier(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.api_key()
    execute(patient, "UPDATE swim_api_keys SET tier = 'gold'")
    yield


# Tiers and connections.


@contextmanager
def limit_changed_in_the_file(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.configure(SMALL + "[tiers.public]\nconnections = 7\n")
    yield


@contextmanager
def tier_full(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    api_key = patient.api_key("public")
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(client(patient, api_key))
        yield


@contextmanager
def revoked_behind_the_back(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    with client(patient, patient.api_key()):
        execute(patient, "UPDATE swim_api_keys SET is_active = 0")
        yield


@contextmanager
def tier_changed_behind_the_back(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    with client(patient, patient.api_key("developer")):
        execute(patient, "UPDATE swim_api_keys SET tier = 'public'")
        yield


@contextmanager
def nothing_more(patient: Patient) -> Iterator[None]:
    """Do nothing: the fault is in the configuration."""
    patient.start(port=0)
    yield


@contextmanager
def slow_consumer(patient: Patient) -> Iterator[None]:
    """Connect a client that doesn't read, until it is closed for that."""
    patient.start(port=0)
    events = [
        {"type": "flight.created", "data": {"callsign": f"BAW{number}", "route": "X" * 2000}} for number in range(200)
    ]
    with client(patient, patient.api_key(), compression=None, max_queue=1) as connection:
        connection.send('{"action":"subscribe","channels":["*"]}')
        assert '"subscribed"' in str(connection.recv(timeout=20))

        def is_closed() -> bool:
            patient.publish_many(events)
            return bool(patient.status()["slow_consumers"]["closed"])

        await_true(is_closed, seconds=60, what="the eviction")
        yield


@contextmanager
def old_client(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    with client(patient, patient.api_key(), user_agent_header="swim-client/0.0.1 Python/3.8.1 websockets/9.0"):
        yield


# Stream.


@contextmanager
def nothing_comes_out(patient: Patient) -> Iterator[None]:
    """Break the hub so that no stored event is delivered."""
    patient.edit("swim_server/streaming/hub.py", "        self._waiting.extend(events)\n", "")
    patient.start(port=0)
    yield


@contextmanager
def source_stalls(patient: Patient) -> Iterator[None]:
    """Let its server accept requests without ever answering."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    document = f'{{"general":{{"version":3,"update_timestamp":"{moment}"}},"pilots":[],"prefiles":[]}}'
    with feed_server(document.encode()) as feed:
        patient.configure(f'{SMALL}[[sources]]\nkind = "vatsim"\nurl = "{feed.url}"\ninterval_seconds = 0.1\n')
        patient.start(port=0)
        await_true(lambda: patient.status()["sources"][0]["last_success_age_seconds"] is not None, seconds=30)
        feed.faults = ["silent"] * 20
        await_true(lambda: patient.status()["sources"][0]["last_success_age_seconds"] > 6, seconds=60)
        await_true(lambda: "stream.sources" in fired(patient.doctor("--only", "stream")[1]), seconds=60)
        yield


@contextmanager
def column_missing_in_a_source(patient: Patient) -> Iterator[None]:
    tables = AdlTables(patient.folder / "adl.db")
    tables.execute("ALTER TABLE adl_flight_core DROP COLUMN callsign")
    patient.configure(
        f'{SMALL}[[sources]]\nkind = "adl"\nname = "vatusa"\ndatabase = "vatusa"\ninterval_seconds = 0.2\n'
        f'[adl.vatusa.flights]\nurl = "sqlite:///{tables.path}"\n'
    )
    patient.start(port=0)
    await_true(lambda: patient.status()["sources"][0]["state"] == "degraded", what="the source's notice")
    yield


@contextmanager
def event_file_unread(patient: Patient) -> Iterator[None]:
    """Make the event file impossible to rename, so that nobody takes it while it grows."""
    path = patient.folder / "swim_ws_events.json"
    patient.configure(f'{SMALL}[[sources]]\nkind = "file"\npath = "{path}"\n')
    path.write_text("[]", "utf-8")
    with immutable(path):
        patient.start(port=0)
        await_true(lambda: patient.status()["sources"][0]["state"] == "degraded", what="the source's notice")
        yield


@contextmanager
def history_read_only(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.publish("flight.created", callsign="BAW1")
    with contextlib.ExitStack() as stack:
        for name in ("history.db", "history.db-wal"):
            stack.enter_context(immutable(patient.home / name))
        yield


@contextmanager
def history_too_small(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    event = {"type": "flight.created", "data": {"route": "X" * 4000}}

    def is_cut() -> bool:
        patient.publish_many([event] * 100)
        return bool(patient.call("promises")["history"]["events"]["has_gap"])

    await_true(is_cut, seconds=60, what="retention")
    yield


@contextmanager
def immutable(path: Path) -> Iterator[None]:
    """Make a file immutable: nobody can change, rename or remove it, not even root."""
    done = subprocess.run(["chattr", "+i", path], check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"this machine lets nobody make a file immutable: {done.stderr.decode().strip()}")
    try:
        yield
    finally:
        if path.exists():  # it was made changeable, and taken
            subprocess.run(["chattr", "-i", path], check=True)


# Front.


@contextmanager
def in_front(patient: Patient, *, tls: str | None = None, more: str = "", **switches: Any) -> Iterator[FrontProxy]:
    """Run a proxy in front of the daemon, known as its public address. ``tls``: trusted, expired or foreign."""
    with FrontProxy(tls=_server_context(patient, tls) if tls else None) as proxy:
        for name, value in switches.items():
            setattr(proxy, name, value)
        patient.configure(SMALL.replace("port = 0", f'port = 0\npublic_url = "{proxy.url}"\n{more}'))
        patient.start(port=0)
        proxy.target_port = patient.port
        yield proxy


def _server_context(patient: Patient, kind: str) -> ssl.SSLContext:
    authority = trustme.CA()
    expired = datetime.now(UTC) - timedelta(days=1)
    name = "other.example.org" if kind == "other name" else "localhost"
    certificate = authority.issue_cert(name, not_after=expired if kind == "expired" else None)
    if kind == "no chain":
        certificate = authority.create_child_ca().issue_cert("localhost")
    if kind == "ending":
        certificate = authority.issue_cert("localhost", not_after=datetime.now(UTC) + timedelta(days=3))
    if kind != "foreign":
        bundle = patient.folder / "authority.pem"
        authority.cert_pem.write_to_path(bundle)
        patient.environ["SSL_CERT_FILE"] = str(bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if kind == "no chain":
        leaf = patient.folder / "leaf.pem"
        leaf.write_bytes(certificate.private_key_pem.bytes() + certificate.cert_chain_pems[0].bytes())
        context.load_cert_chain(leaf)
    else:
        certificate.configure_cert(context)
    return context


def _front(**settings: Any) -> Any:
    @contextmanager
    def produce(patient: Patient) -> Iterator[None]:
        with in_front(patient, **settings):
            yield

    return produce


@contextmanager
def old_process_behind(patient: Patient) -> Iterator[None]:
    """Let the proxy forward to a forgotten process."""
    with in_front(patient, tls="trusted") as proxy, running_daemon(patient.folder / "old", config=SMALL) as old:
        proxy.target_port = int(old.url.rpartition(":")[2].partition("/")[0])
        yield


@contextmanager
def nobody_behind(patient: Patient) -> Iterator[None]:
    """Let the proxy forward to the daemon's former port."""
    with in_front(patient, tls="trusted") as proxy, socket.socket() as former:
        former.bind(("127.0.0.1", 0))  # and never listens
        proxy.target_port = former.getsockname()[1]
        yield


@contextmanager
def proxy_down(patient: Patient) -> Iterator[None]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens: nobody else gets the port meanwhile
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}/"
        patient.configure(SMALL.replace("port = 0", f'port = 0\npublic_url = "{url}"'))
        patient.start(port=0)
        yield


def _fault(name: str, produce: Any, *checks: str, **more: Any) -> Fault:
    return Fault(name=name, produce=produce, fires=fires(*checks), **more)


def _warning(name: str, produce: Any, *checks: str, **more: Any) -> Fault:
    return _fault(name, produce, *checks, exit_code=0, **more)


def _database() -> tuple[Fault, ...]:
    return (
        _fault(
            "database gone", database_gone, "database.reachable", "process.files", names="No such file",
            is_mended_by_paste=False,
        ),
        # The daemon opens the new file by itself within a second; doctor may have come before.
        _warning(
            "database replaced under the daemon", database_replaced, is_mended_by_paste=False,
            follows=fires("database.same-store", "process.files"),
        ),
        _fault(
            "another database than the command line's", another_database, "config.environment", "database.same-store",
            names="other.db", first="config.environment", is_mended_by_paste=False,
        ),
        _fault("database locked", database_locked, "database.writable", names="locked", is_mended_by_paste=False),
        _fault("needed column missing", needed_column_missing, "database.schema", names="expires_at"),
        _warning("useful column missing", useful_column_missing, "database.schema", names="key_hint"),
        _fault("a clock was ahead", clock_was_ahead, "database.clock", is_mended_by_paste=False),
    )  # fmt: skip


def _keys() -> tuple[Fault, ...]:
    return (
        _warning(
            "plaintext rows", plaintext_rows, "keys.hashed", follows=fires("keys.as-written"), is_mended_by_paste=False
        ),
        _warning("expiring key", expiring_key, "keys.expiring", names="key 1 of a test"),
        _warning("key never used", never_used, "keys.used", is_mended_by_paste=False),
        _warning(
            "system key of nobody",
            system_key_of_nobody,
            "keys.owned",
            "keys.as-written",
            first="keys.as-written",
            is_mended_by_paste=False,
        ),
        _warning(
            "key of no tier",
            key_of_no_tier,
            "keys.tiered",
            "keys.as-written",
            names="gold",
            first="keys.as-written",
            is_mended_by_paste=False,
        ),
    )


def _connections() -> tuple[Fault, ...]:
    expecting = SMALL + "[expect.connections]\npartner = {min = 1}\n[expect.connections.owner]\nvNAS = {min = 1}\n"
    return (
        _fault(
            "tier limit changed in the file only", limit_changed_in_the_file, "config.running", "tiers.in-force",
            names="tiers.public", first="config.running",
        ),
        _warning("tier full", tier_full, "tiers.room", names="public 5/5", is_mended_by_paste=False),
        _fault(
            "key revoked behind the back", revoked_behind_the_back, "connections.keys-hold", names="not active",
            config=NO_RECHECK, follows=fires("keys.as-written"), is_mended_by_paste=False,
        ),
        _fault(
            "tier changed behind the back", tier_changed_behind_the_back, "connections.keys-hold",
            names="tier has changed",
            config=NO_RECHECK, follows=fires("keys.as-written"), is_mended_by_paste=False,
        ),
        _fault(
            "expected consumer missing", nothing_more, "connections.expected", names="vNAS", config=expecting,
            is_mended_by_paste=False,
        ),
        _warning("slow consumer", slow_consumer, "connections.keep-up", is_mended_by_paste=False),
        _warning("client on an old version", old_client, "connections.current", is_mended_by_paste=False),
    )  # fmt: skip


def _stream() -> tuple[Fault, ...]:
    small_history = SMALL + "[history]\nmax_bytes = 1000000\n"
    return (
        _fault(
            "nothing comes out", nothing_comes_out, "stream.event-comes-out", is_mended_by_paste=False,
            has_own_code=True,
        ),
        _fault("a source stalls", source_stalls, "stream.sources", is_mended_by_paste=False),
        _fault(
            "a source's column is missing", column_missing_in_a_source, "stream.sources", names="callsign",
            is_mended_by_paste=False,
        ),
        _fault(
            "event file unread", event_file_unread, "stream.sources", "stream.event-file", names="are not taken",
            first="stream.event-file",
            is_mended_by_paste=False,
        ),
        _fault(
            "history read-only", history_read_only, "stream.history-writable", follows=fires("stream.history-sound"),
            is_mended_by_paste=False,
        ),
        _warning(
            "history too small", history_too_small, "stream.history-kept", config=small_history,
            is_mended_by_paste=False,
        ),
    )  # fmt: skip


def _fronts() -> tuple[Fault, ...]:
    by_hand: dict[str, Any] = {"is_mended_by_paste": False}
    return (
        _fault("proxy strips the key", _front(tls="trusted", strips_key=True), "front.key-header", **by_hand),
        _fault("proxy passes no upgrade", _front(passes_upgrade=False), "front.upgrade", names="426", **by_hand),
        _fault(
            "proxy believes its clients", _front(names_client=False), "front.address", names="was believed", **by_hand
        ),
        _fault("certificate expired", _front(tls="expired"), "front.certificate", names="expired", **by_hand),
        _fault("certificate of a stranger", _front(tls="foreign"), "front.certificate", **by_hand),
        _warning("certificate ends soon", _front(tls="ending"), "front.certificate", names="days", **by_hand),
        _fault("intermediate certificate missing", _front(tls="no chain"), "front.certificate",
               names="send the full chain", **by_hand),
        _fault("certificate for another name", _front(tls="other name"), "front.certificate",
               names="it is for other names: other.example.org; asked for localhost", **by_hand),
        _fault("proxy leads to the former port", nobody_behind, "front.upgrade",
               names="the proxy does not reach the service", **by_hand),
        _fault("old process behind the proxy", old_process_behind, "front.same-process", **by_hand),
        _fault("proxy down", proxy_down, "front.tcp", names="refused", **by_hand),
        _fault(
            "proxy cuts idle connections", _front(idle_seconds=0.8, more="heartbeat_seconds = 2\n"), "front.idle",
            words=("--deep", "--only", "front"), names="heartbeats come every 2 s", **by_hand,
        ),
    )  # fmt: skip


FAULTS: tuple[Fault, ...] = (*_database(), *_keys(), *_connections(), *_stream(), *_fronts())
