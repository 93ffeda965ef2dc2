"""A broker that keeps its events in a list: ids, duplicates and history like the real ones, nothing on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from swim_server.brokers.broker import BrokerUnavailable, Deliver, HistorySpan, Page, Published, StorageState
from swim_server.protocol.channels import is_listed
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent, stamp

FIRST_MS = 1_768_573_815_123


class MemoryBroker:
    """Stores, delivers and answers each publication at once, unless ``fail_next`` is set."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.floor = ZERO
        """Everything up to here may be gone."""
        self.fail_next = False
        self.gate: asyncio.Event | None = None
        """While it is there and not set, whoever reads waits."""
        self._deliver: Deliver | None = None
        self._names: dict[str, str] = {}

    @property
    def newest_id(self) -> EventId:
        return self.events[-1].id if self.events else ZERO

    @property
    def epoch(self) -> str:
        return "memory"

    async def open(self, deliver: Deliver) -> None:
        self._deliver = deliver

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        self._fail_if_asked()
        return [self._publish(event) for event in events]

    def _publish(self, new: NewEvent) -> Published:
        if new.event_id is not None and new.event_id in self._names:
            return Published(self._names[new.event_id], duplicate=True)
        event = stamp(new, EventId(FIRST_MS + len(self.events), 0))
        self.events.append(event)
        if new.event_id is not None:
            self._names[new.event_id] = str(event.id)
        if self._deliver is not None:
            self._deliver([event])
        return Published(str(event.id))

    async def read(
        self,
        after: EventId,
        until: EventId | None = None,
        *,
        types: Collection[str] | None = None,
        limit: int = 500,
    ) -> Page:
        await self._pass_gate()
        found = [
            event
            for event in self.events
            if event.id > after
            and (until is None or event.id <= until)
            and (types is None or is_listed(event.type, types))
        ]
        page = found[:limit]
        return Page(page, page[-1].id if page else until or self.newest_id, len(page) == len(found))

    async def read_last(
        self, count: int, *, types: Collection[str] | None = None, before: EventId | None = None
    ) -> list[Event]:
        await self._pass_gate()
        found = [
            event
            for event in self.events
            if (before is None or event.id < before) and (types is None or is_listed(event.type, types))
        ]
        return found[-count:] if count else []

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        await self._pass_gate()
        return after < self.floor or after > self.newest_id

    async def span(self) -> HistorySpan:
        oldest = self.events[0].id if self.events else None
        return HistorySpan(oldest, self.newest_id if self.events else None, len(self.events), 0)

    async def state(self) -> StorageState:
        return StorageState()

    async def close(self) -> None:
        self._deliver = None

    async def _pass_gate(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self._fail_if_asked()

    def _fail_if_asked(self) -> None:
        if self.fail_next:
            self.fail_next = False
            raise BrokerUnavailable("the test asked for it")
