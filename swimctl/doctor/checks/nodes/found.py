"""What the running process says of the nodes, asked once in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.daemon.control.documents.nodes import Nodes

from swimctl.doctor.check import Answer, ok
from swimctl.doctor.probes.daemon_facts import CannotAsk, asked

if TYPE_CHECKING:
    from swimctl.doctor.context import DoctorContext

ALONE = "this process is the only node"


async def found_nodes(context: DoctorContext) -> Nodes:
    """Read the document. Raises CannotAsk."""
    return await asked(context, "nodes", Nodes)


async def shared_nodes(context: DoctorContext) -> Nodes | None:
    """Read it where there are several; None: there is but one. Raises CannotAsk where the server does not answer."""
    found = await found_nodes(context)
    if not found.is_shared:
        return None
    if found.problem is not None:
        raise CannotAsk(found.problem)
    return found


def alone(expected: str) -> Answer:
    """Answer that there is nothing to compare."""
    return ok(expected, ALONE)
