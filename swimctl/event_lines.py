"""The input of ``swimctl publish``: JSON lines, read in pieces as they arrive."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from swim_server.protocol.channels import LOOSE_TYPES, loose_data

CHUNK_BYTES = 262_144
MAX_LINE_BYTES = 8 * 1024 * 1024
BATCH_EVENTS = 500
BATCH_BYTES = 4 * 1024 * 1024
MORE_SECONDS = 0.02
"""How long a batch waits for more lines before it is sent."""

FIELDS = ("type", "data", "timestamp", "event_id")
REQUIRED = ("type", "data")


class NumberedEvent(NamedTuple):
    """One event and its line number."""

    line: int
    event: dict[str, Any]
    size_bytes: int


class BadLine(Exception):
    """A line that is not an event. Nothing after it is read."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(line, reason)

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


def parse_line(line: int, text: bytes) -> NumberedEvent | None:
    """Parse one line; None if it is empty. Raises BadLine."""
    stripped = text.strip().removeprefix(b"\xef\xbb\xbf")
    if not stripped:
        return None
    try:
        event = msgspec.json.decode(stripped)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadLine(line, f"not JSON: {error}") from None
    except RecursionError:
        raise BadLine(line, "nested too deeply") from None
    if not isinstance(event, dict):
        raise BadLine(line, 'must be an object like {"type": "flight.departed", "data": {…}}')
    if "data" not in event and isinstance(event.get("type"), str) and event["type"] in LOOSE_TYPES:
        event["data"] = loose_data(event)
    for name in REQUIRED:
        if name not in event:
            raise BadLine(line, f"has no {name}; an event needs type and data")
    if not isinstance(event["type"], str):
        raise BadLine(line, "type must be a string like flight.departed")
    if not isinstance(event["data"], dict):
        raise BadLine(line, "data must be an object")
    return NumberedEvent(line, {name: event[name] for name in FIELDS if event.get(name) is not None}, len(stripped))


class EventLines:
    """Batches of events from a file descriptor: full ones while input is plentiful, small ones when it trickles."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""
        """The beginning of a line whose end has not arrived."""
        self._line = 0

    def batches(self) -> Iterator[list[NumberedEvent]]:
        """Yield batches until the input ends. Raises BadLine after the batch of the events before that line."""
        batch: list[NumberedEvent] = []
        size_bytes = 0
        try:
            for event in self._events():
                if event is not None:
                    batch.append(event)
                    size_bytes += event.size_bytes
                if batch and (event is None or len(batch) >= BATCH_EVENTS or size_bytes >= BATCH_BYTES):
                    yield batch
                    batch, size_bytes = [], 0
        except BadLine:
            if batch:
                yield batch
            raise
        if batch:
            yield batch

    def _events(self) -> Iterator[NumberedEvent | None]:
        """Yield events; None whenever no more input has arrived for a moment."""
        while True:
            if not select.select([self._descriptor], [], [], MORE_SECONDS)[0]:
                yield None
            chunk = os.read(self._descriptor, CHUNK_BYTES)
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for text in lines:
                yield from self._parse(text)
            if not chunk:
                yield from self._parse(self._rest)
                return
            if len(self._rest) > MAX_LINE_BYTES:
                raise BadLine(self._line + 1, f"longer than {MAX_LINE_BYTES} bytes")

    def _parse(self, text: bytes) -> Iterator[NumberedEvent]:
        self._line += 1
        event = parse_line(self._line, text)
        if event is not None:
            yield event
