"""The machine: disk, folders, clock, log, systemd unit."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, Answer, Check, Repair, Status, decide, fail, inspect, ok, skip, unknown, warn
from swimctl.doctor.checks.host.unit import SYSTEMD, unit_is_installed
from swimctl.doctor.facts import NotSaved
from swimctl.doctor.probes import kernel_clock
from swimctl.doctor.probes.database import key_database
from swimctl.doctor.probes.kernel_clock import ClockState
from swimctl.doctor.probes.launching import as_user, user_of
from swimctl.text import plural, size

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import LogDocument

    from swimctl.doctor.context import DoctorContext
    from swimctl.doctor.probes.filesystem import DiskSpace

MEBIBYTE = 1024 * 1024
FULL_BYTES, NEARLY_FULL_BYTES = 32 * MEBIBYTE, 256 * MEBIBYTE
FEW_INODES = 1000
DELETED = " (deleted)"
LARGE_LOG_BYTES = 1024 * MEBIBYTE


async def disk_has_room(context: DoctorContext) -> Answer:
    """Check that the home's disk has room for history and keys."""
    answer = judge_disk(context.home.path, await asyncio.to_thread(context.files.room, context.home.path))
    other = await _disk_of_keys(context) if answer.status is Status.OK else None
    return answer if other is None else other


async def _disk_of_keys(context: DoctorContext) -> Answer | None:
    """Evaluate the key database's disk if it is not the home's; None: it has room."""
    from swim_server.config import ConfigError

    try:
        path = key_database.sqlite_path((await context.loaded()).config.database, context.home.database)
    except (ConfigError, OSError, NotSaved):
        return None
    if path is None or path.parent == context.home.path:
        return None
    found = await asyncio.to_thread(context.files.room, path.parent)
    expected = f"room for the key database where {path} is"
    if found is None or (found.free_bytes >= MEBIBYTE and not found.is_read_only):
        return None
    quoted = shlex.quote(str(found.path))
    if found.is_read_only:
        return fail(expected, "the file system is mounted read-only", advice=_about_read_only(quoted))
    observed = f"{size(found.free_bytes)} of {size(found.total_bytes)} free"
    return fail(
        expected, observed, advice=[inspect(f"df -h {quoted}"), inspect(f"du -xh -d 2 {quoted} | sort -h | tail")]
    )


def judge_disk(path: Path, found: DiskSpace | None) -> Answer:
    """Evaluate how much room there is at a folder's present or future place."""
    expected = f"{size(NEARLY_FULL_BYTES)} and {FEW_INODES} inodes free where {path} is"
    if found is None:
        return unknown(expected, "the disk does not say how much room it has")
    observed = f"{size(found.free_bytes)} of {size(found.total_bytes)} free"
    quoted = shlex.quote(str(found.path))
    advice = [inspect(f"df -h {quoted}"), inspect(f"du -xh -d 2 {quoted} | sort -h | tail")]
    if found.is_read_only:
        return fail(expected, "the file system is mounted read-only", advice=_about_read_only(quoted))
    if found.free_bytes < FULL_BYTES:
        return fail(expected, observed, advice=advice)
    if found.inodes and found.free_inodes < FEW_INODES:
        look = [inspect(f"df -i {quoted}"), inspect(f"du -x --inodes -d 2 {quoted} | sort -n | tail")]
        seen = f"{plural(found.free_inodes, 'inode')} of {found.inodes} left: soon no more files can be made"
        seen = seen if found.free_inodes else f"no inode of {found.inodes} is left: no file can be made"
        return fail(expected, seen, observed, advice=look)
    return warn(expected, observed, advice=advice) if found.free_bytes < NEARLY_FULL_BYTES else ok(expected, observed)


def _about_read_only(quoted: str) -> list[Advice]:
    why = "as root; after an error of the disk the kernel mounts it read-only: read what it says first"
    return [inspect("dmesg | tail"), decide(f"mount -o remount,rw $(stat -c %m {quoted})", why)]


async def folders_are_there(context: DoctorContext) -> Answer:
    """Check that the folders the daemon writes to exist and are writable."""
    seen = {path: await asyncio.to_thread(context.files.look, path) for path in await _folders(context)}
    missing = [path for path, found in seen.items() if found.kind != "folder"]
    closed = [path for path, found in seen.items() if found.kind == "folder" and not found.can_write]
    expected = "folders that exist and can be written"
    if missing:
        names = " ".join(shlex.quote(str(path)) for path in missing)
        return fail(
            expected,
            f"missing: {missing[0]}",
            *map(str, missing),
            fix=as_user(context, user_of(context, context.home.path), f"mkdir -p -m 700 {names}"),
        )
    if closed:
        names = " ".join(shlex.quote(str(path)) for path in closed)
        return fail(
            expected,
            f"not to be written: {closed[0]}",
            *map(str, closed),
            fix=as_user(context, user_of(context, context.home.path), f"chmod u+rwx {names}"),
        )
    return ok(expected, "they are")


async def make_folders(context: DoctorContext) -> Sequence[str]:
    """Create the missing folders, and make them writable for their owner."""
    missing, closed = await asyncio.to_thread(_judge_folders, await _folders(context))
    for path in missing:
        await asyncio.to_thread(path.mkdir, 0o700, True, True)
    for path in closed:
        await asyncio.to_thread(path.chmod, path.stat().st_mode | 0o700)
    return [f"made {path}" for path in missing] + [f"{path}: its owner may write again" for path in closed]


async def _folders(context: DoctorContext) -> list[Path]:
    """List the folders of the home once it is in use, and those named in the configuration."""
    from swim_server.config import FileSourceConfig

    config, home = (await context.loaded()).config, context.home
    found = [home.path, home.sources] if await context.is_held() else []
    found += [Path(config.logging.file).parent] if config.logging.file else []
    return found + [Path(each.path).parent for each in config.sources if isinstance(each, FileSourceConfig)]


def _judge_folders(folders: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    missing = [path for path in folders if not path.is_dir()]
    return missing, [path for path in folders if path not in missing and not os.access(path, os.W_OK | os.X_OK)]


async def clock_is_right(context: DoctorContext) -> Answer:
    """Check that something keeps this machine's clock synchronised."""
    expected = "a clock that is synchronised"
    ask = kernel_clock.ask_kernel
    state = await context.fact("kernel.clock", lambda: asyncio.to_thread(ask), "adjtimex", shape=ClockState | None)
    if state is not None and state.is_synchronised:
        return ok(expected, f"synchronised, off by {state.max_error_ms:g} ms at most")
    if not (await asyncio.to_thread(context.files.look, SYSTEMD)).is_there:
        return skip(expected, "no systemd here: the clock is up to the host of this container")
    if state is None:
        return skip(expected, "the kernel does not report it")
    return warn(expected, "the kernel's clock is not synchronised", fix="timedatectl set-ntp true && timedatectl")


async def log_is_written(context: DoctorContext) -> Answer:
    """Check that the process can write its log, that there is room for it, and that it does not grow without limit."""
    status = await context.status()
    return await asyncio.to_thread(_judge_log, context, status.pid, status.log)


def _judge_log(context: DoctorContext, pid: int, log: LogDocument) -> Answer:
    expected = "a log that can be written, with room to grow"
    path = Path(log.path) if log.path else None
    if path is None:
        target = context.procfs.log_target(pid)
        if target is None:
            return skip(expected, "only the daemon's own user, or root, may look at where it logs")
        path = Path(target)
        if target.endswith(DELETED):
            observed = f"it writes to {target.removesuffix(DELETED)}, which was removed or replaced: its lines are lost"
            return fail(expected, observed, fix=_open_again(context, pid, log), advice=_about_moved_log(pid))
        if context.files.look(path).kind != "file":
            return _judge_other(target, log, expected)
        if log.opened_as not in (None, target):
            observed = f"it writes to {target}, which was {log.opened_as} at its start: that was moved away"
            return warn(expected, observed, fix=_open_again(context, pid, log), advice=_about_moved_log(pid))
    quoted = shlex.quote(str(path))
    if log.problem:
        observed = f"{plural(log.lost_lines, 'line')} of {path} lost: {log.problem}"
        return fail(expected, observed, fix=f"df -h {quoted}; ls -l {quoted}")
    return _judge_log_file(context, path, log.max_bytes, expected)


def _open_again(context: DoctorContext, pid: int, log: LogDocument) -> str | None:
    """Return the signal that makes the process open its file by its name again; None: it is not ours, or does not."""
    is_told = log.can_reopen and context.procfs.catches(pid, signal.SIGUSR2)
    is_ours = context.procfs.has_open(pid, context.home.lockfile)
    return f"kill -USR2 {pid}" if is_told and is_ours else None


def _about_moved_log(pid: int) -> list[Advice]:
    """Advise about standard error redirected to a file, which nobody rotates."""
    requires = "a log of its own, which it rotates, and opens again when it is moved; clients move over"
    own = decide("swimctl config set logging.file /var/log/swim/swim.log && swimctl restart", requires)
    return [inspect(f"ls -l /proc/{pid}/fd/2"), own]


def _judge_other(target: str, log: LogDocument, expected: str) -> Answer:
    if log.problem:
        return fail(expected, f"it can't write to {_kind(target)}: {log.problem}", fix="swimctl restart")
    return ok(expected, f"it writes to {_kind(target)}")


def _judge_log_file(context: DoctorContext, path: Path, max_bytes: int, expected: str) -> Answer:
    length = context.files.look(path).size  # 0: taken away; the next line makes it anew
    found, quoted = context.files.room(path.parent), shlex.quote(str(path))
    if found is None:
        return unknown(expected, f"the disk of {path} does not say how much room it has")
    free = found.free_bytes
    observed = f"{path}, {size(length)}, {size(free)} free"
    if found.is_read_only:
        return fail(expected, f"{path} is on a read-only disk", advice=_about_read_only(quoted))
    if free < MEBIBYTE:
        return fail(expected, f"no room: {observed}", advice=_about_log(quoted))
    if length > (2 * max_bytes or LARGE_LOG_BYTES):
        return warn(expected, f"it is not rotated: {observed}", advice=_about_log(quoted))
    return ok(expected, observed)


def _about_log(quoted: str) -> list[Advice]:
    look = [inspect(f"df -h {quoted}"), inspect(f"ls -la {quoted}")]
    return [*look, decide(f"truncate -s 0 {quoted}", "the log's lines are lost: copy it elsewhere before, if need be")]


def _kind(target: str) -> str:
    if target.startswith("/dev/"):
        return "a terminal" if "pts" in target or "tty" in target else target
    return {"pipe": "a pipe", "socket": "a socket, the journal's perhaps"}.get(target.partition(":")[0], target)


CHECKS: tuple[Check, ...] = (
    Check(id="host.disk", summary="There is room on the disk", ask=disk_has_room),
    Check(
        id="host.folders",
        summary="The daemon's folders are there and can be written",
        ask=folders_are_there,
        needs=("config.valid", "process.lock"),
        repair=Repair(apply=make_folders),
    ),
    Check(id="host.clock", summary="The clock is synchronised", ask=clock_is_right),
    Check(
        id="host.log",
        summary="The log can be written and is rotated",
        ask=log_is_written,
        needs=("process.answers", "host.disk"),
    ),
    Check(
        id="host.unit",
        summary="The systemd unit is as it should be, and runs the daemon",
        ask=unit_is_installed,
        needs=("config.valid", "process.lock"),
    ),
)
