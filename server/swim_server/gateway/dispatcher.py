"""Handles a client's message: checks rate and size, then passes it to the conversation or to JSON-RPC."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from websockets.frames import Opcode

from swim_server.gateway.inbound_policy import InboundLimit, RateDecision
from swim_server.protocol.actions import binary_frame
from swim_server.protocol.codes import BadMessage, CloseCode, ErrorCode

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.concurrency.tasks import Tasks
    from swim_server.gateway.listener_kind import ListenerKind
    from swim_server.gateway.rpc import Rpc
    from swim_server.streaming.admission import Admission
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.conversation import Conversation


class Sender(Protocol):
    """The endpoint a message came from, with its counters."""

    kind: ListenerKind
    inbound: InboundLimit

    def publications(self) -> InboundLimit:
        """Return the counter of the client's publications, which are counted apart from its other messages."""

    def rest_until_next_second(self) -> None:
        """Stop reading for the rest of this second."""

    def close_abuser(self, reason: str) -> None:
        """Close with 4002 and ignore everything that still comes."""

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Begin the closing handshake; idempotent."""


class Dispatcher:
    """Reads the messages of all clients. Keeps nothing about a single one."""

    def __init__(
        self,
        conversation: Conversation,
        rpc: Rpc,
        admission: Admission,
        tasks: Tasks,
        *,
        abuse_factor: int,
        clock: Clock,
    ) -> None:
        self._conversation = conversation
        self._rpc = rpc
        self._admission = admission
        self._tasks = tasks
        self._abuse_factor = abuse_factor
        self._monotonic = clock.monotonic

    def count_frame(self, sender: Sender, connection: Connection, opcode: int, size_bytes: int) -> None:
        """Count a frame of any kind and its cost, inflated. Pings count as messages: they are answered."""
        if sender.kind.is_local:
            return
        limits, publishing = self._admission.limits[connection.tier], self._conversation.publishing
        frames_allowed = limits.messages_per_second
        bytes_allowed = limits.messages_per_second * sender.kind.max_message_bytes
        if publishing.may_publish(connection.tier):
            frames_allowed += publishing.events_per_second
            bytes_allowed += publishing.events_per_second * publishing.max_event_bytes
        frames, received_bytes = sender.inbound.count_frame(self._monotonic(), size_bytes)
        if frames > self._abuse_factor * frames_allowed:
            text = f"more than {self._abuse_factor} times {frames_allowed} frames in a second"
            self._say_rate_limited(connection, text, frames_allowed)
            sender.close_abuser(text)
            return
        if received_bytes > bytes_allowed:
            sender.rest_until_next_second()
        if opcode == Opcode.PING:
            self._judge(sender, connection, sender.inbound, limits.messages_per_second)

    def dispatch(
        self, sender: Sender, connection: Connection, payload: bytes, size_bytes: int, *, is_text: bool
    ) -> None:
        """Check one message, have it answered, and track clients that send invalid ones.

        Of a message longer than any limit, ``payload`` is only the beginning.
        """
        if not sender.kind.is_local and not self._is_within_rate(sender, connection, payload):
            return
        if sender.kind.is_local and self._rpc.is_request(payload):
            self._tasks.start(self._rpc.answer(connection, payload))
            return
        try:
            if not is_text:
                raise binary_frame()
            limit = self._size_limit(sender, connection, payload)
            if size_bytes > limit:
                raise _too_large(limit, size_bytes)
            self._conversation.receive(connection, payload)
        except BadMessage as refused:
            connection.answer(self._conversation.error(refused.code, refused.message, refused.data))
            is_malformed = refused.code is ErrorCode.INVALID_JSON
            if sender.inbound.record(is_malformed=is_malformed, is_refused=True):
                sender.close(CloseCode.BAD_MESSAGES, "too many messages that can't be read")
        else:
            sender.inbound.record()

    def too_large(self, kind: ListenerKind) -> bytes:
        """Return the error sent before a close with 1009: the message was too long to be read at all."""
        refused = _too_large(kind.max_message_bytes, None)
        return self._conversation.error(refused.code, refused.message, refused.data)

    def _size_limit(self, sender: Sender, connection: Connection, payload: bytes) -> int:
        """Return the maximum size of a message; providers' events have a limit of their own."""
        publishing = self._conversation.publishing
        is_publication = not sender.kind.is_local and publishing.governs(connection.tier, payload)
        return publishing.max_event_bytes if is_publication else sender.kind.max_message_bytes

    def _is_within_rate(self, sender: Sender, connection: Connection, payload: bytes) -> bool:
        publishing = self._conversation.publishing
        if publishing.governs(connection.tier, payload):
            return self._judge(sender, connection, sender.publications(), publishing.events_per_second)
        allowed = self._admission.limits[connection.tier].messages_per_second
        return self._judge(sender, connection, sender.inbound, allowed)

    def _judge(self, sender: Sender, connection: Connection, limit: InboundLimit, allowed: int) -> bool:
        decision = limit.judge(self._monotonic(), allowed)
        if decision is RateDecision.TAKE:
            return True
        if decision is not RateDecision.IGNORE:
            text = f"more than {allowed} messages in a second: the rest is ignored"
            self._say_rate_limited(connection, text, allowed)
        if decision is RateDecision.CLOSE:
            sender.close_abuser("too many messages per second, repeatedly")
        return False

    def _say_rate_limited(self, connection: Connection, text: str, allowed: int) -> None:
        connection.answer(self._conversation.error(ErrorCode.RATE_LIMITED, text, {"limit": allowed}))


def _too_large(limit: int, size: int | None) -> BadMessage:
    has = f"has {size} bytes" if size is not None else "is far too long"
    details = {"limit": limit} if size is None else {"size": size, "limit": limit}
    return BadMessage(ErrorCode.MESSAGE_TOO_LARGE, f"the message {has}; at most {limit} are read", details)
