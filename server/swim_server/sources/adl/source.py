"""Flights and initiatives from the ADL tables: two connections, each polled in the rhythm of its writer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Generic

import msgspec

from swim_server.brokers.broker import Publish
from swim_server.concurrency.backoff import Backoff
from swim_server.concurrency.clock import SYSTEM_CLOCK, Clock
from swim_server.concurrency.worker_thread import StillBusy, WorkerThread
from swim_server.config import AdlConfig
from swim_server.logs import get_logger
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.adl.database import AdlDatabase, TablesUnreachable, identity
from swim_server.sources.adl.table_reader import FlightTables, Memory, Outcome, ProgramTables, TableReader, TooManyRows
from swim_server.sources.health import Health
from swim_server.sources.poll_times import PollTimes
from swim_server.sources.publisher import EventPublisher
from swim_server.sources.source import SourceStatus
from swim_server.sources.state_file import StateFile

STATE_VERSION = 1
PROBE_SECONDS = 60.0
"""How often a missing table or column is looked for again."""
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 60.0
SLACK_SECONDS = 5.0
"""How much longer than the driver's own limits a poll may take, as those should have ended it."""


class AdlSource:
    """Polls the tables of one ``[adl.NAME]``. A problem of one connection does not affect the other."""

    def __init__(
        self,
        name: str,
        *,
        database: str,
        names: AdlConfig,
        interval_seconds: float = 15.0,
        state_folder: Path | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.status = SourceStatus(name=name, kind="adl", details={"database": database})
        log = get_logger("sources").bind(source=name)
        shared = _Shared(
            status=self.status,
            health=Health(self.status, log, "the ADL tables", clock=clock),
            publisher=EventPublisher(self.status, log, clock=clock),
            interval_seconds=interval_seconds,
            clock=clock,
        )
        self._watches: list[_Watch] = []
        readers: list[tuple[TableReader[Any, Any], Any]] = [
            (FlightTables(names), names.flights),
            (ProgramTables(names), names.tmis),
        ]
        for reader, config in readers:
            if config.url is None and config.odbc is None:
                self.status.details[reader.title] = "not configured"
                continue
            place = f"[adl.{database}.{reader.title}]"
            seconds = 2 * config.connect_timeout_seconds + 4 * config.query_timeout_seconds + SLACK_SECONDS
            state_path = state_folder and state_folder / f"adl-{name}.{reader.title}-{identity(config)}.json"
            self._watches.append(
                _Watch(reader, AdlDatabase(config, place), StateFile(state_path, _state_type(reader)), seconds, shared)
            )

    def looks(self) -> dict[str, int]:
        """Return how often each of its inputs was polled, successfully or not, since the process started."""
        return {watch.title: watch.looks for watch in self._watches}

    async def run(self, publish: Publish) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for watch in self._watches:
                tasks.create_task(watch.run(publish))


class _Shared(msgspec.Struct, frozen=True, kw_only=True):
    """What both watches of a source use."""

    status: SourceStatus
    health: Health
    publisher: EventPublisher
    interval_seconds: float
    clock: Clock


class _State(msgspec.Struct, Generic[Memory], kw_only=True, frozen=True):
    """What must be known after a restart."""

    version: int = STATE_VERSION
    memory: Memory


def _state_type(reader: TableReader[Any, Any]) -> Any:
    return _State[reader.memory_type]  # type: ignore[name-defined]  # a type that is a value here


class _Watch:
    """Polls one reader through one connection, in its own thread."""

    def __init__(
        self,
        reader: TableReader[Any, Any],
        database: AdlDatabase,
        state_file: StateFile[Any],
        limit_seconds: float,
        shared: _Shared,
    ) -> None:
        self.title = reader.title
        self.looks = 0
        self._reader = reader
        self._database = database
        self._state_file = state_file
        self._limit_seconds = limit_seconds
        self._shared = shared
        self._times = PollTimes(shared.interval_seconds)
        longest = max(LONGEST_PAUSE_SECONDS, shared.interval_seconds)
        self._backoff = Backoff(min(FIRST_PAUSE_SECONDS, shared.interval_seconds), longest, clock=shared.clock)
        self._memory: Any = None
        self._layout: Any = None
        self._probed_at = 0.0

    async def run(self, publish: Publish) -> None:
        with WorkerThread(f"adl-{self._reader.title}") as worker:
            try:
                if self._memory is None:
                    self._memory = await worker.pass_through(self._load)
                while True:
                    pause = await self._turn(publish, worker)
                    self.looks += 1
                    await self._shared.clock.sleep(pause)
            finally:
                worker.close(self._database.close)

    def _load(self) -> Any:
        saved = self._state_file.load()
        if self._state_file.fault is not None:
            self._shared.health.trouble(self._state_file.fault)
        if saved is not None and saved.version == STATE_VERSION:
            return saved.memory
        return self._reader.fresh(f"adl:{self._shared.status.name}:")

    async def _turn(self, publish: Publish, worker: WorkerThread) -> float:
        """Poll once; return how many seconds to wait."""
        shared, asked_at = self._shared, self._shared.clock.now_ms() / 1000
        begun = shared.clock.monotonic()
        try:
            outcome = await worker.pass_through(self._look, timeout_seconds=self._limit_seconds)
        except (TablesUnreachable, TooManyRows, StillBusy, TimeoutError) as error:
            reason = str(error) or f"no answer within {self._limit_seconds:.0f} s"
            shared.health.count(f"{self._reader.title}_failed")
            shared.health.lasting(self._reader.title, f"{self._reader.title} can't be read: {reason}")
            return self._backoff.fail()
        self._backoff.succeed()
        self._describe(outcome, shared.clock.monotonic() - begun)
        if outcome is not None:
            await shared.publisher.publish(publish, outcome.events)
            await self._remember(outcome.memory, worker)
        shared.health.lasting(self._reader.title, None)
        shared.health.well()
        stamp = None if outcome is None or outcome.writer_ms is None else outcome.writer_ms / 1000
        return max(0.0, self._times.next_look(asked_at, stamp, shared.clock.random()) - shared.clock.now_ms() / 1000)

    def _look(self) -> Outcome[Any] | None:
        """Read and compare, in the thread; None if too much is missing. A changed layout is read again."""
        with self._database.reading() as connection:
            if self._layout is None or self._should_probe():
                self._probe(connection)
            try:
                return self._look_with(connection)
            except Exception as error:
                if not self._database.is_missing(error):
                    raise
                connection.rollback()
                self._probe(connection)
                return self._look_with(connection)

    def _look_with(self, connection: Any) -> Outcome[Any] | None:
        if self._reader.without(self._layout) is not None:
            return None
        return self._reader.look(connection, self._layout, self._memory, self._shared.clock.now_ms())

    def _should_probe(self) -> bool:
        is_whole = self._layout is not None and not self._layout.missing()
        return not is_whole and self._shared.clock.monotonic() - self._probed_at >= PROBE_SECONDS

    def _probe(self, connection: Any) -> None:
        self._layout = self._reader.probe(connection, self._database.is_missing)
        self._probed_at = self._shared.clock.monotonic()

    async def _remember(self, memory: Any, worker: WorkerThread) -> None:
        before, self._memory = self._memory, memory

        def save() -> None:
            if memory != before:
                self._state_file.save(_State(memory=memory))

        try:
            await worker.pass_through(save)
        except OSError as error:
            self._shared.health.lasting("memory", f"a restart will not know what has been announced: {error}")
        else:
            self._shared.health.lasting("memory", None)

    def _describe(self, outcome: Outcome[Any] | None, seconds: float) -> None:
        title, details, layout = self._reader.title, self._shared.status.details, self._layout
        details[f"{title}_milliseconds"] = round(seconds * 1000, 1)
        details[f"{title}_rows"] = 0 if outcome is None else outcome.rows
        if outcome is not None and outcome.writer_ms is not None:
            details["writer_time"] = format_ms(outcome.writer_ms)
        missing = [] if layout is None else layout.missing()
        details[f"{title}_missing"] = ", ".join(missing) or None
        why = None if layout is None else self._reader.without(layout)
        text = f"{why}: {', '.join(missing)}" if why else f"missing in [adl] {title}: {', '.join(missing)}"
        self._shared.health.lasting(f"{title} columns", text if missing else None)
