"""``connections`` and ``top``: who is connected, and who and what causes the traffic."""

from __future__ import annotations

from typing import Any

import msgspec

from swim_server.daemon.control.documents.status import Status


class ConnectionDocument(msgspec.Struct, kw_only=True):
    """One live connection."""

    id: str
    tier: str = ""
    """``local`` for connections of the control socket."""
    key_id: int | None = None
    key_hint: str | None = None
    owner: str | None = None
    remote: str | None = None
    user_agent: str | None = None
    connected_at: str = ""
    channels: list[str] = []
    filters: dict[str, Any] = {}
    messages_sent: int = 0
    buffered_bytes: int = 0
    lagging: bool = False
    catching_up: bool = False
    """Whether it is being sent history."""
    node: str | None = None
    """The node that it is connected to, where there are several and several were asked."""
    worker: int | None = None
    """The number of the worker process that serves it; None: the answering process does."""


class Connections(msgspec.Struct, kw_only=True):
    """The answer to ``connections``."""

    connections: list[ConnectionDocument]


class BusyConnection(ConnectionDocument, kw_only=True):
    """A connection, and how much it was sent while ``top`` measured."""

    per_second: float = 0.0


class TypeRate(msgspec.Struct, kw_only=True):
    """One event type."""

    type: str
    events: int = 0
    """Since the start."""
    per_second: float = 0.0


class ChannelCount(msgspec.Struct, kw_only=True):
    """One channel, and how many connections are subscribed to it."""

    channel: str
    connections: int = 0


class Top(msgspec.Struct, kw_only=True):
    """The answer to ``top``."""

    at_seconds: float
    """How long it measured."""
    status: Status
    types: list[TypeRate] = []
    channels: list[ChannelCount] = []
    busiest: list[BusyConnection] = []
    slow: list[BusyConnection] = []
