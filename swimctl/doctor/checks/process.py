"""The process: its lock, its port, its limits, its memory and its loop."""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from swimctl.client.answers import UnreadableAnswer
from swimctl.doctor.check import Answer, Check, Repair, fail, ok, skip, unknown, warn
from swimctl.errors import CommandError
from swimctl.text import count, duration, plural, size

if TYPE_CHECKING:
    from swim_server.daemon.lockfile import LockInfo

    from swimctl.doctor.context import DoctorContext

START = "swimctl serve --detach"
ANEW = "swimctl stop; swimctl serve --detach"
HOUR_SECONDS = 3600
MANY_CRASHES = 3
SLOW_LOOP_MS, BLOCKED_LOOP_MS, LATE_TICK_MS = 100, 500, 1000
YOUNG_SECONDS, LAG_WINDOW_SECONDS = 10, 60
MUCH_MEMORY, TOO_MUCH_MEMORY = 0.8, 0.95
SPARE_DESCRIPTORS = 50


async def lock_is_ours(context: DoctorContext) -> Answer:
    """Check that the lock is held by the living process that it names, or by nobody and empty."""
    expected = "held by the process that it names, or by nobody"
    try:
        info, is_held = await context.lock(), await context.is_held()
    except PermissionError as error:
        return unknown(expected, f"this user may not look at it: {error.filename}", fix=await _as_its_owner(context))
    if not is_held:
        return ok(expected, "held by nobody") if info is None else await _stale(context, info, expected)
    return await asyncio.to_thread(_held, context, info, expected)


async def _as_its_owner(context: DoctorContext) -> str:
    """Ask again as the user whom the home belongs to."""
    import pwd

    try:
        owner = pwd.getpwuid((await asyncio.to_thread(context.home.path.stat)).st_uid).pw_name
    except (OSError, KeyError):
        owner = "root"
    return f"sudo -u {shlex.quote(owner)} env SWIM_HOME={shlex.quote(str(context.home.path))} swimctl doctor"


async def _stale(context: DoctorContext, info: LockInfo, expected: str) -> Answer:
    from swim_server.daemon.process import boot_id

    path, machine = str(context.home.lockfile), context.procfs
    state = await asyncio.to_thread(machine.state, info.pid)
    if info.boot_id is not None and boot_id() not in (None, info.boot_id):
        reason = f"left by pid {info.pid} on {info.host} before the last boot, or on another machine"
    elif state is None:
        reason = f"left by pid {info.pid}, which was killed: no such process"
    elif await asyncio.to_thread(context.is_process, info):
        reason = f"names pid {info.pid}, which runs but does not hold it: the file was replaced under it"
        return fail(expected, reason, path, fix=f"kill {info.pid}; sleep 1; {START}")
    else:
        reason = f"left by pid {info.pid}, which is another process now: {machine.name(info.pid)}"
    evidence = [path, f"started {info.started_at}, version {info.version}, fingerprint {info.fingerprint}"]
    return fail(expected, f"nobody holds it; {reason}", *evidence, fix=START)


def _held(context: DoctorContext, info: LockInfo | None, expected: str) -> Answer:
    path, machine = context.home.lockfile, context.procfs
    if info is not None and context.is_process(info) and machine.has_open(info.pid, path) is not False:
        return ok(expected, f"held by pid {info.pid}, started {info.started_at}", str(path))
    holders = machine.lock_holders(path) or machine.openers(path)
    who = ", ".join(f"pid {pid} ({machine.name(pid)})" for pid in holders) or "a process that can't be looked at"
    named = "it names nobody" if info is None else f"it names pid {info.pid}, which is not that process"
    fix = f"kill {' '.join(map(str, holders))}; sleep 1; {START}" if holders else f"fuser -v {shlex.quote(str(path))}"
    return fail(expected, f"held by {who}; {named}", str(path), fix=fix)


async def clear_stale_lock(context: DoctorContext) -> Sequence[str]:
    """Empty a lockfile that nobody holds."""
    from swim_server.daemon.lockfile import Lockfile

    lockfile = Lockfile(context.home.lockfile)
    cleared = await asyncio.to_thread(lockfile.clear)
    return [f"cleared the stale lockfile {lockfile.path}"] if cleared else []


async def port_is_ours(context: DoctorContext) -> Answer:
    """Check that the running process alone listens on its port; if none runs, that the configured one is free."""
    if not await context.is_held():
        return await _configured_port_is_free(context)
    info = await context.lock()
    if info is None or info.url is None:
        return skip("one process on the port", "the daemon does not listen yet")
    return await asyncio.to_thread(_listens_alone, context, info, info.url)


async def _configured_port_is_free(context: DoctorContext) -> Answer:
    server = (await context.loaded()).config.server
    expected, machine = f"{server.host}:{server.port} is free to listen on", context.procfs
    problem = await asyncio.to_thread(machine.is_port_free, server.host, server.port)
    if problem is None:
        return ok(expected, "free")
    listeners = await asyncio.to_thread(machine.listeners, server.port) or []
    owners = [await asyncio.to_thread(machine.socket_owner, each.inode) for each in listeners]
    who = ", ".join(f"pid {pid} ({machine.name(pid)})" for pid in dict.fromkeys(owners) if pid is not None)
    if not who:
        return fail(expected, f"not to be had: {problem.strerror or problem}", fix="swimctl config show --origin")
    killing = " ".join(str(pid) for pid in dict.fromkeys(owners) if pid is not None)
    return fail(
        expected, f"taken by {who}", fix=f"kill {killing}  # or: swimctl config set server.port {_other(server.port)}"
    )


def _other(port: int) -> int:
    return port + 1 if port < 65_535 else port - 1


def _listens_alone(context: DoctorContext, info: LockInfo, url: str) -> Answer:
    port, machine = urlsplit(url).port or 80, context.procfs
    expected = f"pid {info.pid}, and no other process, listens on port {port}"
    ours, listeners = machine.sockets(info.pid), machine.listeners(port)
    if ours is None or listeners is None:
        return skip(expected, "only the daemon's own user, or root, may look at its sockets")
    if machine.is_same_network(info.pid) is False:
        return skip(expected, "the daemon lives in another network namespace")
    addresses = {each.address for each in listeners if each.inode in ours}
    if not addresses:
        return fail(expected, f"pid {info.pid} does not listen there", fix=ANEW)
    foreign = [each for each in listeners if each.inode not in ours and each.address in addresses]
    owners = {pid for each in foreign if (pid := machine.socket_owner(each.inode)) is not None}
    others = sorted(pid for pid in owners if not machine.has_open(pid, context.home.lockfile))
    if foreign and (others or not owners):  # one that shares the lock is the daemon before this, or the next
        who = ", ".join(f"pid {pid} ({machine.name(pid)})" for pid in others) or "a process that can't be looked at"
        return fail(expected, f"{who} listens there too and takes some of the clients", fix=_kill(others, port))
    return ok(expected, f"pid {info.pid} listens alone")


def _kill(pids: Sequence[int], port: int) -> str:
    return f"kill {' '.join(map(str, pids))}" if pids else f"ss -ltnp sport = :{port}"


async def is_running(context: DoctorContext) -> Answer:
    """Check that a process serves from this home."""
    expected = f"a daemon runs in {context.home.path}"
    if not await context.is_held():
        return fail(expected, "none does", fix=START)
    info = await context.lock()
    return ok(expected, f"pid {info.pid}" if info is not None else "its pid is not known yet")


async def answers(context: DoctorContext) -> Answer:
    """Check that the process answers on its control socket, and is the one that the lock names."""
    expected = "the process answers on its control socket"
    info = await context.lock()
    began = time.perf_counter()
    try:
        document = await context.status()
    except UnreadableAnswer as error:
        return fail(expected, error.problem, fix=str(error.next_step))
    except CommandError as error:
        return await asyncio.to_thread(_silent, context, info, error, expected)
    took = f"answered in {1000 * (time.perf_counter() - began):.0f} ms"
    if info is not None and document.pid != info.pid:
        return fail(expected, f"pid {document.pid} answers, the lock names pid {info.pid}", fix=ANEW)
    return ok(expected, took)


def _silent(context: DoctorContext, info: LockInfo | None, error: CommandError, expected: str) -> Answer:
    if info is None:
        return unknown(expected, error.problem, fix="swimctl logs")
    state = context.procfs.state(info.pid)
    if state in ("stopped", "tracing-stop"):
        return fail(expected, f"pid {info.pid} is stopped", error.problem, fix=f"kill -CONT {info.pid}")
    if info.url is None:
        return unknown(expected, f"pid {info.pid} is still starting", fix="swimctl logs")
    if state == "disk-sleep":
        return fail(expected, f"pid {info.pid} waits for a disk", error.problem, fix="dmesg | tail")
    observed = f"pid {info.pid} ({state}) does not respond: its event loop is blocked"
    return fail(expected, observed, error.problem, fix=ANEW)


async def has_descriptors(context: DoctorContext) -> Answer:
    """Check that as many file descriptors may be open as full tiers need."""
    from swim_server.daemon.process import needed_descriptors

    status = await context.status()
    needed = needed_descriptors(sum(tier.limit for tier in status.connections.by_tier.values()))
    pid = status.pid
    expected = f"{count(needed)} file descriptors, for full tiers"
    use = await asyncio.to_thread(context.procfs.descriptors, pid)
    if use is None:
        return skip(expected, "the process's limits can't be looked at")
    opened = f"{count(use.open)} open" if use.open is not None else "how many are open can't be looked at"
    fix = _raise_limit(context, pid, needed, use.hard)
    if use.open is not None and use.open + SPARE_DESCRIPTORS > use.soft:
        return fail(expected, f"{count(use.soft)} allowed, {opened}: the next clients can't be accepted", fix=fix)
    if use.soft < needed:
        return warn(expected, f"{count(use.soft)} allowed, {opened}", fix=fix)
    return ok(expected, f"{count(use.soft)} allowed, {opened}")


def _raise_limit(context: DoctorContext, pid: int, needed: int, hard: int) -> str:
    """Say how to raise the limit: of the running process for who may, else of a new one by its shell."""
    if context.procfs.may_raise_limits():
        return f"prlimit --pid {pid} --nofile={needed}:{max(needed, hard)}  # for good: LimitNOFILE= in the unit"
    ours = context.procfs.descriptors(os.getpid())
    if ours is not None and ours.hard >= needed:
        return ANEW
    return f"sudo prlimit --pid {pid} --nofile={needed}:{max(needed, hard)}  # for good: LimitNOFILE= in the unit"


async def has_memory(context: DoctorContext) -> Answer:
    """Check that the process does not fill the memory that it may have."""
    status = await context.status()
    expected = f"less than {MUCH_MEMORY:.0%} of the memory that it may have"
    limit = await asyncio.to_thread(context.procfs.memory_bytes, status.pid)
    if not limit:
        return skip(expected, "the machine does not tell how much there is")
    used = status.memory_bytes
    observed = f"{size(used)} of {size(limit)} ({used / limit:.0%})"
    if used > TOO_MUCH_MEMORY * limit:
        return fail(expected, observed, fix="swimctl restart")
    return warn(expected, observed, fix="swimctl restart") if used > MUCH_MEMORY * limit else ok(expected, observed)


async def loop_is_free(context: DoctorContext) -> Answer:
    """Check that nothing blocks the event loop."""
    status = await context.status()
    lag = status.loop_lag_ms
    expected = f"half of all ticks less than {SLOW_LOOP_MS} ms late, 99 % less than {LATE_TICK_MS} ms"
    uptime = status.uptime_seconds
    if uptime < YOUNG_SECONDS:
        return skip(expected, f"up for {uptime:.0f} s: too few ticks to judge by")
    observed = f"p50 {lag.p50:g} ms, p99 {lag.p99:g} ms, max {lag.max:g} ms"
    fix = "swimctl status --watch  # is it load? then lower the tiers' limits, or give it a core of its own"
    if lag.p50 > BLOCKED_LOOP_MS:
        return fail(expected, observed, fix=fix)
    is_grown = uptime >= LAG_WINDOW_SECONDS  # before, one late tick may be its 99th percentile
    if lag.p50 > SLOW_LOOP_MS or (is_grown and lag.p99 > LATE_TICK_MS):
        return warn(expected, observed, fix=fix)
    return ok(expected, observed)


async def stays_up(context: DoctorContext) -> Answer:
    """Check that the process has not been killed again and again in the last hour."""
    from swim_server.daemon.start_log import read_starts

    starts = await asyncio.to_thread(read_starts, context.home.starts)
    now = time.time()
    recent = [each for each in starts if 0 <= now - each.at <= HOUR_SECONDS]
    crashes = [each for each in recent if each.how == "after-crash"]
    expected = f"fewer than {MANY_CRASHES} deaths in an hour"
    handed = sum(each.how == "restart" for each in recent)
    observed = f"{plural(len(recent), 'start')} in the last hour: {handed} by restart, {len(crashes)} after a death"
    if len(crashes) < MANY_CRASHES:
        return ok(expected, observed)
    evidence = [f"{duration(now - each.at)} ago: pid {each.pid} found its predecessor dead" for each in crashes[-5:]]
    return warn(expected, observed, *evidence, fix="swimctl logs -n 1000; dmesg | grep -i 'killed process'")


CHECKS: tuple[Check, ...] = (
    Check(
        id="process.lock",
        summary="The lockfile names the process that holds it",
        ask=lock_is_ours,
        repair=Repair(mend=clear_stale_lock),
        is_root=True,
    ),
    Check(
        id="process.port",
        summary="The port is the daemon's, or free for it",
        ask=port_is_ours,
        needs=("config.valid", "process.lock"),
    ),
    Check(
        id="process.running",
        summary="A daemon runs in this home",
        ask=is_running,
        needs=("process.lock",),
        is_root=True,
    ),
    Check(
        id="process.answers",
        summary="The process answers on its control socket",
        ask=answers,
        needs=("process.running",),
    ),
    Check(
        id="process.descriptors",
        summary="Full tiers have enough file descriptors",
        ask=has_descriptors,
        needs=("process.answers",),
    ),
    Check(
        id="process.memory",
        summary="The process has memory to spare",
        ask=has_memory,
        needs=("process.answers",),
    ),
    Check(
        id="process.loop",
        summary="Nothing holds up the event loop",
        ask=loop_is_free,
        needs=("process.answers",),
    ),
    Check(
        id="process.restarts",
        summary="The daemon does not die again and again",
        ask=stays_up,
        needs=("process.running",),
    ),
)
