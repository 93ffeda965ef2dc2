"""The local broker: one process's history in SQLite, with commits that several publishers share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from swim_server.brokers.broker import BrokerUnavailable, Published
from swim_server.brokers.history_file import FileOptions
from swim_server.brokers.pending import Call, Pending
from swim_server.brokers.retention import Retention
from swim_server.brokers.served_history import Intervals, ServedHistory
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.logs import get_logger
from swim_server.protocol.events import NewEvent

COMMIT_EVENTS = 1000
"""Approximate number of events in one commit; a single call is never split."""
PENDING_EVENTS = 20_000

_log = get_logger("broker")


class LocalBroker(ServedHistory):
    """Keeps history in one file. An acknowledged event survives the death of the process at any moment.

    ``synchronous="full"`` makes it survive a power cut too, at one fsync per commit. With ``normal`` the last moments
    before one may be missing; clients that resume across them are told of a gap.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = SYSTEM_CLOCK,
        retention: Retention,
        options: FileOptions = FileOptions(),
        intervals: Intervals = Intervals(),
    ) -> None:
        super().__init__(path, clock=clock, retention=retention, options=options, intervals=intervals)
        self._pending = Pending(PENDING_EVENTS, wake=self._wake)

    async def publish(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        """Store, then deliver, then answer. A call cancelled before its commit begins has no effect."""
        published: list[Published] = []
        if events:
            if self._run_task is None:
                raise BrokerUnavailable("it is not open")
            published = await self._pending.put(tuple(events))
        if durable:
            await self._checkpoints.sync()
        return published

    async def _close(self) -> None:
        self._pending.close()
        await super()._close()

    def _has_work(self) -> bool:
        return bool(self._pending)

    async def _store_waiting(self) -> None:
        while calls := self._pending.take(COMMIT_EVENTS):
            stored = await self._commit(calls)
            if self._is_behind:
                await self._prune(at_least=2 * stored)

    async def _commit(self, calls: list[Call]) -> int:
        """Store the events of these calls, deliver them, answer. Returns how many were stored."""
        started = time.perf_counter()
        try:
            appended = await self._write(lambda: self._history.append([call.events for call in calls]))
        except BrokerUnavailable as error:
            self._tell_trouble("events can't be stored", error)
            return self._refuse(calls, error)
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must hear of it
            _log.exception("storing events failed")
            return self._refuse(calls, BrokerUnavailable(f"an internal error, see the log: {error!r}"))
        if self.counters.last_error is not None:
            self.counters.last_error = None
            _log.info("events can be stored again")
        self._note_open()
        self.counters.commits += 1
        self.counters.last_commit_seconds = time.perf_counter() - started
        self._hand_on(appended.events)
        for call, answer in zip(calls, appended.answers, strict=True):
            if isinstance(answer, list):
                duplicates = sum(published.duplicate for published in answer)
                self.counters.duplicates += duplicates
                self.counters.events_published += len(answer) - duplicates
            call.answer(answer)
        return len(appended.events)

    def _refuse(self, calls: list[Call], error: BrokerUnavailable) -> int:
        self.counters.failures += 1
        for call in calls:
            call.answer(type(error)(error.reason))
        return 0
