"""Naming one process beyond doubt, and ending it."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import psutil

from swim_server.daemon.lockfile import LockInfo

RESERVE = 200
"""Descriptors for history, database, logs, sources and the interpreter itself."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard one; return what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def needed_descriptors(connections: int) -> int:
    """What full tiers need."""
    return connections + RESERVE


SAME_START_SECONDS = 0.05
_PROC = Path("/proc")
_BOOT_ID = _PROC / "sys/kernel/random/boot_id"
_START_FIELD = 19
"""Of /proc/PID/stat behind the command's name: ``starttime``, in clock ticks since boot (man 5 proc)."""


def boot_id() -> str | None:
    """The kernel's name for this boot; None where it tells none."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return None


def started_at(pid: int) -> float | None:
    """When a process began, in seconds since boot; None when there is none.

    Never since the epoch where it can be helped: that figure changes when the clock is set.
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
    """Tell whether the very process that wrote this still runs: same pid and same start, not a reused pid."""
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
    """Signal that process, never another one with its pid. False when it is gone."""
    if not is_alive(info):
        return False
    try:
        os.kill(info.pid, number)
    except ProcessLookupError:
        return False
    return True
