"""The nodes are there: each reports itself and sees its own events, and shared sources run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, fail, ok, warn
from swimctl.doctor.checks.nodes.found import alone, found_nodes, shared_nodes
from swimctl.doctor.probes.daemon_facts import expecting

if TYPE_CHECKING:
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
    missing = [
        f"{node.name}: nothing heard for {node.age_seconds:.0f} s" for node in found.nodes if node.state != "alive"
    ]
    if missing:
        return fail(_PRESENT, "; ".join(missing), fix="swimctl logs")
    return ok(_PRESENT, ", ".join(node.name for node in found.nodes))


@expecting(_PROBES)
async def probes(context: DoctorContext) -> Answer:
    """Check that events reach every node."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_PROBES)
    bad = []
    for node in found.nodes:
        if node.state != "alive":
            continue  # nodes.present reports that
        if node.trouble is not None:
            bad.append(f"{node.name}: {node.trouble}")
        elif node.probe_age_seconds is None or node.probe_age_seconds > PROBE_SECONDS:
            age = "never" if node.probe_age_seconds is None else f"{node.probe_age_seconds:.0f} s ago"
            bad.append(f"{node.name}: its own event last came back {age}")
        elif node.lag_ms > LAG_MS and node.lag_events:
            bad.append(f"{node.name}: {node.lag_events} events or {node.lag_ms} ms behind")
    if bad:
        return fail(_PROBES, "; ".join(bad), fix="swimctl logs")
    return ok(
        _PROBES,
        ", ".join(
            f"{node.name} {node.probe_age_seconds:g} s ago"
            for node in found.nodes
            if node.probe_age_seconds is not None
        ),
    )


@expecting(_LEASES)
async def leases(context: DoctorContext) -> Answer:
    """Check that every shared source is run by a node."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_LEASES)
    idle = [lease.name for lease in found.leases if lease.holder is None]
    if idle:
        return warn(_LEASES, f"nobody runs {', '.join(idle)}", fix="swimctl logs")
    return ok(_LEASES, ", ".join(f"{lease.name} on {lease.holder}" for lease in found.leases) or "there are none")
