"""What a client may ask and what it is answered: the actions of the wire protocol."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from swim_server.brokers.broker import Broker, BrokerUnavailable, InvalidEvent, find_event
from swim_server.protocol import messages
from swim_server.protocol.channels import Catalogue, InvalidChannel
from swim_server.protocol.codes import BadMessage, ErrorCode
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import NewEvent
from swim_server.protocol.messages import Action, Explain, Ping, Publish, Status, Subscribe, Unsubscribe
from swim_server.protocol.timestamps import format_ms
from swim_server.streaming.catchup import CatchUp
from swim_server.streaming.explain.outcome import Explanation, Outcome, explain_session, explain_subscription
from swim_server.streaming.explain.session_log import NO_STARTS
from swim_server.streaming.history_start import HistoryStart
from swim_server.streaming.publishing import Publishing
from swim_server.streaming.subscription import NOTHING, Subscription

if TYPE_CHECKING:
    from swim_server.concurrency.tasks import Tasks
    from swim_server.protocol.events import Event
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub

MAX_WAITING = 100
"""How many actions of one client may wait while its place in history is looked up."""
CONCURRENT_CATCH_UPS = 2
"""How many resuming clients read and filter history at the same moment; the others take turns."""


class Conversation:
    """Answers actions. Holds nothing of a single client; its state is the connection's."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        catalogue: Catalogue,
        tasks: Tasks,
        *,
        now_ms: Callable[[], int],
        monotonic: Callable[[], float],
        heartbeat_seconds: float,
        publishing: Publishing | None = None,
    ) -> None:
        self._hub = hub
        self._broker = broker
        self._catalogue = catalogue
        self._tasks = tasks
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._heartbeat_seconds = heartbeat_seconds
        self.publishing = publishing or Publishing(catalogue)
        """What may be published; replaced when the configuration is read again."""
        self._turn = asyncio.Semaphore(CONCURRENT_CATCH_UPS)
        self._history_start = HistoryStart(hub, broker, catalogue, turn=self._turn, monotonic=monotonic)

    def greeting(self, connection: Connection) -> bytes:
        """The ``connected`` message."""
        return messages.connected(
            self._now(),
            client_id=connection.id,
            tier=connection.tier,
            heartbeat_interval=self._heartbeat_seconds,
            last_event_id=self._last_event_id(),
        )

    def error(self, code: ErrorCode, message: str, details: Mapping[str, Any] | None = None) -> bytes:
        """An ``error`` message."""
        return messages.error(code, message, self._now(), **(details or {}))

    def heartbeat(self, *, connected_clients: int, uptime_seconds: float, sources: Mapping[str, float | None]) -> bytes:
        """The ``system.heartbeat`` message."""
        return messages.heartbeat(
            self._now(),
            connected_clients=connected_clients,
            uptime_seconds=uptime_seconds,
            last_event_id=self._last_event_id(),
            sources=sources,
        )

    def receive(self, connection: Connection, payload: bytes | str) -> None:
        """Read and answer one message. Raises BadMessage when it is refused at once; then nothing was changed."""
        action = messages.decode_action(payload)
        if connection.waiting is None:
            self._perform(connection, action)
        elif len(connection.waiting) < MAX_WAITING:
            connection.waiting.append(action)
        else:
            raise BadMessage(ErrorCode.RATE_LIMITED, "too many messages wait for an answer: this one was ignored")

    def _perform(self, connection: Connection, action: Action) -> None:
        match action:
            case Subscribe() as action:
                self._subscribe(connection, action)
            case Unsubscribe(channels=channels):
                self._unsubscribe(connection, channels)
            case Ping():
                connection.answer(messages.pong(self._now()))
            case Status():
                self._status(connection)
            case Publish() as action:
                self._publish(connection, action)
            case Explain() as action:
                self._explain(connection, action)

    def _now(self) -> str:
        return format_ms(self._now_ms())

    def _last_event_id(self) -> str:
        """Where the live stream stands; ``0-0`` before the first event, so that one may resume from there too."""
        return str(self._hub.delivered_id)

    # Subscribing.

    def _subscribe(self, connection: Connection, action: Subscribe) -> None:
        subscription = connection.subscription.subscribe(action.channels, action.filters, self._catalogue)
        if action.after is None and action.since is None and action.last is None:
            self._change(connection, subscription)
            self._answer_subscribed(connection, action)
        else:
            # What was subscribed before goes on live meanwhile; the new channels join when their history is found.
            connection.waiting = []
            self._tasks.start(self._go_on_after(connection, self._resume(connection, action)))

    def _change(self, connection: Connection, subscription: Subscription) -> None:
        """Make a subscription hold from now on, be it live or while catching up."""
        catch_up = connection.catch_up
        if catch_up is None:
            self._hub.subscribe(connection, subscription)
            self._remember(connection, connection.subscription)  # the one that its whole group shares
            return
        self._remember(connection, subscription)
        added = self._catalogue.expand(subscription.channels) - self._catalogue.expand(connection.subscription.channels)
        connection.subscription = subscription
        catch_up.forgets(self._catalogue.expand(subscription.channels))
        catch_up.wants(dict.fromkeys(added, self._hub.delivered_id))

    def _remember(
        self, connection: Connection, subscription: Subscription, starts: Mapping[str, EventId] | None = None
    ) -> None:
        """For those who ask later what a client was sent, and why not."""
        if self._hub.session_log is not None and connection.session is not None:
            self._hub.session_log.changed(
                connection.session,
                self._hub.delivered_id,
                subscription,
                starts or NO_STARTS,
                is_catching_up=connection.catch_up is not None,
            )

    def _answer_subscribed(
        self, connection: Connection, action: Subscribe, *, resumed: bool = False, gap: bool = False
    ) -> None:
        connection.answer(
            messages.subscribed(
                channels=action.channels,
                filters=connection.subscription.filters.to_wire(),
                last_event_id=self._last_event_id(),
                resumed=resumed,
                gap=gap,
                hints=self._hub.hints.about(connection.subscription.filters),
            )
        )

    async def _go_on_after(self, connection: Connection, work: Coroutine[Any, Any, None]) -> None:
        """Do what has to look into history, then what came meanwhile: answers keep the order of the questions."""
        try:
            await work
        finally:
            waiting = deque(connection.waiting or ())
            connection.waiting = None
        self._go_on(connection, waiting)

    def _go_on(self, connection: Connection, waiting: deque[Action]) -> None:
        while waiting and not connection.is_gone:
            self._perform_or_refuse(connection, waiting.popleft())
            if connection.waiting is not None:  # it was a resume itself: the rest waits for that one
                connection.waiting.extend(waiting)
                return

    def _perform_or_refuse(self, connection: Connection, action: Action) -> None:
        try:
            self._perform(connection, action)
        except BadMessage as refused:
            connection.answer(self.error(refused.code, refused.message, refused.data))

    async def _resume(self, connection: Connection, action: Subscribe) -> None:
        types = self._catalogue.expand(action.channels)
        trouble: str | None = None
        has_gap = False
        start: EventId | None = None
        try:
            start, has_gap = await self._history_start.find(connection.subscription, action, types)
        except BrokerUnavailable:
            trouble = "history can't be read just now"
        if connection.id not in self._hub.connections:
            return
        if start is not None and not self._hub.advance_to(start):
            start, trouble = None, "the event is not known here"
        elif has_gap and action.after is not None:
            trouble = "history does not reach back that far"
        # From here on no await: the subscription, the answer and the place in the stream belong together.
        subscription = connection.subscription.subscribe(action.channels, action.filters, self._catalogue)
        if start is None:
            self._change(connection, subscription)
        else:
            connection.resumed_after = min(start, connection.resumed_after or start)
            self._catch_up(connection, subscription, dict.fromkeys(types, start), has_gap=has_gap)
        is_gap = has_gap or trouble is not None
        self._answer_subscribed(connection, action, resumed=start is not None, gap=is_gap)
        if trouble is not None:
            connection.answer(self.error(ErrorCode.HISTORY_UNAVAILABLE, f"{trouble}; live events follow"))
        if connection.catch_up is not None:
            connection.catch_up.start(self._tasks)

    def _catch_up(
        self, connection: Connection, subscription: Subscription, starts: Mapping[str, EventId], *, has_gap: bool
    ) -> None:
        """Take the connection out of the live stream until it has had its history, in one order with what it had."""
        self._remember(connection, subscription, starts)
        live = self._catalogue.expand(connection.subscription.channels) - starts.keys()
        catch_up = connection.catch_up
        if catch_up is not None:
            connection.subscription = subscription
            catch_up.wants(starts, has_gap=has_gap)
            return
        self._hub.detach(connection, subscription)
        if connection.is_gone:
            return
        catch_up = connection.catch_up = CatchUp(
            self._hub,
            self._broker,
            connection,
            turn=self._turn,
            monotonic=self._monotonic,
            on_gap=lambda: connection.answer(
                self.error(ErrorCode.HISTORY_UNAVAILABLE, "some history was removed before it could be sent")
            ),
        )
        catch_up.wants({**dict.fromkeys(live, self._hub.delivered_id), **starts}, has_gap=has_gap)

    def _unsubscribe(self, connection: Connection, channels: list[str]) -> None:
        remaining = connection.subscription.unsubscribe(channels)
        if remaining == NOTHING and connection.catch_up is not None:
            connection.catch_up.cancel()
        self._change(connection, remaining)
        connection.answer(messages.unsubscribed(channels if remaining != NOTHING or channels else ()))

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

    def _explain(self, connection: Connection, action: Explain) -> None:
        if action.event_id is not None:
            connection.waiting = []  # one look into history at a time for each client
            later = self._explain_later(connection, EventId.parse(action.event_id))
            self._tasks.start(self._go_on_after(connection, later))
            return
        assert action.type is not None, "an explain without an id has a type"
        if not self._catalogue.knows(action.type):
            raise InvalidChannel(action.type, self._catalogue.nearest(action.type))
        explanation = explain_subscription(connection.subscription, action.type, action.data)
        connection.answer(messages.explained(event_id=None, event_type=action.type, explanation=explanation))

    async def _explain_later(self, connection: Connection, event_id: EventId) -> None:
        event_type: str | None = None
        try:
            async with self._turn:
                event = await find_event(self._broker, event_id)
        except BrokerUnavailable:
            explanation = Explanation(outcome=Outcome.UNKNOWN, why="history can't be read just now")
        else:
            explanation = Explanation(outcome=Outcome.UNKNOWN, why="no such event is stored, or no longer")
            if event is not None:
                event_type, explanation = event.type, self._judge(connection, event)
        connection.answer(messages.explained(event_id=str(event_id), event_type=event_type, explanation=explanation))

    def _judge(self, connection: Connection, event: Event) -> Explanation:
        if connection.session is None:
            return explain_subscription(connection.subscription, event.type, event.data)
        return explain_session(connection.session, event, self._hub.delivered_id, connection)

    def _publish(self, connection: Connection, action: Publish) -> None:
        event = NewEvent(type=action.channel, data=action.data, event_id=action.event_id)
        if connection.tier != "system" and connection.key is not None:
            raise BadMessage(ErrorCode.FORBIDDEN, "this key may not publish: ask for one of the system tier")
        self.publishing.authorise(connection.key, event)
        self.publishing.check(event)
        self._tasks.start(self._publish_later(connection, event))

    def tell_unreadable(self, after: EventId, up_to: EventId) -> None:
        """Tell those who were sent history over a stretch that turns out not to be what was stored."""
        details = {"from": str(after), "to": str(up_to)}
        for connection in list(self._hub.connections.values()):
            if connection.resumed_after is not None and connection.resumed_after < up_to:
                text = "a stretch of history can't be read; what was sent of it may be incomplete; live events follow"
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
            text = "the event is not stored: history can't be written just now; send it again"
            retry: dict[str, object] = {"event_id": event.event_id, "retry": True}
            connection.answer(self.error(ErrorCode.STORAGE_UNAVAILABLE, text, retry))
            return
        connection.answer(messages.publish_ack(event_id=event.event_id, id=published.id, duplicate=published.duplicate))
