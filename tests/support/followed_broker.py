"""A worker's broker together with the primary's that it follows, over a real socket pair, in one process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection, Sequence
from typing import Any

from swim_server.brokers.broker import BrokerUnavailable, Deliver, HistorySpan, Page, Published, StorageState
from swim_server.brokers.node_broker import NodeBroker
from swim_server.concurrency.tasks import Tasks
from swim_server.daemon.nodes.broker_choice import served_history
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent
from swim_server.workers.broker import WorkerBroker
from swim_server.workers.feed import Feed
from swim_server.workers.link import Link


def fail(error: BaseException) -> None:
    """Let a bug in a task fail the test."""
    raise error


async def linked_pair() -> tuple[Link, Link]:
    """Return both ends of a link."""
    loop = asyncio.get_running_loop()
    links = []
    for end in socket.socketpair():
        end.setblocking(False)
        link = Link(fail)
        await loop.create_unix_connection(lambda link=link: link, sock=end)  # type: ignore[misc]  # bound at once: the factory is called before the loop goes on
        links.append(link)
    return links[0], links[1]


class FollowedBroker:
    """Opens and closes both; everything else is asked of the worker's."""

    def __init__(self, primary: NodeBroker) -> None:
        self.primary = primary
        self._history = served_history(primary)
        self._tasks = Tasks(fail)
        self._worker: WorkerBroker | None = None
        self._links: tuple[Link, Link] | None = None

    async def open(self, deliver: Deliver) -> None:
        feed = Feed(self.primary, self._history, self._tasks)
        await self.primary.open(feed.deliver)
        self.primary.on_unreadable, self.primary.on_opened_late = feed.unreadable, feed.opened_late
        self._links = await linked_pair()
        feed.attach(self._links[0])
        self._worker = WorkerBroker(self._links[1], self._history.path)
        await self._worker.open(deliver)

    async def close(self) -> None:
        if self._worker is not None:
            await self._worker.close()
        await self.primary.close()
        if self._links is not None:
            for link in self._links:
                link.abort()
            await asyncio.wait([link.lost for link in self._links])
        await self._tasks.close()

    @property
    def _opened(self) -> WorkerBroker:
        if self._worker is None:
            raise BrokerUnavailable("it is not open")
        return self._worker

    @property
    def newest_id(self) -> EventId:
        return self._worker.newest_id if self._worker is not None else ZERO

    @property
    def epoch(self) -> str:
        return self._worker.epoch if self._worker is not None else ""

    @property
    def counters(self) -> Any:
        return self.primary.counters

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        return await self._opened.publish(events, durable=durable)

    async def read(
        self,
        after: EventId,
        until: EventId | None = None,
        *,
        types: Collection[str] | None = None,
        limit: int = 500,
    ) -> Page:
        return await self._opened.read(after, until, types=types, limit=limit)

    async def read_last(
        self, count: int, *, types: Collection[str] | None = None, before: EventId | None = None
    ) -> list[Event]:
        return await self._opened.read_last(count, types=types, before=before)

    async def has_gap(self, after: EventId, *, types: Collection[str] | None = None) -> bool:
        return await self._opened.has_gap(after, types=types)

    async def span(self) -> HistorySpan:
        return await self._opened.span()

    async def state(self) -> StorageState:
        return await self._opened.state()
