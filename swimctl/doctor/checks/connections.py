"""The live connections: each with a key that holds, each counted, the expected ones there."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from swim_server.daemon.control.documents.diagnostics import Tally

from swimctl.doctor.check import Answer, Check, decide, fail, inspect, ok, skip, warn
from swimctl.doctor.probes.daemon_facts import CannotAsk, expecting, promises, service_url, status
from swimctl.doctor.probes.database import key_database
from swimctl.doctor.probes.kernel_sockets import count_connections
from swimctl.doctor.probes.tallies import brief_tally, tally
from swimctl.doctor.probes.wire import Target
from swimctl.text import plural

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from swim_server.config import ExpectedCount
    from swim_server.daemon.control.documents.diagnostics import KeyTally, RecentRefusals
    from swim_server.keys.records import KeyRecord

    from swimctl.doctor.context import DoctorContext

SECOND_LOOK_SECONDS = 0.5
COUNTS = 4
COUNT_PAUSE_SECONDS = 0.3
SLACK = 2
"""A socket is a connection a moment before the process hears of it, and a moment after."""
EVICTED_WITHIN_SECONDS = 600.0
SHOWN = 5
MANY_REFUSALS, STORM_REFUSALS = 20, 200
TIMEOUT_SECONDS = 6.0
SDK_VERSION = "0.1.0"
"""The newest version of the Python SDK, which is a distribution of its own; a test holds it to ``sdk/python``."""
_SDK = re.compile(r"swim-client/(\d+)\.(\d+)(?:\.(\d+))?")


_KEYS_HOLD = "every connection's key is active, unexpired and of the connection's tier"


@expecting(_KEYS_HOLD)
async def keys_hold(context: DoctorContext) -> Answer:
    """Check that every connection's key would let it in now. What changes at the moment gets a second look."""
    found = await tally(context)
    suspects = _without_right(found.keys, await _records(context, anew=False), context.utc_now)
    if suspects and not context.facts.is_saved:
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        found = await tally(context, anew=True)
        again = _without_right(found.keys, await _records(context, anew=True), context.utc_now)
        known = {(each.key_id, each.tier) for each in suspects}
        suspects = {each: reason for each, reason in again.items() if (each.key_id, each.tier) in known}
    total = sum(each.connections for each in found.keys)
    if not suspects:
        return ok(_KEYS_HOLD, f"{total} connections of {len(found.keys)} keys")
    lines = [
        f"key {each.key_id} of {each.owner[:40]}: {each.connections} connections, {reason}"
        for each, reason in suspects.items()
    ]
    recheck = (await promises(context)).recheck_seconds
    late = f"the process checks again every {recheck:g} s ([auth] recheck_seconds), and at a reload"
    seen = f"{sum(each.connections for each in suspects)} connections are not: {lines[0]}"
    return fail(_KEYS_HOLD, seen, *lines[:SHOWN], late, fix="swimctl reload")


def _without_right(keys: list[KeyTally], records: Mapping[int, KeyRecord], now: datetime) -> dict[KeyTally, str]:
    from swim_server.keys.format import Tier
    from swim_server.keys.permissions import still_holds

    wrong: dict[KeyTally, str] = {}
    for each in keys:
        tier = Tier(each.tier) if each.tier in set(Tier) else None
        refused = still_holds(records.get(each.key_id), tier, now) if tier is not None else None
        if tier is None or refused is not None:
            reason = refused.message.rstrip(".") if refused is not None else f"tier {each.tier} is none"
            wrong[each] = reason
    return wrong


async def _records(context: DoctorContext, *, anew: bool) -> Mapping[int, KeyRecord]:
    from swim_server.sql.errors import StoreError

    try:
        return await (key_database.rows_anew(context) if anew else key_database.rows(context))
    except StoreError as error:
        raise CannotAsk(str(error), "swimctl db status") from None


_COUNTED = "tiers, client list and kernel count the same connections"


@expecting(_COUNTED)
async def counted(context: DoctorContext) -> Answer:
    """Check that the process counts what the kernel holds; again where they differ: clients come and go."""
    pid = (await status(context)).pid
    port = Target.parse(await service_url(context)).port
    where = f"the process's counts and the kernel's sockets of pid {pid}"
    counts = await context.fact("process.counts", lambda: _count(context, pid, port), where, shape=list[Count])
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
    """The kernel's count between two of the process's."""

    before: Tally
    kernel: int | None
    after: Tally

    @property
    def is_handing_over(self) -> bool:
        return self.before.is_handing_over or self.after.is_handing_over

    @property
    def miscount(self) -> str | None:
        """What can't be, whatever came and went between the two."""
        return None if self.kernel is None else _miscount(self.before, self.kernel, self.after)


async def _count(context: DoctorContext, pid: int, port: int) -> list[Count]:
    """Count until it comes out right, a few times at most."""
    found: list[Count] = []
    while len(found) < COUNTS:
        if found:
            await asyncio.sleep(COUNT_PAUSE_SECONDS)
        before = await brief_tally(context)
        kernel = await asyncio.to_thread(count_connections, pid, port)
        found.append(Count(before, kernel, await brief_tally(context)))
        if kernel is None or found[-1].is_handing_over or found[-1].miscount is None:
            break
    return found


def _miscount(before: Tally, kernel: int, after: Tally) -> str | None:
    """Say what can't be, whatever came and went between the two tallies."""
    fewest, most = before.made - after.gone, after.made - before.gone
    if not fewest - SLACK <= kernel <= most + SLACK:
        return f"the process counts {after.public} connections, the kernel {kernel}"
    for tier, admitted in after.admitted.items():
        listed = after.listed.get(tier, 0)
        if not listed <= admitted <= listed + after.closing:
            return f"tier {tier} counts {admitted}, but {listed} clients of it are there"
    return None


async def expected(context: DoctorContext) -> Answer:
    """Check that the clients of ``[expect.connections]`` are there."""
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
        if wrong and not context.facts.is_saved:  # a client that reconnects just now is no reason to wake anybody
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            again = _unmet(bounds, await tally(context, anew=True))
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


_KEEP_UP = "every client reads as fast as it is written to"


@expecting(_KEEP_UP)
async def keep_up(context: DoctorContext) -> Answer:
    """Check that no client lags, at two looks, and none was closed for it lately."""
    found = await tally(context)
    lagging = {each.id for each in found.lagging}
    if lagging and not context.facts.is_saved:
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        found = await tally(context, anew=True)
    still = [each for each in found.lagging if each.id in lagging]
    evicted = [each for each in found.evictions if each.seconds_ago <= EVICTED_WITHIN_SECONDS]
    lines = [
        f"{each.id}, key {each.key_id} of {each.owner[:40]}: {each.buffered_bytes} bytes wait for it" for each in still
    ]
    lines += [
        f"{each.id}, key {each.key_id} of {(each.owner or '')[:40]}: closed with 4008 {each.seconds_ago:.0f} s ago"
        for each in evicted
    ]
    if not lines:
        return ok(_KEEP_UP, f"none lags; {found.slow_consumers} were closed with 4008 since the start")
    seen = f"{len(still)} lag, {len(evicted)} were closed with 4008 within {EVICTED_WITHIN_SECONDS / 60:.0f} minutes"
    key_id = still[0].key_id if still else evicted[0].key_id
    return warn(_KEEP_UP, seen, *lines[:SHOWN], fix=f"swimctl connections list --key {key_id}")


_CURRENT = "clients of our SDK run this version of it or a newer one"


@expecting(_CURRENT)
async def current(context: DoctorContext) -> Answer:
    """Check that clients which tell their version tell a current one. The protocol doesn't ask the others."""
    ours = _version(f"swim-client/{SDK_VERSION}")
    agents = (await tally(context)).agents
    told = {agent: count for agent, count in agents.items() if _version(agent) is not None}
    silent = sum(agents.values()) - sum(told.values())
    others = f"; {silent} other clients do not report its version" if silent else ""
    old = {agent: count for agent, count in told.items() if ours is not None and (_version(agent) or ours) < ours}
    if old:
        lines = [f"{count} with {agent[:80]}" for agent, count in sorted(old.items())]
        seen = f"{sum(old.values())} run an older one{others}"
        return warn(_CURRENT, seen, *lines[:SHOWN], fix="swimctl connections list --json")
    return ok(_CURRENT, f"{sum(told.values())} clients do{others}")


_REFUSED = "no client is refused repeatedly"


@expecting(_REFUSED)
async def refused(context: DoctorContext) -> Answer:
    """Check that no client keeps connecting with a refused key, and that nobody tries out keys."""
    found = (await tally(context)).refused
    with_key = [each for each in found if each.key_id is not None and each.count >= MANY_REFUSALS]
    storm = sum(each.count for each in found if each.key_id is None and each.reason != "unavailable")
    lines = [f"key {each.key_id}: refused {each.count} times ({each.reason})" for each in with_key]
    if storm >= STORM_REFUSALS:
        lines.append(f"{storm} connections with unknown keys: {', '.join(_reasons(found))}")
    if not lines:
        return ok(_REFUSED, f"{sum(each.count for each in found)} were refused in the last 10 minutes")
    advice = [inspect(f"swimctl keys show {each.key_id}") for each in with_key[:2]] + [inspect("swimctl logs")]
    return warn(_REFUSED, "; ".join(lines[:2]), *lines[:SHOWN], advice=advice)


def _reasons(found: Sequence[RecentRefusals]) -> list[str]:
    return [f"{each.reason} {each.count}" for each in found if each.key_id is None][:SHOWN]


_SUBSCRIBED = "every connected client has subscribed to something"


@expecting(_SUBSCRIBED)
async def subscribed(context: DoctorContext) -> Answer:
    """Check that clients want something: one that never subscribes gets nothing, and its owner may not know."""
    found = (await tally(context)).without_channel
    if not found:
        return ok(_SUBSCRIBED, "all have, or have been connected for less than a minute")
    lines = [f"{owner[:40]}: {plural(count, 'connection')}" for owner, count in found.items()]
    seen = f"{sum(found.values())} have subscribed to nothing for a minute or longer: {'; '.join(lines[:3])}"
    return warn(_SUBSCRIBED, seen, *lines[:SHOWN], fix="swimctl connections list")


def _version(agent: str) -> tuple[int, ...] | None:
    match = _SDK.search(agent)
    return tuple(int(part or 0) for part in match.groups()) if match is not None else None


CHECKS: tuple[Check, ...] = (
    Check(
        id="connections.keys-hold",
        summary="Every connection's key still lets it in",
        ask=keys_hold,
        needs=("process.answers", "database.same-store"),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="connections.counted",
        summary="The process counts the connections that the kernel holds",
        ask=counted,
        needs=("process.answers",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="connections.expected",
        summary="The expected clients are connected",
        ask=expected,
        needs=("process.answers", "config.valid"),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="connections.keep-up",
        summary="Every client reads as fast as it is written to",
        ask=keep_up,
        needs=("process.answers",),
        timeout_seconds=TIMEOUT_SECONDS,
    ),
    Check(
        id="connections.current",
        summary="Clients of our SDK run a current version",
        ask=current,
        needs=("process.answers",),
    ),
    Check(
        id="connections.refused",
        summary="No client is refused repeatedly",
        ask=refused,
        needs=("process.answers",),
    ),
    Check(
        id="connections.subscribed",
        summary="Every client has subscribed to something",
        ask=subscribed,
        needs=("process.answers",),
    ),
)
