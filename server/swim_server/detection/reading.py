"""Converts what the feed sent of a pilot into what is remembered: plan and report."""

from __future__ import annotations

from sys import intern

from swim_server.detection.feed import FeedPilot, FeedPlan
from swim_server.detection.motion import vertical_rate_fpm
from swim_server.detection.network_state import NO_PLAN, Plan, Report

MAX_AERODROME = 8
MAX_EQUIPMENT = 400
"""As filed, with all codes of item 10: recorded ones have up to 51 characters."""
MAX_ROUTE = 4_000
"""Longer texts are cut, so that what is remembered of a flight stays small."""


def read_plan(sent: FeedPlan | None) -> Plan:
    """Read a plan: codes in upper case, empty values None. Thousands of flights share some hundred codes."""
    if sent is None:
        return NO_PLAN
    aircraft = _text(sent.aircraft_short, MAX_AERODROME)
    return Plan(
        _code(sent.departure),
        _code(sent.arrival),
        _text(sent.aircraft_faa, MAX_EQUIPMENT) or aircraft or _text(sent.aircraft, MAX_EQUIPMENT),
        _text(sent.route, MAX_ROUTE),
        None if aircraft is None else intern(aircraft.upper()),
    )


def is_same_plan(sent: FeedPlan, plan: Plan) -> bool:
    """Tell quickly that a plan is the known one. False means unknown: it must be read."""
    return (
        sent.route == plan.route
        and sent.departure == plan.dep
        and sent.arrival == plan.arr
        and sent.aircraft_faa == plan.equipment
        and sent.aircraft_short == plan.aircraft
    )


def read_report(pilot: FeedPilot, at_ms: int, before: Report | None = None) -> Report | None:
    """Read a report; None if it has no position. Both degrees are 0 while a simulator is loading.

    ``before``: the report that it continues, if any; it gives the climb.
    """
    if pilot.latitude is None or pilot.longitude is None or pilot.latitude == 0 == pilot.longitude:
        return None
    altitude, speed, heading = pilot.altitude, pilot.groundspeed, pilot.heading
    altitude_ft = None if altitude is None else round(altitude)
    return Report(
        at_ms,
        pilot.latitude,
        pilot.longitude,
        altitude_ft,
        None if speed is None else round(speed),
        None if heading is None else round(heading) % 360,
        None if before is None else vertical_rate_fpm(before, at_ms, altitude_ft),
    )


def _code(text: str | None) -> str | None:
    code = _text(text, MAX_AERODROME)
    return None if code is None else intern(code.upper())


def _text(text: str | None, limit: int) -> str | None:
    return (text.strip()[:limit] or None) if text else None
