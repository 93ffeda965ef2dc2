"""The legs of a flight: one connection may fly several, and land elsewhere than it filed. A state machine, pure.

    BEFORE   at the gate, or on the way to the runway        phases PREFLIGHT, DEPARTING
    FLYING   off the ground                                  phases CLIMBING to APPROACH
    ARRIVED  on the ground after a flight                    phases LANDED, ARRIVED

    BEFORE, ARRIVED  -- leaves the ground -->                FLYING    flight.departed
    FLYING           -- comes to the ground -->              ARRIVED   flight.arrived, with the field where it is
    ARRIVED          -- files a plan from where it is -->    BEFORE    a turnaround
    ARRIVED          -- moves again after a stop, bound for
                        elsewhere by its plan -->            BEFORE    a stop-over, or a plan that was filed early
    FLYING           -- files a plan from its destination -> FLYING    still bound for there: the next leg, filed early

Whether it leaves the ground or comes to it is judged in ``ground_state``. What is kept is in the flight: its counts of
departures and arrivals, and in its ``legs``.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import msgspec

from swim_server.detection.airfields import FIELD_NM, Airfield, Airfields
from swim_server.detection.geodesy import distance_nm
from swim_server.detection.network_state import FIRST_LEG, Flight, GroundState, Legs, Plan, Report
from swim_server.detection.regions import Place

STANDING_KTS = 3
STOP_MS = 180_000
"""A stop this long ends the leg: any later movement begins another one. Holding short of a runway takes less."""


class Leg(Enum):
    """The state of a flight's current leg."""

    BEFORE = "before"
    FLYING = "flying"
    ARRIVED = "arrived"


class Arrival(NamedTuple):
    """Where a flight reached the ground."""

    field: str | None
    """Code of the airfield; None if it is not listed."""
    is_diverted: bool | None
    """Whether it is elsewhere than filed. None if unknown: the filed code is unlisted; or the aircraft was first seen
    in the air and lands where its plan begins, which is a return, or the next leg's plan was filed early.
    """


def leg_of(flight: Flight) -> Leg:
    """Return the state of a flight's leg."""
    if flight.ground_state is GroundState.AIRBORNE:
        return Leg.FLYING
    return Leg.ARRIVED if flight.has_arrived else Leg.BEFORE


def is_at(report: Report, field: Airfield) -> bool:
    """Tell whether a report from the ground is from this field."""
    return _is_near((report.latitude, report.longitude), field)


def _is_near(place: Place, field: Airfield) -> bool:
    return distance_nm(*place, field.latitude, field.longitude) <= FIELD_NM


def arrival_of(flight: Flight, report: Report, airfields: Airfields) -> Arrival:
    """Return where a flight that has just reached the ground is, and whether it had filed that."""
    bound_for = _legs(flight).bound_for or flight.plan.arr
    return arrival_at(
        (report.latitude, report.longitude), flight.plan, airfields, bound_for=bound_for, took_off=flight.departures > 0
    )


def arrival_at(place: Place, plan: Plan, airfields: Airfields, *, bound_for: str | None, took_off: bool) -> Arrival:
    """Return where an aircraft on the ground is. ``took_off``: known to have flown, so that a return is one."""
    destination = airfields.get(bound_for)
    if destination is not None and _is_near(place, destination):
        return Arrival(destination.code, False)
    field = airfields.at(*place, plan.arr, plan.dep)
    if field is None:
        return Arrival(None, None if destination is None else True)
    is_at_departure = field is airfields.get(plan.dep)
    if is_at_departure and not took_off:
        return Arrival(field.code, None)
    return Arrival(field.code, True if is_at_departure or destination is not None else None)


def with_plan(before: Flight, now: Flight, airfields: Airfields) -> Flight:
    """Process a new plan: ``now`` is the flight with it, otherwise equal to ``before``."""
    old, new = before.plan, now.plan
    if (old.dep, old.arr) == (new.dep, new.arr):
        return now
    leg = leg_of(before)
    if leg is Leg.FLYING:
        return _with_plan_in_flight(before, now)
    if leg is Leg.ARRIVED and _files_from_here(now, airfields):
        return begin_leg(now)
    return now


def begin_leg(flight: Flight) -> Flight:
    """Count what a flight has flown towards earlier legs."""
    return msgspec.structs.replace(flight, legs=Legs(flight.arrivals))


def after_departure(flight: Flight) -> Flight:
    """Begin a leg if it took off after an arrival, without another plan or a stop."""
    return flight if flight.legs is None and not flight.arrivals else begin_leg(flight)


def after_stop(flight: Flight, airfields: Airfields) -> Flight:
    """Process that an arrived flight stands or moves; ``flight`` has its newest report."""
    report, legs = flight.report, _legs(flight)
    if report is None or report.groundspeed_kts is None:
        return flight
    since_ms = legs.stands_since_ms
    if report.groundspeed_kts <= STANDING_KTS:
        if since_ms is None:
            return _with_legs(flight, msgspec.structs.replace(legs, stands_since_ms=report.at_ms))
        has_stopped = report.at_ms - since_ms >= STOP_MS
        return begin_leg(flight) if has_stopped and legs.bound_for is not None else flight
    if since_ms is None:
        return flight
    if report.at_ms - since_ms >= STOP_MS and _is_bound_elsewhere(flight, report, airfields):
        return begin_leg(flight)
    return _with_legs(flight, msgspec.structs.replace(legs, stands_since_ms=None))


def _legs(flight: Flight) -> Legs:
    return FIRST_LEG if flight.legs is None else flight.legs


def _with_legs(flight: Flight, legs: Legs) -> Flight:
    return msgspec.structs.replace(flight, legs=legs)


def _with_plan_in_flight(before: Flight, now: Flight) -> Flight:
    """Keep the previous plan's destination if the new one begins there: it is for the next leg."""
    legs = _legs(before)
    destination = legs.bound_for or before.plan.arr
    is_next = destination is not None and now.plan.dep == destination and now.plan.dep != before.plan.dep
    goes_on = legs.bound_for is not None and now.plan.dep == legs.bound_for
    bound_for = destination if is_next or goes_on else None
    if bound_for == legs.bound_for:
        return now
    return _with_legs(now, msgspec.structs.replace(legs, bound_for=bound_for))


def _files_from_here(flight: Flight, airfields: Airfields) -> bool:
    """Tell whether the plan begins where the aircraft stands, or may: at an unlisted field."""
    if flight.report is None or flight.plan.dep is None or flight.plan.arr is None:
        return False
    departure = airfields.get(flight.plan.dep)
    if departure is not None:
        return is_at(flight.report, departure)
    return airfields.at(flight.report.latitude, flight.report.longitude) is None


def _is_bound_elsewhere(flight: Flight, report: Report, airfields: Airfields) -> bool:
    if _legs(flight).bound_for is not None:
        return True
    destination = airfields.get(flight.plan.arr)
    return destination is not None and not is_at(report, destination)
