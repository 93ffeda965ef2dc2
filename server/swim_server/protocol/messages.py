"""The server's messages, encoded: answers, errors and heartbeats. What clients send is in ``actions``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from swim_server.protocol.codes import ErrorCode

PROTOCOL_VERSION = "1.0.0"

_encoder = msgspec.json.Encoder()


def connected(
    timestamp: str,
    *,
    client_id: str,
    tier: str,
    heartbeat_interval: float,
    last_event_id: str | None,
    epoch: str | None = None,
    resume: bool = True,
) -> bytes:
    """Encode the first message of a connection. ``epoch``: the order of events that ids currently belong to."""
    data = {
        "client_id": client_id,
        "server_time": timestamp,
        "version": PROTOCOL_VERSION,
        "tier": tier,
        "heartbeat_interval": _whole(heartbeat_interval),
        "resume": resume,
        "last_event_id": last_event_id,
        "epoch": epoch,
    }
    return _encoder.encode({"type": "connected", "timestamp": timestamp, "data": data})


def subscribed(
    *,
    channels: Collection[str],
    filters: Mapping[str, object],
    last_event_id: str | None,
    resumed: bool,
    gap: bool,
    epoch: str | None = None,
    hints: Collection[str] = (),
    state_as_of: str | UnsetType | None = UNSET,
) -> bytes:
    """Encode the answer to ``subscribe``.

    ``filters``: the connection's filters from now on (``Filters.to_wire``). ``hints``: texts about filter values that
    can match nothing known. ``state_as_of``: the last event included in the state that follows; None: none of the
    channels has a state.
    """
    answer = {
        "type": "subscribed",
        "channels": list(channels),
        "filters": filters,
        "last_event_id": last_event_id,
        "resumed": resumed,
        "gap": gap,
        "epoch": epoch,
        "hints": list(hints),
    }
    if not isinstance(state_as_of, UnsetType):
        answer["state_as_of"] = state_as_of
    return _encoder.encode(answer)


def unsubscribed(channels: Collection[str] = ()) -> bytes:
    """Encode the answer to ``unsubscribe``; without channels, all of them are gone."""
    return _encoder.encode({"type": "unsubscribed", "channels": list(channels) or ["all"]})


def pong(timestamp: str) -> bytes:
    """Encode the answer to ``ping``."""
    return _encoder.encode({"type": "pong", "timestamp": timestamp})


def status(
    *, client_id: str, connected_at: str, subscriptions: Mapping[str, object] | None, messages_sent: int, **more: Any
) -> bytes:
    """Encode the answer to ``status``. ``subscriptions``: channels and filters, None when there are no channels."""
    data = {
        "client_id": client_id,
        "connected_at": connected_at,
        "subscriptions": subscriptions,
        "messages_sent": messages_sent,
        **more,
    }
    return _encoder.encode({"type": "status", "data": data})


def publish_ack(*, event_id: str | None, id: str, duplicate: bool = False) -> bytes:
    """Encode the answer to ``publish``: the event is stored as ``id``, now or, for a duplicate, earlier."""
    return _encoder.encode(
        {
            "type": "publish_ack",
            "event_id": event_id,
            "accepted": 0 if duplicate else 1,
            "duplicates": 1 if duplicate else 0,
            "id": id,
        }
    )


def explained(*, event_id: str | None, event_type: str | None, explanation: Any) -> bytes:
    """Encode the answer to ``explain``. ``explanation``: outcome, reason, and the result of each filter clause."""
    data = {"event": event_id, "event_type": event_type, **msgspec.to_builtins(explanation)}
    return _encoder.encode({"type": "explained", "data": data})


def error(code: ErrorCode, message: str, timestamp: str, **details: Any) -> bytes:
    """Encode a refusal. Code and text are both at the top level and in ``data``: clients look in either place."""
    data = {**details, "code": code, "message": message}
    return _encoder.encode({"type": "error", "timestamp": timestamp, "code": code, "message": message, "data": data})


def heartbeat(
    timestamp: str,
    *,
    connected_clients: int,
    uptime_seconds: float,
    last_event_id: str | None,
    sources: Mapping[str, float | None],
) -> bytes:
    """Encode the heartbeat for every connection. ``sources``: the age of each one's last event, in seconds."""
    data = {
        "connected_clients": connected_clients,
        "uptime_seconds": int(uptime_seconds),
        "last_event_id": last_event_id,
        "sources": sources,
    }
    return _encoder.encode({"type": "system.heartbeat", "timestamp": timestamp, "data": data})


def _whole(number: float) -> float:
    """Write a whole number without ``.0``: typed clients read it into an integer."""
    return int(number) if number == int(number) else number
