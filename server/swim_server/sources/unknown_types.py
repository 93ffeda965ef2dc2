"""Events of unknown types: counted by type in a source's status, and each type logged once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from swim_server.protocol.codes import show
from swim_server.sources.source import SourceStatus

if TYPE_CHECKING:
    from swim_server.logs import Logger

MAX_TYPES = 100
"""Maximum number of types counted individually."""
OTHERS = "others"
"""The name under which the rest is counted."""
MAX_CHARACTERS = 120
"""Maximum length of a type's name."""


class UnknownTypes:
    """Writes ``SourceStatus.unknown_types``."""

    def __init__(self, status: SourceStatus, log: Logger) -> None:
        self._status = status
        self._log = log

    def count(self, types: Mapping[str, int]) -> None:
        """Count events that were set aside, by type. A type that occurs for the first time is logged as a warning."""
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
