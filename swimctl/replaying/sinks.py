"""Where replayed events go: JSON lines or a daemon; with counting, or limited to some channels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any, Protocol

from swim_server.protocol.channels import matches
from swim_server.protocol.control_characters import escape_json_text

from swimctl.event_lines import BATCH_EVENTS, NumberedEvent

if TYPE_CHECKING:
    from swimctl.client.publisher import Publisher
    from swimctl.progress import Progress


class Sink(Protocol):
    """A destination for events."""

    played: int

    def put(self, event: dict[str, Any], line: str | None = None) -> None:
        """Accept one event, in order. ``line``: its JSON as it was recorded."""

    def flush(self) -> None:
        """Flush all events accepted so far: no more follow for a while, or ever."""


class LineSink:
    """Writes JSON lines to a stream."""

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
    """Publishes to a daemon: each event is stored with a new id and its original timestamp."""

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
    """Passes on the events that belong to one of the channels."""

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
    """Passes everything on and shows progress."""

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
