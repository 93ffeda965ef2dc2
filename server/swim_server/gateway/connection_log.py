"""What is logged and recorded of connections that open, close or are refused. Never a key."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from swim_server.keys.probes import is_probe_id
from swim_server.protocol.codes import CloseCode

if TYPE_CHECKING:
    from websockets.frames import Close

    from swim_server.concurrency.clock import Clock
    from swim_server.logs import Logger
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.explain.session_log import SessionLog

NO_CLOSE_FRAME = 1006
"""The code of a connection that just broke (RFC 6455, section 7.4.1)."""


class Eviction(msgspec.Struct, frozen=True):
    """A client that was closed with 4008."""

    monotonic: float
    connection_id: str
    key_id: int | None
    owner: str | None
    reason: str


class Cut(msgspec.Struct, frozen=True):
    """A client whose connection ended without a close frame from either side."""

    monotonic: float
    seconds: float
    """How long it was connected."""


class ConnectionLog:
    """Logs clients when they are admitted and when they leave; counts those that could not keep up."""

    def __init__(
        self,
        log: Logger,
        *,
        session_log: SessionLog | None,
        clock: Clock,
    ) -> None:
        self.slow_consumers = 0
        """Clients closed with 4008 since the start."""
        self.evictions: deque[Eviction] = deque(maxlen=50)
        """The most recent of them."""
        self.cuts: deque[Cut] = deque(maxlen=200)
        """The most recent connections that just broke."""
        self._log = log
        self._session_log = session_log
        self._monotonic = clock.monotonic
        self._now_ms = clock.now_ms

    def connected(self, connection: Connection) -> None:
        """Log an admitted client."""
        key = connection.key
        self._level_of(connection)(
            "connected",
            client=connection.id,
            tier=connection.tier,
            key_id=key.id if key is not None else None,
            remote=connection.remote,
            agent=connection.user_agent,
        )

    def disconnected(self, connection: Connection, sent: Close | None, received: Close | None) -> None:
        """Log a client that has left, with the close frames that were sent and received."""
        if sent is not None and sent.code == CloseCode.SLOW_CONSUMER:
            self._remember_eviction(connection, sent.reason)
        close = sent or received
        code = int(close.code) if close is not None else NO_CLOSE_FRAME
        self.ended(connection, code, close.reason if close is not None else "")
        if self._session_log is not None and connection.session is not None:
            self._session_log.archive(connection.session)
        seconds = round((self._now_ms() - connection.connected_at_ms) / 1000, 1)
        if close is None and not _is_ours(connection):
            self.cuts.append(Cut(self._monotonic(), seconds))
        self._level_of(connection)(
            "disconnected",
            client=connection.id,
            code=code,
            seconds=seconds,
            sent=connection.messages_sent,
        )

    def ended(self, connection: Connection, code: int, reason: str) -> None:
        """Record how a connection ends, for ``explain``."""
        if self._session_log is not None and connection.session is not None:
            self._session_log.closed(connection.session, int(code), reason)

    def _remember_eviction(self, connection: Connection, reason: str) -> None:
        self.slow_consumers += 1
        key = connection.key
        self.evictions.append(
            Eviction(
                self._monotonic(),
                connection.id,
                key.id if key is not None else None,
                key.owner_name if key is not None else None,
                reason,
            )
        )

    def _level_of(self, connection: Connection) -> Callable[..., object]:
        """Return the log level: debug for our own commands, which connect all the time."""
        return self._log.debug if _is_ours(connection) else self._log.info


def _is_ours(connection: Connection) -> bool:
    return connection.key is None or is_probe_id(connection.key.id)
