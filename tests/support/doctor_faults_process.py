"""The faults of code, process, configuration, installation and machine."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from support.doctor_faults import SMALL, Fault, Patient, copy_of_the_code, installed_copy
from support.live_daemon import await_true
from support.mounts import NoMount, mounted, tmpfs
from swim_server.daemon.lockfile import LockInfo

from swimctl.doctor.probes.procfs import ProcFs

LOGS = "swim_server/logs.py"
LOCK_AND_WAIT = """
import fcntl, sys, time
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""
LISTEN_AND_WAIT = """
import socket, time
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
time.sleep(600)
"""


@contextmanager
def program(code: str, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run another program; yield its first line of output."""
    process = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextmanager
def edited_after_start(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.edit(LOGS)
    yield


@contextmanager
def file_gone_after_start(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.source("swimctl/commands/demo.py").unlink()
    yield


@contextmanager
def edited_in_a_checkout(patient: Patient) -> Iterator[None]:
    """Edit and restart: process and disk agree, but differ from the commit."""
    git = ("git", "-C", str(patient.code), "-c", "user.name=test", "-c", "user.email=test@example.org")
    (patient.code / ".gitignore").write_text("__pycache__/\n", "utf-8")
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "as it was")):
        subprocess.run([*git, *words], check=True)
    patient.edit(LOGS)
    patient.start(port=0)
    yield


@contextmanager
def older_copy(patient: Patient) -> Iterator[None]:
    """Start the daemon from the folder of the previous deployment."""
    patient.edit(LOGS)
    patient.start(port=0)
    patient.use(copy_of_the_code(patient.folder / "newer"))
    yield


@contextmanager
def wheel_edited(patient: Patient) -> Iterator[None]:
    """Edit a file in site-packages, and restart."""
    patient.code = installed_copy(patient.folder / "site")
    patient.use(patient.code)
    patient.edit(LOGS)
    patient.start(port=0)
    yield


@contextmanager
def wheel_file_missing(patient: Patient) -> Iterator[None]:
    patient.code = installed_copy(patient.folder / "site")
    patient.use(patient.code)
    (patient.code / "swim_server" / "config" / "swim.toml").unlink()
    patient.start(port=0)
    yield


@contextmanager
def dependency_out_of_bounds(patient: Patient) -> Iterator[None]:
    path = patient.code / "pyproject.toml"
    path.write_text(path.read_text("utf-8").replace('"msgspec"', '"msgspec>=999"'), "utf-8")
    patient.start(port=0)
    yield


@contextmanager
def dependency_upgraded_after_start(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    metadata = patient.code / "tenacity-999.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: tenacity\nVersion: 999.0\n", "utf-8")
    yield


@contextmanager
def running(patient: Patient) -> Iterator[None]:
    """Run a healthy daemon; the fault is in what is expected."""
    patient.start(port=0)
    yield


@contextmanager
def not_started(patient: Patient) -> Iterator[None]:
    yield


@contextmanager
def setting_for_reload_changed(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.configure(SMALL + '[logging]\nlevel = "warning"\n')
    yield


@contextmanager
def setting_for_restart_changed(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.configure(SMALL.replace("port = 0", "port = 0\nheartbeat_seconds = 7"))
    yield


@contextmanager
def unknown_setting(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.configure(SMALL + "[logging]\nlevle = 'info'\n")
    yield


@contextmanager
def secret_open_to_others(patient: Patient) -> Iterator[None]:
    secret = patient.folder / "password"
    secret.write_text("hunter2\n", "utf-8")
    secret.chmod(0o644)
    patient.configure(SMALL + f'[database]\npassword_file = "{secret}"\n')
    patient.start(port=0)
    yield


@contextmanager
def killed(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    patient.kill()
    yield


@contextmanager
def killed_again_and_again(patient: Patient) -> Iterator[None]:
    for _ in range(3):
        patient.start(port=0)
        patient.kill()
    patient.start(port=0)
    yield


@contextmanager
def lock_held_by_another(patient: Patient) -> Iterator[None]:
    with program(LOCK_AND_WAIT, str(patient.home / "swim.lock")):
        yield


@contextmanager
def lock_names_another(patient: Patient) -> Iterator[None]:
    """Leave a lockfile whose pid now belongs to another program."""
    with program(LISTEN_AND_WAIT) as (process, _):
        lock = patient.lockfile
        lock.acquire()
        lock.write(
            LockInfo(
                pid=process.pid, process_started=1.0, host="here", started_at="2026-01-16T14:30:15.000Z",
                version="0.1.0", fingerprint="0123456789ab",
            )
        )  # fmt: skip
        content = patient.lockfile.path.read_bytes()
        lock.release()
        lock.path.write_bytes(content)
        yield


@contextmanager
def port_taken(patient: Patient) -> Iterator[None]:
    with program(LISTEN_AND_WAIT) as (_, port):
        patient.configure(SMALL.replace("port = 0", f"port = {port}"))
        assert patient.swimctl("serve", "--detach").returncode == 1
        yield


@contextmanager
def few_descriptors(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    resource.prlimit(patient.info.pid, resource.RLIMIT_NOFILE, (300, 300))
    yield


@contextmanager
def stopped(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    pid = patient.info.pid
    os.kill(pid, signal.SIGSTOP)
    await_true(lambda: Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] == "T")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def loop_blocked(patient: Patient) -> Iterator[None]:
    """Block the loop for three quarters of a second whenever a task gets its turn."""
    begin = "        garbage.begin()\n"
    block = "        def block() -> None:\n            __import__('time').sleep(0.75)\n"
    block += "            loop.call_later(0.001, block)\n\n        block()\n"
    patient.edit("swim_server/daemon/metrics/loop_lag.py", begin, begin + block)
    patient.start(port=0)
    await_true(lambda: is_late(patient), seconds=90, what="a late loop")
    yield


def is_late(patient: Patient) -> bool:
    """Wait until it is late, and has been up long enough to be judged."""
    status = patient.status()
    return bool(status["loop_lag_ms"]["p50"] > 550 and status["uptime_seconds"] > 12)


@contextmanager
def log_disk_full(patient: Patient) -> Iterator[None]:
    """Give the log a small disk of its own, and fill it."""
    logs = patient.folder / "logs"
    logs.mkdir()
    with small_disk(logs, "2m"):
        patient.configure(SMALL + f'[logging]\nfile = "{logs}/swim.log"\n')
        patient.start(port=0)
        filler = logs / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        try:
            yield
        finally:
            filler.unlink()
            patient.finish()


@contextmanager
def folder_missing(patient: Patient) -> Iterator[None]:
    patient.start(port=0)
    (patient.home / "sources").rmdir()
    yield


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """Mount a small disk on a folder, if possible; ``size`` as for tmpfs. Needs root."""
    with ExitStack() as stack:
        try:
            stack.enter_context(mounted(folder, *tmpfs(size)))
        except NoMount as reason:
            import pytest

            pytest.skip(f"this machine mounts no disk for us: {reason}")
        yield


@contextmanager
def disk_full(patient: Patient) -> Iterator[None]:
    with small_disk(patient.home, "340m"):
        patient.configure(SMALL)
        patient.start(port=0)
        filler = patient.home / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 330 * 1024 * 1024)
        try:
            yield
        finally:
            filler.unlink()
            patient.finish()


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


FAULTS: tuple[Fault, ...] = (
    Fault(
        name="source file edited after start",
        produce=edited_after_start,
        has_own_code=True,
        fires=frozenset({"code.process-is-disk"}),
        names=LOGS,
    ),
    Fault(
        name="source file gone after start",
        produce=file_gone_after_start,
        has_own_code=True,
        fires=frozenset({"code.process-is-disk"}),
        names="swimctl/commands/demo.py: not on disk any more",
        is_mended_by_paste=False,
    ),
    Fault(
        name="file edited and restarted in a checkout",
        produce=edited_in_a_checkout,
        has_own_code=True,
        fires=frozenset({"code.checkout"}),
        exit_code=0,
        names=LOGS,
        is_mended_by_paste=False,
    ),
    Fault(
        name="process started from an older copy",
        produce=older_copy,
        has_own_code=True,
        fires=frozenset({"code.same-copy"}),
        names=LOGS,
    ),
    Fault(
        name="file of the wheel edited and restarted",
        produce=wheel_edited,
        has_own_code=True,
        fires=frozenset({"install.files"}),
        names=f"{LOGS}: changed",
        is_mended_by_paste=False,
    ),
    Fault(
        name="file of the wheel missing",
        produce=wheel_file_missing,
        has_own_code=True,
        fires=frozenset({"install.files"}),
        names="swim_server/config/swim.toml: missing",
        is_mended_by_paste=False,
    ),
    Fault(
        name="dependency out of bounds",
        produce=dependency_out_of_bounds,
        has_own_code=True,
        fires=frozenset({"install.dependencies"}),
        exit_code=0,
        names="msgspec",
        is_mended_by_paste=False,
    ),
    Fault(
        name="dependency upgraded after start",
        produce=dependency_upgraded_after_start,
        has_own_code=True,
        fires=frozenset({"code.dependencies"}),
        names="tenacity",
    ),
    Fault(
        name="another version than expected",
        produce=running,
        words=("--expect-version", "9.9.9"),
        fires=frozenset({"code.version"}),
        names="9.9.9",
        is_mended_by_paste=False,
    ),
    Fault(
        name="setting changed that a reload changes",
        produce=setting_for_reload_changed,
        fires=frozenset({"config.running"}),
        names="logging.level: info in the process, warning configured; a reload",
    ),
    Fault(
        name="setting changed that a restart changes",
        produce=setting_for_restart_changed,
        fires=frozenset({"config.running"}),
        names="server.heartbeat_seconds",
    ),
    Fault(
        name="unknown setting",
        produce=unknown_setting,
        fires=frozenset({"config.valid"}),
        names="did you mean level?",
    ),
    Fault(
        name="password file open to others",
        produce=secret_open_to_others,
        fires=frozenset({"config.permissions"}),
        names="password: 0644",
    ),
    Fault(
        name="daemon not running",
        produce=not_started,
        fires=frozenset({"process.running"}),
        exit_code=3,
    ),
    Fault(
        name="lock stale",
        produce=killed,
        fires=frozenset({"process.lock"}),
        exit_code=3,
        names="was killed",
    ),
    Fault(
        name="lock of a reused pid",
        produce=lock_names_another,
        fires=frozenset({"process.lock"}),
        exit_code=3,
        names="is another process now",
    ),
    Fault(
        name="lock foreign",
        produce=lock_held_by_another,
        fires=frozenset({"process.lock"}),
        exit_code=3,
        names="it names no process",
        is_mended_by_paste=False,
    ),
    Fault(
        name="killed again and again",
        produce=killed_again_and_again,
        fires=frozenset({"process.restarts"}),
        exit_code=0,
        names="3 after a death",
        is_mended_by_paste=False,
    ),
    Fault(
        name="port taken by another program",
        produce=port_taken,
        fires=frozenset({"process.port", "process.running"}),
        first="process.port",
        exit_code=3,
        names="taken by pid",
        is_mended_by_paste=False,
    ),
    Fault(
        name="descriptor limit too low",
        produce=few_descriptors,
        fires=frozenset({"process.descriptors"}),
        exit_code=0,
        is_mended_by_paste=ProcFs().may_raise_limits(),
    ),
    Fault(
        name="process stopped",
        produce=stopped,
        fires=frozenset({"process.answers"}),
        words=("--timeout", "2"),
        names="is stopped",
    ),
    Fault(
        name="loop blocked",
        produce=loop_blocked,
        has_own_code=True,
        fires=frozenset({"process.loop"}),
        follows=frozenset({"process.answers"}),
        words=("--only", "process"),  # whether others get their answers in time depends on the machine
        is_mended_by_paste=False,
    ),
    Fault(
        name="log unwritable",
        produce=log_disk_full,
        fires=frozenset({"host.log"}),
        names="no room",
        is_mended_by_paste=False,
    ),
    Fault(
        name="folder missing",
        produce=folder_missing,
        fires=frozenset({"host.folders"}),
    ),
    Fault(
        name="disk full",
        produce=disk_full,
        fires=frozenset({"host.disk"}),
        is_mended_by_paste=False,
    ),
)
