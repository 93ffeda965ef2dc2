"""Events of types that there aren't: counted by type in a source's status, and each type told once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from swim_server.protocol.codes import show
from swim_server.sources.source import SourceStatus

MAX_TYPES = 100
"""How many types are counted one by one."""
OTHERS = "others"
"""Under which the rest is counted."""
MAX_CHARACTERS = 120
"""Of a type's name."""


class UnknownTypes:
    """Writes ``SourceStatus.unknown_types``."""

    def __init__(self, status: SourceStatus, log: Any) -> None:
        self._status = status
        self._log = log

    def count(self, types: Mapping[str, int]) -> None:
        """Count events that were set aside, by type. A type that comes for the first time is warned about."""
        counts = dict(self._status.unknown_types)
        for event_type, number in types.items():
            name = event_type[:MAX_CHARACTERS]
            if name not in counts:
                name = name if len(counts) < MAX_TYPES else OTHERS
            if name not in counts:
                self._log.warning(
                    "events of an unknown type are set aside (logged once per type)",
                    type=name,
                    reason=f"unknown event type {show(event_type)}",
                    fix="swimctl doctor --only stream",
                )
            counts[name] = counts.get(name, 0) + number
        self._status.unknown_types = counts
