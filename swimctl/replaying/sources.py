"""Where replayed events come from: history, a recording, a folder of feed snapshots."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from swim_server.brokers.broker import Published
from swim_server.protocol.event_id import EventId
from swim_server.protocol.positions import split
from swim_server.protocol.timestamps import format_ms

from swimctl.errors import CommandFailed, NotFound
from swimctl.replaying.pace import Replayed

if TYPE_CHECKING:
    from swim_server.config.recording_position import Seek
    from swim_server.protocol.events import NewEvent

    from swimctl.client.event_stream import EventStream
    from swimctl.replaying.sinks import Sink

LOOK_SECONDS = 0.5


def history_events(stream: EventStream, until: EventId | None, tell: Callable[[str], None]) -> Iterator[Replayed]:
    """Yield stored events up to and including ``until``; None: up to the last one stored at the start.

    If history does not reach back to the requested start, ``tell`` is called and what exists is played. Raises
    CommandFailed if the daemon goes away.
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
    """Yield events of a recording, or of JSON lines as from ``tail --json``, compressed or not, between two positions.

    Raises CommandFailed after the last event before a damaged place.
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
    """Detect events in one feed snapshot or a folder of them, paced by the snapshots' own times. Raises CommandFailed.

    Unreadable snapshots are skipped and reported at the end.
    """
    from swim_server.sources.recording.recorded_snapshots import RecordedSnapshots, UnreadableSnapshot
    from swim_server.sources.recording.snapshot_recording import RecordingSource

    if folder.is_dir() and not any(folder.glob("*.json")) and not any(folder.glob("*.json.gz")):
        raise CommandFailed(f"{folder} has no snapshots: no *.json or *.json.gz")
    try:
        RecordedSnapshots(folder).look(thoroughly=True)  # the source would wait for a snapshot to arrive
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
