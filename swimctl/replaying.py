"""Playing events again: out of history or a recording, at a pace, to standard output, a file or a daemon."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

from swim_server.brokers.broker import Published
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.protocol.channels import matches
from swim_server.protocol.control_characters import escape_json_text
from swim_server.protocol.event_id import MAX_SEQUENCE, EventId, InvalidEventId
from swim_server.protocol.positions import split
from swim_server.protocol.timestamps import InvalidTimestamp, format_ms, parse_ms

from swimctl.errors import CommandFailed, NotFound, WrongUsage
from swimctl.event_lines import BATCH_EVENTS, NumberedEvent

if TYPE_CHECKING:
    from swim_server.config.recording_position import Seek
    from swim_server.protocol.events import NewEvent

    from swimctl.client.event_stream import EventStream
    from swimctl.client.publisher import Publisher
    from swimctl.progress import Progress

LONGEST_WAIT_SECONDS = 5.0
"""Longer pauses, at the requested speed, are cut to this."""
LOOK_SECONDS = 0.5


class Replayed(NamedTuple):
    """One event to be played."""

    moment_ms: int
    """Its place in time: when it was stored, or when it happened."""
    event: dict[str, Any]
    """``type``, ``timestamp``, ``data``; ``id`` where it had one."""
    line: str | None = None
    """As it was recorded, byte for byte."""


class Sink(Protocol):
    """Where events go."""

    played: int

    def put(self, event: dict[str, Any], line: str | None = None) -> None:
        """Take one event; in order. ``line``: its JSON as it was recorded."""

    def flush(self) -> None:
        """Let go of all that was taken: nothing comes for a while, or ever."""


class LineSink:
    """JSON lines on a stream."""

    def __init__(self, stream: IO[str]) -> None:
        self.played = 0
        self._stream = stream

    def put(self, event: dict[str, Any], line: str | None = None) -> None:
        text = line or json.dumps(event, separators=(",", ":"), ensure_ascii=False)
        self._stream.write(escape_json_text(text) + "\n")
        self.played += 1

    def flush(self) -> None:
        self._stream.flush()


class DaemonSink:
    """A daemon's history: each event is stored anew, with an id of its own and the time at which it happened."""

    def __init__(self, publisher: Publisher) -> None:
        self.played = 0
        self._publisher = publisher
        self._taken = 0
        self._batch: list[NumberedEvent] = []

    def put(self, event: dict[str, Any], line: str | None = None) -> None:
        self._taken += 1
        row: dict[str, Any] = {name: event[name] for name in ("type", "timestamp", "data") if name in event}
        self._batch.append(NumberedEvent(self._taken, row, 0))
        if len(self._batch) >= BATCH_EVENTS:
            self.flush()

    def flush(self) -> None:
        batch, self._batch = self._batch, []
        if batch:
            self._publisher.publish(batch)
            self.played += len(batch)


class ChannelSink:
    """Passes on what belongs to one of the channels."""

    def __init__(self, sink: Sink, channels: Sequence[str]) -> None:
        self.played = 0
        self._sink = sink
        self._channels = channels

    def put(self, event: dict[str, Any], line: str | None = None) -> None:
        if any(matches(channel, event["type"]) for channel in self._channels):
            self._sink.put(event, line)

    def flush(self) -> None:
        self._sink.flush()
        self.played = self._sink.played


class CountingSink:
    """Passes everything on and shows how far it is."""

    def __init__(self, sink: Sink, progress: Progress) -> None:
        self._sink = sink
        self._progress = progress
        self._taken = 0

    @property
    def played(self) -> int:
        return self._sink.played

    @played.setter
    def played(self, number: int) -> None:
        self._sink.played = number

    def put(self, event: dict[str, Any], line: str | None = None) -> None:
        self._sink.put(event, line)
        self._taken += 1
        self._progress.set(self._taken)

    def flush(self) -> None:
        self._sink.flush()


class Pace:
    """Waits until the next event is due. A speed of 0: at once."""

    def __init__(self, speed: float, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._speed = speed
        self._clock = clock
        self._last_moment_ms: int | None = None
        self._due = 0.0

    def await_turn(self, moment_ms: int, before: Callable[[], None]) -> None:
        """Wait as long after the event before as it came then, divided by the speed; ``before`` is called first."""
        if self._speed <= 0:
            return
        if self._last_moment_ms is None:
            self._due = self._clock.monotonic()
        else:
            step = max(moment_ms - self._last_moment_ms, 0) / 1000 / self._speed
            self._due = max(self._due + min(step, LONGEST_WAIT_SECONDS), self._clock.monotonic() - LONGEST_WAIT_SECONDS)
        self._last_moment_ms = moment_ms
        delay = self._due - self._clock.monotonic()
        if delay > 0:
            before()
            self._clock.block(delay)


def play(events: Iterator[Replayed], sink: Sink, pace: Pace) -> None:
    """Give every event to the sink when it is due; also what stood before a place where there is no going on."""
    try:
        for each in events:
            pace.await_turn(each.moment_ms, sink.flush)
            sink.put(each.event, each.line)
    finally:
        sink.flush()


# Where events come from.


def history_events(stream: EventStream, until: EventId | None, tell: Callable[[str], None]) -> Iterator[Replayed]:
    """Yield stored events up to and including ``until``; None: up to the last one stored when it began.

    Where history does not reach back to the beginning asked for, ``tell`` is told and what there is is played.
    Raises CommandFailed when the daemon goes away.
    """
    from swimctl.client.stream_items import CaughtUp, EventReceived, Gap, Lost, Subscribed

    while True:
        item = stream.next(LOOK_SECONDS)
        match item:
            case Subscribed(greeting=greeting) if until is None:
                until = EventId.parse(greeting["last_event_id"])
            case EventReceived(event=event, wire=wire) if "id" in event:
                event_id = EventId.parse(event["id"])
                if until is not None and event_id > until:
                    return
                yield Replayed(event_id.milliseconds, dict(event), wire.decode())
            case CaughtUp():
                return
            case Gap():
                tell("history does not reach back that far: playing what is available")
            case Lost(reason=reason):
                raise CommandFailed(f"the connection was lost while reading history: {reason}")
            case _:
                continue


def file_events(path: Path, start: Seek | None = None, end: Seek | None = None) -> Iterator[Replayed]:
    """Events of a recording, or of JSON lines as ``tail --json`` writes them, packed or plain, between two places.

    Raises CommandFailed after the last event before the place where it is damaged.
    """
    from swim_server.config.recording_position import Stretch
    from swim_server.sources.recording.recorded_events import Damage, RecordedEvents

    stretch = Stretch(start, end)
    try:
        with sys.stdin.buffer if str(path) == "-" else path.open("rb") as stream:
            for each in RecordedEvents(stream):
                place = stretch.place(each.place)
                if stretch.is_after(place):
                    return
                if not stretch.is_before(place):
                    event = {"type": each.type, "timestamp": each.timestamp, "id": each.id, "data": each.data}
                    yield Replayed(place.milliseconds, event, each.line.decode())
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except Damage as damage:
        raise CommandFailed(f"{path} is {damage}", "everything before that was played") from None
    except OSError as error:
        raise CommandFailed(f"{path} can't be read any further: {error}; everything before that was played") from None


def play_snapshots(folder: Path, speed: float, sink: Sink, start: Seek | None = None, end: Seek | None = None) -> None:
    """Detect events in a folder of feed snapshots, or in one, paced by the snapshots' own times. Raises CommandFailed.

    Snapshots that can't be read are left out and told at the end.
    """
    from swim_server.sources.recording.recorded_snapshots import RecordedSnapshots, UnreadableSnapshot
    from swim_server.sources.recording.snapshot_recording import RecordingSource

    if folder.is_dir() and not any(folder.glob("*.json")) and not any(folder.glob("*.json.gz")):
        raise CommandFailed(f"{folder} has no snapshots: no *.json or *.json.gz")
    try:
        RecordedSnapshots(folder).look(thoroughly=True)  # the source would wait for one to come
    except UnreadableSnapshot as error:
        raise CommandFailed(str(error)) from None
    source = RecordingSource("replay", folder, speed=speed or 1e6, loop=False, start=start, end=end)

    async def publish(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        for event in events:
            for part in split(event):
                timestamp = format_ms(part.timestamp_ms) if part.timestamp_ms is not None else None
                sink.put({"type": part.type, "timestamp": timestamp, "data": part.data})
        sink.flush()
        return [Published("0-0") for _ in events]

    asyncio.run(source.run(publish))
    details = source.status.details
    if details.get("broken_file"):
        raise CommandFailed(
            f"{details['broken_files']} files can't be read, the others were played: {details['broken_file']}"
        )


# What the words mean.


def read_start(text: str | None, now_ms: int) -> EventId:
    """Return an id, a time or ``10m`` ago as the id after which to begin; none: the beginning. Raises WrongUsage."""
    if text is None:
        return EventId(0, 0)
    event_id = _event_id(text)
    if event_id is not None:
        return EventId.from_integer(max(event_id.to_integer() - 1, 0))
    return EventId(max(_milliseconds(text, now_ms, "--from") - 1, 0), MAX_SEQUENCE)


def read_end(text: str | None, now_ms: int) -> EventId | None:
    """Return an id, a time or ``10m`` ago as the last id to play; none: all there is. Raises WrongUsage."""
    if text is None:
        return None
    return _event_id(text) or EventId(_milliseconds(text, now_ms, "--to"), MAX_SEQUENCE)


def read_seek(text: str | None, option: str) -> Seek | None:
    """Return a place in a recording; none: its beginning, or its end. Raises WrongUsage."""
    from swim_server.config.recording_position import InvalidSeek, parse_seek

    try:
        return None if text is None else parse_seek(text)
    except InvalidSeek as error:
        raise WrongUsage(f"{option}: {error}") from None


def _event_id(text: str) -> EventId | None:
    try:
        return EventId.parse(text)
    except InvalidEventId:
        return None


def _milliseconds(text: str, now_ms: int, option: str) -> int:
    from swim_server.config import InvalidDuration, parse_duration

    try:
        return parse_ms(text)
    except InvalidTimestamp:
        pass
    try:
        return now_ms - int(parse_duration(text) * 1000)
    except InvalidDuration:
        known = "an event id, a time like 2026-01-16T14:30:15Z, or a duration ago like 10m"
        raise WrongUsage(f"{option}: must be {known}, got {text!r}") from None
