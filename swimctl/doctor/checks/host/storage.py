"""The storage under events and keys: disk errors, files that were set aside, rows that are not as they were written."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, Check, fail, inspect, ok, warn
from swimctl.doctor.probes.daemon_facts import CannotAsk, expecting, status
from swimctl.doctor.probes.database import key_database
from swimctl.doctor.probes.kernel_log import KERNEL_LOG, devices_of, lines_about, read_kernel_log

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

SHOWN = 5

_DISK = "a disk without errors"
_SOUND = "a history that is what was stored, and can be written"
_STORED = "every ended key is stored as ended"
_WRITTEN = "every key's row is as our last change left it"


@expecting(_DISK)
async def disk_does_not_err(context: DoctorContext) -> Answer:
    """Check for disk errors reported by the kernel or met by the daemon."""
    lines, is_readable = await context.fact(
        "kernel.log",
        lambda: asyncio.to_thread(_errors_of_disks_below, context.home.path),
        str(KERNEL_LOG),
        shape=tuple[list[str], bool],
    )
    failures, rotten = await _met_by_the_daemon(context)
    counts = f"{failures} failed commits, {rotten} corrupt ranges since the start"
    advice = [
        inspect("dmesg --ctime | grep -i error"),
        inspect("smartctl -a /dev/DISK", "as root, with the disk's name"),
    ]
    if lines:
        observed = f"the kernel reports {len(lines)} errors of the home's disk, the last: {lines[-1]}"
        return fail(_DISK, observed, *lines[-SHOWN:], advice=advice)
    if failures or rotten:
        return warn(_DISK, counts, advice=advice)
    where = "the kernel reports none" if is_readable else "this user may not read the kernel's log"
    return ok(_DISK, f"{where}; {counts}")


def _errors_of_disks_below(home: Path) -> tuple[list[str], bool]:
    """Return the kernel's errors for the disks under the home, and whether its log could be read. Blocks."""
    lines, is_readable = read_kernel_log(KERNEL_LOG)
    there = next((path for path in (home, *home.parents) if path.exists()), home)
    return lines_about(lines, devices_of(there)), is_readable


async def _met_by_the_daemon(context: DoctorContext) -> tuple[int, int]:
    """Count the failed commits and unreadable ranges that a running daemon has met; none if it can't be asked."""
    found = await context.answered(context.status)
    if found is None:
        return 0, 0
    is_shared = found.node is not None  # then it commits to a server, whose failures are no disk's here
    return 0 if is_shared else found.history.failures, found.history.corrupt_ranges


@expecting(_SOUND)
async def history_is_sound(context: DoctorContext) -> Answer:
    """Check what history reports about itself: errors, unreadable ranges, files that were set aside."""
    history = (await status(context)).history
    if history.problem or history.writing_problem:
        return fail(_SOUND, str(history.problem or history.writing_problem), fix="swimctl history check; swimctl logs")
    if history.corrupt_ranges:
        return fail(
            _SOUND,
            f"{history.corrupt_ranges} ranges are not what was stored; clients are told",
            fix="swimctl history info",
        )
    if history.damaged_files:
        first = shlex.quote(history.damaged_files[0])
        return warn(
            _SOUND, f"set aside as damaged: {history.damaged_files[0]}", *history.damaged_files[:SHOWN],
            fix=f"swimctl history check {first}",
        )  # fmt: skip
    if history.checked_at is None:
        return ok(_SOUND, "no damage was found; not checked completely yet since the start")
    return ok(_SOUND, f"read through {max(0.0, context.now - history.checked_at):.0f} s ago")


@expecting(_STORED)
async def endings_are_stored(context: DoctorContext) -> Answer:
    """Check that no key is ended only in memory: a restart would make it valid again."""
    waiting = (await status(context)).keys.not_stored
    if not waiting:
        return ok(_STORED, "none waits")
    names = ", ".join(map(str, waiting[:SHOWN]))
    return fail(
        _STORED, f"ended, and not stored yet: key {names}", fix=f"df -h .; swimctl keys revoke {waiting[0]} --yes"
    )


@expecting(_WRITTEN)
async def rows_are_as_written(context: DoctorContext) -> Answer:
    """Check the checksums of the key rows: a row that is damaged or was edited by hand needs a person's attention."""
    from swim_server.sql.errors import StoreError

    try:
        records = (await key_database.rows(context)).values()
    except StoreError as error:
        raise CannotAsk(str(error), "swimctl db status") from None
    altered = [record for record in records if record.is_altered]
    if not altered:
        return ok(_WRITTEN, f"{len(records)} keys")
    lines = [f"key {each.id} of {each.owner_name[:40] or 'nobody'}" for each in altered[:SHOWN]]
    fix = f"swimctl keys show {altered[0].id}; swimctl keys audit {altered[0].id}; swimctl keys accept {altered[0].id}"
    return warn(_WRITTEN, f"{len(altered)} are not: damaged, or changed outside swimctl", *lines, fix=fix)


CHECKS: tuple[Check, ...] = (
    Check(
        id="keys.ended-stored",
        summary="Every ended key is stored as ended",
        ask=endings_are_stored,
        needs=("process.answers",),
    ),
    Check(
        id="keys.as-written",
        summary="Every key's row is as our last change left it",
        ask=rows_are_as_written,
        needs=("database.schema",),
        timeout_seconds=5.0,
    ),
    Check(
        id="stream.history-sound",
        summary="History is what was stored, and can be written",
        ask=history_is_sound,
        needs=("process.answers",),
    ),
    Check(id="host.disk-errors", summary="The disk has no errors", ask=disk_does_not_err),
)
