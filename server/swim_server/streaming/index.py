"""Finds the groups that may want an event without looking at the others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.protocol.channels import Catalogue
    from swim_server.protocol.events import Event
    from swim_server.streaming.group import Group


class Index:
    """Groups by the event types that their channels select. Its candidates still have to pass their filters."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._by_type: dict[str, dict[Group, None]] = {}

    def add(self, group: Group) -> None:
        """Take a group in."""
        for event_type in self._catalogue.expand(group.subscription.channels):
            self._by_type.setdefault(event_type, {})[group] = None

    def remove(self, group: Group) -> None:
        """Take a group out that was added."""
        for event_type in self._catalogue.expand(group.subscription.channels):
            groups = self._by_type[event_type]
            del groups[group]
            if not groups:
                del self._by_type[event_type]

    def candidates(self, event: Event) -> Iterable[Group]:
        """Every group that the event may pass, and few others."""
        return self._by_type.get(event.type, ())
