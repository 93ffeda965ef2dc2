"""Makes typed events of decoded messages. Never raises for a message that is a JSON object."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Type

from swim_client.events import (
    ConnectionInfo,
    Disconnection,
    ErrorMessage,
    Event,
    FlightEvent,
    Gap,
    HeartbeatEvent,
    PositionBatch,
    Reconnection,
    SplitsEvent,
    TMIEvent,
)

_WHOLE = frozenset({"error", "subscribed", "unsubscribed", "pong", "publish_ack"})
"""Messages whose fields stand at the top, not in ``data``."""

_CLASSES: Dict[str, Type[Event]] = {
    "connected": ConnectionInfo,
    "disconnected": Disconnection,
    "reconnected": Reconnection,
    "gap": Gap,
    "error": ErrorMessage,
    "system.heartbeat": HeartbeatEvent,
    "flight.positions": PositionBatch,
}
_FAMILIES: Dict[str, Type[Event]] = {"flight": FlightEvent, "tmi": TMIEvent, "splits": SplitsEvent}


def decode(message: Mapping[str, Any]) -> Event:
    """Make a typed event of a decoded message. Never raises for a message that is a JSON object."""
    kind = str(message.get("type", ""))
    content: Any = message if kind in _WHOLE else message.get("data")
    content = content if isinstance(content, dict) else {}
    if kind == "error":
        content = _error_content(content)
    event = (_CLASSES.get(kind) or _FAMILIES.get(kind.partition(".")[0]) or Event).from_dict(content)
    timestamp, event_id = message.get("timestamp"), message.get("id")
    event.type = kind
    event.timestamp = timestamp if isinstance(timestamp, str) else ""
    event.id = event_id if isinstance(event_id, str) else None
    event.raw = message
    return event


def _error_content(message: Mapping[str, Any]) -> Dict[str, Any]:
    """Code and text stand at the top or in ``data``: put them at the top."""
    data = message.get("data")
    inner = data if isinstance(data, dict) else {}
    content = dict(message)
    for name in ("code", "message"):
        content[name] = str(message.get(name) or inner.get(name) or "")
    return content
