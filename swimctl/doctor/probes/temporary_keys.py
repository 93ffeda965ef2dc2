"""Throw-away keys for checks: lent by the running process, in its memory only, ended when the examination ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from swimctl.client.session import RpcFailed
from swimctl.doctor.probes.daemon_facts import CannotAsk, asked, promises

if TYPE_CHECKING:
    from swimctl.doctor.context import Examination

SECONDS = 30.0


class LentKey(msgspec.Struct, frozen=True):
    """A key and the number by which the process ends it."""

    id: int
    api_key: str


class _Lent(msgspec.Struct):
    keys: list[LentKey]


async def throw_away_key(examination: Examination) -> str:
    """A new good key, of the tier with the most room. Raises CannotAsk."""
    return (await _lend(examination)).api_key


async def _lend(examination: Examination) -> LentKey:
    tiers = (await promises(examination)).tiers
    if not tiers:
        raise CannotAsk("the running process knows no tiers", "swimctl restart")
    tier, found = max(tiers.items(), key=lambda item: item[1].connections - item[1].current)
    if found.current >= found.connections:
        raise CannotAsk("all tiers are full: there is no room for a look", "swimctl connections list")
    return (await lend(examination, tier, 1, SECONDS))[0]


async def lend(examination: Examination, tier: str, count: int, seconds: float) -> list[LentKey]:
    """So many keys of a tier; ended with the examination. Raises CannotAsk."""
    try:
        lent = await asked(examination, "probe_keys", _Lent, anew=True, tier=tier, count=count, seconds=seconds)
    except RpcFailed as failed:
        raise CannotAsk(f"no throw-away key is to be had: {failed.problem}") from None
    ids = [key.id for key in lent.keys]
    if len(ids) != count:
        raise CannotAsk(f"{count} throw-away keys were asked for, {len(ids)} came")

    async def end() -> None:
        await examination.ask_anew("probe_keys_end", ids=ids)

    examination.at_end(end)
    return lent.keys
