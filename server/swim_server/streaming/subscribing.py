"""Subscribing: what a connection is sent from now on, and which part of history before that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from swim_server.brokers.broker import Broker, BrokerUnavailable
from swim_server.protocol import messages
from swim_server.protocol.actions import Subscribe
from swim_server.protocol.codes import ErrorCode
from swim_server.protocol.event_id import EventId
from swim_server.streaming.catchup import CatchUp
from swim_server.streaming.explain.session import NO_STARTS
from swim_server.streaming.history_start import HistoryStart
from swim_server.streaming.mirror.sending import StateSending
from swim_server.streaming.subscription import NOTHING, Subscription

if TYPE_CHECKING:
    from swim_server.concurrency.clock import Clock
    from swim_server.concurrency.tasks import Tasks
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub


class Subscribing:
    """Performs ``subscribe`` and ``unsubscribe``. Keeps nothing about a single client."""

    def __init__(
        self,
        hub: Hub,
        broker: Broker,
        tasks: Tasks,
        *,
        turn: asyncio.Semaphore,
        clock: Clock,
        error: Callable[[ErrorCode, str], bytes],
    ) -> None:
        """Read and filter history only while ``turn`` is held; ``error`` builds and counts error messages."""
        self._hub = hub
        self._broker = broker
        self._catalogue = hub.catalogue
        self._tasks = tasks
        self._turn = turn
        self._clock = clock
        self._error = error
        self._state_sending = StateSending(hub, clock=clock)
        self._history_start = HistoryStart(hub, broker, turn=turn, clock=clock)

    def subscribe(self, connection: Connection, action: Subscribe) -> Coroutine[Any, Any, None] | None:
        """Add channels and filters. Returns what is left to do if history was requested. Raises BadMessage."""
        subscription = connection.subscription.subscribe(action.channels, action.filters, self._catalogue)
        connection.max_message_bytes = action.max_message_bytes or connection.max_message_bytes
        connection.wants_notices = connection.wants_notices or action.notices or _asks_for_history(action)
        if _asks_for_history(action):
            # What was subscribed before stays live meanwhile; the new channels join once their history is found.
            return self._resume(connection, action)
        if action.state:
            if not self._state_sending.can_send_at_once(connection):
                return self._subscribe_with_state(connection, action)
            connection.wants_state = True
        self._change(connection, subscription)
        self._answer_subscribed(connection, action, with_state=bool(action.state))
        return None

    async def _subscribe_with_state(self, connection: Connection, action: Subscribe) -> None:
        """Subscribe once the state can be sent, in order with what the client was sent before."""
        await self._state_sending.can_send(connection)
        if connection.id not in self._hub.connections:
            return
        # From here on no await: the subscription, the state and the position in the stream are of one moment.
        subscription = connection.subscription.subscribe(action.channels, action.filters, self._catalogue)
        connection.wants_state = True
        self._change(connection, subscription)
        self._answer_subscribed(connection, action, with_state=True)

    def _change(self, connection: Connection, subscription: Subscription) -> None:
        """Apply a subscription from now on, live or while catching up."""
        catch_up = connection.catch_up
        if catch_up is None:
            self._hub.subscribe(connection, subscription)
            self._remember(connection, connection.subscription)  # the object that its whole group shares
            return
        self._remember(connection, subscription)
        added = self._catalogue.expand(subscription.channels) - self._catalogue.expand(connection.subscription.channels)
        connection.subscription = subscription
        catch_up.forgets(self._catalogue.expand(subscription.channels))
        catch_up.wants(dict.fromkeys(added, self._hub.delivered_id))

    def _remember(
        self, connection: Connection, subscription: Subscription, starts: Mapping[str, EventId] | None = None
    ) -> None:
        """Record the subscription for ``explain``."""
        if self._hub.session_log is not None and connection.session is not None:
            self._hub.session_log.changed(
                connection.session,
                self._hub.delivered_id,
                subscription,
                starts or NO_STARTS,
                is_catching_up=connection.catch_up is not None,
                max_message_bytes=connection.max_message_bytes,
            )

    def _answer_subscribed(
        self,
        connection: Connection,
        action: Subscribe,
        *,
        resumed: bool = False,
        gap: bool = False,
        trouble: str | None = None,
        with_state: bool = False,
    ) -> None:
        """Answer, report what is wrong with history, and send the current state."""
        parts = self._state_sending.parts(connection) if with_state else None
        as_of = str(parts.as_of) if parts is not None else None
        answers = [
            messages.subscribed(
                channels=action.channels,
                filters=connection.subscription.filters.to_wire(),
                last_event_id=str(self._hub.delivered_id),
                resumed=resumed,
                gap=gap,
                epoch=self._broker.epoch or None,
                hints=self._hub.hints.about(connection.subscription.filters),
                state_as_of=as_of if with_state else UNSET,
            )
        ]
        if trouble is not None:
            answers.append(self._history_error(f"{trouble}; live events follow"))
        if parts is not None:
            if connection.catch_up is not None:
                connection.catch_up.state_as_of = parts.as_of
            self._state_sending.send(connection, answers, parts)
            return
        for answer in answers:
            connection.answer(answer)

    async def _resume(self, connection: Connection, action: Subscribe) -> None:
        types = self._catalogue.expand(action.channels)
        trouble: str | None = None
        has_gap = False
        start: EventId | None = None
        try:
            start, has_gap = await self._history_start.find(connection.subscription, action, types)
        except BrokerUnavailable:
            trouble = "history can't be read at the moment"
        if action.state:
            await self._state_sending.can_send(connection, is_resuming=True)
            connection.wants_state = True
        if connection.id not in self._hub.connections:
            return
        if start is not None and not self._hub.advance_to(start):
            start, trouble = None, "the event is not known"
        elif has_gap and action.after is not None:
            is_other = self._history_start.is_of_other_epoch(action)
            trouble = "the event is of another history" if is_other else "history does not reach back that far"
        # From here on no await: the subscription, the answer and the position in the stream belong together.
        subscription = connection.subscription.subscribe(action.channels, action.filters, self._catalogue)
        if start is None:
            self._change(connection, subscription)
        else:
            connection.resumed_after = min(start, connection.resumed_after or start)
            self._catch_up(connection, subscription, dict.fromkeys(types, start), has_gap=has_gap)
        is_gap = has_gap or trouble is not None
        self._answer_subscribed(
            connection,
            action,
            resumed=start is not None,
            gap=is_gap,
            trouble=trouble,
            # Stored events don't report what crossed the filters meanwhile.
            with_state=bool(action.state) and (is_gap or bool(subscription.filters)),
        )
        if connection.catch_up is not None:
            connection.catch_up.start(self._tasks)

    def _catch_up(
        self, connection: Connection, subscription: Subscription, starts: Mapping[str, EventId], *, has_gap: bool
    ) -> None:
        """Take the connection out of the live stream until it has had its history, in order with what it had before."""
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
            clock=self._clock,
            on_gap=lambda: connection.answer(self._history_error("some history was removed before it could be sent")),
            send_state=lambda: self._state_sending.send_now(connection),
        )
        catch_up.wants({**dict.fromkeys(live, self._hub.delivered_id), **starts}, has_gap=has_gap)

    def unsubscribe(self, connection: Connection, channels: Collection[str]) -> None:
        """Remove channels; without a list, all of them."""
        remaining = connection.subscription.unsubscribe(channels)
        if remaining == NOTHING:
            connection.wants_state = False
            if connection.catch_up is not None:
                connection.catch_up.cancel()
        self._change(connection, remaining)
        connection.answer(messages.unsubscribed(channels if remaining != NOTHING or channels else ()))

    def _history_error(self, text: str) -> bytes:
        return self._error(ErrorCode.HISTORY_UNAVAILABLE, text)


def _asks_for_history(action: Subscribe) -> bool:
    return action.after is not None or action.since is not None or action.last is not None
