"""What one connection wants: its channels and its filters. A value; equal subscriptions share a group."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from swim_server.protocol import filters as filtering
from swim_server.protocol.channels import Catalogue, canonical_channel
from swim_server.protocol.events import Event
from swim_server.protocol.filters import EMPTY, Filters
from swim_server.protocol.positions import POSITIONS


class Subscription(msgspec.Struct, frozen=True):
    """Channels accumulate, filters merge by kind. Immutable: each change is a new value."""

    channels: frozenset[str] = frozenset()
    filters: Filters = EMPTY

    def subscribe(self, channels: Collection[str], raw_filters: object, catalogue: Catalogue) -> Subscription:
        """Add channels and merge filters, all or nothing. Raises InvalidChannel or InvalidFilter."""
        names = frozenset(catalogue.check(channel) for channel in channels)
        return Subscription(self.channels | names, filtering.merge(self.filters, raw_filters))

    def unsubscribe(self, channels: Collection[str]) -> Subscription:
        """Remove channels; without a list, or if none is left, remove the filters too."""
        remaining = self.channels - frozenset(map(canonical_channel, channels)) if channels else frozenset()
        return Subscription(remaining, self.filters) if remaining else NOTHING

    @property
    def weight(self) -> int:
        """Number of channels and filter values: what it costs to remember."""
        filters = self.filters
        codes = (filters.airports, filters.artccs, filters.firs, filters.callsign_prefixes, filters.phases)
        return len(self.channels) + sum(map(len, codes))

    def to_wire(self) -> dict[str, Any]:
        """Return channels and filters in the form of the ``status`` message."""
        return {"channels": sorted(self.channels), "filters": self.filters.to_wire()}


NOTHING = Subscription()


def sift(event: Event, filters: Filters) -> Event | None:
    """Return the part of a stored event that passes the filters: itself, a batch cut to its positions, or None."""
    if filters == EMPTY:
        return event
    if event.type != POSITIONS:
        return event if filters.passes(event.type, event.data) else None
    remaining: Mapping[str, Any] | None = filters.cut(event.data)
    if remaining is None:
        return None
    if remaining is event.data:
        return event
    return event.with_data(dict(remaining))
