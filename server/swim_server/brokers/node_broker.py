"""What a daemon needs of its broker beyond the interface: figures, its epoch, and word of what turns out later."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from swim_server.brokers.broker import Broker

if TYPE_CHECKING:
    from swim_server.brokers.counters import Counters
    from swim_server.protocol.event_id import EventId


class NodeBroker(Broker, Protocol):
    """A broker that keeps a history on this machine, of its own or a copy."""

    on_unreadable: Callable[[EventId, EventId], None] | None
    """Told of each stretch (after, up to) that turns out not to be what was stored: it may have been read over."""
    on_opened_late: Callable[[EventId], None] | None
    """Told of the newest id where history could not be opened at the start, before anything is delivered."""

    @property
    def counters(self) -> Counters:
        """What it has done since it was made."""

    @property
    def epoch(self) -> str:
        """Names the order of events: ids of different epochs may not be compared."""
