"""Connections, as counted by the running process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.daemon.control.documents.diagnostics import PeerTally, Tally
from swim_server.keys.permissions import is_within

from swimctl.doctor.probes.daemon_facts import acted, asked

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext


async def tally(context: DoctorContext, *, refresh: bool = False) -> Tally:
    """Return the counts, also by key and program. Raises CannotAsk."""
    return await asked(context, "tally", Tally, refresh=refresh)


async def brief_tally(context: DoctorContext) -> Tally:
    """Return only the totals, as they are now: they cost the process little."""
    return await acted(context, "tally", Tally, brief=True)


async def busiest_proxy(context: DoctorContext) -> PeerTally | None:
    """Return the trusted proxy with the most clients; None if no client comes through one. Raises CannotAsk."""
    trusted = tuple((await context.loaded()).config.server.trusted_proxies)
    proxies = [each for each in (await tally(context)).peers if is_within(each.address, trusted)]
    return max(proxies, key=lambda each: each.connections, default=None)
