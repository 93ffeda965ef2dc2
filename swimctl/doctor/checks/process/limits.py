"""Resources of the process: memory, shared with its control group, and processor time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import msgspec

from swimctl.doctor.check import Advice, Answer, Check, decide, fail, inspect, ok, skip, warn
from swimctl.doctor.facts import NotSaved
from swimctl.doctor.probes.launching import stop_and_start
from swimctl.text import duration, plural, size

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import Status

    from swimctl.doctor.context import DoctorContext
    from swimctl.doctor.probes.procfs import AddressSpace

MUCH_MEMORY, TOO_MUCH_MEMORY = 0.8, 0.95
OWN_SHARE = 0.25
"""A process that has grown by this share of its limit is itself to blame for it."""
MUCH_GROWTH_BYTES, USUAL_GROWTH_BYTES, CLIENT_BYTES = 256 * 2**20, 128 * 2**20, 128 * 1024
"""Growth that is told; what state and caches may need; what a client may need, with its buffers."""
FEW_PERIODS = 100
SOME_THROTTLING, MUCH_THROTTLING = 0.1, 0.5


async def has_memory(context: DoctorContext) -> Answer:
    """Check that the process does not fill the memory it may use, alone or with its control group, nor grows."""
    status = await context.status()
    expected = f"less than {MUCH_MEMORY:.0%} of the memory that it may have, and no growth that nothing explains"
    limit = await asyncio.to_thread(context.groups.memory_bytes, status.pid)
    if not limit:
        return skip(expected, "the machine does not tell how much there is")
    space = await _address_space(context, status.pid)
    if space is not None and space.used > TOO_MUCH_MEMORY * space.limit:
        seen = f"its address space is {size(space.used)} of {size(space.limit)} that its limit (ulimit -v) allows"
        wider = await _widened(context, status, "as", space.limit * 2)
        return fail(expected, seen, advice=[wider, inspect(f"cat /proc/{status.pid}/limits")])
    group = await asyncio.to_thread(context.groups.memory_group, status.pid)
    used, evidence = status.memory_bytes + sum(each.memory_bytes for each in status.workers), _growth_told(status)
    if status.workers:
        each = ", ".join(size(worker.memory_bytes) for worker in status.workers)
        evidence.append(f"{size(status.memory_bytes)} of it the primary's; the workers': {each}")
    if group is not None:
        evidence += [f"its control group uses {size(group.used)} of {size(group.limit)}, what can be freed apart"]
        ended = f"the kernel has ended {plural(group.kills, 'process', 'processes')} of it for want of memory"
        evidence += [ended] if group.kills else []
    observed = f"{size(used)} of {size(limit)} ({used / limit:.0%})"
    share = used / limit
    if group is not None and group.limit and group.used / group.limit > share:
        share = group.used / group.limit
        observed = f"{size(used)}, with what shares its limit {size(group.used)} of {size(group.limit)} ({share:.0%})"
    advice = _about_memory(status.pid, is_its_own=_growth(status) > OWN_SHARE * limit)
    if share > TOO_MUCH_MEMORY:
        return fail(expected, observed, *evidence, advice=advice)
    if share > MUCH_MEMORY:
        return warn(expected, observed, *evidence, advice=advice)
    unexplained = _growth(status) - _explained(status)
    if unexplained > max(MUCH_GROWTH_BYTES, status.memory_settled_bytes or 0):
        grown = f"{observed}: {size(unexplained)} more than at its start, clients and their buffers apart"
        return warn(expected, grown, *evidence, advice=_about_memory(status.pid, is_its_own=True))
    return ok(expected, observed, *evidence)


async def _widened(context: DoctorContext, status: Status, name: str, wanted: int) -> Advice:
    """Advise how to raise a limit: of the running process if its hard limit or our rights allow it, or of a new one."""
    hard = await asyncio.to_thread(context.procfs.hard_limit, status.pid, f"RLIMIT_{name.upper()}")
    good = f"for good: Limit{name.upper()}= of the unit, or ulimit in what starts it"
    if hard is None or await asyncio.to_thread(context.procfs.may_raise_limits):
        return decide(f"prlimit --pid {status.pid} --{name}=unlimited", good)
    if hard >= wanted:
        return decide(f"prlimit --pid {status.pid} --{name}={hard}:{hard}", good)
    clients = status.connections.total
    again = await asyncio.to_thread(stop_and_start, context, status.arguments, status.supervisor, clients)
    return msgspec.structs.replace(again, requires=f"its hard limit is {size(hard)}; {again.requires}")


async def _address_space(context: DoctorContext, pid: int) -> AddressSpace | None:
    with contextlib.suppress(NotSaved):  # facts of an earlier version
        return await asyncio.to_thread(context.procfs.address_space, pid)
    return None


def _growth(status: Status) -> int:
    """Return how much more memory the process uses than ten seconds after its start; 0 if that is not known."""
    return max(0, status.memory_bytes - (status.memory_settled_bytes or status.memory_bytes))


def _explained(status: Status) -> int:
    """Return how much growth its clients, the state and the caches explain."""
    return USUAL_GROWTH_BYTES + CLIENT_BYTES * status.connections.total


def _growth_told(status: Status) -> list[str]:
    if status.memory_settled_bytes is None:
        return []
    grown, since = size(_growth(status)), duration(status.uptime_seconds)
    return [f"{grown} more than ten seconds after its start, {since} ago; {plural(status.connections.total, 'client')}"]


def _about_memory(pid: int, *, is_its_own: bool) -> list[Advice]:
    """Advise what to look at; a restart helps only if it is the process itself that has grown."""
    look = inspect(f"ps -o pid,rss,vsz,lstart,comm -p {pid} --ppid {pid}")
    group = inspect(f"cat /proc/{pid}/cgroup", "what else shares its limit")
    clients = inspect("swimctl connections list")
    again = decide("swimctl restart", "frees what it has grown by; clients move over, and it may grow again")
    return [look, clients, group, again] if is_its_own else [look, group, clients]


async def has_processor_time(context: DoctorContext) -> Answer:
    """Check that no CPU quota throttles the process."""
    status = await context.status()
    expected = f"held up by a quota in less than {SOME_THROTTLING:.0%} of its periods"
    limit = await asyncio.to_thread(context.groups.processor_limit, status.pid)
    if limit is None:
        return ok(expected, "there is no quota on its processor time")
    share = limit.throttled / limit.periods if limit.periods else 0.0
    observed = (
        f"held up in {share:.0%} of {limit.periods} periods, {limit.seconds:.1f} s in all, by a quota of "
        f"{limit.cores:g} cores"
    )
    if limit.periods < FEW_PERIODS or share < SOME_THROTTLING:
        return ok(expected, observed)
    look = inspect(f"cat /proc/{status.pid}/cgroup", "the control group whose quota it is: CPUQuota= of a unit, --cpus")
    answer = fail if share >= MUCH_THROTTLING else warn
    return answer(expected, observed, advice=[look, inspect("swimctl status")])


async def may_write_files(context: DoctorContext) -> Answer:
    """Check that no limit on file size stops history from growing."""
    expected = "files may become as long as history may"
    status, running = await context.status(), await context.ask("config")
    limit = await asyncio.to_thread(context.procfs.file_bytes, status.pid)
    wanted = running.get("history", {}).get("max_bytes")
    if limit is None or not isinstance(wanted, int) or limit >= wanted:
        return ok(expected, "no limit on their length" if limit is None else f"up to {size(limit)}")
    observed = f"no file of pid {status.pid} may be longer than {size(limit)}, history.max_bytes is {size(wanted)}"
    wider = await _widened(context, status, "fsize", wanted)
    look = inspect(f"cat /proc/{status.pid}/limits")
    if limit <= status.history.size_bytes:
        return fail(expected, f"{observed}, and it has {size(status.history.size_bytes)}", advice=[wider, look])
    return warn(expected, observed, advice=[wider, look])


CHECKS: tuple[Check, ...] = (
    Check(
        id="process.memory",
        summary="The process has memory to spare",
        ask=has_memory,
        needs=("process.answers",),
    ),
    Check(
        id="process.file-length",
        summary="No limit on the length of files ends history",
        ask=may_write_files,
        needs=("process.answers",),
    ),
    Check(
        id="process.throttled",
        summary="No quota on processor time holds the process up",
        ask=has_processor_time,
        needs=("process.answers",),
    ),
)
