"""What is remembered of the ADL tables' flights from one reading to the next, and what a reading holds."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from swim_server.detection.adl_rows import Fix, FlightRow
from swim_server.detection.network_state import NO_PLAN, Plan

OVERLAP_MS = 600_000
"""How far a reading overlaps the previous one."""


class AdlFlight(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is remembered of a flight."""

    callsign: str
    is_active: bool
    plan: Plan = NO_PLAN
    plan_absences: int = 0
    fix: Fix | None = None
    artcc: str | None = None
    is_off: bool | None = None
    """Whether its take-off was announced, or was no news at first sight; None: the column could not be read then."""
    is_in: bool | None = None
    incarnation: int = 0
    """How often it was deleted and became active again."""
    updates: int = 0
    gone_ms: int | None = None
    """When it was found inactive, by the writer's clock."""


class AdlState(msgspec.Struct, frozen=True, kw_only=True):
    """All remembered flights; serialisable. Bounded by the number of rows in a reading."""

    scope: str = ""
    """Prefix of every event id."""
    has_begun: bool = False
    """The first reading has been made: what was there then was not announced."""
    writer_ms: int | None = None
    """The writer's newest timestamp read; None: there was none."""
    flights: dict[int, AdlFlight] = {}

    def since_ms(self) -> int | None:
        """Return from when on the next reading needs inactive flights; None: not at all."""
        return None if self.writer_ms is None else self.writer_ms - OVERLAP_MS

    def active(self) -> set[int]:
        """Return the flights that were active at the last reading."""
        return {uid for uid, flight in self.flights.items() if flight.is_active}


class AdlReading(msgspec.Struct, frozen=True, kw_only=True):
    """What was read at one moment."""

    rows: Sequence[FlightRow]
    knows_off: bool = True
    """Whether the column of take-offs could be read."""
    knows_in: bool = True

    def writer_ms(self) -> int | None:
        """Return the writer's newest timestamp."""
        return max((row.last_seen_ms for row in self.rows if row.last_seen_ms is not None), default=None)
