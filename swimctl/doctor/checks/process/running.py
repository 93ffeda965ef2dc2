"""The process: it runs and answers; its limits, memory and event loop."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from swimctl.client.answers import UnreadableAnswer
from swimctl.doctor.check import (
    Advice,
    AdviceKind,
    Answer,
    Check,
    Repair,
    Status,
    decide,
    fail,
    inspect,
    ok,
    skip,
    unknown,
    warn,
)
from swimctl.doctor.checks.process.lock import clear_stale_lock, lock_is_ours
from swimctl.doctor.checks.process.port import port_is_ours
from swimctl.doctor.facts import NotSaved
from swimctl.doctor.probes.launching import start_again, stop_and_start
from swimctl.doctor.probes.neighbours import described, handover_between, look_at
from swimctl.doctor.probes.second_look import twice
from swimctl.errors import CommandError
from swimctl.text import count, duration, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swim_server.daemon.control.documents.status import WorkerDocument
    from swim_server.daemon.lockfile import LockInfo

    from swimctl.doctor.context import DoctorContext
    from swimctl.doctor.probes.procfs import DescriptorUse

HOUR_SECONDS = 3600
MANY_CRASHES = 3
SLOW_LOOP_MS, BLOCKED_LOOP_MS, LATE_TICK_MS = 100, 500, 1000
YOUNG_SECONDS, LAG_WINDOW_SECONDS = 10, 60
SPARE_DESCRIPTORS = 50


async def is_running(context: DoctorContext) -> Answer:
    """Check that a process serves from this home."""
    expected = f"a daemon runs in {context.home.path}"
    if not await context.is_held():
        return fail(expected, "none does", fix=await asyncio.to_thread(start_again, context))
    info = await context.lock()
    return ok(expected, f"pid {info.pid}" if info is not None else "its pid is not known yet")


async def answers(context: DoctorContext) -> Answer:
    """Check that the process answers on its control socket and is the one named in the lock; ask twice."""
    answer = await twice(context, lambda: _ask_it(context), "lock.", "process.status")
    if answer.status is Status.OK:
        context.facts.forget_errors("process.")  # asked before it answered, by checks that can do without
    return answer


async def _ask_it(context: DoctorContext) -> Answer:
    expected = "the process answers on its control socket"
    info = await context.lock()
    try:
        document = await context.status()
    except UnreadableAnswer as error:
        return fail(expected, error.problem, fix=str(error.next_step))
    except CommandError as error:
        return await asyncio.to_thread(_silent, context, info, error, expected)
    took = f"answered in {1000 * context.facts.seconds_of('process.status'):.0f} ms"
    if info is None or document.pid == info.pid:
        return ok(expected, took)
    restarting = await asyncio.to_thread(handover_between, context)
    if restarting:
        return ok(expected, f"{took}; a restart is under way: {described(context.procfs, restarting)}")
    return fail(
        expected, f"pid {document.pid} answers, the lock names pid {info.pid}", advice=look_at([document.pid, info.pid])
    )


def _silent(context: DoctorContext, info: LockInfo | None, error: CommandError, expected: str) -> Answer:
    if info is None:
        return unknown(expected, error.problem, fix="swimctl logs")
    machine, pid = context.procfs, info.pid
    restarting = handover_between(context)
    if restarting:
        return unknown(expected, f"a restart is under way: {described(machine, restarting)}", fix="swimctl logs")
    state = machine.state(pid)
    if state == "stopped":
        observed = f"pid {pid} is stopped"
        is_ours = machine.has_open(pid, context.home.lockfile)
        return fail(
            expected, observed, error.problem, fix=f"kill -CONT {pid}" if is_ours else None, advice=look_at([pid])
        )
    if state == "tracing-stop":
        observed = f"pid {pid} is held by a debugger"
        return fail(expected, observed, error.problem, fix=f"grep TracerPid /proc/{pid}/status")
    if info.url is None:
        return unknown(expected, f"pid {pid} is still starting", fix="swimctl logs")
    if not context.files.look(Path(info.control or context.home.control_socket)).is_there:
        return _socket_gone(context, info, error, expected)
    if state == "disk-sleep":
        return fail(expected, f"pid {pid} waits for a disk", error.problem, fix="dmesg | tail")
    observed = f"pid {pid} ({state}) does not respond: its event loop is blocked"
    again = decide("swimctl stop", "ends it: clients can't connect until it is started again")
    advice = [inspect(f"top -b -n 1 -H -p {pid}"), inspect("swimctl logs"), again]
    return fail(expected, observed, error.problem, advice=advice)


def _socket_gone(context: DoctorContext, info: LockInfo, error: CommandError, expected: str) -> Answer:
    """Advise about a control socket whose name was removed: the process recreates it by itself or when told to."""
    machine, pid = context.procfs, info.pid
    path = info.control or context.home.control_socket
    observed = f"{path} was removed under pid {pid}, which serves: it makes it again within seconds"
    can_be_told = (
        machine.has_open(pid, context.home.lockfile)
        and machine.catches(pid, signal.SIGHUP)
        and not machine.has_terminal(pid)
        and machine.home_of(pid) == context.home.path
    )
    advice = [inspect("swimctl doctor --only process"), inspect(f"ls -la {shlex.quote(str(Path(path).parent))}")]
    if can_be_told:
        asks = "if it stays away, of an earlier version say: the process restarts itself, clients move over"
        advice.append(decide(f"kill -HUP {pid}", asks))
    return fail(expected, observed, error.problem, advice=advice)


async def has_descriptors(context: DoctorContext) -> Answer:
    """Check that the limit on file descriptors allows full tiers."""
    from swim_server.daemon.process import needed_descriptors

    status = await context.status()
    needed = needed_descriptors(sum(tier.limit for tier in status.connections.by_tier.values()))
    pid = status.pid
    expected = f"{count(needed)} file descriptors, for full tiers"
    use = await asyncio.to_thread(context.procfs.descriptors, pid)
    if use is None:
        return skip(expected, "the process's limits can't be looked at")
    opened = f"{count(use.open)} open" if use.open is not None else "how many are open can't be looked at"
    clients = status.connections.total
    again = await asyncio.to_thread(stop_and_start, context, status.arguments, status.supervisor, clients)
    fix = await asyncio.to_thread(_raise_limit, context, pid, needed, use.hard, again)
    if use.open is not None and use.open + SPARE_DESCRIPTORS > use.soft:
        return fail(expected, f"{count(use.soft)} allowed, {opened}: the next clients can't be accepted", fix=fix)
    for worker, theirs in await _used_by_workers(context, status.workers):
        if theirs.open is not None and theirs.open + SPARE_DESCRIPTORS > theirs.soft:
            observed = f"worker {worker.number}: {count(theirs.soft)} allowed, {count(theirs.open)} open"
            more = await asyncio.to_thread(_raise_limit, context, worker.pid or pid, needed, theirs.hard, again)
            return fail(expected, f"{observed}: it is given no more clients", fix=more)
    if use.soft < needed:
        return warn(expected, f"{count(use.soft)} allowed, {opened}", fix=fix)
    return ok(expected, f"{count(use.soft)} allowed, {opened}")


async def _used_by_workers(
    context: DoctorContext, workers: Sequence[WorkerDocument]
) -> list[tuple[WorkerDocument, DescriptorUse]]:
    """Return the descriptors of each worker process, where they can be looked at."""
    found: list[tuple[WorkerDocument, DescriptorUse]] = []
    for worker in workers:
        with contextlib.suppress(NotSaved):  # facts of an earlier version
            use = None if worker.pid is None else await asyncio.to_thread(context.procfs.descriptors, worker.pid)
            if use is not None:
                found.append((worker, use))
    return found


def _raise_limit(context: DoctorContext, pid: int, needed: int, hard: int, again: Advice) -> str | Advice:
    """Advise how to raise the limit: of the running process if permitted, otherwise of a new one, in its shell."""
    if context.procfs.may_raise_limits():
        return f"prlimit --pid {pid} --nofile={needed}:{max(needed, hard)}  # for good: LimitNOFILE= in the unit"
    ours = context.procfs.own_descriptors()
    if ours is not None and ours.hard >= needed:
        return again
    command = f"sudo prlimit --pid {pid} --nofile={needed}:{max(needed, hard)}  # for good: LimitNOFILE= in the unit"
    return Advice(kind=AdviceKind.FIX, command=command, requires="root")


async def loop_is_free(context: DoctorContext) -> Answer:
    """Check that nothing blocks the event loop."""
    status = await context.status()
    lag = status.loop_lag_ms
    slow_ms, late_ms = SLOW_LOOP_MS * context.load_factor, LATE_TICK_MS * context.load_factor
    expected = f"half of all ticks less than {slow_ms:.0f} ms late, 99 % less than {late_ms:.0f} ms"
    uptime = status.uptime_seconds
    if uptime < YOUNG_SECONDS:
        return skip(expected, f"up for {uptime:.0f} s: too few ticks to judge by")
    observed = f"p50 {lag.p50:g} ms, p99 {lag.p99:g} ms, max {lag.max:g} ms"
    slowest = max(status.workers, key=lambda worker: worker.loop_lag_p99_ms, default=None)
    if slowest is not None:
        observed += f"; the slowest worker is {slowest.number}, p99 {slowest.loop_lag_p99_ms:g} ms"
    fix = "swimctl status  # is it load? then lower the tiers' limits, or give it a core of its own"
    if lag.p50 > BLOCKED_LOOP_MS:
        return fail(expected, observed, fix=fix)
    is_grown = uptime >= LAG_WINDOW_SECONDS  # with fewer ticks, a single late one can be the 99th percentile
    if lag.p50 > slow_ms or (is_grown and lag.p99 > late_ms):
        return warn(expected, observed, fix=fix)
    return ok(expected, observed)


async def stays_up(context: DoctorContext) -> Answer:
    """Check that the process has not been killed repeatedly in the last hour."""
    starts = await asyncio.to_thread(context.starts)
    now = context.now
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
        repair=Repair(apply=clear_stale_lock),
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
        id="process.loop",
        summary="Nothing holds up the event loop",
        ask=loop_is_free,
        needs=("process.answers",),
    ),
    Check(
        id="process.restarts",
        summary="The daemon does not crash repeatedly",
        ask=stays_up,
        needs=("process.running",),
    ),
)
