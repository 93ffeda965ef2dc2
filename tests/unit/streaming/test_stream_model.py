"""Whatever clients, history and the loop do in whatever order: each client receives what a naive model says, once."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.streaming_rig import FakeClientTransport, StreamingRig, flight, positions
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event, NewEvent
from swim_server.protocol.filters import EMPTY, Filters
from swim_server.streaming import subscribing
from swim_server.streaming.catchup import CatchUp
from swim_server.streaming.client import Client
from swim_server.streaming.connection import Connection

pytestmark = pytest.mark.unmeasured

CALLSIGNS = ("AAL1", "BAW2", "DAL3", "DAL4")
SINGLE_TYPES = ("flight.created", "flight.departed", "tmi.issued")
CHANNELS = ("flight.created", "flight.*", "tmi.*", "*", "flight.positions")
FILTERS: tuple[Mapping[str, Any] | None, ...] = (
    None,
    {"callsign_prefix": ["DAL"]},
    {"callsign_prefix": ["A", "BAW"]},
    {"callsign_prefix": None},
)
Told = tuple[str, tuple[str, ...]]
"""An event as a client got it: its id and its callsigns."""
ANSWER: Told = ("answer", ())
"""In their midst: a changed subscription was acknowledged."""


def told(event_id: str, data: Mapping[str, Any]) -> Told:
    rows = data.get("positions", [data])
    return event_id, tuple(row["callsign"] for row in rows)


class ObservedCatchUp(CatchUp):
    """Notes where it stood before a client changed its wishes: from there on, the new ones hold."""

    def wants(self, starts: Mapping[str, EventId], *, has_gap: bool = False) -> None:
        self._note()
        super().wants(starts, has_gap=has_gap)

    def forgets(self, remaining: Any) -> None:
        self._note()
        super().forgets(remaining)

    def cancel(self) -> None:
        self._note()
        super().cancel()

    def _note(self) -> None:
        connection = self._connection
        assert isinstance(connection.transport, ModelOutlet)
        if connection.transport.turning_point is None:
            connection.transport.turning_point = self.position


class ModelOutlet(FakeClientTransport):
    """A client and the naive model of it: after each answer, what it is owed is looked up in the list of all events."""

    model: Callable[[ModelOutlet, Mapping[str, Any]], None]

    def prepare(self, model: Callable[[ModelOutlet, Mapping[str, Any]], None]) -> None:
        self.turning_point: EventId | None = None
        self.said: deque[Mapping[str, Any]] = deque()
        self.channels: frozenset[str] = frozenset()
        self.filters: Filters = EMPTY
        self.owed_after: dict[str, EventId] = {}
        self.expected: list[Told] = []
        self.model = model


class WatchedConnection(Connection):
    """Tells the model of each answer at the moment it is given."""

    __slots__ = ()

    def answer(self, payload: bytes) -> None:
        super().answer(payload)
        message = json.loads(payload)
        if message["type"] in ("subscribed", "unsubscribed"):
            assert isinstance(self.transport, ModelOutlet)
            self.transport.model(self.transport, message)


class StreamMachine(RuleBasedStateMachine):
    """Random clients of random history. ``HAS_POSITIONS``: with batches, then without clients that read slowly."""

    HAS_POSITIONS = False

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.rig = StreamingRig(recent_events=3, writes_per_look=1)
        self.rig.broker.max_page = 2
        self.rig.broker.is_gated = True
        self.undelivered: deque[Event] = deque()
        self.clients: list[ModelOutlet] = []
        self.closed: list[ModelOutlet] = []
        self.numbers = 0

    @initialize(
        count=st.integers(0, 6), subscribed=st.lists(st.sampled_from(CHANNELS), max_size=4), is_slow=st.booleans()
    )
    def some_history_and_clients_are_there(self, count: int, subscribed: list[str], is_slow: bool) -> None:
        for number in range(count):
            self.event_is_stored(CALLSIGNS[number % 4], SINGLE_TYPES[number % 3], True)
        for channel in subscribed:
            self.client_connects(0)
            self._say(self.clients[-1], action="subscribe", channels=[channel])
        self.rig.clock.step_seconds = 0.003 if is_slow else 0.0

    # The world.

    def inside(self, act: Callable[[], object]) -> None:
        """Do something in one turn of the loop, with the tasks that are due."""

        async def acting() -> None:
            act()

        task = self.loop.create_task(acting())
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()
        task.result()

    @rule(step=st.sampled_from([0.0, 0.0004, 0.0015, 0.003]))
    def time_runs(self, step: float) -> None:
        self.rig.clock.step_seconds = step

    @rule(callsign=st.sampled_from(CALLSIGNS), type=st.sampled_from(SINGLE_TYPES), is_delivered=st.booleans())
    def event_is_stored(self, callsign: str, type: str, is_delivered: bool) -> None:
        self._store(flight(callsign, type=type), is_delivered)

    @precondition(lambda self: self.HAS_POSITIONS)
    @rule(callsigns=st.lists(st.sampled_from(CALLSIGNS), min_size=1, unique=True), is_delivered=st.booleans())
    def batch_is_stored(self, callsigns: list[str], is_delivered: bool) -> None:
        self._store(positions(*callsigns), is_delivered)

    def _store(self, new: NewEvent, is_delivered: bool) -> None:
        self.undelivered.append(self.rig.broker.store(new))
        if is_delivered:
            self.events_are_delivered()

    @rule()
    def events_are_delivered(self) -> None:
        events, self.undelivered = list(self.undelivered), deque()
        if events:
            self.inside(lambda: self.rig.hub.deliver(events))

    @rule()
    def hub_has_its_turn(self) -> None:
        self.inside(self.rig.turn)

    @rule()
    def loop_turns(self) -> None:
        self.inside(lambda: None)

    @rule(number=st.integers(0, 3))
    def history_answers(self, number: int) -> None:
        self.inside(lambda: self.rig.broker.open_gate(number))

    @rule()
    def history_fails(self) -> None:
        if self.rig.broker.gates:
            self.rig.broker.fail_next = True
            self.inside(self.rig.broker.open_gate)
            self.loop_turns()
            self.rig.broker.fail_next = False

    # The clients.

    @precondition(lambda self: len(self.clients) < 5)
    @rule(window_bits=st.sampled_from([0, 0, 12]))
    def client_connects(self, window_bits: int) -> None:
        transport = ModelOutlet(self.rig)
        transport.prepare(self._on_answer)
        self.numbers += 1
        connection = WatchedConnection(
            f"client {self.numbers}",
            transport,
            Client("developer", None, "192.0.2.1", 0, window_bits=window_bits),
            limit_bytes=2000,
        )
        transport.connection = connection
        self.rig.hub.add(connection)
        self.clients.append(transport)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), channel=st.sampled_from(CHANNELS), filters=st.sampled_from(FILTERS))
    def client_subscribes(self, data: st.DataObject, channel: str, filters: Mapping[str, Any] | None) -> None:
        self._say(self._client(data), action="subscribe", channels=[channel], filters=filters)

    @precondition(lambda self: self.clients and self.rig.broker.events)
    @rule(data=st.data(), channel=st.sampled_from(CHANNELS), filters=st.sampled_from(FILTERS))
    def client_resumes(self, data: st.DataObject, channel: str, filters: Mapping[str, Any] | None) -> None:
        after = data.draw(st.sampled_from([str(event.id) for event in self.rig.broker.events] + ["0-0"]))
        self._say(self._client(data), action="subscribe", channels=[channel], filters=filters, after=after)

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), channels=st.lists(st.sampled_from(CHANNELS), max_size=2, unique=True))
    def client_unsubscribes(self, data: st.DataObject, channels: list[str]) -> None:
        self._say(self._client(data), action="unsubscribe", channels=channels)

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def client_pings(self, data: st.DataObject) -> None:
        client = self._client(data)
        self.inside(lambda: self.rig.say(client, "ping"))

    @precondition(lambda self: self.clients and not self.HAS_POSITIONS)
    @rule(data=st.data(), capacity=st.sampled_from([0, 300, 1000]))
    def client_reads_slowly(self, data: st.DataObject, capacity: int) -> None:
        self._client(data).capacity = capacity

    @precondition(lambda self: self.clients)
    @rule(data=st.data(), capacity=st.sampled_from([None, 300]))
    def client_reads_on(self, data: st.DataObject, capacity: int | None) -> None:
        client = self._client(data)
        self.inside(lambda: client.read_on(None if self.HAS_POSITIONS else capacity))

    @precondition(lambda self: self.clients)
    @rule(data=st.data())
    def client_disconnects(self, data: st.DataObject) -> None:
        client = self._client(data)
        self.inside(lambda: self.rig.hub.remove(self.rig.connection(client)))

    def _client(self, data: st.DataObject) -> ModelOutlet:
        return data.draw(st.sampled_from(self.clients))

    def _say(self, client: ModelOutlet, **action: Any) -> None:
        client.said.append(action)
        self.inside(lambda: self.rig.conversation.receive(self.rig.connection(client), json.dumps(action).encode()))

    # The model.

    def _on_answer(self, client: ModelOutlet, message: Mapping[str, Any]) -> None:
        """From here on the client's new wishes hold; up to here it is owed what it wished before."""
        here, client.turning_point = client.turning_point or self.rig.hub.delivered_id, None
        self._owe(client, here)
        client.expected.append(ANSWER)
        action = client.said.popleft()
        before = self.rig.catalogue.expand(client.channels)
        if action["action"] == "subscribe":
            client.channels |= frozenset(action["channels"])
            client.filters = Filters.parse(message["filters"]).apply(EMPTY)
        else:
            client.channels = client.channels - frozenset(action["channels"]) if action["channels"] else frozenset()
            client.filters = client.filters if client.channels else EMPTY
        now = self.rig.catalogue.expand(client.channels)
        client.owed_after = {type: client.owed_after[type] for type in before & now}
        client.owed_after |= dict.fromkeys(now - before, self.rig.hub.delivered_id)
        if message.get("resumed"):
            named = self.rig.catalogue.expand(action["channels"])
            client.owed_after |= dict.fromkeys(named, EventId.parse(action["after"]))

    def _owe(self, client: ModelOutlet, until: EventId) -> None:
        """Add every event up to ``until`` that the client wants and was not yet owed."""
        for event in self.rig.broker.events:
            after = client.owed_after.get(event.type)
            if after is None or not after < event.id <= until:
                continue
            if event.type == "flight.positions":
                rest = client.filters.cut(event.data)
                if rest is not None:
                    client.expected.append(told(str(event.id), rest))
            elif client.filters.passes(event.type, event.data):
                client.expected.append(told(str(event.id), event.data))
        client.owed_after = {type: max(after, until) for type, after in client.owed_after.items()}

    def _received(self, client: ModelOutlet) -> list[Told]:
        return [
            told(message["id"], message["data"]) if "id" in message else ANSWER
            for message in client.messages
            if "id" in message or message["type"] in ("subscribed", "unsubscribed")
        ]

    def _who_left_got_a_beginning_of_what_it_was_owed(self) -> None:
        for client in [each for each in self.clients if self.rig.connection(each).is_gone]:
            self.clients.remove(client)
            self._owe(client, self.rig.hub.delivered_id)
            received = self._received(client)
            assert received == client.expected[: len(received)]

    @invariant()
    def rooms_are_consistent(self) -> None:
        self._who_left_got_a_beginning_of_what_it_was_owed()
        hub = self.rig.hub
        assert not self.rig.failures
        assert {each.id for each in hub.connections.values()} == {self.rig.connection(each).id for each in self.clients}
        assert all(group.members for group in hub.groups.values())
        for client in self.clients:
            connection = self.rig.connection(client)
            assert connection.messages_sent == len(client.messages)
            assert not (connection.catch_up is not None and connection.group is not None)
            group = connection.group
            if group is not None:
                name = (connection.subscription, connection.window_bits, connection.max_message_bytes, False)
                assert hub.groups[name] is group

    def teardown(self) -> None:
        try:
            self._come_to_rest()
            self._everybody_has_everything()
        finally:
            self.loop.run_until_complete(self.rig.close())
            self.loop.close()

    def _come_to_rest(self) -> None:
        self.rig.clock.step_seconds = 0
        self.events_are_delivered()
        for _ in range(400):
            for client in self.clients:
                client.capacity = None
                self.inside(client.read_on)
            self.inside(self.rig.broker.open_gate)
            self.inside(self.rig.run)
            if not len(self.rig.tasks):
                break
        self.rooms_are_consistent()

    def _everybody_has_everything(self) -> None:
        for client in self.clients:
            assert not client.said, "every question has its answer"
            self._owe(client, self.rig.hub.delivered_id)
            assert self._received(client) == client.expected
        for client in self.clients:
            self.rig.hub.remove(self.rig.connection(client))
        assert not self.rig.hub.groups
        self.rig.run()
        assert self.rig.hub._held_bytes == 0


class PositionsMachine(StreamMachine):
    HAS_POSITIONS = True


@pytest.fixture(autouse=True)
def _observed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscribing, "CatchUp", ObservedCatchUp)


TestSlowClients = StreamMachine.TestCase
TestSlowClients.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
TestPositions = PositionsMachine.TestCase
TestPositions.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
