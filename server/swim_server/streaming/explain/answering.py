"""The ``explain`` action: why a connection's subscription passes or stops an event."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from swim_server.brokers.broker import Broker, BrokerUnavailable, find_event
from swim_server.protocol import messages
from swim_server.protocol.actions import Explain
from swim_server.protocol.channels import Catalogue, InvalidChannel
from swim_server.protocol.event_id import EventId
from swim_server.protocol.normalise import with_numbers
from swim_server.streaming.explain.outcome import Explanation, Outcome, explain_session, explain_subscription

if TYPE_CHECKING:
    from swim_server.protocol.events import Event
    from swim_server.streaming.connection import Connection
    from swim_server.streaming.hub import Hub


class Explaining:
    """Performs ``explain``. Keeps nothing about a single client."""

    def __init__(self, hub: Hub, broker: Broker, catalogue: Catalogue, *, turn: asyncio.Semaphore) -> None:
        self._hub = hub
        self._broker = broker
        self._catalogue = catalogue
        self._turn = turn

    def explain(self, connection: Connection, action: Explain) -> Coroutine[Any, Any, None] | None:
        """Answer at once, or return what is left to do if the event must be looked up. Raises BadMessage."""
        if action.event_id is not None:
            return self._explain_stored(connection, EventId.parse(action.event_id))
        assert action.type is not None, "an explain without an id has a type"
        if not self._catalogue.knows(action.type):
            raise InvalidChannel(action.type, self._catalogue.nearest(action.type))
        explanation = explain_subscription(connection.subscription, action.type, with_numbers(action.data))
        connection.answer(messages.explained(event_id=None, event_type=action.type, explanation=explanation))
        return None

    async def _explain_stored(self, connection: Connection, event_id: EventId) -> None:
        event_type: str | None = None
        try:
            async with self._turn:
                event = await find_event(self._broker, event_id)
        except BrokerUnavailable:
            explanation = Explanation(outcome=Outcome.UNKNOWN, why="history can't be read at the moment")
        else:
            explanation = Explanation(outcome=Outcome.UNKNOWN, why="no such event is stored, or no longer")
            if event is not None:
                event_type, explanation = event.type, self._judge(connection, event)
        connection.answer(messages.explained(event_id=str(event_id), event_type=event_type, explanation=explanation))

    def _judge(self, connection: Connection, event: Event) -> Explanation:
        if connection.session is None:
            return explain_subscription(connection.subscription, event.type, event.data)
        return explain_session(connection.session, event, self._hub.delivered_id, connection)
