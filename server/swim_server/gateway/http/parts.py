"""What the handlers of plain HTTP work with, built from the parts of the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swim_server.brokers.broker import Broker
    from swim_server.concurrency.clock import Clock
    from swim_server.config import PagesConfig, ServerConfig
    from swim_server.detection.airfields import Airfields
    from swim_server.gateway.authentication import Authentication
    from swim_server.gateway.connection_log import ConnectionLog
    from swim_server.gateway.http.access import Access
    from swim_server.gateway.http.operator_access import OperatorAccess
    from swim_server.gateway.http.ops.sessions import OperatorSessions
    from swim_server.gateway.http.readiness import Readiness
    from swim_server.gateway.http.request_counts import RequestCounts
    from swim_server.gateway.registry import Gateway
    from swim_server.gateway.rpc import Rpc
    from swim_server.gateway.tickets import Tickets
    from swim_server.streaming.conversation import Conversation
    from swim_server.streaming.hub import Hub

Metrics = Callable[[], Awaitable[tuple[bytes, str]]]
"""Returns all metrics in the format of Prometheus, with the content type."""

LoadAirports = Callable[[], Awaitable["Airfields"]]
"""Loads where airports are. The first call takes a moment."""

LoadBoundaryLines = Callable[[], Awaitable[tuple[bytes, str]]]
"""Loads the lines of the configured boundaries: JSON compressed by gzip, and its tag. The first call takes a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpParts:
    """The parts that handlers share. Nothing in it belongs to a single request."""

    config: ServerConfig
    pages: PagesConfig
    readiness: Readiness
    access: Access
    operator: OperatorAccess
    sessions: OperatorSessions
    rpc: Rpc
    source_ages: Callable[[], Mapping[str, float | None]]
    authentication: Authentication
    gateway: Gateway
    hub: Hub
    broker: Broker
    conversation: Conversation
    metrics: Metrics
    tickets: Tickets
    request_counts: RequestCounts
    log: ConnectionLog
    kinds: Sequence[str]
    """The names of the kinds of entries."""
    airports: LoadAirports
    boundary_lines: LoadBoundaryLines
    clock: Clock
