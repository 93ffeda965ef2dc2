"""Recordings of events for tests: small files written as ``swimctl record`` writes them."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.feed import AIRFIELDS, document, pilot, snapshot
from support.source_rigs import Numbered
from support.virtual_clock import VirtualClock
from swim_server.brokers.broker import Publish
from swim_server.concurrency.clock import SystemClock
from swim_server.detection.feed import FeedPilot
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.events import NewEvent
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.recording.any_recording import AnyRecordingSource
from swim_server.sources.recording.lines import FORMAT, Header
from swim_server.sources.recording.writer import RecordingWriter
from swim_server.sources.source import Source

BEGAN_MS = 1_768_573_815_000


def wire(number: int, *, at: float = 0, type: str = "flight.created", **data: Any) -> bytes:
    """Return an event as sent over the wire, stored ``at`` seconds after the beginning."""
    moment_ms = BEGAN_MS + round(at * 1000)
    body = {"number": number, **data}
    timestamp = format_ms(moment_ms - 250)
    return json.dumps({"type": type, "timestamp": timestamp, "id": f"{moment_ms}-{number}", "data": body}).encode()


def recording(wires: Sequence[bytes], *, id: str = "abc", is_finished: bool = True, flush_every: int = 3) -> bytes:
    """Return a whole file; without its end mark it is that of a killed recorder."""
    stream = io.BytesIO()
    writer = RecordingWriter(stream, Header(format=FORMAT, id=id, program="swimctl test"), clock=VirtualClock())
    for number, each in enumerate(wires, 1):
        writer.add(each, json.loads(each).get("id"))
        if number % flush_every == 0:
            writer.flush()
    writer.flush()
    if is_finished:
        writer.finish("the test", BEGAN_MS)
    return stream.getvalue()


class Again:
    """A source with an end that is started again for as long as wanted."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.status = source.status

    async def run(self, publish: Publish) -> None:
        while True:
            await self._source.run(publish)
            self.status.state = "running"  # it is going on, with the next start
            await asyncio.sleep(0.002)


class RecordingFileRig:
    """A recording that is replaced by longer copies of itself."""

    kind = "recording"

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.swim"
        self._state = folder / "state.json"
        self._wires: list[bytes] = []
        self._is_spoiled = False

    def source(self, **settings: Any) -> Again:
        return Again(new_source(self.path, self._state, **settings))

    def provide(self, first: int, count: int) -> None:
        self._wires += [wire(number) for number in range(first, first + count)]
        if not self._is_spoiled:
            self._write(recording(self._wires))

    def spoil(self) -> None:
        self._is_spoiled = True
        self._write(b"\x1f\x8b no recording")

    def mend(self) -> None:
        self._is_spoiled = False
        self._write(recording(self._wires))

    def _write(self, content: bytes) -> None:
        written = self.path.with_suffix(".writing")
        written.write_bytes(content)
        written.rename(self.path)


class SnapshotsRig:
    """A folder of feed snapshots to which snapshots are added; each of its flights is a number."""

    kind = "recording"

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "snapshots"
        self._away = folder / "away"
        self._state = folder / "state.json"
        self._pilots: list[FeedPilot] = []
        self._at = 0

    def source(self, **settings: Any) -> Numbered:
        source = new_source(self.folder, self._state, airfields=lambda: AIRFIELDS, **settings)
        return Numbered(Again(source), _number_of_created)

    def provide(self, first: int, count: int) -> None:
        self.folder.mkdir(exist_ok=True)
        if self._at == 0:
            self._add()  # the first one announces nothing
        self._pilots += [
            pilot(self._at, cid=1_000_000 + number, callsign=f"N{number}") for number in range(first, first + count)
        ]
        self._add()

    def _add(self) -> None:
        document_ = document(snapshot(self._at, self._pilots))
        written = self.folder / ".writing"
        written.write_bytes(document_)
        written.rename(self.folder / f"{self._at:08}.json")
        self._at += 15

    def spoil(self) -> None:
        if self.folder.exists():
            self.folder.rename(self._away)
        self.folder.write_text("no folder")

    def mend(self) -> None:
        self.folder.unlink()
        if self._away.exists():
            self._away.rename(self.folder)


def new_source(path: Path, state_path: Path, **settings: Any) -> AnyRecordingSource:
    """Return a source that plays what is there once, at once."""
    chosen: dict[str, Any] = {
        "catalogue": Catalogue(),
        "speed": 1e6,
        "loop": False,
        "state_path": state_path,
        "clock": _HastyClock(),
    }
    return AnyRecordingSource("recording", path, **chosen | settings)


def _number_of_created(event: NewEvent) -> int | None:
    return int(event.data["callsign"][1:]) if event.type == "flight.created" else None


class _HastyClock(SystemClock):
    """The machine's clock, but no sleep is long."""

    @staticmethod
    async def sleep(seconds: float, /) -> None:
        await asyncio.sleep(min(seconds, 0.005))
