"""The number of connections: as the process counts it, as the kernel does, and as expected."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from swim_server.daemon.control.documents.diagnostics import Tally

from swimctl.doctor.check import Answer, decide, fail, inspect, ok, skip
from swimctl.doctor.probes.daemon_facts import expecting, service_url, status
from swimctl.doctor.probes.kernel_sockets import count_connections
from swimctl.doctor.probes.tallies import brief_tally, tally
from swimctl.doctor.probes.wire import Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from swim_server.config import ExpectedCount

    from swimctl.doctor.context import DoctorContext

SECOND_LOOK_SECONDS = 0.5
COUNTS = 4
COUNT_PAUSE_SECONDS = 0.3
SLACK = 2
"""A socket becomes a connection a moment before the process learns of it, and stays one a moment after."""

_COUNTED = "tiers, client list and kernel count the same connections"


@expecting(_COUNTED)
async def counted(context: DoctorContext) -> Answer:
    """Check that process and kernel count the same connections; retry on a difference, as clients come and go."""
    running = await status(context)
    pid, pids = running.pid, [running.pid, *(each.pid for each in running.workers if each.pid is not None)]
    port = Target.parse(await service_url(context)).port
    where = f"the process's counts and the kernel's sockets of pid {pid}"
    counts = await context.fact("process.counts", lambda: _count(context, pids, port), where, shape=list[Count])
    last = counts[-1]
    if last.kernel is None:
        return skip(_COUNTED, "the kernel doesn't show that process's sockets to this user")
    if last.is_handing_over:
        return skip(_COUNTED, "a restart is under way: two processes share the clients")
    wrong = [each.miscount for each in counts if each.miscount is not None]
    if last.miscount is None:
        after = last.after
        return ok(_COUNTED, f"{after.public} connections, {sum(after.listed.values())} of them clients")
    advice = [
        inspect("swimctl connections list"),
        decide("swimctl restart", "clients move over; the counts start again"),
    ]
    return fail(_COUNTED, wrong[-1], *dict.fromkeys(wrong), advice=advice)


class Count(msgspec.Struct, frozen=True):
    """The kernel's count between two counts of the process."""

    before: Tally
    kernel: int | None
    after: Tally

    @property
    def is_handing_over(self) -> bool:
        return self.before.is_handing_over or self.after.is_handing_over

    @property
    def miscount(self) -> str | None:
        """The contradiction that no connecting or leaving client can explain; None if there is none."""
        return None if self.kernel is None else _miscount(self.before, self.kernel, self.after)


async def _count(context: DoctorContext, pids: list[int], port: int) -> list[Count]:
    """Count until the numbers agree, up to a few times."""
    found: list[Count] = []
    while len(found) < COUNTS:
        if found:
            await asyncio.sleep(COUNT_PAUSE_SECONDS)
        before = await brief_tally(context)
        counted = [await asyncio.to_thread(count_connections, pid, port) for pid in pids]
        kernel = None if None in counted else sum(each for each in counted if each is not None)
        found.append(Count(before, kernel, await brief_tally(context)))
        if kernel is None or found[-1].is_handing_over or found[-1].miscount is None:
            break
    return found


def _miscount(before: Tally, kernel: int, after: Tally) -> str | None:
    """Return the contradiction that no client connecting or leaving between the two tallies can explain."""
    fewest, most = before.made - after.gone, after.made - before.gone
    if not fewest - SLACK <= kernel <= most + SLACK:
        return f"the process counts {after.public} connections, the kernel {kernel}"
    for tier, admitted in after.admitted.items():
        listed = after.listed.get(tier, 0)
        if not listed <= admitted <= listed + after.closing:
            return f"tier {tier} counts {admitted}, but {listed} clients of it are there"
    return None


async def expected(context: DoctorContext) -> Answer:
    """Check that the clients of ``[expect.connections]`` are connected."""
    wanted = (await context.loaded()).config.expect.connections
    bounds = {
        f"tier {tier}": each
        for tier in ("public", "developer", "partner", "system")
        if (each := getattr(wanted, tier)) is not None
    }
    bounds |= {f"owner {owner!r}": each for owner, each in wanted.owner.items()}
    promise = "; ".join(f"{who} {_bound(each)}" for who, each in bounds.items())
    if not bounds:
        return skip("the connections of [expect.connections]", "nothing is expected: [expect.connections] is empty")
    return await expecting(promise)(_compare(bounds, promise))(context)


def _compare(bounds: Mapping[str, ExpectedCount], promise: str) -> Callable[[DoctorContext], Awaitable[Answer]]:
    async def ask(context: DoctorContext) -> Answer:
        wrong = _unmet(bounds, await tally(context))
        if wrong and not context.facts.is_saved:  # a client that is reconnecting is no reason to wake anybody
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            again = _unmet(bounds, await tally(context, refresh=True))
            wrong = {who: seen for who, seen in again.items() if who in wrong}
        if wrong:
            lines = [f"{who}: {seen}, expected {_bound(bounds[who])}" for who, seen in wrong.items()]
            return fail(promise, "; ".join(lines), *lines, fix="swimctl connections list")
        return ok(promise, "all are there")

    return ask


def _unmet(bounds: Mapping[str, ExpectedCount], found: Tally) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for each in found.keys:
        counts[f"tier {each.tier}"] += each.connections
        counts[f"owner {each.owner!r}"] += each.connections
    return {
        who: counts[who]
        for who, bound in bounds.items()
        if (bound.min is not None and counts[who] < bound.min) or (bound.max is not None and counts[who] > bound.max)
    }


def _bound(bound: ExpectedCount) -> str:
    least = f"at least {bound.min}" if bound.min is not None else ""
    most = f"at most {bound.max}" if bound.max is not None else ""
    return " and ".join(filter(None, (least, most))) or "any number"
