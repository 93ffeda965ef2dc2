"""The network state: all that is remembered of the flights between two snapshots. Values, serialisable by msgspec."""

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
"""Looked at several times for each aircraft of a snapshot: names of their own are found sooner than members."""


class Plan(msgspec.Struct, frozen=True, gc=False):
    """A flight plan as the wire has it; what is absent is None."""

    dep: str | None = None
    arr: str | None = None
    equipment: str | None = None
    """``H/B77W/L``, else just the type."""
    route: str | None = None
    aircraft: str | None = None
    """Type designator: ``B77W``. Tells a helicopter; not on the wire."""


NO_PLAN = Plan()


class Report(msgspec.Struct, frozen=True, gc=False):
    """What an aircraft told of itself at one moment. It has a position; the other values may be missing."""

    at_ms: int
    latitude: float
    longitude: float
    altitude_ft: int | None = None
    """Above mean sea level."""
    groundspeed_kts: int | None = None
    heading_deg: int | None = None
    vertical_rate_fpm: int | None = None
    """From this report and the one before; None where there was none to compare with."""


class Legs(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What has to be remembered of a flight that flies more than one leg, or has ended one. See ``legs``."""

    earlier_arrivals: int = 0
    """How many of its arrivals belong to legs before the present one."""
    bound_for: str | None = None
    """Where the present leg leads, when the plan is the next leg's already."""
    stands_since_ms: int | None = None
    """Since when it stands, having arrived."""


FIRST_LEG = Legs()


class Flight(msgspec.Struct, frozen=True, gc=False, kw_only=True, rename={"ground_state": "footing"}):
    """One flight: a member under a callsign, from its first sight until it is deleted."""

    uid: int
    cid: int
    callsign: str
    plan: Plan = NO_PLAN
    plan_absences: int = 0
    """Snapshots in a row in which the pilot was there without the plan known before."""
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
    """Altitude at which it last stood or taxied; there is one whenever the ground state is GROUND. Of a rotorcraft in
    the air: to which it has come down upright."""
    absences: int = 0
    """Snapshots in a row without it."""
    incarnation: int = 0
    """How often it was deleted and came back as the same connection."""
    updates: int = 0
    departures: int = 0
    arrivals: int = 0
    """How many of each were announced. They name the events, so that a second detection gives the same names."""
    legs: Legs | None = None
    """None while it is on its first leg and its plan is that of this leg: so nearly all are."""

    @property
    def has_arrived(self) -> bool:
        """On the ground after the present leg."""
        return self.arrivals > (0 if self.legs is None else self.legs.earlier_arrivals)


class NetworkState(msgspec.Struct, frozen=True, kw_only=True):
    """The network as of the last snapshot used. Bounded by the number of pilots that a snapshot may hold."""

    version: int = STATE_VERSION
    scope: str = ""
    """Goes in front of every event id: chosen by the source, one for each time it sets the network state."""
    born_ms: int | None = None
    """Stamp of the snapshot that set the network state; None: no snapshot has been seen."""
    update_ms: int | None = None
    """Stamp of the last snapshot used."""
    flights: dict[str, Flight] = {}
    """By ``flight_key``."""
    gone: dict[str, Flight] = {}
    """Deleted a short while ago: one that comes back as the same connection keeps its number."""
    gone_ms: dict[str, int] = {}
    """When they were deleted."""
    refused: int = 0
    """Snapshots in a row that were skipped for one and the same reason to doubt them."""
    refused_ms: int | None = None
    """Stamp of the last one."""


EMPTY_STATE = NetworkState()
