"""Each name is one process's, and all nodes read the same keys: else two installations have been mixed up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swimctl.doctor.check import Answer, fail, ok
from swimctl.doctor.checks.nodes.agreement import grouped, groups_text
from swimctl.doctor.checks.nodes.found import alone, shared_nodes
from swimctl.doctor.probes.daemon_facts import expecting

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

_NAMES = "only one process reports under each node's name"
_KEYS = "all nodes read the same key database"


@expecting(_NAMES)
async def names(context: DoctorContext) -> Answer:
    """Check that no two processes have one name: their connections and key changes would be taken for one's."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_NAMES)
    shared = [node.name for node in found.nodes if node.state == "alive" and node.has_namesake]
    if shared:
        text = f"two processes report as {', '.join(shared)}: give [cluster] node another name on one of them"
        return fail(_NAMES, text, fix="swimctl config show --origin")
    return ok(_NAMES, ", ".join(node.name for node in found.nodes))


@expecting(_KEYS)
async def keys(context: DoctorContext) -> Answer:
    """Check that the nodes belong together: two installations with one prefix on one server would mix their events."""
    found = await shared_nodes(context)
    if found is None:
        return alone(_KEYS)
    groups = grouped((node.keys, node.name) for node in found.nodes if node.state == "alive" and node.keys)
    if len(groups) > 1:
        text = f"different first keys: {groups_text(groups)}; set one [database] url, or another [broker] prefix"
        return fail(_KEYS, text, fix="swimctl config show --origin")
    return ok(_KEYS, groups_text(groups) or "no node has a key yet")
