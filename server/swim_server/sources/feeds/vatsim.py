"""The live feed of the VATSIM network: polls snapshots, compares each with its state, publishes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from swim_server.brokers.broker import Publish
from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.worker_thread import WorkerThread
from swim_server.detection.airfields import Airfields
from swim_server.detection.detect import Detection, detect
from swim_server.detection.feed import InvalidSnapshot
from swim_server.detection.feed_decoding import decode_snapshot
from swim_server.detection.network_state import STATE_VERSION, NetworkState
from swim_server.detection.regions import Regions
from swim_server.logs import get_logger
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.airports import LoadAirfields, load_airfields
from swim_server.sources.boundaries import BoundariesFile
from swim_server.sources.feeds.http_feed import Answer, FeedTrouble, HttpFeed, OpenFeed, Validators, inflate
from swim_server.sources.health import Health
from swim_server.sources.poll_times import PollTimes
from swim_server.sources.publisher import EventPublisher
from swim_server.sources.source import SourceStatus
from swim_server.sources.state_file import StateFile

DEFAULT_URL = "https://data.vatsim.net/v3/vatsim-data.json"
INTERVAL_SECONDS = 15.0
"""The feed is updated every 15 seconds, and asks not to be read more often."""
LONGEST_PAUSE_SECONDS = 300.0
STALE_SECONDS, STALE_INTERVALS = 180.0, 4
"""A feed whose timestamp has not changed for this long is broken, even if it answers."""
MOVING_KTS = 50
"""An aircraft this fast is elsewhere in the next snapshot."""


class VatsimState(msgspec.Struct, kw_only=True, frozen=True, rename={"network_state": "stage"}):
    """What must be known after a restart."""

    version: int = STATE_VERSION
    url: str
    network_state: NetworkState
    validators: Validators = Validators()
    """Of the last answer in the network state."""


class Taken(msgspec.Struct, kw_only=True, frozen=True):
    """An answer that was received and whose events may not have been published yet."""

    body: bytes
    validators: Validators


class VatsimSource:
    """Polls one feed. Decoding and detection run in a separate thread.

    An answer is saved before it is compared, and the state is saved after its events are stored; after a kill at any
    point, the same events are published again under the same event ids, which the broker knows.
    """

    def __init__(
        self,
        name: str,
        *,
        url: str = DEFAULT_URL,
        interval_seconds: float = INTERVAL_SECONDS,
        timeout_seconds: float = 30.0,
        state_path: Path | None = None,
        open_feed: OpenFeed = HttpFeed,
        airfields: LoadAirfields = load_airfields,
        regions: Regions | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.status = SourceStatus(name=name, kind="vatsim", details={"url": url, "snapshots": 0})
        self._url = url
        self._open_feed = open_feed
        self._interval_seconds = interval_seconds
        self._timeout_seconds = timeout_seconds
        self._state_file = StateFile(state_path, VatsimState)
        self._taken_file = StateFile(state_path and state_path.with_suffix(".taken"), Taken)
        self._state: VatsimState | None = None
        self._load_airfields = airfields
        self._airfields: Airfields | None = None
        self._regions = regions
        self._clock = clock
        self._times = PollTimes(interval_seconds)
        self._backoff = Backoff(interval_seconds, max(LONGEST_PAUSE_SECONDS, interval_seconds), clock=clock)
        self._changed_at: float | None = None
        """When the feed's timestamp was last seen to change, by the monotonic clock."""
        self._places: dict[str, tuple[float, float]] = {}
        """Positions of flying aircraft when one of them was last seen to move."""
        self._moved_at = clock.monotonic()
        self._still_snapshots = 0
        """Number of snapshots since then, each with a new timestamp."""
        self._log = get_logger("sources").bind(source=name)
        self._health = Health(self.status, self._log, "the feed", clock=clock)
        self._publisher = EventPublisher(self.status, self._log, clock=clock)

    async def run(self, publish: Publish) -> None:
        """Poll until cancelled. A snapshot received before a crash and not finished comes first."""
        with WorkerThread("vatsim") as worker:
            left = await worker.pass_through(self._begin)
            if left is not None:
                with contextlib.suppress(FeedTrouble):  # it was not a snapshot, and is dropped now
                    await self._use(Answer(left.body, left.validators), publish, worker)
            async with self._open_feed(self._url, clock=self._clock, total_seconds=self._timeout_seconds) as feed:
                while True:
                    await self._clock.sleep(await self._look(feed, publish, worker))

    def _begin(self) -> Taken | None:
        if self._airfields is None:
            self._airfields = self._load_airfields()
        if self._state is None:
            saved = self._state_file.load()
            if self._state_file.fault is not None:
                self._health.trouble(self._state_file.fault)
            is_usable = saved is not None and (saved.version, saved.url) == (STATE_VERSION, self._url)
            fresh = VatsimState(url=self._url, network_state=NetworkState(scope=f"vatsim:{self.status.name}:"))
            self._state = saved if is_usable and saved is not None else fresh
        return self._taken_file.load()

    @property
    def _now_at(self) -> VatsimState:
        assert self._state is not None, "run begins with a state"
        return self._state

    async def _look(self, feed: HttpFeed, publish: Publish, worker: WorkerThread) -> float:
        """Poll once and use the answer; return how many seconds to wait."""
        asked_at = self._clock.now_ms() / 1000
        try:
            answer = await feed.get(self._now_at.validators)
            if answer is None:
                self._health.count("not_modified")
            else:
                taken = Taken(body=answer.body, validators=answer.validators)
                await self._write(worker, lambda: self._taken_file.save(taken))
                await self._use(answer, publish, worker)
        except FeedTrouble as trouble:
            return self._tell_trouble(trouble)
        self._backoff.succeed()
        self._tell_well()
        return max(
            0.0, self._times.next_look(asked_at, self._stamp(), self._clock.random()) - self._clock.now_ms() / 1000
        )

    async def _use(self, answer: Answer, publish: Publish, worker: WorkerThread) -> None:
        """Compare, publish, save. Raises FeedTrouble for an answer that is not a snapshot."""
        try:
            detection = await worker.pass_through(lambda: self._detect(answer.body))
        except FeedTrouble:
            await self._write(worker, self._forget_taken)
            raise
        await self._publisher.publish(publish, detection.events)
        state = msgspec.structs.replace(
            self._now_at, network_state=detection.network_state, validators=answer.validators
        )
        self._describe(detection)
        await self._write(worker, lambda: self._remember(state))
        self._state = state

    async def _write(self, worker: WorkerThread, work: Callable[[], None]) -> None:
        """Save something for after a restart. If that fails, the source continues without."""
        try:
            await worker.pass_through(work)
        except OSError as error:
            self._health.lasting("memory", f"a restart will not know what has been seen: {error}")
        else:
            self._health.lasting("memory", None)

    def _detect(self, body: bytes) -> Detection:
        try:
            snapshot = decode_snapshot(inflate(body))
        except InvalidSnapshot as invalid:
            raise FeedTrouble(invalid.reason, invalid.detail) from None
        assert self._airfields is not None, "run begins with the airfields"
        if snapshot.dropped:
            self._health.count("dropped_entries", snapshot.dropped)
        return detect(self._now_at.network_state, snapshot, self._airfields, regions=self._regions)

    def _remember(self, state: VatsimState) -> None:
        self._state_file.save(state)
        self._forget_taken()

    def _forget_taken(self) -> None:
        if self._taken_file.path is not None:
            self._taken_file.path.unlink(missing_ok=True)

    def _stamp(self) -> float | None:
        """Return the newest snapshot's timestamp, in seconds since the epoch."""
        network_state = self._now_at.network_state
        return None if network_state.update_ms is None else network_state.update_ms / 1000

    # Reporting.

    def _describe(self, detection: Detection) -> None:
        if detection.skipped is not None:
            self._health.count(f"skipped_{detection.skipped.replace(' ', '_')}")
            return
        self._health.count("snapshots")
        self._changed_at = self._clock.monotonic()
        self._note_movement(detection.network_state)
        connected = sum(flight.is_connected for flight in detection.network_state.flights.values())
        self.status.details["pilots"] = connected
        self.status.details["prefiles"] = len(detection.network_state.flights) - connected

    def _note_movement(self, network_state: NetworkState) -> None:
        """Report how long no flying aircraft has moved although snapshots came: they may be copies with new times."""
        now = self._clock.monotonic()
        places = {
            callsign: (flight.report.latitude, flight.report.longitude)
            for callsign, flight in network_state.flights.items()
            if flight.is_connected and flight.report is not None and (flight.report.groundspeed_kts or 0) >= MOVING_KTS
        }
        is_still = bool(places) and places == self._places
        self._still_snapshots = self._still_snapshots + 1 if is_still else 0
        if not is_still:
            self._places, self._moved_at = places, now
        self.status.details["frozen_snapshots"] = self._still_snapshots
        self.status.details["frozen_seconds"] = round(now - self._moved_at, 1)

    def _tell_well(self) -> None:
        stamp, now = self._stamp(), self._clock.monotonic()
        self._changed_at = now if self._changed_at is None else self._changed_at
        if stamp is not None:
            self.status.details["feed_time"] = format_ms(round(stamp * 1000))
            self.status.details["feed_age_seconds"] = round(self._clock.now_ms() / 1000 - stamp, 1)
        if isinstance(self._regions, BoundariesFile):
            self.status.details["boundaries"] = self._regions.problem or str(self._regions.path)
        stands_still = now - self._changed_at
        is_stale = stands_still > max(STALE_SECONDS, STALE_INTERVALS * self._interval_seconds)
        stale = f"its snapshot is still that of {self.status.details.get('feed_time')}, though the feed answers"
        self._health.lasting("stale", stale if is_stale else None)
        self._health.well()

    def _tell_trouble(self, trouble: FeedTrouble) -> float:
        """Count and report the problem; return the delay after it."""
        self._health.count(f"failed_{trouble.kind.replace(' ', '_')}")
        pause = max(self._backoff.fail(), trouble.retry_after_seconds or 0.0, self._interval_seconds)
        self._health.trouble(str(trouble), f"asking again in {pause:.0f} s")
        return pause
