"""The nodes agree: code, settings, clocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, fail, ok, warn
from swimctl.doctor.checks.nodes.found import alone, shared_nodes
from swimctl.doctor.probes.daemon_facts import expecting

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

WARN_CLOCK_MS, FAIL_CLOCK_MS = 1000, 60_000

_VERSIONS = "all nodes run the same version and the same files"
_CONFIGURATION = "tiers, history, channels, state, sources and publishing are set alike on all nodes"
_CLOCKS = "every node's clock is within 1 s of the server's"


@expecting(_VERSIONS)
async def versions(context: DoctorContext) -> Answer:
    """Check that all nodes run the same code; during a rolling restart they differ for a while."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_VERSIONS)
    alive = [node for node in found.nodes if node.state == "alive"]
    groups = grouped((f"{node.version} {node.fingerprint}", node.name) for node in alive)
    if len(groups) > 1:
        return warn(_VERSIONS, groups_text(groups), fix="swimctl status")
    return ok(_VERSIONS, groups_text(groups))


@expecting(_CONFIGURATION)
async def configuration(context: DoctorContext) -> Answer:
    """Check that all nodes have the same settings."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_CONFIGURATION)
    groups = grouped((node.configuration, node.name) for node in found.nodes if node.state == "alive")
    if len(groups) > 1:
        return warn(_CONFIGURATION, groups_text(groups), fix="swimctl config show")
    return ok(_CONFIGURATION, groups_text(groups))


@expecting(_CLOCKS)
async def clocks(context: DoctorContext) -> Answer:
    """Check that the nodes' clocks agree, so that key expiry and event ages mean the same everywhere."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_CLOCKS)
    alive = [node for node in found.nodes if node.state == "alive"]
    off = [node for node in alive if abs(node.clock_offset_ms) > WARN_CLOCK_MS]
    shown = ", ".join(f"{node.name} {node.clock_offset_ms:+d} ms" for node in off or alive)
    if any(abs(node.clock_offset_ms) > FAIL_CLOCK_MS for node in off):
        return fail(_CLOCKS, shown, fix="timedatectl status")
    return warn(_CLOCKS, shown, fix="timedatectl status") if off else ok(_CLOCKS, shown)


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return which nodes have which value."""
    groups: dict[str, list[str]] = defaultdict(list)
    for value, name in pairs:
        groups[value].append(name)
    return dict(groups)


def groups_text(groups: dict[str, list[str]]) -> str:
    """List which nodes have which value."""
    return "; ".join(f"{value.strip()}: {', '.join(names)}" for value, names in sorted(groups.items()))
