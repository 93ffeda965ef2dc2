"""Sending the state to one connection: when that is possible, and as of which moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swim_server.protocol import messages
from swim_server.protocol.codes import ErrorCode
from swim_server.protocol.timestamps import format_ms
from swim_server.streaming.mirror.state_parts import PartsQueue

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub
    from swim_server.streaming.mirror.state_parts import StateParts


class StateSending:
    """Keeps nothing about a single client."""

    def __init__(self, hub: Hub, *, clock: Clock) -> None:
        self._hub = hub
        self._now_ms = clock.now_ms

    def can_send_at_once(self, connection: Connection) -> bool:
        """Tell whether the state can be sent now: it is loaded, and nothing older waits for the client."""
        state = self._hub.state
        return state.is_ready and state.is_warm and not connection.is_lagging and connection.catch_up is None

    async def can_send(self, connection: Connection, *, is_resuming: bool = False) -> None:
        """Wait until it can be sent, or the connection is gone. ``is_resuming``: also during catch-up."""
        state = self._hub.state
        await state.ready()
        if not state.is_warm:
            await state.warm()
        while not connection.is_gone:
            if connection.is_lagging:
                await connection.drained()
            elif connection.catch_up is not None and not is_resuming:
                await connection.catch_up.ended()
            else:
                return

    def parts(self, connection: Connection) -> StateParts | None:
        """Encode the current state for a connection; None: none of its channels has a state."""
        subscription = connection.subscription
        return self._hub.state.parts(
            subscription.filters,
            self._hub.catalogue.expand(subscription.channels),
            window_bits=connection.window_bits,
            max_message_bytes=connection.max_message_bytes,
        )

    def send(self, connection: Connection, answers: list[bytes], parts: StateParts) -> None:
        """Send the answers, then an error for each entry that is too long for this client, then the state."""
        if parts.left_out:
            text = f"{parts.left_out} entries of the state were left out: they are longer than this client can take"
            at = format_ms(self._now_ms())
            answers.append(messages.error(ErrorCode.EVENT_TOO_LARGE, text, at, entries=parts.left_out))
        connection.send_state(PartsQueue([connection.framed(each) for each in answers], parts, self._hub.call_soon))

    def send_now(self, connection: Connection) -> None:
        """Send the current state to a connection that should have been sent history and does not lag."""
        parts = self.parts(connection)
        if parts is not None:
            self.send(connection, [], parts)
