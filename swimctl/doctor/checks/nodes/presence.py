"""The nodes are there: each reports itself and sees its own events, and shared sources run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from swim_server.protocol.timestamps import InvalidTimestamp, parse_ms

from swimctl.doctor.check import Advice, Answer, fail, inspect, ok, warn
from swimctl.doctor.checks.nodes.found import alone, found_nodes, shared_nodes
from swimctl.doctor.probes.daemon_facts import expecting

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.nodes import NodeDocument, Nodes, SourceLeaseDocument

    from swimctl.doctor.context import DoctorContext

PROBE_SECONDS = 8.0
LAG_MS = 5000

_PRESENT = "the server answers, and every node has said something within 3 s"
_PROBES = "every node's own event came back to it within 8 s, and none is 5 s behind"
_LEASES = "every source that one node runs for all is run"


@expecting(_PRESENT)
async def present(context: DoctorContext) -> Answer:
    """Check that the server answers and every node reports."""
    found = await found_nodes(context)
    if not found.is_shared:
        return alone(_PRESENT)
    if found.problem is not None:
        return fail(_PRESENT, found.problem, fix="swimctl logs")
    missing = [node for node in found.nodes if node.state != "alive"]
    if missing:
        told = "; ".join(f"{node.name}: nothing heard for {node.age_seconds:.0f} s" for node in missing)
        evidence = [f"{node.name}: pid {node.pid}, {node.url or 'no address'}" for node in missing]
        advice = [inspect("swimctl doctor", f"on the machine of {node.name}") for node in missing]
        return fail(_PRESENT, told, *evidence, advice=advice)
    return ok(_PRESENT, ", ".join(node.name for node in found.nodes))


@expecting(_PROBES)
async def probes(context: DoctorContext) -> Answer:
    """Check that events reach every node."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_PROBES)
    bad = {node.name: told for node in found.nodes if (told := _probe_problem(node, context.now)) is not None}
    if bad:
        told = "; ".join(f"{name}: {problem}" for name, problem in bad.items())
        return fail(_PROBES, told, advice=[_examine(name, found.node) for name in bad])
    return ok(
        _PROBES,
        ", ".join(
            f"{node.name} {node.probe_age_seconds:g} s ago"
            for node in found.nodes
            if node.probe_age_seconds is not None
        ),
    )


def _probe_problem(node: NodeDocument, now: float) -> str | None:
    if node.state != "alive":
        return None  # nodes.present reports that
    if node.trouble is not None:
        return node.trouble
    if node.probe_age_seconds is None:
        return None if _has_just_begun(node, now) else "its own event has never come back"
    if node.probe_age_seconds > PROBE_SECONDS:
        return f"its own event last came back {node.probe_age_seconds:.0f} s ago"
    if node.lag_ms > LAG_MS and node.lag_events:
        return f"{node.lag_events} events or {node.lag_ms} ms behind"
    return None


def _has_just_begun(node: NodeDocument, now: float) -> bool:
    """Tell whether its first event may still be on the way."""
    try:
        began = parse_ms(node.started_at or "") / 1000 - node.clock_offset_ms / 1000
    except InvalidTimestamp:
        return False
    return abs(now - began) < PROBE_SECONDS


def _examine(name: str, own: str | None) -> Advice:
    return inspect("swimctl logs" if name == own else f"swimctl doctor --node {shlex.quote(name)}")


@expecting(_LEASES)
async def leases(context: DoctorContext) -> Answer:
    """Check that every shared source is run by a node."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_LEASES)
    idle = {
        lease.name: wanting for lease in found.leases if lease.holder is None and (wanting := _wanting(found, lease))
    }
    if idle:
        told = "; ".join(f"nobody runs {name}, which is for {', '.join(wanting)}" for name, wanting in idle.items())
        names = dict.fromkeys(name for wanting in idle.values() for name in wanting)
        return warn(_LEASES, told, advice=[_examine(name, found.node) for name in names])
    running = [f"{lease.name} on {lease.holder}" for lease in found.leases if lease.holder is not None]
    return ok(_LEASES, ", ".join(running) or "there are none")


def _wanting(found: Nodes, lease: SourceLeaseDocument) -> list[str]:
    """Return the nodes that would run a source; none: it is in no configuration any more."""
    return [node.name for node in found.nodes if node.wanted_sources is None or lease.name in node.wanted_sources]
