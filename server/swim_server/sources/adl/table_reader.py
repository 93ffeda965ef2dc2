"""The two inputs of the ADL source, flights and initiatives: how each is read, compared and counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from sqlalchemy import Connection, Select

from swim_server.config import AdlConfig
from swim_server.detection.adl_flights import LoadAirfields, compare_flights
from swim_server.detection.adl_programs import ProgramBook, compare_programs
from swim_server.detection.adl_rows import FlightReader, FlightRow, ProgramRow, Values, read_program
from swim_server.detection.adl_state import AdlReading, AdlState
from swim_server.detection.airfields import Airfields
from swim_server.protocol.events import NewEvent
from swim_server.sources.adl.layout import (
    CHUNK,
    FlightLayout,
    IsMissing,
    ProgramLayout,
    moment_parameter,
    probe_flights,
    probe_programs,
)
from swim_server.sources.airports import load_airfields

MAX_ROWS = 100_000
"""Maximum number of rows per statement, to bound memory: more than any network ever had."""
FETCHED_AT_ONCE = 2_000

Layout = TypeVar("Layout", FlightLayout, ProgramLayout)
Memory = TypeVar("Memory", AdlState, ProgramBook)
Number = TypeVar("Number", int, "int | str")


class TooManyRows(Exception):
    """A statement returned more rows than can be intended."""

    def __str__(self) -> str:
        return f"more than {MAX_ROWS:,} rows: is this the right table?"


class Outcome(msgspec.Struct, Generic[Memory], frozen=True):
    """The result of one poll."""

    events: list[NewEvent]
    memory: Memory
    rows: int
    """Number of rows read from the database."""
    writer_ms: int | None = None
    """The newest timestamp of the writer."""


class TableReader(Protocol[Layout, Memory]):
    """One input. Its methods block or take long; its properties do not."""

    title: str
    """The name shown to operators: ``flights``."""
    memory_type: type[Memory]

    def fresh(self, scope: str) -> Memory: ...

    def probe(self, connection: Connection, is_missing: IsMissing) -> Layout: ...

    def without(self, layout: Layout) -> str | None:
        """Return why nothing can be detected with the existing columns; None if something can."""

    def look(self, connection: Connection, layout: Layout, memory: Memory, now_ms: int) -> Outcome[Memory]:
        """Read and compare."""


class FlightTables:
    """Flights."""

    title = "flights"
    memory_type = AdlState

    def __init__(self, names: AdlConfig, airfields: LoadAirfields = load_airfields) -> None:
        self._names = names
        self._reader = FlightReader()
        self._load_airfields = airfields
        self._loaded: Airfields | None = None

    def fresh(self, scope: str) -> AdlState:
        """Return the state of a source that remembers nothing."""
        return AdlState(scope=scope)

    def probe(self, connection: Connection, is_missing: IsMissing) -> FlightLayout:
        """Find out which tables and columns exist."""
        return probe_flights(connection, self._names, is_missing)

    def without(self, layout: FlightLayout) -> str | None:
        """Return what is missing of the ids, callsigns and activity that flights need."""
        return None if layout.is_usable else "no flight can be detected without"

    def look(self, connection: Connection, layout: FlightLayout, memory: AdlState, now_ms: int) -> Outcome[AdlState]:
        """Read every active flight, those that ended recently, and remembered ones that are in neither."""
        rows: dict[int, FlightRow] = {}
        count = self._take(rows, connection, layout.active())
        since_ms, recent = memory.since_ms(), layout.recent()
        if since_ms is not None and recent is not None:
            # Read after the active ones: a flight that became inactive in between is inactive.
            count += self._take(rows, connection, recent, {"since": moment_parameter(since_ms)})
        for chunk in chunks(sorted(memory.active() - rows.keys())):
            count += self._take(rows, connection, layout.numbered(), {"uids": chunk})
        knows_off, knows_in = (layout.times.has("flight_uid", field) for field in ("off_utc", "in_utc"))
        reading = AdlReading(rows=list(rows.values()), knows_off=knows_off, knows_in=knows_in)
        events, after = compare_flights(memory, reading, airfields=self._airfields)
        return Outcome(events, after, count, reading.writer_ms())

    def _airfields(self) -> Airfields:
        """Return the airfields, loaded when the first flight has arrived."""
        if self._loaded is None:
            self._loaded = self._load_airfields()
        return self._loaded

    def _take(
        self,
        rows: dict[int, FlightRow],
        connection: Connection,
        statement: Select[Any],
        parameters: Mapping[str, object] | None = None,
    ) -> int:
        count = 0
        for row in fetch(connection, statement, parameters):
            count += 1
            flight = self._reader.read(row)
            if flight is not None:
                rows[flight.uid] = flight
        return count


class ProgramTables:
    """Traffic management initiatives."""

    title = "tmis"
    memory_type = ProgramBook

    def __init__(self, names: AdlConfig) -> None:
        self._names = names

    def fresh(self, scope: str) -> ProgramBook:
        """Return the state of a source that remembers nothing."""
        return ProgramBook(scope=scope)

    def probe(self, connection: Connection, is_missing: IsMissing) -> ProgramLayout:
        """Find out whether the table exists, and which columns it has."""
        return probe_programs(connection, self._names, is_missing)

    def without(self, layout: ProgramLayout) -> str | None:
        """Return what is missing of the ids and states that initiatives need."""
        return None if layout.is_usable else "no initiative can be detected without"

    def look(
        self, connection: Connection, layout: ProgramLayout, memory: ProgramBook, now_ms: int
    ) -> Outcome[ProgramBook]:
        """Read those that are ACTIVE, and those that were issued and not released."""
        rows: dict[int | str, ProgramRow] = {}
        count = self._take(rows, connection, layout.active())
        for chunk in chunks([number for number in memory.in_force() if number not in rows]):
            count += self._take(rows, connection, layout.numbered(), {"ids": chunk})
        events, after = compare_programs(memory, list(rows.values()), now_ms)
        return Outcome(events, after, count)

    @staticmethod
    def _take(
        rows: dict[int | str, ProgramRow],
        connection: Connection,
        statement: Select[Any],
        parameters: Mapping[str, object] | None = None,
    ) -> int:
        count = 0
        for row in fetch(connection, statement, parameters):
            count += 1
            program = read_program(row)
            if program is not None:
                rows[program.program_id] = program
        return count


def fetch(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any] | None = None
) -> Iterator[Values]:
    """Read the rows of a statement in batches. Raises TooManyRows."""
    count = 0
    with connection.execute(statement, dict(parameters or {})) as result:
        while page := result.fetchmany(FETCHED_AT_ONCE):
            count += len(page)
            if count > MAX_ROWS:
                raise TooManyRows
            yield from map(tuple, page)


def chunks(numbers: Sequence[Number]) -> Iterator[list[Number]]:
    """Cut a list into pieces that fit into one statement."""
    for start in range(0, len(numbers), CHUNK):
        yield list(numbers[start : start + CHUNK])
