"""The user that the daemon runs as: not root, owner of the home's files, and able to write them."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, AdviceKind, Answer, Check, decide, fail, inspect, ok, skip, warn
from swimctl.doctor.checks.host.unit import unit_here
from swimctl.doctor.facts import NotSaved
from swimctl.doctor.probes.launching import about_immutable, user_of
from swimctl.systemd.installation import MAKE_USER, SYSTEM_USER

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext
    from swimctl.doctor.probes.filesystem import FileSeen

EXPECTED = "the daemon's user can write its home and what is in it"
UNPRIVILEGED = "the daemon runs as a user of its own, not as root"
ROOT = 0


async def belongs_to_the_daemon(context: DoctorContext) -> Answer:
    """Check that the daemon's user can write the home, its folders and its files."""
    pid = await _running_pid(context)
    unit = await unit_here(context) if pid is None else None
    return await asyncio.to_thread(_judge, context, pid, unit.user if unit is not None else None)


async def is_unprivileged(context: DoctorContext) -> Answer:
    """Check that the daemon does not run as root: it needs no privileges, and its faults would have root's."""
    pid = await _running_pid(context)
    user = await asyncio.to_thread(context.procfs.user, pid) if pid is not None else None
    if user is None:
        return skip(UNPRIVILEGED, "none runs" if pid is None else "whose process it is can't be looked at")
    if user != ROOT:
        return ok(UNPRIVILEGED, f"as {await asyncio.to_thread(context.procfs.user_name, user)}")
    status = await context.answered(context.status)
    supervisor = status.supervisor if status is not None else None
    return warn(UNPRIVILEGED, f"pid {pid} runs as root, which it does not need", advice=_another_user(supervisor))


def _another_user(supervisor: str | None) -> list[Advice]:
    """Advise how to give the service a user of its own, depending on what starts it."""
    if supervisor == "container":
        return [decide("USER swim", "a line of its Containerfile, as config/container/Containerfile has it")]
    made = decide(MAKE_USER, "a user of its own, and a home for it: keys and history come there by backup and restore")
    if supervisor in {None, "systemd"}:
        return [made, decide(f"swimctl service install --run-as {SYSTEM_USER}", "where systemd is to run it")]
    return [made, inspect("swimctl status", f"{supervisor} runs it: name the user in its configuration")]


async def _running_pid(context: DoctorContext) -> int | None:
    try:
        info = await context.lock()
        return info.pid if info is not None and await context.is_held() else None
    except OSError:
        return None


def _judge(context: DoctorContext, pid: int | None, unit_user: int | None) -> Answer:
    home = context.home.path
    owner = user_of(context, home)
    if owner is None:
        return _gone(context)
    frozen = _immutable(context)
    if frozen:
        observed = f"{frozen[0]} is immutable (chattr +i or +a): nobody can change, rename or remove it, not even root"
        return fail(EXPECTED, observed, *map(str, frozen), advice=about_immutable(frozen))
    user = unit_user if unit_user is not None else _daemon_user(context, pid, owner)
    if user == ROOT:
        return ok(EXPECTED, "it is root, who may write everything")
    name = context.procfs.user_name(user)
    seen = {path: context.files.look(path) for path in _places(context)}
    wrong = {path: found for path, found in seen.items() if found.is_there and not _may_write(user, found)}
    if not wrong:
        return ok(EXPECTED, f"{name} can")
    lines = [
        f"{path} belongs to {context.procfs.user_name(found.uid)} ({found.mode:04o})" for path, found in wrong.items()
    ]
    observed = f"{lines[0]}: {name}, the user that the daemon runs as, can't write it"
    look = inspect(f"ls -la {shlex.quote(str(home))}")
    return fail(EXPECTED, observed, *lines, fix=_give_back(context, name), advice=[look])


def _immutable(context: DoctorContext) -> list[Path]:
    with contextlib.suppress(NotSaved):  # facts of an earlier version
        return [path for path in _places(context) if context.files.is_immutable(path)]
    return []


def _gone(context: DoctorContext) -> Answer:
    """Evaluate a home that is missing: a process that was started in it may still have it under another name."""
    home = context.home.path
    moved = context.procfs.daemons_started_in(home)
    if not moved:
        return skip(EXPECTED, f"there is no {home} yet, or it can't be looked at")
    pid, now = moved[0]
    observed = f"{home} was renamed to {now} under pid {pid}, which serves from it"
    back = decide(f"mv -T {shlex.quote(str(now))} {shlex.quote(str(home))}", "if that was not meant: nothing is lost")
    there = decide(f"export SWIM_HOME={shlex.quote(str(now))}", "if it was: and the process has to be started there")
    return fail(EXPECTED, observed, advice=[back, there])


def _daemon_user(context: DoctorContext, pid: int | None, owner: int) -> int:
    """Return the daemon's user; if it isn't running, the home's owner, or the user of its last run."""
    running = context.procfs.user(pid) if pid is not None else None
    if running is not None:
        return running
    if owner != ROOT:
        return owner
    return next((each.uid for each in reversed(context.starts()) if each.uid), owner)


def _places(context: DoctorContext) -> list[Path]:
    home = context.home
    files = [home.lockfile, home.starts]
    files += [Path(f"{path}{tail}") for path in (home.history, home.database) for tail in ("", "-wal", "-shm")]
    return [home.path, home.sources, *files]


def _may_write(user: int, found: FileSeen) -> bool:
    """Return True if a user may write, judging by the mode; for a writable group, membership is assumed."""
    if found.uid == user:
        return bool(found.mode & stat.S_IWUSR)
    return bool(found.mode & (stat.S_IWGRP | stat.S_IWOTH))


def _give_back(context: DoctorContext, name: str) -> str | Advice:
    command = f"chown -R {shlex.quote(name)}: {shlex.quote(str(context.home.path))}"
    if context.circumstances.user == ROOT:
        return command
    return Advice(kind=AdviceKind.FIX, command=f"sudo {command}", requires=f"root; the whole home becomes {name}'s")


CHECKS: tuple[Check, ...] = (
    Check(
        id="host.ownership",
        summary="The daemon's user can write its home and what is in it",
        ask=belongs_to_the_daemon,
    ),
    Check(
        id="host.user",
        summary="The daemon does not run as root",
        ask=is_unprivileged,
        needs=("process.lock",),
    ),
)
