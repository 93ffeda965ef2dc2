"""The heartbeats that every client is sent, each built once for all that are due at about the same time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from swim_server.streaming.framed_event import ping_frame, text_frame

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.gateway.registry import Gateway
    from swim_server.streaming.conversation import Conversation

FRESH_SECONDS = 0.1
"""How long an encoded heartbeat is reused: ten thousand clients cost ten encodings a second."""


class Heartbeats:
    """Builds heartbeats: each a ``system.heartbeat`` message and a ping in one, ready to be written."""

    def __init__(
        self,
        gateway: Gateway,
        conversation: Conversation,
        source_ages: Callable[[], Mapping[str, float | None]],
        *,
        clock: Clock,
    ) -> None:
        self._gateway = gateway
        self._conversation = conversation
        self._source_ages = source_ages
        self._monotonic = clock.monotonic
        self._made_at = float("-inf")
        self._frames = b""

    def current(self) -> bytes:
        """Return the frames to write now."""
        now = self._monotonic()
        if now - self._made_at > FRESH_SECONDS:
            message = self._conversation.heartbeat(
                connected_clients=self._gateway.clients(),
                uptime_seconds=self._gateway.uptime_seconds(),
                sources=self._source_ages(),
            )
            self._made_at, self._frames = now, text_frame(message) + ping_frame(b"")
        return self._frames
