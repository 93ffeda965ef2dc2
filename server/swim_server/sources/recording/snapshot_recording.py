"""The recording source for snapshots: plays recorded feed snapshots as if they came now, through the same detection."""

from __future__ import annotations

from pathlib import Path

import msgspec

from swim_server.brokers.broker import Publish
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.worker_thread import WorkerThread
from swim_server.config.recording_position import Seek
from swim_server.detection.airfields import Airfields
from swim_server.detection.detect import Detection, detect
from swim_server.detection.network_state import STATE_VERSION, NetworkState
from swim_server.detection.regions import Regions
from swim_server.logs import get_logger
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.airports import LoadAirfields, load_airfields
from swim_server.sources.health import Health
from swim_server.sources.publisher import EventPublisher
from swim_server.sources.recording.pace import (
    LOOK_AGAIN_SECONDS,
    MAX_DELAY_BEHIND_SECONDS,
    MAX_STEP_MS,
    MIN_ROUND_SECONDS,
)
from swim_server.sources.recording.recorded_snapshots import (
    MAX_DOCUMENT_BYTES,
    Recorded,
    RecordedSnapshots,
    UnreadableSnapshot,
)
from swim_server.sources.source import SourceStatus
from swim_server.sources.state_file import StateFile

DEFAULT_STEP_MS = 15_000
"""The interval of the feed; also used for a recording with a single snapshot."""


class RecordingState(msgspec.Struct, kw_only=True, frozen=True, rename={"network_state": "stage"}):
    """How far a recording has been played."""

    version: int = STATE_VERSION
    path: str
    run: str
    """Identifies this replay in event ids: replayed another day, its events are different events."""
    loop: int = 1
    position_ms: int | None = None
    """Timestamp of the last snapshot played or skipped; None at the beginning of a round."""
    step_ms: int = DEFAULT_STEP_MS
    """The last step between two snapshots; the pause between two rounds is as long."""
    network_state: NetworkState = NetworkState()


class RecordingSource:
    """Plays a folder of snapshots, or one, in the order of their timestamps.

    Each round begins with a new network state from its first snapshot. The state file is saved after each snapshot;
    after a kill in between, the events of that snapshot are published again under the same event ids, which the broker
    knows. Without a state file every process plays from the beginning.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        speed: float = 1.0,
        loop: bool = True,
        start: Seek | None = None,
        end: Seek | None = None,
        status: SourceStatus | None = None,
        state_path: Path | None = None,
        airfields: LoadAirfields = load_airfields,
        regions: Regions | None = None,
        max_document_bytes: int = MAX_DOCUMENT_BYTES,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"the speed of a recording must be above 0, got {speed}")
        told = SourceStatus(name=name, kind="recording", details={"path": str(folder), "speed": speed})
        self.status = told if status is None else status
        self._recorded = RecordedSnapshots(folder, max_document_bytes=max_document_bytes)
        self._path = str(folder.absolute())
        self._speed = speed
        self._loops = loop
        self._start = start
        self._end = end
        self._state_file = StateFile(state_path, RecordingState)
        self._state: RecordingState | None = None
        self._load_airfields = airfields
        self._airfields: Airfields | None = None
        self._regions = regions
        self._clock = clock
        self._due: float | None = None
        """When the next snapshot is due; None: at once."""
        log = get_logger("sources").bind(source=name)
        self._health = Health(self.status, log, "the recording", clock=clock)
        self._publisher = EventPublisher(self.status, log, clock=clock)

    async def run(self, publish: Publish) -> None:
        """Play until cancelled; without ``loop``, until the last snapshot has been played."""
        with WorkerThread("recording") as worker:
            airfields = await worker.pass_through(self._begin)
            self._due = None
            while True:
                recorded = await self._next(worker)
                if recorded is None and not self._loops:
                    self._finish()
                    return
                if recorded is None:
                    await self._next_round()
                    continue
                await self._pace(recorded)
                await self._play(recorded, airfields, publish, worker)

    async def _play(self, recorded: Recorded, airfields: Airfields, publish: Publish, worker: WorkerThread) -> None:
        """Detect, publish, save: in this order, a kill in between repeats a step and loses none."""
        detection: Detection | None = None
        try:
            detection = await worker.pass_through(lambda: self._detect(recorded, airfields))
        except UnreadableSnapshot as error:
            self._recorded.broken[error.name] = error.reason
            self._health.trouble(f"{error}; the others are played")
        if detection is not None:
            await self._publisher.publish(publish, detection.events)
            self._health.well()
        self._advance(recorded, detection)
        try:
            await worker.pass_through(lambda: self._state_file.save(self._now_at))
        except OSError as error:
            self._health.lasting("memory", f"what has been played can't be remembered for a restart: {error}")
        else:
            self._health.lasting("memory", None)

    def _begin(self) -> Airfields:
        if self._airfields is None:
            self._airfields = self._load_airfields()
        if self._state is None:
            saved = self._state_file.load()
            if self._state_file.fault is not None:
                self._health.trouble(self._state_file.fault)
            is_usable = saved is not None and (saved.version, saved.path) == (STATE_VERSION, self._path)
            self._state = saved if is_usable and saved is not None else self._new_state()
        return self._airfields

    def _new_state(self) -> RecordingState:
        run = f"{self._clock.now_ms():x}"
        return RecordingState(path=self._path, run=run, network_state=NetworkState(scope=self._scope(run, 1)))

    def _scope(self, run: str, loop: int) -> str:
        return f"{self.status.name}:{run}:{loop}:"

    @property
    def _now_at(self) -> RecordingState:
        if self._state is None:
            raise AssertionError("run begins with a state")
        return self._state

    async def _next(self, worker: WorkerThread) -> Recorded | None:
        """Return the snapshot to play next; None at the end of a round. Waits while there is none at all."""
        while True:
            try:
                return await worker.pass_through(self._look)
            except UnreadableSnapshot as error:
                trouble = f"{error}; looking again every {LOOK_AGAIN_SECONDS:g} s"
                if self.status.last_error != trouble:
                    self._health.trouble(trouble)
                await self._clock.sleep(LOOK_AGAIN_SECONDS)

    def _look(self) -> Recorded | None:
        position = self._now_at.position_ms
        self._recorded.look(thoroughly=position is None)
        recorded = self._find(position)
        if recorded is None:
            self._recorded.look(thoroughly=True)  # what was added within the resolution of the folder's time
            recorded = self._find(position)
        self._describe()
        return recorded

    def _find(self, position: int | None) -> Recorded | None:
        """Return the snapshot after a position, within the chosen beginning and end."""
        first = self._recorded.after(None)
        began_ms = 0 if first is None else first.update_ms
        if position is None and self._start is not None:
            position = self._start.moment(began_ms) - 1
        found = self._recorded.after(position)
        is_beyond = found is not None and self._end is not None and found.update_ms > self._end.moment(began_ms)
        return None if is_beyond else found

    def _describe(self) -> None:
        details = self.status.details
        details["files"] = len(self._recorded.snapshots)
        details["repeated_files"] = self._recorded.repeated
        details["broken_files"] = len(self._recorded.broken)
        details["broken_file"] = next((f"{name}: {why}" for name, why in self._recorded.broken.items()), None)
        details["loop"] = self._now_at.loop

    async def _pace(self, recorded: Recorded) -> None:
        """Wait until the snapshot is due: as long after the previous one as it was recorded after it."""
        position = self._now_at.position_ms
        if self._due is None or position is None:
            self._due = self._clock.monotonic()
            return
        await self._wait(self._step_ms(recorded, position) / 1000 / self._speed)

    def _step_ms(self, recorded: Recorded, position_ms: int) -> int:
        step_ms = recorded.update_ms - position_ms
        if step_ms > MAX_STEP_MS:
            hours = step_ms / 3_600_000
            self.status.details["shortened_gap"] = f"{hours:.1f} h before {format_ms(recorded.update_ms)}"
        return min(step_ms, MAX_STEP_MS)

    async def _wait(self, seconds: float) -> None:
        now = self._clock.monotonic()
        due = (now if self._due is None else self._due) + seconds
        self._due = due if due > now - MAX_DELAY_BEHIND_SECONDS else now
        if due > now:
            await self._clock.sleep(due - now)

    def _detect(self, recorded: Recorded, airfields: Airfields) -> Detection:
        """Read, decode and compare. Raises UnreadableSnapshot."""
        snapshot = self._recorded.read(recorded)
        return detect(self._now_at.network_state, snapshot, airfields, regions=self._regions)

    def _advance(self, recorded: Recorded, detection: Detection | None) -> None:
        """Treat a snapshot as played; ``detection`` is None for one that can't be."""
        state, details = self._now_at, self.status.details
        step_ms = state.step_ms if state.position_ms is None else self._step_ms(recorded, state.position_ms)
        network_state = state.network_state if detection is None else detection.network_state
        self._state = msgspec.structs.replace(
            state, position_ms=recorded.update_ms, step_ms=step_ms, network_state=network_state
        )
        details["file"] = recorded.path.name
        details["recorded_time"] = format_ms(recorded.update_ms)
        self._health.count("unreadable" if detection is None else "skipped" if detection.skipped else "snapshots")
        if detection is not None and detection.skipped:
            details["skipped_last"] = f"{recorded.path.name}: {detection.skipped}"

    async def _next_round(self) -> None:
        """Begin again with the first snapshot, one step later, under a new scope."""
        state = self._now_at
        await self._wait(max(MIN_ROUND_SECONDS, state.step_ms / 1000 / self._speed))
        network_state = NetworkState(scope=self._scope(state.run, state.loop + 1))
        self._state = msgspec.structs.replace(state, loop=state.loop + 1, position_ms=None, network_state=network_state)

    def _finish(self) -> None:
        self.status.state = "finished"
        again = f"remove {self._state_file.path}" if self._state_file.path else "start again"
        self.status.details["finished"] = f"played to its end; to play it again, {again}, or set loop = true"
