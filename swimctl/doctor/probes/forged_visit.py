"""A visit to the public address by a client that lies about its address, and what the process believes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from swim_server.daemon.control.documents.diagnostics import ProbeConnection

from swimctl.doctor.probes.daemon_facts import acted
from swimctl.doctor.probes.plain_http import proxy_name
from swimctl.doctor.probes.public_endpoint import STEP_SECONDS, addresses, target_of
from swimctl.doctor.probes.temporary_keys import temporary_key
from swimctl.doctor.probes.wire import Ended, NotUpgraded, Target, dial

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

FORGED_ADDRESS = "192.0.2.77"
"""Nobody's address: it is reserved for documentation (RFC 5737)."""
FORGED = {"X-Forwarded-For": FORGED_ADDRESS, "Forwarded": f"for={FORGED_ADDRESS}", "X-Real-IP": FORGED_ADDRESS}
OWN_LOOPBACK = "127.0.0.29"
"""Doctor's own address towards a proxy on this machine, to distinguish it from the proxy at 127.0.0.1."""


class ForgedVisit(msgspec.Struct, frozen=True):
    """The outcome of the visit."""

    trouble: str | None = None
    """Why the visit proves nothing."""
    believed: str | None = None
    """The client address that the process believes."""
    peer: str | None = None
    """The other end of the process's TCP connection: the last proxy, or this client."""
    is_direct: bool = False
    """No proxy, or anything else that changes addresses, is in between."""
    own: str | None = None
    """This client's address."""
    proxy: str | None = None
    """The proxy's name, as it gives it."""


async def forged_visit(context: DoctorContext) -> ForgedVisit:
    """Visit once per run, with a temporary key of the running process. Raises CannotAsk, NoFront."""
    where = "a visit that lies about where it comes from"
    return await context.fact("front.forged-visit", lambda: _visit(context), where, shape=ForgedVisit)


async def _visit(context: DoctorContext) -> ForgedVisit:
    target = await target_of(context)
    found = await addresses(context)
    local_host = OWN_LOOPBACK if found and all(each.startswith("127.") for each in found) else None
    try:
        visited = await _visit_from(context, target, local_host)
    except NotUpgraded as error:
        if local_host is None:
            return ForgedVisit(error.reason)
        try:  # not every system has more than one address for itself
            visited = await _visit_from(context, target, None)
        except (NotUpgraded, Ended) as trouble:
            return ForgedVisit(str(trouble))
    except Ended as ended:
        return ForgedVisit(str(ended))
    if visited.is_direct or visited.trouble is not None:
        return visited
    return msgspec.structs.replace(visited, proxy=await proxy_name(context))


async def _visit_from(context: DoctorContext, target: Target, local_host: str | None) -> ForgedVisit:
    key, seconds = await temporary_key(context), context.within(STEP_SECONDS)
    async with dial(target, key, open_seconds=seconds, headers=FORGED, local_host=local_host) as wire:
        greeting = await wire.greet(context.within(2 * STEP_SECONDS))
        if greeting is None or not greeting.is_in:
            return ForgedVisit("the service did not answer" if greeting is None else greeting.text)
        found = await acted(context, "probe_connection", ProbeConnection, id=greeting.client_id)
        if not found.found:
            return ForgedVisit("another process admitted us")
        own_host, own_port = wire.local
        peer = found.peer.split(" ") if found.peer is not None else None
        return ForgedVisit(
            believed=found.remote,
            peer=peer[0] if peer is not None else None,
            is_direct=peer == [own_host, str(own_port)],
            own=own_host,
        )
