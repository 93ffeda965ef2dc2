"""Temporary keys for checks: issued by the running process, in its memory only, revoked when the context ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.daemon.control.documents.diagnostics import ProbeKey, ProbeKeys

from swimctl.client.session import RpcFailed
from swimctl.doctor.probes.daemon_facts import CannotAsk, acted, promises

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

SECONDS = 30.0


async def temporary_key(context: DoctorContext) -> str:
    """Obtain a valid key of the tier with the most room. Raises CannotAsk."""
    return (await _lend(context)).api_key


async def _lend(context: DoctorContext) -> ProbeKey:
    tiers = (await promises(context)).tiers
    if not tiers:
        raise CannotAsk("the running process knows no tiers", "swimctl restart")
    tier, found = max(tiers.items(), key=lambda item: item[1].connections - item[1].current)
    if found.current >= found.connections:
        raise CannotAsk("all tiers are full: there is no room for a probe", "swimctl connections list")
    return (await lend(context, tier, 1, SECONDS))[0]


async def lend(context: DoctorContext, tier: str, count: int, seconds: float) -> list[ProbeKey]:
    """Obtain this many keys of a tier; they end with the context. Raises CannotAsk."""
    try:
        lent = await acted(context, "probe_keys", ProbeKeys, tier=tier, count=count, seconds=seconds)
    except RpcFailed as failed:
        raise CannotAsk(f"no temporary key can be made: {failed.problem}") from None
    ids = [key.id for key in lent.keys]
    if len(ids) != count:
        raise CannotAsk(f"{count} temporary keys were asked for, {len(ids)} came")

    async def end() -> None:
        await context.act("probe_keys_end", ids=ids)

    context.at_end(end)
    return lent.keys
