"""Identifies one process unambiguously, and ends it."""

from __future__ import annotations

import os
import resource
import signal
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from swim_server import __version__
from swim_server.daemon.lockfile import LockInfo

if TYPE_CHECKING:
    from swim_server.daemon.fingerprint import Fingerprint
    from swim_server.logs import Logger

RESERVE = 200
"""Descriptors reserved for history, database, logs, sources and the interpreter itself."""
SAME_START_SECONDS = 0.05
_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"
_START_FIELD = 19
"""Of /proc/PID/stat behind the command's name: ``starttime``, in clock ticks since boot (man 5 proc)."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard one; return the resulting limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def needed_descriptors(connections: int) -> int:
    """Return how many descriptors full tiers need."""
    return connections + RESERVE


def prepare_descriptors(connections: int, log: Logger) -> None:
    """Let this process open as many files as it may; warn if that is too few for the configured connections."""
    limit, needed = raise_descriptor_limit(), needed_descriptors(connections)
    if limit < needed:
        log.warning(
            "too few file descriptors for full tiers: raise the limit (systemd: LimitNOFILE=)",
            limit=limit,
            needed=needed,
        )


def warn_of_root(log: Logger) -> None:
    """Warn if the service runs as root: errors, and files planted for it, would have root's rights."""
    if os.geteuid() == 0:
        log.warning(
            "the service runs as root, which it does not need: give it a user of its own "
            "(swimctl service install --run-as USER)"
        )


def memory_bytes() -> int:
    """Return the resident memory of this process."""
    return int(psutil.Process().memory_info().rss)


def describe_this_process(fingerprint: Fingerprint, config_files: Sequence[Path], started: str) -> LockInfo:
    """Return what this process writes into its lockfile, before it listens."""
    return LockInfo(
        pid=os.getpid(),
        process_started=started_at(os.getpid()) or 0.0,
        boot_id=boot_id(),
        host=socket.gethostname(),
        started_at=started,
        version=__version__,
        fingerprint=fingerprint.digest,
        commit=fingerprint.commit,
        python=fingerprint.python,
        config_file=str(config_files[0]) if config_files else None,
    )


def boot_id() -> str | None:
    """Return the kernel's id of this boot; None if there is none."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return None


def started_at(pid: int) -> float | None:
    """Return when a process began, in seconds since boot; None if there is none.

    Not since the epoch if that can be avoided: that value changes when the clock is set.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text("ascii", "replace")
        return int(stat.rpartition(")")[2].split()[_START_FIELD]) / os.sysconf("SC_CLK_TCK")
    except (ProcessLookupError, FileNotFoundError):
        pass
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def is_alive(info: LockInfo) -> bool:
    """Tell whether the process that wrote this still runs: same pid and same start time, not a reused pid."""
    if info.boot_id is not None and boot_id() not in (None, info.boot_id):
        return False
    started = started_at(info.pid)
    return started is not None and abs(started - info.process_started) < SAME_START_SECONDS and not _is_zombie(info.pid)


def _is_zombie(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def send_signal(info: LockInfo, number: signal.Signals) -> bool:
    """Send a signal to that process, never to another one with its pid. False if it is gone."""
    if not is_alive(info):
        return False
    try:
        os.kill(info.pid, number)
    except ProcessLookupError:
        return False
    return True
