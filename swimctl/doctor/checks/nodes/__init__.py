"""Nodes that share a broker: all are there and agree, and the server keeps what it acknowledges."""

from __future__ import annotations

from swimctl.doctor.check import Check
from swimctl.doctor.checks.nodes.agreement import clocks, configuration, versions
from swimctl.doctor.checks.nodes.identity import keys, names
from swimctl.doctor.checks.nodes.presence import leases, present, probes
from swimctl.doctor.checks.nodes.server import memory, persistence

_NEEDS = ("process.answers",)
_NEEDS_SERVER = ("nodes.present",)

CHECKS: tuple[Check, ...] = (
    Check(id="nodes.present", summary="Every node is heard of", ask=present, needs=_NEEDS),
    Check(id="nodes.probe", summary="An event comes through to every node, soon", ask=probes, needs=_NEEDS_SERVER),
    Check(id="nodes.leases", summary="Every shared source is run by a node", ask=leases, needs=_NEEDS_SERVER),
    Check(id="nodes.versions", summary="All nodes run the same code", ask=versions, needs=_NEEDS_SERVER),
    Check(id="nodes.configuration", summary="All nodes have the same settings", ask=configuration, needs=_NEEDS_SERVER),
    Check(id="nodes.names", summary="Every node's name is one process's", ask=names, needs=_NEEDS_SERVER),
    Check(id="nodes.keys", summary="All nodes read the same keys", ask=keys, needs=_NEEDS_SERVER),
    Check(id="nodes.clocks", summary="The nodes' clocks agree", ask=clocks, needs=_NEEDS_SERVER),
    Check(
        id="nodes.persistence", summary="The server keeps what it acknowledges", ask=persistence, needs=_NEEDS_SERVER
    ),
    Check(id="nodes.memory", summary="The server has room and never evicts events", ask=memory, needs=_NEEDS_SERVER),
)
