"""What a daemon needs from its broker beyond the interface: figures, its epoch, and notice of what turns out later."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from swim_server.brokers.broker import Broker

if TYPE_CHECKING:
    from swim_server.brokers.counters import Counters
    from swim_server.protocol.event_id import EventId


class NodeBroker(Broker, Protocol):
    """A broker that has a history on this machine, its own or a copy."""

    on_unreadable: Callable[[EventId, EventId], None] | None
    """Called with each range (after, up to) found unreadable: clients may already have read past it."""
    on_opened_late: Callable[[EventId], None] | None
    """Called with the newest id once history opens after a failed start, before anything is delivered."""

    @property
    def counters(self) -> Counters:
        """What it has done since it was built."""

    @property
    def epoch(self) -> str:
        """Identifies the order of events: ids of different epochs can't be compared."""
