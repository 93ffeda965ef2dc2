"""When the server closes a WebSocket, and what its close frame may contain. Pure, except for ``write_eof``."""

from __future__ import annotations

import asyncio
import math
import random
from typing import NamedTuple

from swim_server.protocol.codes import CloseCode

LONGEST_REASON_BYTES = 123
"""A close frame holds 125 bytes, two of them the code (RFC 6455, section 5.5)."""
PEER_TIMEOUT_HEARTBEATS = 2.5
"""A client that sends nothing for so many heartbeats, each with a ping, is considered gone."""
MOVE_SPREAD = 0.1
"""Clients that connected together are asked to reconnect spread over this share of their connection time."""
MOVE_FIRST_MS = 100
MOVE_LAST_MS = 2000


class Close(NamedTuple):
    """Why a connection is closed."""

    code: CloseCode
    reason: str
    retry_ms: int = 0
    """After how many milliseconds the client is asked to reconnect; 0: not specified."""


def close_due(now: float, *, last_seen: float, move_at: float, heartbeat_seconds: float) -> Close | None:
    """Return why an open connection must be closed now, or None. Times are monotonic, in seconds."""
    if now - last_seen > PEER_TIMEOUT_HEARTBEATS * heartbeat_seconds:
        return Close(CloseCode.SLOW_CONSUMER, "no answer to pings")
    if now >= move_at:
        pause_ms = random.randint(MOVE_FIRST_MS, MOVE_LAST_MS)
        reason = f"maximum connection time reached; reconnect; retry_ms={pause_ms}"
        return Close(CloseCode.SERVICE_RESTART, reason, pause_ms)
    return None


def move_time(now: float, max_connection_hours: float) -> float:
    """Return when a client that connects now is asked to reconnect; infinity without a limit (0)."""
    if not max_connection_hours:
        return math.inf
    return now + max_connection_hours * 3600 * random.uniform(1 - MOVE_SPREAD, 1)


def close_reason(text: str) -> str:
    """Cut a text at a character boundary to what a close frame can hold."""
    return text.encode()[:LONGEST_REASON_BYTES].decode(errors="ignore")


def write_eof(transport: asyncio.Transport) -> None:
    """Close the sending direction once everything is written; a TLS transport is closed, as it can't do that."""
    if transport.is_closing():
        return
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()
