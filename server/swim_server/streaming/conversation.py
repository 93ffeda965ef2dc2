"""The actions of the wire protocol, performed and answered."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from swim_server.brokers.broker import Broker, BrokerUnavailable, InvalidEvent
from swim_server.protocol import actions, messages
from swim_server.protocol.actions import Action, Explain, Ping, Publish, Status, Subscribe, Unsubscribe
from swim_server.protocol.codes import BadMessage, ErrorCode
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import format_ms
from swim_server.streaming.explain.answering import Explaining
from swim_server.streaming.publishing import Publishing
from swim_server.streaming.subscribing import Subscribing
from swim_server.streaming.waiting import Waiting

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.concurrency.tasks import Tasks
    from swim_server.protocol.event_id import EventId
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub

MAX_WAITING = 100
"""How many actions of one client may wait during a look-up in history."""
MAX_WAITING_BYTES = 64 * 1024
"""The same in bytes; beyond it, the client isn't read."""
CONCURRENT_CATCH_UPS = 2
"""How many resuming clients read and filter history at the same time; the others take turns."""


class Conversation:
    """Answers actions. Keeps nothing about a single client: that is in the connection."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        tasks: Tasks,
        *,
        clock: Clock,
        heartbeat_seconds: float,
        publishing: Publishing | None = None,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        self._hub = hub
        self._broker = broker
        self._tasks = tasks
        self._now_ms = clock.now_ms
        self._heartbeat_seconds = heartbeat_seconds
        self._max_waiting_bytes = max_waiting_bytes
        self.publishing = publishing or Publishing(hub.catalogue)
        """What may be published; replaced when the configuration is reloaded."""
        self.errors: Counter[ErrorCode] = Counter()
        """Error messages sent to clients, by code."""
        turn = asyncio.Semaphore(CONCURRENT_CATCH_UPS)
        self._subscribing = Subscribing(hub, broker, tasks, turn=turn, clock=clock, error=self.error)
        self._explaining = Explaining(hub, broker, hub.catalogue, turn=turn)

    def greeting(self, connection: Connection) -> bytes:
        """Return the ``connected`` message."""
        return messages.connected(
            self._now(),
            client_id=connection.id,
            tier=connection.tier,
            heartbeat_interval=self._heartbeat_seconds,
            last_event_id=self._last_event_id(),
            epoch=self._broker.epoch or None,
        )

    def error(self, code: ErrorCode, message: str, details: Mapping[str, object] | None = None) -> bytes:
        """Return an ``error`` message, and count it as sent."""
        self.errors[code] += 1
        return messages.error(code, message, self._now(), **(details or {}))

    def heartbeat(self, *, connected_clients: int, uptime_seconds: float, sources: Mapping[str, float | None]) -> bytes:
        """Return the ``system.heartbeat`` message."""
        return messages.heartbeat(
            self._now(),
            connected_clients=connected_clients,
            uptime_seconds=uptime_seconds,
            last_event_id=self._last_event_id(),
            sources=sources,
        )

    def limit_messages(self, connection: Connection, value: str) -> None:
        """Send this connection no longer messages than its request asked for; say so where that can't be read."""
        try:
            number = int(value) if value.isascii() and value.isdecimal() else value
            connection.max_message_bytes = actions.read_max_message_bytes(number) or connection.max_message_bytes
        except BadMessage as refused:
            connection.answer(self.error(refused.code, refused.message, refused.data))

    def subscribe(self, connection: Connection, action: Subscribe) -> None:
        """Perform a first ``subscribe`` that came in another way than as a message. Raises BadMessage."""
        self._perform(connection, action)

    def receive(self, connection: Connection, payload: bytes) -> None:
        """Read and answer one message. Raises BadMessage if it is refused at once; then nothing was changed."""
        action = actions.decode_action(payload)
        waiting = connection.waiting
        if waiting is None:
            self._perform(connection, action)
        elif len(waiting) < MAX_WAITING:
            waiting.append(payload)
            if waiting.size_bytes > self._max_waiting_bytes:
                connection.transport.hold_reading()
        else:
            raise BadMessage(ErrorCode.RATE_LIMITED, "too many messages wait for an answer: this one was ignored")

    def _perform(self, connection: Connection, action: Action) -> None:
        match action:
            case Subscribe() as action:
                self._look_up(connection, self._subscribing.subscribe(connection, action))
            case Unsubscribe(channels=channels):
                self._subscribing.unsubscribe(connection, channels)
            case Ping():
                connection.answer(messages.pong(self._now()))
            case Status():
                self._status(connection)
            case Publish() as action:
                self._publish(connection, action)
            case Explain() as action:
                self._look_up(connection, self._explaining.explain(connection, action))

    def _now(self) -> str:
        return format_ms(self._now_ms())

    def _last_event_id(self) -> str:
        """Return where the live stream is; ``0-0`` before the first event, so that clients can resume from it."""
        return str(self._hub.delivered_id)

    # What needs history, one look-up at a time for each client.

    def _look_up(self, connection: Connection, work: Coroutine[Any, Any, None] | None) -> None:
        """Finish an action; the client's later messages wait meanwhile, so that answers keep the order."""
        if work is not None:
            connection.waiting = Waiting()
            self._tasks.start(self._go_on_after(connection, work))

    async def _go_on_after(self, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        finally:
            waiting: deque[bytes] = deque(connection.waiting if connection.waiting is not None else ())
            connection.waiting = None
        self._go_on(connection, waiting)
        self._read_on(connection)

    def _read_on(self, connection: Connection) -> None:
        if connection.waiting is None or connection.waiting.size_bytes <= self._max_waiting_bytes:
            connection.transport.release_reading()

    def _go_on(self, connection: Connection, waiting: deque[bytes]) -> None:
        while waiting and not connection.is_gone:
            self._perform_or_refuse(connection, waiting.popleft())
            if connection.waiting is not None:  # it looks into history itself: the rest waits for it
                connection.waiting.extend(waiting)
                return

    def _perform_or_refuse(self, connection: Connection, payload: bytes) -> None:
        try:
            self._perform(connection, actions.decode_action(payload))
        except BadMessage as refused:
            connection.answer(self.error(refused.code, refused.message, refused.data))

    # The rest.

    def _status(self, connection: Connection) -> None:
        subscription = connection.subscription
        connection.answer(
            messages.status(
                client_id=connection.id,
                connected_at=format_ms(connection.connected_at_ms),
                subscriptions=subscription.to_wire() if subscription.channels else None,
                messages_sent=connection.messages_sent,
                tier=connection.tier,
                buffered_bytes=connection.buffered_bytes,
                catching_up=connection.catch_up is not None,
                last_event_id=self._last_event_id(),
            )
        )

    def _publish(self, connection: Connection, action: Publish) -> None:
        event = NewEvent(type=action.channel, data=action.data, event_id=action.event_id)
        if connection.tier != "system" and connection.key is not None:
            raise BadMessage(ErrorCode.FORBIDDEN, "this key may not publish: ask for one of the system tier")
        self.publishing.authorise(connection.key, event)
        self.publishing.check(event)
        self._tasks.start(self._publish_later(connection, event))

    def tell_unreadable(self, after: EventId, up_to: EventId) -> None:
        """Tell clients that were sent history across a range that turns out to be damaged."""
        details = {"from": str(after), "to": str(up_to)}
        for connection in list(self._hub.connections.values()):
            if connection.resumed_after is not None and connection.resumed_after < up_to:
                text = "part of history can't be read, so what was sent may be incomplete; live events follow"
                connection.answer(self.error(ErrorCode.HISTORY_UNAVAILABLE, text, details))

    def check_event(self, event: NewEvent) -> NewEvent:
        """Refuse an event that can't be published. Raises BadMessage (INVALID_PUBLISH)."""
        return self.publishing.check(event)

    async def _publish_later(self, connection: Connection, event: NewEvent) -> None:
        try:
            (published,) = await self._broker.publish([event])
        except InvalidEvent as error:
            details = {"event_id": event.event_id}
            connection.answer(self.error(ErrorCode.INVALID_PUBLISH, f"can't publish: {error.reason}", details))
            return
        except BrokerUnavailable:
            text = "the event is not stored: history can't be written at the moment; send it again"
            retry: dict[str, object] = {"event_id": event.event_id, "retry": True}
            connection.answer(self.error(ErrorCode.STORAGE_UNAVAILABLE, text, retry))
            return
        connection.answer(messages.publish_ack(event_id=event.event_id, id=published.id, duplicate=published.duplicate))
