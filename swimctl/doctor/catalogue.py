"""All checks, by area, in display order: dependencies come first."""

from __future__ import annotations

from swimctl.doctor.check import Check
from swimctl.doctor.checks import code, config, connections, install, keys, nodes, tiers
from swimctl.doctor.checks.database import store
from swimctl.doctor.checks.front import endpoint
from swimctl.doctor.checks.host import machine, ownership, storage
from swimctl.doctor.checks.process import environment, limits, metrics, running, start, workers
from swimctl.doctor.checks.stream import delivery, state

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
        *running.CHECKS,
        *environment.CHECKS,
        *limits.CHECKS,
        *workers.CHECKS,
        *metrics.CHECKS,
        *start.CHECKS,
        *code.CHECKS,
        *store.CHECKS,
        *keys.CHECKS,
        *tiers.CHECKS,
        *connections.CHECKS,
        *delivery.CHECKS,
        *state.CHECKS,
        *nodes.CHECKS,
        *endpoint.CHECKS,
        *machine.CHECKS,
        *ownership.CHECKS,
        *storage.CHECKS,
    )
    return tuple(sorted(checks, key=lambda check: AREAS.index(check.id.partition(".")[0])))
