"""Hub, conversation and connections without sockets: transport, clock, history and the loop's turns are the test's."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

from support.virtual_clock import clock_at
from swim_server.brokers.broker import BrokerUnavailable, HistorySpan, InvalidEvent, Page, Published, StorageState
from swim_server.concurrency.tasks import Tasks
from swim_server.keys.records import KeyRecord
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent, stamp
from swim_server.protocol.filters import EMPTY, Filters
from swim_server.streaming.client import Client
from swim_server.streaming.connection import Connection
from swim_server.streaming.conversation import Conversation
from swim_server.streaming.explain.session_log import SessionLog
from swim_server.streaming.hub import Hub, HubLimits
from swim_server.streaming.recent import Recent
from swim_server.streaming.subscription import Subscription

FIRST_MS = 1_768_573_815_123
LIMIT_BYTES = 1 << 20


def read_messages(data: bytes) -> list[dict[str, Any]]:
    """Parse server frames: text, unmasked, unfragmented, plain or compressed independently."""
    messages = []
    while data:
        assert data[0] in (0x81, 0xC1), f"one whole text frame, got {data[0]:#x}"
        length, begin = data[1], 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(data[2:begin], "big")
        payload, data_after = data[begin : begin + length], data[begin + length :]
        assert len(payload) == length, "a whole frame"
        if data[0] == 0xC1:
            payload = zlib.decompressobj(wbits=-15).decompress(payload + b"\x00\x00\xff\xff")
        messages.append(json.loads(payload))
        data = data_after
    return messages


class FakeClientTransport:
    """A transport that takes ``capacity`` bytes until the test reads on; above that, it pauses the connection."""

    def __init__(self, rig: StreamingRig) -> None:
        self._rig = rig
        self.connection: Connection | None = None
        self.writes: list[bytes] = []
        self.capacity: int | None = None
        """What may be buffered before it pauses; None: everything goes at once."""
        self.buffered = 0
        self.is_paused = False
        self.is_read = True
        """The server listens to it."""
        self.closed: tuple[CloseCode, str] | None = None
        self.fail_next_write = False
        self.address: tuple[str, int] | None = None
        """Where it leads."""

    def write(self, data: bytes) -> None:
        assert self.closed is None, "nothing is written after the close"
        if self.fail_next_write:
            self.fail_next_write = False
            raise RuntimeError("this way out is broken, as the test asked")
        self.writes.append(data)
        if self.capacity is not None:
            self.buffered += len(data)
            if self.buffered > self.capacity and not self.is_paused:
                self.is_paused = True
                assert self.connection is not None
                self.connection.pause()

    def descriptor(self) -> int | None:
        return None

    def peer(self) -> tuple[str, int] | None:
        return self.address

    def buffered_bytes(self) -> int:
        return self.buffered

    def hold_reading(self) -> None:
        self.is_read = False

    def release_reading(self) -> None:
        self.is_read = True

    def close(self, code: CloseCode, reason: str = "") -> None:
        if self.closed is None:
            assert self.connection is not None
            self._rig.hub.flush_and_remove(self.connection)
            self.closed = (code, reason)

    def read_on(self, capacity: int | None = None) -> None:
        """Let the client read what the transport holds; from now on it takes ``capacity``."""
        self.buffered, self.capacity = 0, capacity
        if self.is_paused:
            self.is_paused = False
            assert self.connection is not None
            self.connection.resume()

    @property
    def messages(self) -> list[dict[str, Any]]:
        """Everything received, message by message."""
        return read_messages(b"".join(self.writes))

    @property
    def ids(self) -> list[str]:
        """Ids of the events received."""
        return [message["id"] for message in self.messages if "id" in message and "action" not in message]

    @property
    def types(self) -> list[str]:
        """Types of the messages received; codes for errors."""
        return [message.get("code") or message["type"] for message in self.messages]


class FakeBroker:
    """History in a list. With ``is_gated``, each read of it waits until the test opens a gate."""

    epoch = "e"

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.gap_up_to: dict[str, EventId] = {}
        """Up to where events of a type were removed."""
        self.max_page = 500
        self.is_gated = False
        self.fail_next = False
        self.reads = 0
        self.gates: deque[asyncio.Future[None]] = deque()
        self.refuse_next: str | None = None
        self.epoch = "rig"
        self._deliver: Callable[[Sequence[Event]], None] = lambda events: None

    @property
    def newest_id(self) -> EventId:
        return self.events[-1].id if self.events else ZERO

    async def open(self, deliver: Callable[[Sequence[Event]], None]) -> None:
        self._deliver = deliver

    def store(self, new: NewEvent, *, milliseconds: int | None = None) -> Event:
        """Store an event without delivering it."""
        now_ms = FIRST_MS + 1000 * len(self.events) if milliseconds is None else milliseconds
        event = stamp(new, self.newest_id.next(now_ms))
        self.events.append(event)
        return event

    def remove(self, event: Event) -> None:
        """Remove an event, as retention does."""
        self.events = [each for each in self.events if each is not event]
        self.gap_up_to[event.type] = max(event.id, self.gap_up_to.get(event.type, ZERO))

    async def state(self) -> StorageState:
        return StorageState()

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        await self._pass_gate()
        if self.refuse_next is not None:
            reason, self.refuse_next = self.refuse_next, None
            raise InvalidEvent(0, reason)
        stored = [self.store(event) for event in events]
        self._deliver(stored)
        return [Published(str(event.id)) for event in stored]

    async def read(
        self, after: EventId, until: EventId | None = None, *, types: Collection[str] | None = None, limit: int = 500
    ) -> Page:
        await self._pass_gate()
        chosen = [
            _decoded_later(event)
            for event in self.events
            if after < event.id and (until is None or event.id <= until) and (types is None or event.type in types)
        ]
        limit = min(limit, self.max_page)
        is_last = len(chosen) <= limit
        chosen = chosen[:limit]
        end = chosen[-1].id if chosen else (until or self.newest_id)
        return Page(chosen, end, is_last, self._has_gap(after, types))

    async def read_last(
        self, count: int, *, types: Collection[str] | None = None, before: EventId | None = None
    ) -> list[Event]:
        await self._pass_gate()
        chosen = [
            _decoded_later(event)
            for event in self.events
            if (before is None or event.id < before) and (types is None or event.type in types)
        ]
        return chosen[len(chosen) - min(count, len(chosen)) :]

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        await self._pass_gate()
        return self._has_gap(after, types)

    def _has_gap(self, after: EventId, types: Collection[str] | None) -> bool:
        gone = (end for event_type, end in self.gap_up_to.items() if types is None or event_type in types)
        return after > self.newest_id or any(end > after for end in gone)

    async def _pass_gate(self) -> None:
        self.reads += 1
        if self.is_gated:
            gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.gates.append(gate)
            await gate
        else:
            await asyncio.sleep(0)
        if self.fail_next:
            self.fail_next = False
            raise BrokerUnavailable("the test asked")

    def open_gate(self, number: int = 0) -> None:
        """Let one of the waiting reads continue: the oldest, or the one with a number."""
        self.gates = deque(gate for gate in self.gates if not gate.done())
        if self.gates:
            gate = self.gates[number % len(self.gates)]
            self.gates.remove(gate)
            gate.set_result(None)

    async def span(self) -> HistorySpan:
        return HistorySpan(None, None, len(self.events), 0)

    async def close(self) -> None:
        return None


def _decoded_later(event: Event) -> Event:
    return Event(event.id, event.type, event.wire)


class StreamingRig:
    """The components of streaming, wired together. ``turn`` is the hub's turn of the loop."""

    def __init__(
        self,
        *,
        newest_id: EventId = ZERO,
        recent_events: int = 2048,
        session_log: SessionLog | None = None,
        **limits: Any,
    ) -> None:
        self.clock = clock_at(FIRST_MS)
        self.failures: list[BaseException] = []
        self.soon: deque[Callable[[], None]] = deque()
        self.catalogue = Catalogue()
        self.broker = FakeBroker()
        self.hub = Hub(
            self.catalogue,
            call_soon=self.soon.append,
            clock=self.clock,
            on_failure=self.failures.append,
            session_log=session_log,
            limits=HubLimits(**limits),
        )
        self.hub.begin_after(newest_id)
        self.hub.recent = Recent(newest_id, max_events=recent_events)
        self.tasks = Tasks(self.failures.append)
        self.conversation = Conversation(
            self.hub,
            self.broker,
            self.tasks,
            clock=self.clock,
            heartbeat_seconds=30,
        )
        self._connected = 0

    def connect(
        self,
        *,
        tier: str = "developer",
        limit_bytes: int = LIMIT_BYTES,
        capacity: int | None = None,
        window_bits: int = 0,
        key: KeyRecord | None = None,
    ) -> FakeClientTransport:
        """Return an admitted client, by its transport."""
        transport = FakeClientTransport(self)
        transport.capacity = capacity
        self._connected += 1
        connection = Connection(
            f"client_{self._connected:016x}",
            transport,
            Client(tier, key, "192.0.2.1", self.clock.now_ms(), window_bits=window_bits),
            limit_bytes=limit_bytes,
        )
        transport.connection = connection
        self.hub.add(connection)
        return transport

    def join(self, transport: FakeClientTransport, *channels: str, filters: Filters = EMPTY) -> None:
        """Let a client receive live events without subscribing by message."""
        self.hub.subscribe(self.connection(transport), Subscription(frozenset(channels), filters))

    def connection(self, transport: FakeClientTransport) -> Connection:
        assert transport.connection is not None
        return transport.connection

    def say(self, transport: FakeClientTransport, action: str, **fields: Any) -> None:
        """Send a message as the client."""
        self.conversation.receive(self.connection(transport), json.dumps({"action": action, **fields}).encode())

    def publish(self, *events: NewEvent) -> list[Event]:
        """Store events and deliver them at once."""
        stored = [self.broker.store(event) for event in events]
        self.hub.deliver(stored)
        return stored

    def turn(self) -> bool:
        """Run one turn of the loop for the hub; return False if there was nothing to do."""
        if not self.soon:
            return False
        for _ in range(len(self.soon)):
            self.soon.popleft()()
        return True

    def run(self) -> None:
        """Run turns until nothing is left to do."""
        while self.turn():
            pass

    async def settle(self) -> None:
        """Let tasks and the hub run until all wait for the test."""
        ready: deque[Any] = getattr(asyncio.get_running_loop(), "_ready")  # noqa: B009 - asyncio has no public way
        idle_turns = 0
        for _ in range(200):
            await asyncio.sleep(0)
            idle_turns = 0 if self.turn() or ready else idle_turns + 1
            if idle_turns == 3:
                break
        self.run()

    async def close(self) -> None:
        await self.tasks.close()


def flight(callsign: str = "DAL1", *, type: str = "flight.created", **data: Any) -> NewEvent:
    return NewEvent(type=type, data={"callsign": callsign, **data})


def positions(*callsigns: str, **common: Any) -> NewEvent:
    rows = [{"callsign": callsign, **common} for callsign in callsigns]
    return NewEvent(type="flight.positions", data={"count": len(rows), "positions": rows})
