"""The nodes agree: code, settings, clocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from swimctl.doctor.check import Advice, Answer, decide, fail, inspect, ok, warn
from swimctl.doctor.checks.nodes.found import alone, shared_nodes
from swimctl.doctor.probes.daemon_facts import expecting

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.nodes import NodeDocument

    from swimctl.doctor.context import DoctorContext

WARN_CLOCK_MS, FAIL_CLOCK_MS = 1000, 60_000

_RESTART_ALL = decide("swimctl restart --all", "once the same release is installed on every node")
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
        return warn(_VERSIONS, groups_text(groups), advice=(_look("swimctl version", alive), _RESTART_ALL))
    return ok(_VERSIONS, groups_text(groups))


@expecting(_CONFIGURATION)
async def configuration(context: DoctorContext) -> Answer:
    """Check that all nodes have the same settings."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_CONFIGURATION)
    alive = [node for node in found.nodes if node.state == "alive"]
    groups = grouped((node.configuration, node.name) for node in alive)
    if len(groups) > 1:
        tables = sorted({table for node in alive for table in node.settings if _differs(table, alive)})
        told = f"{' and '.join(f'[{table}]' for table in tables) or 'settings'} differ: {groups_text(groups)}"
        return warn(_CONFIGURATION, told, advice=(_look("swimctl config show --origin", alive),))
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
    if not off:
        return ok(_CLOCKS, shown)
    # Where most nodes are off alike, the server's clock is what is wrong.
    where = "the server's machine" if len(off) > len(alive) / 2 and len(alive) > 1 else _machines(off)
    answer = fail if any(abs(node.clock_offset_ms) > FAIL_CLOCK_MS for node in off) else warn
    return answer(_CLOCKS, shown, fix=inspect("timedatectl status", f"on {where}"))


def _differs(table: str, nodes: Sequence[NodeDocument]) -> bool:
    return len({node.settings[table] for node in nodes if table in node.settings}) > 1


def _look(command: str, nodes: Sequence[NodeDocument]) -> Advice:
    return inspect(command, f"on {_machines(nodes)}, and compare")


def _machines(nodes: Sequence[NodeDocument]) -> str:
    names = [node.name for node in nodes]
    return f"the machine of {' and of '.join(names)}"


def grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return which nodes have which value."""
    groups: dict[str, list[str]] = defaultdict(list)
    for value, name in pairs:
        groups[value].append(name)
    return dict(groups)


def groups_text(groups: dict[str, list[str]]) -> str:
    """List which nodes have which value."""
    return "; ".join(f"{value.strip()}: {', '.join(names)}" for value, names in sorted(groups.items()))
