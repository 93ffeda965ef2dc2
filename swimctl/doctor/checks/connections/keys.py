"""Connections and their keys: every connection's key is still valid, and no refused client keeps trying."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, decide, fail, inspect, ok, warn
from swimctl.doctor.probes.daemon_facts import CannotAsk, expecting, promises
from swimctl.doctor.probes.database import key_database
from swimctl.doctor.probes.tallies import tally

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from swim_server.daemon.control.documents.diagnostics import KeyTally, RecentRefusals
    from swim_server.keys.records import KeyRecord

    from swimctl.doctor.context import DoctorContext

SECOND_LOOK_SECONDS = 0.5
SHOWN = 5
MANY_REFUSALS, STORM_REFUSALS = 20, 200

_KEYS_HOLD = "every connection's key is active, unexpired and of the connection's tier"


@expecting(_KEYS_HOLD)
async def keys_hold(context: DoctorContext) -> Answer:
    """Check that every connection's key would be accepted now; look twice, as a change may be under way."""
    found = await tally(context)
    suspects = _without_right(found.keys, await _records(context, refresh=False), context.utc_now)
    if suspects and not context.facts.is_saved:
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        found = await tally(context, refresh=True)
        again = _without_right(found.keys, await _records(context, refresh=True), context.utc_now)
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
    first = next(iter(suspects)).key_id
    now = decide("swimctl reload", f"closes these connections now, and not within {recheck:g} s")
    return fail(_KEYS_HOLD, seen, *lines[:SHOWN], late, advice=[inspect(f"swimctl keys show {first}"), now])


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


async def _records(context: DoctorContext, *, refresh: bool) -> Mapping[int, KeyRecord]:
    from swim_server.sql.errors import StoreError

    try:
        return await (key_database.rows_again(context) if refresh else key_database.rows(context))
    except StoreError as error:
        raise CannotAsk(str(error), "swimctl db status") from None


_REFUSED = "no client is refused repeatedly"


@expecting(_REFUSED)
async def refused(context: DoctorContext) -> Answer:
    """Check that no client keeps connecting with a refused key, and that nobody is guessing keys."""
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
