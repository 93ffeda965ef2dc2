"""The network state: everything remembered of flights between two snapshots. Values, serialisable by msgspec."""

from __future__ import annotations

from enum import IntEnum

import msgspec

STATE_VERSION = 1


class GroundState(IntEnum):
    """Where an aircraft is known to be."""

    UNKNOWN = 0
    GROUND = 1
    AIRBORNE = 2


GROUND, AIRBORNE = GroundState.GROUND, GroundState.AIRBORNE
"""Used several times for each aircraft of a snapshot: module names are faster than enum members."""


class Plan(msgspec.Struct, frozen=True, gc=False):
    """A flight plan as on the wire; what is absent is None."""

    dep: str | None = None
    arr: str | None = None
    equipment: str | None = None
    """``H/B77W/L``, else just the type."""
    route: str | None = None
    aircraft: str | None = None
    """Type designator: ``B77W``. Identifies helicopters; not on the wire."""


NO_PLAN = Plan()


class Report(msgspec.Struct, frozen=True, gc=False):
    """What an aircraft reported at one moment. It has a position; the other values may be missing."""

    at_ms: int
    latitude: float
    longitude: float
    altitude_ft: int | None = None
    """Above mean sea level."""
    groundspeed_kts: int | None = None
    heading_deg: int | None = None
    vertical_rate_fpm: int | None = None
    """From this report and the previous one; None if there was none to compare with."""


class Legs(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Remembered of a flight that flies more than one leg, or has ended one. See ``legs``."""

    earlier_arrivals: int = 0
    """How many of its arrivals belong to earlier legs."""
    bound_for: str | None = None
    """The current leg's destination, if the plan is already the next leg's."""
    stands_since_ms: int | None = None
    """Since when it has been standing after an arrival."""


FIRST_LEG = Legs()


class Flight(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename={"ground_state": "footing"}):
    """One flight: a member under a callsign, from first sight until it is deleted."""

    uid: int
    cid: int
    callsign: str
    plan: Plan = NO_PLAN
    plan_absences: int = 0
    """Snapshots in a row with the pilot but without the previously known plan."""
    is_connected: bool = False
    """False for a prefile."""
    logon: str | None = None
    """The pilot's logon time, as sent."""
    reported: str | None = None
    """The time of the last report, as sent: a repeated report is ignored."""
    report: Report | None = None
    announced: Report | None = None
    """The last report that was published as a position."""
    ground_state: GroundState = GroundState.UNKNOWN
    ground_ft: int | None = None
    """Altitude at which it last stood or taxied; always set if the ground state is GROUND. Of an airborne rotorcraft:
    the altitude to which it has descended vertically.
    """
    absences: int = 0
    """Snapshots in a row without it."""
    incarnation: int = 0
    """How often it was deleted and reappeared as the same connection."""
    updates: int = 0
    departures: int = 0
    arrivals: int = 0
    """How many of each were announced; part of the event ids, so that a second detection gives the same ids."""
    legs: Legs | None = None
    """None while it is on its first leg and its plan is that leg's, as nearly always."""

    @property
    def has_arrived(self) -> bool:
        """Whether it is on the ground after the current leg."""
        return self.arrivals > (0 if self.legs is None else self.legs.earlier_arrivals)


class NetworkState(msgspec.Struct, frozen=True, kw_only=True):
    """The network as of the last used snapshot. Bounded by the number of pilots in a snapshot."""

    version: int = STATE_VERSION
    scope: str = ""
    """Prefix of every event id: chosen by the source each time it sets the network state."""
    born_ms: int | None = None
    """Timestamp of the snapshot that set the network state; None: no snapshot has been seen."""
    update_ms: int | None = None
    """Timestamp of the last used snapshot."""
    flights: dict[str, Flight] = {}
    """By ``flight_key``."""
    gone: dict[str, Flight] = {}
    """Deleted recently: one that reappears as the same connection keeps its number."""
    gone_ms: dict[str, int] = {}
    """When they were deleted."""
    refused: int = 0
    """Consecutive snapshots that were refused for the same reason."""
    refused_ms: int | None = None
    """Timestamp of the last one."""


EMPTY_STATE = NetworkState()
