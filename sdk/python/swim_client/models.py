"""What handlers receive, under the former module's name."""

from __future__ import annotations

from swim_client.events import (
    ConnectionInfo,
    Disconnection,
    ErrorMessage,
    Event,
    EventType,
    FlightEvent,
    Gap,
    HeartbeatEvent,
    Position,
    PositionBatch,
    Reconnection,
    SplitsEvent,
    TMIEvent,
)
from swim_client.subscriptions import SubscriptionFilters

__all__ = [
    "ConnectionInfo",
    "Disconnection",
    "ErrorMessage",
    "Event",
    "EventType",
    "FlightEvent",
    "Gap",
    "HeartbeatEvent",
    "Position",
    "PositionBatch",
    "Reconnection",
    "SplitsEvent",
    "SubscriptionFilters",
    "TMIEvent",
]
