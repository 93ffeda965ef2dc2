"""Every check there is, area by area, in the order in which they are shown: the ground first."""

from __future__ import annotations

from swimctl.doctor.check import Check
from swimctl.doctor.checks import (
    code,
    config,
    connections,
    database,
    environment,
    front,
    host,
    install,
    keys,
    nodes,
    ownership,
    process,
    process_limits,
    process_start,
    storage,
    stream,
    tiers,
)

AREAS = (
    "install",
    "config",
    "process",
    "code",
    "database",
    "keys",
    "tiers",
    "connections",
    "stream",
    "nodes",
    "front",
    "host",
)


def all_checks() -> tuple[Check, ...]:
    """Return the checks of all areas."""
    checks = (
        *install.CHECKS,
        *config.CHECKS,
        *process.CHECKS,
        *environment.CHECKS,
        *process_limits.CHECKS,
        *process_start.CHECKS,
        *code.CHECKS,
        *database.CHECKS,
        *keys.CHECKS,
        *tiers.CHECKS,
        *connections.CHECKS,
        *stream.CHECKS,
        *nodes.CHECKS,
        *front.CHECKS,
        *host.CHECKS,
        *ownership.CHECKS,
        *storage.CHECKS,
    )
    return tuple(sorted(checks, key=lambda check: AREAS.index(check.id.partition(".")[0])))
