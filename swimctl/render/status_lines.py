"""The status document as stable lines for scripts. Imports nothing that draws."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from swimctl.text import cell

if TYPE_CHECKING:
    from swim_server.daemon.control.documents.status import Status


def status_lines(document: Status) -> list[tuple[str, str]]:
    """Return the status as stable pairs for scripts: nested values by dotted names, sources by their names."""
    pairs: list[tuple[str, str]] = []
    for name, value in msgspec.to_builtins(document).items():
        if name == "connections":
            pairs.append((name, cell(document.connections.total)))
            for tier, use in document.connections.by_tier.items():
                pairs.append((f"{name}.{tier}", f"{use.current}/{use.limit}"))
        elif name == "sources":
            for source in document.sources:
                age = cell(source.last_event_age_seconds)
                pairs.append((f"source.{source.name}", f"{source.state} {source.events} {age}"))
                unknown = source.unknown_types.items()
                pairs += [(f"source.{source.name}.unknown.{name}", cell(number)) for name, number in unknown]
        elif name == "workers":
            for worker in document.workers:
                pairs.append((f"worker.{worker.number}", f"{worker.state} {worker.connections} {worker.restarts}"))
        elif isinstance(value, Mapping):
            pairs += [(f"{name}.{key}", cell(item)) for key, item in value.items()]
        else:
            pairs.append((name, cell(value)))
    return pairs
