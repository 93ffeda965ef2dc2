"""What clients do: they keep up, run a current SDK and subscribe to something."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, decide, inspect, ok, warn
from swimctl.doctor.probes.daemon_facts import expecting
from swimctl.doctor.probes.idle_connection import HEARTBEAT_SECONDS, longer_timeouts
from swimctl.doctor.probes.tallies import tally
from swimctl.text import plural

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

SECOND_LOOK_SECONDS = 0.5
EVICTED_WITHIN_SECONDS = 600.0
CUT_WITHIN_SECONDS = 600.0
CUT_BEFORE, MANY_CUTS = 1.2, 8
"""An idle timeout that matters is shorter than a heartbeat, with a little slack; so many cuts are no accident."""
ALIKE_SECONDS, ALIKE_SHARE = 1.0, 0.15
SHOWN = 5
SDK_VERSION = "0.1.0"
"""The newest version of the Python SDK, which is a distribution of its own; a test holds it to ``sdk/python``."""
_SDK = re.compile(r"swim-client/(\d+)\.(\d+)(?:\.(\d+))?")

_KEEP_UP = "every client reads as fast as it is written to"


@expecting(_KEEP_UP)
async def keep_up(context: DoctorContext) -> Answer:
    """Check that no client lags at two consecutive looks, and none was closed for it recently."""
    found = await tally(context)
    lagging = {each.id for each in found.lagging}
    if lagging and not context.facts.is_saved:
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        found = await tally(context, refresh=True)
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
    """Check that clients which report an SDK version report a current one; the protocol doesn't require them to."""
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


def _version(agent: str) -> tuple[int, ...] | None:
    match = _SDK.search(agent)
    return tuple(int(part or 0) for part in match.groups()) if match is not None else None


_NOT_CUT = "quiet connections live until the next heartbeat"


@expecting(_NOT_CUT)
async def not_cut(context: DoctorContext) -> Answer:
    """Check that connections don't end without a close frame at the same age, as a proxy with an idle timeout does.

    Those of a program that was killed end at one moment; those that a proxy cuts end one after the other.
    """
    running = await context.ask("config")
    heartbeat = float(running.get("server", {}).get("heartbeat_seconds") or HEARTBEAT_SECONDS)
    recent = [each for each in (await tally(context)).cuts if each.seconds_ago <= CUT_WITHIN_SECONDS]
    young = sorted(each.seconds for each in recent if each.seconds < CUT_BEFORE * heartbeat)
    usual = young[len(young) // 2] if young else 0.0
    alike = [each for each in recent if abs(each.seconds - usual) <= max(ALIKE_SECONDS, ALIKE_SHARE * usual)]
    moments = {round(each.seconds_ago) for each in alike}
    if min(len(alike), len(moments)) < MANY_CUTS or 2 * len(alike) < len(recent):
        return ok(_NOT_CUT, f"{plural(len(recent), 'connection')} ended without a close frame in ten minutes")
    seen = f"{len(alike)} of the last {len(recent)} connections that ended without a close frame lasted {usual:.0f} s"
    why = f"heartbeats come every {heartbeat:g} s: a proxy cuts what is quiet before that, or a program ends like this"
    look = inspect("swimctl doctor --deep --only front.idle", "watches one quiet connection through the proxy")
    longer = decide(longer_timeouts(4 * heartbeat), "a line of the proxy's configuration")
    return warn(_NOT_CUT, f"{seen}; {why}", advice=[look, longer])


_SUBSCRIBED = "every connected client has subscribed to something"


@expecting(_SUBSCRIBED)
async def subscribed(context: DoctorContext) -> Answer:
    """Check that every client has subscribed: one that never does receives nothing, and its owner may not know."""
    found = (await tally(context)).without_channel
    if not found:
        return ok(_SUBSCRIBED, "all have, or have been connected for less than a minute")
    lines = [f"{owner[:40]}: {plural(count, 'connection')}" for owner, count in found.items()]
    seen = f"{sum(found.values())} have subscribed to nothing for a minute or longer: {'; '.join(lines[:3])}"
    return warn(_SUBSCRIBED, seen, *lines[:SHOWN], fix="swimctl connections list")
