"""Plays a recording of events: the same types, data and timestamps, each under a new id."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import BinaryIO

import msgspec

from swim_server.brokers.broker import Publish
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.worker_thread import WorkerThread
from swim_server.config.recording_position import Seek, Stretch
from swim_server.files.opening import follow_own_links, open_to_read
from swim_server.logs import get_logger
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.health import Health
from swim_server.sources.publisher import PUBLISH_EVENTS, EventPublisher
from swim_server.sources.recording.lines import RecordedEvent
from swim_server.sources.recording.pace import LOOK_AGAIN_SECONDS, MIN_ROUND_SECONDS, Pace
from swim_server.sources.recording.recorded_events import RecordedEvents
from swim_server.sources.source import SourceStatus
from swim_server.sources.state_file import StateFile
from swim_server.sources.unknown_types import UnknownTypes

STATE_VERSION = 1


class EventRecordingState(msgspec.Struct, kw_only=True, frozen=True):
    """How far a recording of events has been played."""

    version: int = STATE_VERSION
    recording: str
    """Identifies the recording: another file under the same name is played from its beginning."""
    run: str
    """Identifies this replay in event ids: replayed another day, its events are different events."""
    loop: int = 1
    read: int = 0
    """How many of its events have been played or skipped in this round."""


class EventRecordingSource:
    """Plays one file, in its order and at its pace, up to its end or to where it is damaged.

    Progress is saved after each publication; after a kill in between, the events are published again under the same
    event ids, which the broker knows.
    """

    def __init__(
        self,
        status: SourceStatus,
        path: Path,
        *,
        catalogue: Catalogue,
        speed: float = 1.0,
        loop: bool = True,
        start: Seek | None = None,
        state_path: Path | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.status = status
        self._path = path
        self._catalogue = catalogue
        self._loops = loop
        self._start = start
        self._state_file = StateFile(state_path, EventRecordingState)
        self._state: EventRecordingState | None = None
        self._clock = clock
        self._pace = Pace(speed, status, clock=clock)
        log = get_logger("sources").bind(source=status.name)
        self._health = Health(status, log, "the recording", clock=clock)
        self._unknown_types = UnknownTypes(status, log)
        self._publisher = EventPublisher(status, log, clock=clock)

    async def run(self, publish: Publish) -> None:
        """Play until cancelled; without ``loop``, until the end."""
        with WorkerThread("recording") as worker:
            self._pace.begin()
            while True:
                stream, recorded, first = await self._open(worker)
                with contextlib.closing(stream):
                    await self._play_round(recorded, first, publish, worker)
                self._tell_end(recorded)
                if not self._loops:
                    self._finish()
                    return
                await self._pace.wait(max(MIN_ROUND_SECONDS, self._pace.last_step_seconds))
                self._state = msgspec.structs.replace(self._now_at, loop=self._now_at.loop + 1, read=0)
                self._pace.begin_round()

    @property
    def _now_at(self) -> EventRecordingState:
        assert self._state is not None, "a round begins with a state"
        return self._state

    # Reading.

    async def _open(self, worker: WorkerThread) -> tuple[BinaryIO, RecordedEvents, list[RecordedEvent]]:
        """Open the file and read its first events. Waits while there is none that can be played."""
        while True:
            try:
                stream, recorded, first = await worker.pass_through(self._begin)
            except OSError as error:
                trouble = f"{self._path} can't be read: {error.strerror or error}"
            else:
                if first or recorded.damage is None:
                    return stream, recorded, first
                stream.close()
                trouble = f"{self._path}: {recorded.damage}"
            trouble = f"{trouble}; looking again every {LOOK_AGAIN_SECONDS:g} s"
            if self.status.last_error != trouble:
                self._health.trouble(trouble)
            await self._clock.sleep(LOOK_AGAIN_SECONDS)

    def _begin(self) -> tuple[BinaryIO, RecordedEvents, list[RecordedEvent]]:
        stream = open_to_read(follow_own_links(self._path), may_have_links=True)
        try:
            recorded = RecordedEvents(stream)
            first = recorded.take(PUBLISH_EVENTS)
            if first or recorded.damage is None:
                self._remember_which(recorded.identity or "")
        except BaseException:
            stream.close()
            raise
        return stream, recorded, first

    def _remember_which(self, recording: str) -> None:
        if self._state is None:
            self._state = self._state_file.load()
            if self._state_file.fault is not None:
                self._health.trouble(self._state_file.fault)
        state = self._state
        if state is None or (state.version, state.recording) != (STATE_VERSION, recording):
            self._state = EventRecordingState(recording=recording, run=f"{self._clock.now_ms():x}")
            with contextlib.suppress(OSError):  # reported once the first events have been played
                self._state_file.save(self._state)  # earlier than that: the run's name is part of their ids

    # Playing.

    async def _play_round(
        self, recorded: RecordedEvents, batch: list[RecordedEvent], publish: Publish, worker: WorkerThread
    ) -> None:
        """Play from the current position of the round to the end of what can be read."""
        stretch = Stretch(self._start, None)
        passed = 0
        self._health.well()
        self._describe(recorded, None)
        while batch:
            due: list[NewEvent] = []
            place = EventId(0, 0)
            for event in batch:
                passed += 1
                place = stretch.place(event.place)
                if passed <= self._now_at.read:
                    self._pace.pass_over(place.milliseconds)
                    continue
                if stretch.is_before(place):
                    continue
                if self._pace.must_wait(place.milliseconds):
                    if due:
                        await self._publish(due, passed - 1, publish, worker)
                    due = []
                    await self._pace.await_turn()
                due.append(self._new(event, passed))
            if passed > self._now_at.read:
                await self._publish(due, passed, publish, worker)
            self._describe(recorded, place)
            batch = await worker.pass_through(lambda: recorded.take(PUBLISH_EVENTS))

    def _new(self, event: RecordedEvent, number: int) -> NewEvent:
        state = self._now_at
        name = f"{self.status.name}:{state.run}:{state.loop}:{number}"
        return NewEvent(type=event.type, data=event.data, timestamp_ms=event.timestamp_ms, event_id=name)

    async def _publish(self, due: list[NewEvent], read: int, publish: Publish, worker: WorkerThread) -> None:
        """Publish, then save: in this order, a kill in between repeats a step and loses none."""
        await self._publisher.publish(publish, [event for event in due if self._is_known(event)])
        self._state = msgspec.structs.replace(self._now_at, read=read)
        try:
            await worker.pass_through(lambda: self._state_file.save(self._now_at))
        except OSError as error:
            self._health.lasting("memory", f"what has been played can't be remembered for a restart: {error}")
        else:
            self._health.lasting("memory", None)
        self._health.well()

    def _is_known(self, event: NewEvent) -> bool:
        """Tell whether an event is played: not the service's own heartbeats, nor types without a channel."""
        if self._catalogue.knows(event.type) and event.type != "system.heartbeat":
            return True
        self._health.count("unknown_types")
        if event.type != "system.heartbeat":
            self._unknown_types.count({event.type: 1})
        return False

    # Reporting.

    def _describe(self, recorded: RecordedEvents, place: EventId | None) -> None:
        details = self.status.details
        details["loop"] = self._now_at.loop
        details["events_read"] = self._now_at.read
        if place is not None:
            details["recorded_time"] = format_ms(place.milliseconds)
        if recorded.header is not None:
            details["recorded_by"] = f"{recorded.header.program}, {recorded.header.created}"
        if recorded.gaps:
            details["gaps"] = recorded.gaps

    def _tell_end(self, recorded: RecordedEvents) -> None:
        damage = recorded.damage
        self._health.lasting("damage", None if damage is None else f"{self._path}: {damage}; played up to there")
        if damage is None:
            self._health.well()

    def _finish(self) -> None:
        self.status.state = "finished"
        again = f"remove {self._state_file.path}" if self._state_file.path else "start again"
        self.status.details["finished"] = f"played to its end; to play it again, {again}, or set loop = true"
