"""Restarts the other nodes one after the other, and stops at the first that does not come back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from swim_server.daemon.control.documents.nodes import NodeDocument, Nodes

from swimctl.client.nodes import call_on
from swimctl.errors import CommandError, CommandFailed, Refused

if TYPE_CHECKING:
    from swimctl.invocation import Invocation

FORBIDDEN = -32006
START_SECONDS = 60.0
"""How long a node may take until its new process serves."""
BACK_SECONDS = 60.0
"""How long it may take from then on until it has reported, and an event has come through to it."""
WELL_SECONDS = 10.0
LOOK_SECONDS = 0.3
PROBE_SECONDS = 8.0


def restart_others(invocation: Invocation, tell: Callable[[NodeDocument, dict[str, Any]], None]) -> bool:
    """Restart every other node; ``tell`` is called with each that is back. False: there are no others.

    Raises CommandFailed at the first that does not come back, with those that were left as they were.
    """
    found = _nodes(invocation)
    if not found.is_shared:
        return False
    if found.problem is not None:
        raise CommandFailed(f"the other nodes can't be asked: {found.problem}", "see: swimctl doctor --only nodes")
    others = [node for node in found.nodes if not node.is_here and node.state != "gone"]
    for node in found.nodes:
        if node.state != "gone" and (problem := _await_well(invocation, node.name, node.pid, WELL_SECONDS)):
            raise CommandFailed(f"node {node.name} {problem}: no node was restarted", "see: swimctl nodes")
    for number, node in enumerate(others):
        left = ", ".join([*(each.name for each in others[number + 1 :]), f"{found.node} (this one)"])
        try:
            answer = _restart(invocation, node.name)
            if problem := _await_well(invocation, node.name, answer["pid"], BACK_SECONDS):
                raise CommandFailed(f"it has not come back within {BACK_SECONDS:g} s: it {problem}")
        except CommandError as error:
            kind = Refused if isinstance(error, Refused) else CommandFailed
            raise kind(f"node {node.name}: {error.problem}; not restarted: {left}", "see: swimctl nodes") from None
        tell(node, answer)
    return True


def _restart(invocation: Invocation, name: str) -> dict[str, Any]:
    from swimctl.client.control import RpcFailed

    with invocation.connect() as control:
        try:
            answer: dict[str, Any] = call_on(control, name, "restart", seconds=START_SECONDS)
        except RpcFailed as failed:
            if failed.code == FORBIDDEN:
                raise Refused(failed.problem) from None
            raise CommandFailed(failed.problem) from None
    return answer


def _await_well(invocation: Invocation, name: str, pid: int, seconds: float) -> str | None:
    """Wait until a process has reported itself and has seen an event of its own; return what is wrong at the end."""
    deadline = time.monotonic() + seconds
    while True:
        node = next((each for each in _nodes(invocation).nodes if each.name == name), None)
        problem = "is gone" if node is None else _problem(node, pid)
        if problem is None or time.monotonic() >= deadline:
            return problem
        time.sleep(LOOK_SECONDS)


def _problem(node: NodeDocument, pid: int) -> str | None:
    """Return why a node is not well; None: its process is the one expected, and events come through to it."""
    if node.state != "alive":
        return f"is {node.state}"
    if node.pid != pid:
        return f"is still pid {node.pid} instead of {pid}"
    if node.trouble is not None:
        return f"reports: {node.trouble}"
    if node.probe_age_seconds is None or node.probe_age_seconds > PROBE_SECONDS:
        return "has not seen an event of its own come back"
    return None


def _nodes(invocation: Invocation) -> Nodes:
    with invocation.connect() as control:
        return control.ask("nodes", Nodes)
