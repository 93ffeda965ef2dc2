"""Builds what answers plain HTTP requests. Nothing is opened here."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.config import parse_duration
from swim_server.daemon.metrics.exposition import Exposition
from swim_server.daemon.metrics.operator_token import read_or_make_token
from swim_server.daemon.readiness import build_readiness
from swim_server.gateway.http.access import Access
from swim_server.gateway.http.operator_access import OperatorAccess
from swim_server.gateway.http.ops.sessions import OperatorSessions
from swim_server.gateway.http.parts import HttpParts
from swim_server.gateway.http.request_counts import RequestCounts
from swim_server.gateway.http.server import HttpServer
from swim_server.logs import get_logger
from swim_server.sources.airports import load_airfields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from swim_server.daemon.components import Core
    from swim_server.gateway.context import Shared
    from swim_server.gateway.http.readiness import Readiness
    from swim_server.gateway.rpc import Rpc
    from swim_server.sources.boundary_lines import LinesDocument, LinesFile


class HttpWiring:
    """Builds the HTTP server once the gateway exists, and keeps the parts of it that the service works with.

    ``kinds``: the names of the kinds of entries in the state.
    """

    readiness: Readiness
    """Set by ``build``."""

    def __init__(self, core: Core, rpc: Rpc, kinds: Sequence[str]) -> None:
        self.metrics = Exposition()
        self.request_counts = RequestCounts()
        self._token = read_or_make_token(core.home.operator_token, get_logger("daemon"))
        self.sessions = OperatorSessions(self._token, clock=SYSTEM_CLOCK)
        self._core = core
        self._rpc = rpc
        self._kinds = kinds
        self._lines: LinesFile | None = None
        self._lines_lock = asyncio.Lock()

    def build(self, shared: Shared) -> HttpServer:
        """Build the server, with the checks behind ``/readyz``."""
        core, config = self._core, self._core.config.values
        self.readiness = build_readiness(
            shared.gateway, core.authenticator, core.broker, core.sources.statuses,
            is_state_loaded=lambda: core.hub.state.is_ready, cluster=core.cluster,
            event_within_seconds=lambda: _seconds(core.config.values.expect.event_within),
        )  # fmt: skip
        return HttpServer(HttpParts(
            config=config.server, pages=config.pages, readiness=self.readiness, authentication=shared.authentication,
            gateway=shared.gateway, hub=core.hub, broker=core.broker, conversation=core.conversation,
            metrics=self.metrics.write, tickets=shared.tickets, request_counts=self.request_counts, log=shared.log,
            kinds=self._kinds,
            access=Access(
                shared.authentication, shared.refusals, core.admission,
                allowed_origins=config.server.allowed_origins, clock=SYSTEM_CLOCK,
            ),
            operator=OperatorAccess(self._token, has_public_url=config.server.public_url is not None),
            sessions=self.sessions, rpc=self._rpc, source_ages=core.sources.event_ages,
            airports=lambda: asyncio.to_thread(load_airfields), boundary_lines=self._boundary_lines,
            clock=SYSTEM_CLOCK,
        ))  # fmt: skip

    async def _boundary_lines(self) -> LinesDocument:
        """Load the lines of the configured boundaries, one request at a time; file and setting may change."""
        from swim_server.sources.boundary_lines import LinesFile

        path = self._core.config.values.detection.boundaries
        async with self._lines_lock:
            self._lines = self._lines or LinesFile()
            return await asyncio.to_thread(self._lines.load, None if path is None else Path(path))


def _seconds(duration: str | None) -> float | None:
    return None if duration is None else parse_duration(duration)
