"""Playing events again: out of history or a recording, at a pace, to standard output, a file or a daemon."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol

from swim_server.brokers.broker import Published
from swim_server.protocol.event_id import MAX_SEQUENCE, EventId, InvalidEventId
from swim_server.protocol.positions import split
from swim_server.protocol.timestamps import InvalidTimestamp, format_ms, parse_ms

from swimctl.errors import CommandFailed, NotFound, WrongUsage
from swimctl.event_lines import BadLine, NumberedEvent, parse_line

if TYPE_CHECKING:
    from swim_server.protocol.events import NewEvent

    from swimctl.publishing import Publisher
    from swimctl.stream import EventStream

LONGEST_WAIT_SECONDS = 5.0
"""A silence that would last longer at the pace asked for is cut to this."""
LOOK_SECONDS = 0.5
LONGEST_LINE_BYTES = 8 * 1024 * 1024


class Replayed(NamedTuple):
    """One event to be played."""

    moment_ms: int
    """Its place in time: when it was stored, or when it happened."""
    event: dict[str, Any]
    """``type``, ``timestamp``, ``data``; ``id`` where it had one."""


class Sink(Protocol):
    """Where events go."""

    played: int

    def put(self, event: dict[str, Any]) -> None:
        """Take one event; in order."""


class LineSink:
    """JSON lines on a stream, each flushed."""

    def __init__(self, stream: IO[str]) -> None:
        self.played = 0
        self._stream = stream

    def put(self, event: dict[str, Any]) -> None:
        self._stream.write(json.dumps(event, separators=(",", ":"), ensure_ascii=False) + "\n")
        self._stream.flush()
        self.played += 1


class DaemonSink:
    """A daemon's history: each event is stored anew, with an id of its own and the time at which it happened."""

    def __init__(self, publisher: Publisher) -> None:
        self.played = 0
        self._publisher = publisher

    def put(self, event: dict[str, Any]) -> None:
        self.played += 1
        row: dict[str, Any] = {name: event[name] for name in ("type", "timestamp", "data") if name in event}
        self._publisher.publish([NumberedEvent(self.played, row, 0)])


class Pace:
    """Waits until the next event is due. A speed of 0: at once."""

    def __init__(
        self,
        speed: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._monotonic = monotonic
        self._sleep = sleep
        self._last_moment_ms: int | None = None
        self._due = 0.0

    def await_turn(self, moment_ms: int) -> None:
        """Wait as long after the event before as it came then, divided by the speed."""
        if self._speed <= 0:
            return
        if self._last_moment_ms is None:
            self._due = self._monotonic()
        else:
            step = max(moment_ms - self._last_moment_ms, 0) / 1000 / self._speed
            self._due = max(self._due + min(step, LONGEST_WAIT_SECONDS), self._monotonic() - LONGEST_WAIT_SECONDS)
        self._last_moment_ms = moment_ms
        delay = self._due - self._monotonic()
        if delay > 0:
            self._sleep(delay)


def play(events: Iterator[Replayed], sink: Sink, pace: Pace) -> None:
    """Give every event to the sink when it is due."""
    for each in events:
        pace.await_turn(each.moment_ms)
        sink.put(each.event)


# Where events come from.


def history_events(stream: EventStream, until: EventId | None, tell: Callable[[str], None]) -> Iterator[Replayed]:
    """Stored events up to and including ``until``; None: up to the last one stored when it began.

    Where history does not reach back to the beginning asked for, ``tell`` is told and what there is is played.
    Raises CommandFailed when the daemon goes away.
    """
    from swimctl.stream_items import CaughtUp, Gap, Happened, Lost, Subscribed

    while True:
        item = stream.next(LOOK_SECONDS)
        match item:
            case Subscribed(greeting=greeting) if until is None:
                until = EventId.parse(greeting["last_event_id"])
            case Happened(event=event) if "id" in event:
                event_id = EventId.parse(event["id"])
                if until is not None and event_id > until:
                    return
                yield Replayed(event_id.milliseconds, dict(event))
            case CaughtUp():
                return
            case Gap():
                tell("history does not reach back that far: what there is is played")
            case Lost(reason=reason):
                raise CommandFailed(f"the connection was lost while reading history: {reason}")
            case _:
                continue


def file_events(path: Path) -> Iterator[Replayed]:
    """Events of a file of JSON lines, plain or ``.gz``, as ``tail --json`` writes them. Raises CommandFailed."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE_BYTES), b""), 1):
                numbered = parse_line(number, line)
                if numbered is not None:
                    yield Replayed(_moment_of(numbered.event), numbered.event)
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}") from None
    except BadLine as bad:
        raise CommandFailed(f"{path}: {bad}; what stood before it was played") from None
    except (OSError, EOFError) as error:
        raise CommandFailed(f"{path} can't be read on: {error}; what stood before it was played") from None


def _moment_of(event: dict[str, Any]) -> int:
    try:
        return parse_ms(event.get("timestamp"))
    except InvalidTimestamp:
        return 0


def play_snapshots(folder: Path, speed: float, sink: Sink) -> None:
    """Detect events in a folder of feed snapshots, paced by the snapshots' own times. Raises CommandFailed."""
    from swim_server.sources.recording import RecordingSource

    if not any(folder.glob("*.json")) and not any(folder.glob("*.json.gz")):
        raise CommandFailed(f"{folder} has no snapshots: no *.json or *.json.gz")
    source = RecordingSource("replay", folder, speed=speed or 1e6, loop=False)

    async def publish(events: Sequence[NewEvent]) -> list[Published]:
        for event in events:
            for part in split(event):
                timestamp = format_ms(part.timestamp_ms) if part.timestamp_ms is not None else None
                sink.put({"type": part.type, "timestamp": timestamp, "data": part.data})
        return [Published("0-0") for _ in events]

    asyncio.run(source.run(publish))


# What the words mean.


def read_start(text: str | None, now_ms: int) -> EventId:
    """An id, a time or ``10m`` ago as the id after which to begin; none: the beginning. Raises WrongUsage."""
    if text is None:
        return EventId(0, 0)
    event_id = _event_id(text)
    if event_id is not None:
        return EventId.from_integer(max(event_id.to_integer() - 1, 0))
    return EventId(max(_milliseconds(text, now_ms, "--from") - 1, 0), MAX_SEQUENCE)


def read_end(text: str | None, now_ms: int) -> EventId | None:
    """An id, a time or ``10m`` ago as the last id to play; none: all there is. Raises WrongUsage."""
    if text is None:
        return None
    return _event_id(text) or EventId(_milliseconds(text, now_ms, "--to"), MAX_SEQUENCE)


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
        known = "an event id, a time like 2026-01-16T14:30:15Z, or a length of time ago like 10m"
        raise WrongUsage(f"{option}: must be {known}, got {text!r}") from None
