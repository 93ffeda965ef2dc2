"""How many files this process may open: raised as far as the system lets us, and named when it is too low."""

from __future__ import annotations

import resource

RESERVE = 200
"""Descriptors for history, database, logs, sources and the interpreter itself."""


def raise_descriptor_limit() -> int:
    """Raise the soft limit to the hard one; return what holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def needed_descriptors(connections: int) -> int:
    """What full tiers need."""
    return connections + RESERVE
