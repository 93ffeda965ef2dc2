"""Flow measures of the European Collaboration and Flow Management Project: polls the list and publishes changes."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from swim_server.brokers.broker import Publish
from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.worker_thread import WorkerThread
from swim_server.detection.flow_measures import (
    Compared,
    FlowMeasure,
    InvalidMeasures,
    MeasureBook,
    compare_measures,
    decode_measures,
    decode_regions,
)
from swim_server.logs import get_logger
from swim_server.sources.feeds.http_feed import FeedTrouble, HttpFeed, OpenFeed, Validators, inflate
from swim_server.sources.health import Health
from swim_server.sources.publisher import EventPublisher
from swim_server.sources.source import SourceStatus
from swim_server.sources.state_file import StateFile

DEFAULT_URL = "https://ecfmp.vatsim.net/api/v1/flow-measure?deleted=1"
"""Measures that are notified, active, or ended within a day, including withdrawn ones."""
INTERVAL_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 900.0
MAX_BODY_BYTES = 16 * 1024 * 1024
REGIONS_PAUSE_SECONDS = 3600.0
"""How long the list of FIRs is not requested again."""
STATE_VERSION = 1


class EcfmpState(msgspec.Struct, kw_only=True, frozen=True):
    """What must be known after a restart."""

    version: int = STATE_VERSION
    url: str
    book: MeasureBook
    regions: dict[int, str] = {}
    """Identifiers of FIRs by their ids in the API."""


class EcfmpSource:
    """Polls the list. Its state is saved after the events are stored."""

    def __init__(
        self,
        name: str,
        *,
        url: str = DEFAULT_URL,
        interval_seconds: float = INTERVAL_SECONDS,
        timeout_seconds: float = 30.0,
        state_path: Path | None = None,
        open_feed: OpenFeed = HttpFeed,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.status = SourceStatus(name=name, kind="ecfmp", details={"url": url, "answers": 0})
        self._url = url
        self._open_feed = open_feed
        self._interval_seconds = interval_seconds
        self._state_file = StateFile(state_path, EcfmpState)
        self._book: MeasureBook | None = None
        self._regions: dict[int, str] = {}
        self._regions_due = float("-inf")
        """The list of FIRs is not requested again before this time."""
        self._timeout_seconds = timeout_seconds
        self._validators = Validators()
        """Of the last answer. Not kept over a restart: the list is small."""
        self._measures: list[FlowMeasure] | None = None
        """The list in the last answer: valid as long as the server says that nothing has changed."""
        self._clock = clock
        self._backoff = Backoff(interval_seconds, max(LONGEST_PAUSE_SECONDS, interval_seconds), clock=clock)
        log = get_logger("sources").bind(source=name)
        self._health = Health(self.status, log, "the list of flow measures", clock=clock)
        self._publisher = EventPublisher(self.status, log, clock=clock)

    async def run(self, publish: Publish) -> None:
        """Poll until cancelled."""
        with WorkerThread("ecfmp") as worker:
            if self._book is None:
                self._book = await worker.pass_through(self._load)
            async with self._open_feed(self._url, clock=self._clock, total_seconds=self._timeout_seconds) as feed:
                while True:
                    await self._clock.sleep(await self._look(feed, publish, worker))

    def _load(self) -> MeasureBook:
        saved = self._state_file.load()
        if self._state_file.fault is not None:
            self._health.trouble(self._state_file.fault)
        if saved is not None and (saved.version, saved.url) == (STATE_VERSION, self._url):
            self._regions = dict(saved.regions)
            return saved.book
        return MeasureBook(scope=f"ecfmp:{self.status.name}:")

    async def _look(self, feed: HttpFeed, publish: Publish, worker: WorkerThread) -> float:
        """Poll once and compare; return how many seconds to wait. Without an answer only time has passed."""
        try:
            measures = await self._ask(feed, worker)
        except FeedTrouble as trouble:
            await self._compare(None, publish, worker)
            self._health.count(f"failed_{trouble.kind.replace(' ', '_')}")
            pause = max(self._backoff.fail(), trouble.retry_after_seconds or 0.0, self._interval_seconds)
            self._health.trouble(str(trouble), f"asking again in {pause:.0f} s")
            return pause
        await self._resolve_regions(measures, worker)
        await self._compare(measures, publish, worker)
        self._backoff.succeed()
        self._health.well()
        return self._interval_seconds

    async def _ask(self, feed: HttpFeed, worker: WorkerThread) -> list[FlowMeasure]:
        """Return the current list. Raises FeedTrouble."""
        answer = await feed.get(self._validators)
        if answer is None and self._measures is not None:
            self._health.count("not_modified")
            return self._measures
        body = answer.body if answer is not None else b""
        try:
            measures, dropped = await worker.pass_through(lambda: decode_measures(inflate(body, MAX_BODY_BYTES)))
        except InvalidMeasures as invalid:
            self._validators, self._measures = Validators(), None
            raise FeedTrouble("no list", invalid.reason) from None
        if answer is not None:
            self._validators, self._measures = answer.validators, measures
        self._health.count("answers")
        self.status.details["measures"] = len(measures)
        self.status.details["unreadable_measures"] = dropped
        return measures

    async def _resolve_regions(self, measures: list[FlowMeasure], worker: WorkerThread) -> None:
        """Request the list of FIRs if a measure names one by an unknown id; without it, that FIR is left out."""
        numbers = {number for measure in measures for number in measure.notified_flight_information_regions}
        url = regions_url(self._url)
        if url is None or numbers <= self._regions.keys() or self._clock.monotonic() < self._regions_due:
            return
        self._regions_due = self._clock.monotonic() + REGIONS_PAUSE_SECONDS
        try:
            async with self._open_feed(url, clock=self._clock, total_seconds=self._timeout_seconds) as feed:
                answer = await feed.get(Validators())
            body = answer.body if answer is not None else b""
            self._regions |= await worker.pass_through(lambda: decode_regions(inflate(body, MAX_BODY_BYTES)))
        except (FeedTrouble, InvalidMeasures) as trouble:
            self._health.lasting("regions", f"FIRs of measures are unknown: {url}: {trouble}")
        else:
            self._health.lasting("regions", None)

    async def _compare(self, measures: list[FlowMeasure] | None, publish: Publish, worker: WorkerThread) -> None:
        assert self._book is not None, "run begins with a book"
        compared: Compared = compare_measures(self._book, measures, self._clock.now_ms(), self._regions)
        await self._publisher.publish(publish, compared.events)
        if compared.book != self._book:
            self._book = compared.book
            await self._save(compared.book, worker)
        in_force = sum(known.ended_ms is None for known in compared.book.measures.values())
        self.status.details["in_force"] = in_force

    async def _save(self, book: MeasureBook, worker: WorkerThread) -> None:
        state = EcfmpState(url=self._url, book=book, regions=self._regions)
        try:
            await worker.pass_through(lambda: self._state_file.save(state))
        except OSError as error:
            self._health.lasting("memory", f"a restart will not know what has been announced: {error}")
        else:
            self._health.lasting("memory", None)


def regions_url(url: str) -> str | None:
    """Return the address of the list of FIRs for that of measures; None if the address has another form."""
    parts = urlsplit(url)
    folder, slash, name = parts.path.rstrip("/").rpartition("/")
    if name != "flow-measure":
        return None
    return urlunsplit((parts.scheme, parts.netloc, f"{folder}{slash}flight-information-region", "", ""))
