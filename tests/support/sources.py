"""Sources on an input that outlives them, for the contract suite of sources; and a broker's publish to watch."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from support.recordings import RecordingFileRig, SnapshotsRig
from support.source_rigs import AdlRig, DropRig, EcfmpRig, VatsimRig
from swim_server.brokers.broker import BrokerUnavailable, Published
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import NewEvent
from swim_server.sources.event_file.source import EventFileSource
from swim_server.sources.source import Source


class Recorder:
    """A ``publish`` that stores events like a broker: a known ``event_id`` is a duplicate."""

    def __init__(self) -> None:
        self.events: list[NewEvent] = []
        self.calls = 0
        self.synced = 0
        """How many of the events are known to be on the disk."""
        self.is_available = True
        self.is_hanging = False
        """Stored, but the answer does not come: as when the process is killed at that moment."""
        self._ids: dict[str, str] = {}

    async def __call__(self, events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        self.calls += bool(events)
        if not self.is_available:
            raise BrokerUnavailable("the test asked for it")
        answers = [self._store(event) for event in events]
        await asyncio.sleep(0)
        if self.is_hanging:
            await asyncio.Event().wait()
        if durable:
            self.synced = len(self.events)
        return answers

    def _store(self, event: NewEvent) -> Published:
        if event.event_id is not None and event.event_id in self._ids:
            return Published(self._ids[event.event_id], duplicate=True)
        self.events.append(event)
        event_id = str(EventId(len(self.events), 0))
        if event.event_id is not None:
            self._ids[event.event_id] = event_id
        return Published(event_id)

    @property
    def numbers(self) -> list[Any]:
        return [event.data.get("number") for event in self.events]


class Running:
    """A source running in the background: ``async with Running(source, publish):``."""

    def __init__(self, source: Source, publish: Callable[..., Any]) -> None:
        self.task = asyncio.ensure_future(source.run(publish))

    async def __aenter__(self) -> Running:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        if not self.task.cancelled() and (error := self.task.exception()) is not None:
            raise error


async def eventually(condition: Callable[[], Any], seconds: float = 30) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.002)


class SourceRig(Protocol):
    """One input, and what its source remembers."""

    kind: str

    def source(self) -> Source:
        """Return a source on this input, as a start of the process creates it."""

    def provide(self, first: int, count: int) -> None:
        """Make the input contain ``count`` more events whose data has ``number`` from ``first`` on."""

    def spoil(self) -> None:
        """Make the input unreadable."""

    def mend(self) -> None:
        """Undo ``spoil``."""


def entry(number: int, *, type: str = "flight.created", **more: Any) -> dict[str, Any]:
    """Return an entry of the event file, as the former provider writes it."""
    received_at = {"_received_at": "2026-01-16T14:30:15Z"}
    return {"type": type, "data": {"number": number}} | received_at | more


def replace(path: Path, content: str | bytes) -> None:
    """Write a temporary file and rename it over, as the former provider does."""
    temporary = path.with_name(f"{path.name}.tmp{os.getpid()}")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.rename(path)


class EventFileRig:
    kind = "file"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "swim_ws_events.json"

    def source(self, **settings: Any) -> EventFileSource:
        chosen: dict[str, Any] = {
            "interval_seconds": 0.002,
            "catalogue": Catalogue(),
            "grace_seconds": 0.02,
            "retry_seconds": 0.01,
            "is_watching": False,
        }
        return EventFileSource("file", self.path, **chosen | settings)

    def provide(self, first: int, count: int) -> None:
        entries = json.loads(self.path.read_text()) if self.path.exists() else []
        replace(self.path, json.dumps(entries + [entry(number) for number in range(first, first + count)]))

    def spoil(self) -> None:
        self.path.parent.rename(self.path.parent.with_suffix(".away"))

    def mend(self) -> None:
        self.path.parent.with_suffix(".away").rename(self.path.parent)


SOURCE_RIGS: dict[str, Callable[[Path], SourceRig]] = {
    "file": EventFileRig,
    "drop": DropRig,
    "vatsim": VatsimRig,
    "ecfmp": EcfmpRig,
    "adl": AdlRig,
    "recording of events": RecordingFileRig,
    "recording of snapshots": SnapshotsRig,
}
"""Every source that reads an input which a test can provide. A new one joins the suite with a line here."""
