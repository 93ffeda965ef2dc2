"""What the running process knows about the nodes, asked once per run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.daemon.control.documents.nodes import Nodes

from swimctl.doctor.check import Answer, ok
from swimctl.doctor.probes.daemon_facts import CannotAsk, asked

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

ALONE = "this process is the only node"


async def found_nodes(context: DoctorContext) -> Nodes:
    """Return the nodes document. Raises CannotAsk."""
    return await asked(context, "nodes", Nodes)


async def shared_nodes(context: DoctorContext) -> Nodes | None:
    """Return the nodes document, or None for a single node. Raises CannotAsk if the server does not answer."""
    found = await found_nodes(context)
    if not found.is_shared:
        return None
    if found.problem is not None:
        raise CannotAsk(found.problem)
    return found


def alone(expected: str) -> Answer:
    """Answer that there is only one node, and nothing to compare."""
    return ok(expected, ALONE)
