"""The server that the nodes share: it keeps what it acknowledges and never evicts events."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, Answer, decide, fail, ok, warn
from swimctl.doctor.checks.nodes.found import alone, shared_nodes
from swimctl.doctor.probes.daemon_facts import CannotAsk, expecting

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.nodes import EngineDocument

    from swimctl.doctor.context import DoctorContext

FULL = 0.9

_PERSISTENCE = "the server writes every event to its disk (appendonly yes), within a second at the latest"
_MEMORY = "the server never evicts (maxmemory-policy noeviction), and is less than 90 % full"


@expecting(_PERSISTENCE)
async def persistence(context: DoctorContext) -> Answer:
    """Check that a restart of the server loses nothing it has acknowledged."""
    engine = await _engine(context)
    if engine is None:
        return alone(_PERSISTENCE)
    shown = f"appendonly {engine.appendonly or 'unknown'}, appendfsync {engine.appendfsync or 'unknown'}"
    if engine.appendonly == "no":
        return fail(
            _PERSISTENCE, f"{shown}: a restart of the server loses events", advice=(_set(engine, "appendonly yes"),)
        )
    if engine.appendfsync == "no":
        told = f"{shown}: a power cut may lose half a minute"
        return warn(_PERSISTENCE, told, advice=(_set(engine, "appendfsync everysec"),))
    return ok(_PERSISTENCE, shown)


@expecting(_MEMORY)
async def memory(context: DoctorContext) -> Answer:
    """Check that a full server refuses new events rather than evicting old ones."""
    engine = await _engine(context)
    if engine is None:
        return alone(_MEMORY)
    shown = f"maxmemory-policy {engine.maxmemory_policy or 'unknown'}, {engine.used_memory // 2**20} MiB used"
    if engine.maxmemory_policy not in ("noeviction", ""):
        told = f"{shown}: it may drop whole streams"
        return fail(_MEMORY, told, advice=(_set(engine, "maxmemory-policy noeviction"),))
    if engine.maxmemory and engine.used_memory > FULL * engine.maxmemory:
        told = f"{shown} of {engine.maxmemory // 2**20} MiB: raise maxmemory, or shorten [history] keep"
        more = _set(engine, f"maxmemory {2 * engine.maxmemory}", "its machine must have that much")
        return warn(_MEMORY, told, advice=(more,))
    return ok(_MEMORY, shown)


def _set(engine: EngineDocument, setting: str, *conditions: str) -> Advice:
    """Advise a change of the server's settings. It holds until the server restarts."""
    scheme, _, place = engine.address.partition("://")
    where = f" -s {shlex.quote(place)}" if scheme == "unix" else f" -u {shlex.quote(engine.address)}"
    if scheme not in ("redis", "rediss", "unix"):
        where, conditions = "", (*conditions, "on the server's machine")
    requires = ", ".join((*conditions, "write it into its configuration file too; a password goes in REDISCLI_AUTH"))
    return decide(f"redis-cli{where} config set {setting}", requires)


async def _engine(context: DoctorContext) -> EngineDocument | None:
    found = await shared_nodes(context)
    if found is None:
        return None
    if found.engine is None or found.engine.problem is not None:
        raise CannotAsk("the server can't be asked")
    return found.engine
