"""Publishes what a source has found, retrying while the broker is unavailable, and counts it in the source's status."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent, Publish
from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.protocol.events import NewEvent
from swim_server.sources.source import SourceStatus

if TYPE_CHECKING:
    from swim_server.logs import Logger

PUBLISH_EVENTS = 500
"""Maximum number of events per call."""
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

Refused = Callable[[NewEvent, str], None]
"""Called with an event that can't be stored as it is, and the reason."""


class EventPublisher:
    """The destination of one source's events. Returns only when all of them are stored."""

    def __init__(
        self,
        status: SourceStatus,
        log: Logger,
        *,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._status = status
        self._log = log
        self._clock = clock

    async def publish(self, publish: Publish, events: Sequence[NewEvent], on_refused: Refused | None = None) -> int:
        """Publish all events in order; return how many were new. Those that can't be stored are reported."""
        fresh = 0
        for start in range(0, len(events), PUBLISH_EVENTS):
            fresh += await self._publish(publish, list(events[start : start + PUBLISH_EVENTS]), on_refused)
        return fresh

    async def sync(self, publish: Publish) -> None:
        """Wait until everything published so far survives a power cut; retries while the broker is unavailable."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, clock=self._clock)
        while True:
            try:
                await publish((), durable=True)
            except BrokerUnavailable as error:
                self._tell_unavailable(error)
                await self._clock.sleep(backoff.fail())
            else:
                return

    async def _publish(self, publish: Publish, events: list[NewEvent], on_refused: Refused | None) -> int:
        backoff = Backoff(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, clock=self._clock)
        while events:
            try:
                published = await publish(events)
            except InvalidEvent as invalid:
                self._refuse(events[invalid.index], invalid.reason, on_refused)
                events = events[: invalid.index] + events[invalid.index + 1 :]
                continue
            except BrokerUnavailable as error:
                self._tell_unavailable(error)
                await self._clock.sleep(backoff.fail())
                continue
            fresh = sum(not one.duplicate for one in published)
            self._status.events += fresh
            if fresh:
                self._status.last_event_monotonic = self._clock.monotonic()
            return fresh
        return 0

    def _refuse(self, event: NewEvent, reason: str, on_refused: Refused | None) -> None:
        if on_refused is not None:
            on_refused(event, reason)
            return
        self._status.errors += 1
        self._status.last_error = f"an event of type {event.type} can't be stored: {reason}"
        self._log.error("an event can't be stored", type=event.type, event_id=event.event_id, reason=reason)

    def _tell_unavailable(self, error: BrokerUnavailable) -> None:
        if self._status.last_error != str(error):
            self._log.warning("events are waiting: they can't be stored at the moment", reason=error.reason)
            self._status.errors += 1
        self._status.state = "degraded"
        self._status.last_error = str(error)
