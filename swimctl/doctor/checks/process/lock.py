"""The home's lock: held by the process it names, by two during a restart, or free."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, Answer, fail, inspect, ok, unknown
from swimctl.doctor.probes.launching import start_again, user_of
from swimctl.doctor.probes.neighbours import described, handover_between, look_at
from swimctl.doctor.probes.second_look import twice

if TYPE_CHECKING:
    from swim_server.daemon.lockfile import LockInfo

    from swimctl.doctor.context import DoctorContext

EXPECTED = "held by the process that it names, or free"


async def lock_is_ours(context: DoctorContext) -> Answer:
    """Check that the lock is held by the living process it names, or is free and empty; look twice."""
    return await twice(context, lambda: _look(context), "lock.")


async def _look(context: DoctorContext) -> Answer:
    try:
        info, is_held = await context.lock(), await context.is_held()
    except PermissionError as error:
        advice = await asyncio.to_thread(_as_its_owner, context)
        return unknown(EXPECTED, f"this user may not look at it: {error.filename}", fix=advice)
    if is_held:
        return await asyncio.to_thread(_held, context, info)
    return await asyncio.to_thread(_free, context, info)


def _as_its_owner(context: DoctorContext) -> Advice:
    """Advise to run the check again as the owner of the home."""
    uid = user_of(context, context.home.path)
    name = context.procfs.user_name(uid) if uid is not None else "root"
    words = f"sudo -u {shlex.quote(name)} env SWIM_HOME={shlex.quote(str(context.home.path))} swimctl doctor"
    return inspect(words, f"as user {name}, who owns the home")


def _free(context: DoctorContext, info: LockInfo | None) -> Answer:
    """Evaluate a free lock: a living process may still hold the file that had this name before."""
    path = context.home.lockfile
    keepers = context.procfs.keepers_of_deleted(path)
    if keepers:
        observed = f"{path} was deleted or replaced under {described(context.procfs, keepers)}, which serves this home"
        after = "it makes the file again within seconds, unless another process holds the lock by then"
        advice = [inspect("swimctl doctor --only process", after), *look_at(keepers, path)]
        return fail(EXPECTED, observed, str(path), advice=advice)
    if info is None:
        return ok(EXPECTED, "free")
    return _stale(context, info)


def _stale(context: DoctorContext, info: LockInfo) -> Answer:
    path, machine = str(context.home.lockfile), context.procfs
    state = machine.state(info.pid)
    if not context.is_this_boot(info.boot_id):
        reason = f"left by pid {info.pid} on {info.host} before the last boot, or on another machine"
    elif state is None:
        reason = f"left by pid {info.pid}, which was killed: no such process"
    elif state == "zombie":
        reason = f"left by pid {info.pid}, which has ended without a word: its log may say why"
    elif context.is_process(info):
        reason = f"names pid {info.pid}, which runs but does not hold it: the file was replaced under it"
        return fail(EXPECTED, reason, path, advice=look_at([info.pid], context.home.lockfile))
    else:
        reason = f"left by pid {info.pid}, which is another process now: {machine.name(info.pid)}"
    evidence = [path, f"started {info.started_at}, version {info.version}, fingerprint {info.fingerprint}"]
    return fail(EXPECTED, f"it is not held; {reason}", *evidence, fix=start_again(context))


def _held(context: DoctorContext, info: LockInfo | None) -> Answer:
    path, machine = context.home.lockfile, context.procfs
    if info is not None and context.is_process(info) and machine.has_open(info.pid, path) is not False:
        return ok(EXPECTED, f"held by pid {info.pid}, started {info.started_at}", str(path))
    restarting = handover_between(context)
    if restarting:
        return ok(EXPECTED, f"a restart is under way: {described(machine, restarting)} have it", str(path))
    holders = machine.lock_holders(path) or machine.openers(path)
    named = "it names no process" if info is None else f"it names pid {info.pid}, which is not that process"
    observed = f"held by {described(machine, holders)}; {named}"
    return fail(EXPECTED, observed, str(path), advice=look_at(holders, path))


async def clear_stale_lock(context: DoctorContext) -> Sequence[str]:
    """Empty a lockfile that nobody holds, unless a living process holds the file that had this name before."""
    from swim_server.daemon.lockfile import Lockfile

    lockfile = Lockfile(context.home.lockfile)
    if await asyncio.to_thread(context.procfs.keepers_of_deleted, lockfile.path):
        return []
    cleared = await asyncio.to_thread(lockfile.clear)
    return [f"cleared the stale lockfile {lockfile.path}"] if cleared else []
