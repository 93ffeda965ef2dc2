"""The faults that nobody had foreseen: found by search, on real daemons, and kept."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.adl_tables import AdlTables
from support.doctor_faults import SMALL, Fault, Patient
from support.doctor_faults_process import program, small_disk
from support.feed_server import feed_server
from support.live_daemon import await_true
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

NEEDED = "a-package-of-the-test"
BUSY = """
import sys
open(sys.argv[1], "w").write(str(__import__("os").getpid()))
print("busy", flush=True)
while True: pass
"""
LISTEN_ON_SIX = """
import socket, sys, time
listening = socket.socket(socket.AF_INET6)
listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
listening.bind(("::1", int(sys.argv[1])))
listening.listen()
print("listens", flush=True)
time.sleep(600)
"""


def git(folder: Path, *words: str) -> str:
    """Run git in a folder; return its output."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "advice.detachedHead=false")
    done = subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


# Installation and code.


@contextmanager
def pip_interrupted(patient: Patient) -> Iterator[None]:
    """Leave what an interrupted pip leaves: it renames a package's folder before replacing it."""
    site = patient.folder / "site-packages"
    metadata = site / "a_package_of_the_test-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {NEEDED}\nVersion: 1.0\n", "utf-8")
    patient.environ["PYTHONPATH"] += f"{os.pathsep}{site}"
    project = patient.code / "pyproject.toml"
    project.write_text(project.read_text("utf-8").replace('"msgspec"', f'"msgspec", "{NEEDED}"'), "utf-8")
    patient.start(port=0)
    metadata.rename(site / "~_package_of_the_test-1.0.dist-info")
    yield


@contextmanager
def wrong_branch_on_disk(patient: Patient) -> Iterator[None]:
    """Check out another branch where the daemon was started from, while the process runs the expected one."""
    (patient.code / ".gitignore").write_text("__pycache__/\n", "utf-8")
    git(patient.code, "init", "-q")
    git(patient.code, "add", "-A")
    git(patient.code, "commit", "-qm", "as deployed")
    deployed = git(patient.code, "rev-parse", "HEAD")
    patient.configure(SMALL + f'[expect]\ncommit = "{deployed}"\n')
    patient.start(port=0)
    git(patient.code, "checkout", "-qb", "experiment")
    patient.edit("swim_server/logs.py")
    git(patient.code, "commit", "-qam", "an experiment")
    yield


@contextmanager
def merge_conflict_on_disk(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    path = patient.source("swim_server/sources/simulator/source.py")
    path.write_text(f"<<<<<<< HEAD\n{path.read_text('utf-8')}=======\n>>>>>>> other\n", "utf-8")
    yield


# Environment and ownership.


@contextmanager
def variable_overrides_a_tier(patient: Patient) -> Iterator[None]:
    patient.environ["SWIM_TIERS__PUBLIC__CONNECTIONS"] = "3"
    patient.start(port=0)
    del patient.environ["SWIM_TIERS__PUBLIC__CONNECTIONS"]
    yield


@contextmanager
def stranger_on_the_other_address(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError as error:
        pytest.skip(f"this machine has no ::1: {error}")
    with program(LISTEN_ON_SIX, str(patient.port)):
        yield


# Limits of the machine.


@contextmanager
def no_inodes(patient: Patient) -> Iterator[None]:
    with small_disk(patient.home, "600m,nr_inodes=1400"):
        patient.configure(SMALL)
        patient.start(port=0)
        patient.api_key()
        spool = patient.home / "spool"
        spool.mkdir()
        with contextlib.suppress(OSError):
            for number in range(2000):
                (spool / str(number)).touch()
        yield
        shutil.rmtree(spool)
        patient.finish()


@contextmanager
def throttled(patient: Patient) -> Iterator[None]:
    """Let a neighbour in the same control group use up the group's processor time."""
    group = Path("/sys/fs/cgroup/cpu", f"swim-test-{os.getpid()}")
    try:
        group.mkdir()
        (group / "cpu.cfs_quota_us").write_text("5000", "ascii")
    except OSError as error:
        with contextlib.suppress(OSError):
            group.rmdir()
        pytest.skip(f"this machine lets us make no control group: {error}")
    try:
        patient.start(port=0)
        with program(BUSY, str(patient.folder / "busy.pid")) as (busy, _):
            for pid in (busy.pid, patient.info.pid):
                (group / "cgroup.procs").write_text(str(pid), "ascii")
            await_true(lambda: _throttled(group) >= 120, seconds=90, what="throttling")
            (group / "cpu.cfs_quota_us").write_text("80000", "ascii")
            yield
    finally:
        root = Path("/sys/fs/cgroup/cpu/cgroup.procs")
        for member in (group / "cgroup.procs").read_text("ascii").split():
            root.write_text(member, "ascii")
        await_true(lambda: not (group / "cgroup.procs").read_text("ascii"), what="an empty control group")
        group.rmdir()


def _throttled(group: Path) -> int:
    lines = dict(line.split() for line in (group / "cpu.stat").read_text("ascii").splitlines())
    return int(lines["nr_throttled"])


# Sources.


@contextmanager
def feed_is_old(patient: Patient) -> Iterator[None]:
    """Serve a feed whose content is a quarter of an hour old."""
    moment = (datetime.now(UTC) - timedelta(seconds=928)).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
    document = f'{{"general":{{"version":3,"update_timestamp":"{moment}"}},"pilots":[],"prefiles":[]}}'
    with feed_server(document.encode()) as feed:
        patient.configure(f'{SMALL}[[sources]]\nkind = "vatsim"\nurl = "{feed.url}"\ninterval_seconds = 0.2\n')
        patient.start(port=0)
        await_true(lambda: patient.status()["sources"][0]["feed_age_seconds"], seconds=60, what="the first snapshot")
        yield


@contextmanager
def tables_are_old(patient: Patient) -> Iterator[None]:
    """Leave the tables readable, but written last six hours ago."""
    tables = AdlTables(patient.folder / "adl.db")
    tables.add_flight(1, "BAW1", seen=time.time() - 6 * 3600)
    patient.configure(
        f'{SMALL}[[sources]]\nkind = "adl"\nname = "vatusa"\ndatabase = "vatusa"\ninterval_seconds = 0.2\n'
        f'[adl.vatusa.flights]\nurl = "sqlite:///{tables.path}"\n'
    )
    patient.start(port=0)
    await_true(lambda: patient.status()["sources"][0]["details"].get("writer_time"), seconds=60, what="the first look")
    yield


@contextmanager
def provider_writes_nonsense(patient: Patient) -> Iterator[None]:
    path = patient.folder / "events.json"
    patient.configure(f'{SMALL}[[sources]]\nkind = "file"\npath = "{path}"\n')
    patient.start(port=0)
    rows = [{"type": "flight.created", "data": number} for number in range(200)]
    whole = patient.folder / "whole.json"
    whole.write_text(json.dumps(rows), "utf-8")
    whole.rename(path)
    await_true(lambda: patient.status()["sources"][0]["rejected"] >= 200, seconds=60, what="the rejection")
    yield


# Clients.


def refused(patient: Patient, api_key: str, times: int) -> None:
    """Connect with a key that isn't accepted."""
    for _ in range(times):
        with (
            contextlib.suppress(WebSocketException, OSError),
            connect(
                patient.url, additional_headers={"Authorization": f"Bearer {api_key}"}, proxy=None, open_timeout=20
            ) as connection,
        ):
            connection.recv(timeout=20)
            connection.recv(timeout=20)


@contextmanager
def expired_key_knocks(patient: Patient) -> Iterator[None]:
    """Expire a key while its client keeps trying."""
    issued = patient.make_key(expires_at=datetime.now(UTC) + timedelta(seconds=2))
    patient.start(port=0)
    time.sleep(2.1)  # until it has ended: nothing else tells
    refused(patient, issued.api_key, 24)
    yield


@contextmanager
def limit_lowered_below_what_is_live(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    api_key = patient.api_key("public")
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            headers = {"Authorization": f"Bearer {api_key}"}
            stack.enter_context(connect(patient.url, additional_headers=headers, proxy=None, open_timeout=20))
        await_true(lambda: patient.status()["connections"]["total"] == 4, what="four clients")
        patient.configure(SMALL + "[tiers.public]\nconnections = 2\n")
        assert patient.swimctl("reload").returncode == 0
        yield


def _fault(
    name: str, produce: Callable[[Patient], AbstractContextManager[None]], *checks: str, follows: tuple[str, ...] = (),
    **more: object,
) -> Fault:  # fmt: skip
    values = {"is_mended_by_paste": False, **more}
    return Fault(name=name, produce=produce, fires=frozenset(checks), follows=frozenset(follows), **values)  # type: ignore[arg-type]  # the fields of Fault


FAULTS: tuple[Fault, ...] = (
    _fault(
        "pip was interrupted", pip_interrupted, "install.dependencies", "code.dependencies", has_own_code=True,
        first="install.dependencies", names="pip was interrupted and left",
    ),
    _fault(
        "wrong branch on disk", wrong_branch_on_disk, "code.process-is-disk", has_own_code=True,
        names="the disk is wrong", is_mended_by_paste=True,
    ),
    _fault(
        "merge conflict on disk", merge_conflict_on_disk, "code.compiles", "code.process-is-disk", has_own_code=True,
        first="code.compiles", names="swim_server/sources/simulator/source.py, line 1",
    ),
    _fault(
        "a variable overrides a tier", variable_overrides_a_tier, "config.environment", "tiers.in-force",
        first="config.environment", names="SWIM_TIERS__PUBLIC__CONNECTIONS=3 in the environment of pid",
    ),
    _fault(
        "another program on the other address", stranger_on_the_other_address, "process.port", exit_code=0,
        names="listens on the same port of another address",
    ),
    _fault(
        "no inodes left", no_inodes, "host.disk", first="host.disk", names="inode",
        follows=("stream.history-writable", "stream.history-sound", "database.writable", "database.login",
                 "keys.ended-stored", "stream.event-comes-out", "host.log", "database.in-use"),
    ),
    _fault(
        "a quota holds it up", throttled, "process.throttled", names="by a quota of",
        follows=("process.loop", "stream.event-comes-out", "process.answers"),
    ),
    _fault("feed is old", feed_is_old, "stream.sources", exit_code=0, names="what it says is"),
    _fault(
        "tables are old", tables_are_old, "stream.sources", exit_code=0, names="its tables can be read, but"
    ),
    _fault(
        "a provider writes nonsense", provider_writes_nonsense, "stream.sources",
        names="rejects most of its input: 200 of 200",
    ),
    _fault(
        "an expired key knocks", expired_key_knocks, "connections.refused", exit_code=0, names="(expired)",
    ),
    _fault(
        "limit lowered below what is live", limit_lowered_below_what_is_live, "tiers.room", exit_code=0,
        names="public 4/2: the limit was lowered below the number of connections",
    ),
)  # fmt: skip
