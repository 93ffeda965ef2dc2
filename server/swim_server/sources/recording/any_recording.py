"""The recording source: plays whatever kind of recording a path holds, feed snapshots or a file of events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swim_server.brokers.broker import Publish
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.worker_thread import WorkerThread
from swim_server.config.recording_position import parse_seek
from swim_server.detection.regions import Regions
from swim_server.logs import get_logger
from swim_server.protocol.channels import Catalogue
from swim_server.sources.health import Health
from swim_server.sources.recording.event_recording import EventRecordingSource
from swim_server.sources.recording.pace import LOOK_AGAIN_SECONDS
from swim_server.sources.recording.recorded_events import kind_of_recording
from swim_server.sources.recording.snapshot_recording import RecordingSource
from swim_server.sources.source import Source, SourceStatus


class AnyRecordingSource:
    """Waits until there is something at the path, then plays it according to its kind."""

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        catalogue: Catalogue,
        speed: float = 1.0,
        loop: bool = True,
        start: str | None = None,
        state_path: Path | None = None,
        regions: Regions | None = None,
        clock: Clock = SYSTEM_CLOCK,
        **options: Any,
    ) -> None:
        """Prepare it; ``start``: an event id, a time, or a duration from the beginning; ``options``: the player's."""
        self.status = SourceStatus(name=name, kind="recording", details={"path": str(path), "speed": speed})
        self._path = path
        self._catalogue = catalogue
        self._regions = regions
        self._clock = clock
        self._options = options | {
            "speed": speed,
            "loop": loop,
            "start": None if start is None else parse_seek(start),
            "clock": clock,
        }
        self._state_path = state_path
        self._player: Source | None = None
        self._health = Health(self.status, get_logger("sources").bind(source=name), "the recording", clock=clock)

    async def run(self, publish: Publish) -> None:
        """Play until cancelled; without ``loop``, until the end."""
        if self._player is None:
            self._player = await self._choose()
        await self._player.run(publish)

    async def _choose(self) -> Source:
        with WorkerThread("recording") as worker:
            while True:
                try:
                    kind = await worker.pass_through(lambda: kind_of_recording(self._path))
                    trouble = f"{self._path} holds neither recorded events nor feed snapshots"
                except OSError as error:
                    kind, trouble = None, f"{self._path} can't be read: {error.strerror or error}"
                if kind is not None:
                    return self._player_of_events() if kind == "events" else self._player_of_snapshots()
                trouble = f"{trouble}; looking again every {LOOK_AGAIN_SECONDS:g} s"
                if self.status.last_error != trouble:
                    self._health.trouble(trouble)
                await self._clock.sleep(LOOK_AGAIN_SECONDS)

    def _player_of_events(self) -> Source:
        state_path = self._state_path and self._state_path.with_suffix(".events.json")
        return EventRecordingSource(
            self.status, self._path, catalogue=self._catalogue, state_path=state_path, **self._options
        )

    def _player_of_snapshots(self) -> Source:
        return RecordingSource(
            self.status.name,
            self._path,
            status=self.status,
            regions=self._regions,
            state_path=self._state_path,
            **self._options,
        )
