"""Throw-away keys for checks: lent by the running process, in its memory only, ended when the context ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swimctl.client.session import RpcFailed
from swimctl.doctor.probes.daemon_facts import CannotAsk, asked, promises

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

SECONDS = 30.0


class LentKey(msgspec.Struct, frozen=True):
    """A key and the number by which the process ends it."""

    id: int
    api_key: str


class _Lent(msgspec.Struct):
    keys: list[LentKey]


async def throw_away_key(context: DoctorContext) -> str:
    """Return a new good key, of the tier with the most room. Raises CannotAsk."""
    return (await _lend(context)).api_key


async def _lend(context: DoctorContext) -> LentKey:
    tiers = (await promises(context)).tiers
    if not tiers:
        raise CannotAsk("the running process knows no tiers", "swimctl restart")
    tier, found = max(tiers.items(), key=lambda item: item[1].connections - item[1].current)
    if found.current >= found.connections:
        raise CannotAsk("all tiers are full: there is no room for a look", "swimctl connections list")
    return (await lend(context, tier, 1, SECONDS))[0]


async def lend(context: DoctorContext, tier: str, count: int, seconds: float) -> list[LentKey]:
    """So many keys of a tier; ended with the context. Raises CannotAsk."""
    try:
        lent = await asked(context, "probe_keys", _Lent, anew=True, tier=tier, count=count, seconds=seconds)
    except RpcFailed as failed:
        raise CannotAsk(f"no throw-away key is to be had: {failed.problem}") from None
    ids = [key.id for key in lent.keys]
    if len(ids) != count:
        raise CannotAsk(f"{count} throw-away keys were asked for, {len(ids)} came")

    async def end() -> None:
        await context.ask_anew("probe_keys_end", ids=ids)

    context.at_end(end)
    return lent.keys
