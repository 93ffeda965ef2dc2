"""The primary's side of its workers' brokers: tells them every event, encoded once, and stores what they publish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from swim_server.protocol.event_id import EventId
from swim_server.workers import messages
from swim_server.workers.link import Link, framed
from swim_server.workers.messages import Events, GapQuestion, Nothing, Position, Publication, Range
from swim_server.workers.rows import read_row

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from swim_server.brokers.broker import HistorySpan, Published, StorageState
    from swim_server.brokers.node_broker import NodeBroker
    from swim_server.brokers.served_history import ServedHistory
    from swim_server.concurrency.tasks import Tasks
    from swim_server.protocol.events import Event


class Feed:
    """Serves one broker to any number of links."""

    def __init__(self, broker: NodeBroker, history: ServedHistory, tasks: Tasks) -> None:
        """Serve workers that read ``history``: the broker's own file, or its copy."""
        self._broker = broker
        self._history = history
        self._tasks = tasks
        self._followers: list[Link] = []
        self.events = 0
        """Events told since the start."""
        self.on_told: Callable[[], None] | None = None
        """Called after events were told, so that workers that are too far behind can be given up."""

    @property
    def position(self) -> Position:
        """Where whoever begins to follow now stands."""
        return Position(self._broker.newest_id.to_integer(), self._broker.epoch, self._history.generation())

    def attach(self, link: Link) -> None:
        """Serve a worker."""
        link.answer(messages.FOLLOW, lambda _: self._follow(link))
        link.answer(messages.PUBLISH, self._publish)
        link.answer(messages.HAS_GAP, self._has_gap)
        link.answer(messages.SPAN, self._span)
        link.answer(messages.STORAGE, self._state)
        link.on(messages.ROTTEN, self._note_rotten)
        link.on(messages.SUSPECT, self._note_suspect)

    def detach(self, link: Link) -> None:
        """Tell a worker nothing any more. Idempotent."""
        if link in self._followers:
            self._followers.remove(link)

    def deliver(self, events: Sequence[Event]) -> None:
        """Tell every worker these events."""
        self.events += len(events)
        if not self._followers:
            return
        rows = [(event.id.to_integer(), event.type, event.wire) for event in events]
        self._tell(framed(messages.EVENTS, Events(self._history.generation(), rows)))
        if self.on_told is not None:
            self.on_told()

    def unreadable(self, after: EventId, up_to: EventId) -> None:
        """Tell every worker of a range that can't be read any more."""
        self._tell(framed(messages.UNREADABLE, Range(after.to_integer(), up_to.to_integer())))

    def hole(self) -> None:
        """Tell every worker that events are missing before those that follow."""
        self._tell(framed(messages.HOLE, self.position))

    def opened_late(self, newest: EventId) -> None:
        """Tell every worker that history has opened only now, and where the live stream begins."""
        position = Position(newest.to_integer(), self._broker.epoch, self._history.generation())
        self._tell(framed(messages.OPENED_LATE, position))

    def _tell(self, data: bytes) -> None:
        for link in self._followers:
            link.write(data)

    def _follow(self, link: Link) -> Position:
        """Begin to tell a worker events: those that follow the position answered."""
        self._followers.append(link)
        return self.position

    def _publish(self, publication: Publication) -> Awaitable[list[Published]]:
        events = [read_row(row) for row in publication.events]
        return self._broker.publish(events, durable=publication.is_durable)

    def _has_gap(self, asked: GapQuestion) -> Awaitable[bool]:
        return self._broker.has_gap(EventId.from_integer(asked.after), types=asked.types)

    def _span(self, _: Nothing) -> Awaitable[HistorySpan]:
        return self._broker.span()

    def _state(self, _: Nothing) -> Awaitable[StorageState]:
        return self._broker.state()

    def _note_rotten(self, ranges: list[Range]) -> None:
        self._tasks.start(self._history.note_rotten([(each.after, each.up_to) for each in ranges]))

    def _note_suspect(self, _: Nothing) -> None:
        self._history.check.look_now()
