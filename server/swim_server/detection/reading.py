"""Turns what the feed sent of one pilot into what is remembered of it: plan and report."""

from __future__ import annotations

from swim_server.detection.feed import FeedPilot, FeedPlan
from swim_server.detection.motion import is_jump, vertical_rate_fpm
from swim_server.detection.stage import NO_PLAN, Plan, Report

MAX_AERODROME = 8
MAX_EQUIPMENT = 40
MAX_ROUTE = 4_000
"""Longer texts are cut off: what is remembered of a flight stays small, whatever is sent."""


def read_plan(sent: FeedPlan | None) -> Plan:
    """Read a plan: codes upper-cased, what is empty None."""
    if sent is None:
        return NO_PLAN
    aircraft = _text(sent.aircraft_short, MAX_AERODROME)
    return Plan(
        _code(sent.departure),
        _code(sent.arrival),
        _text(sent.aircraft_faa, MAX_EQUIPMENT) or aircraft or _text(sent.aircraft, MAX_EQUIPMENT),
        _text(sent.route, MAX_ROUTE),
        None if aircraft is None else aircraft.upper(),
    )


def read_report(pilot: FeedPilot, at_ms: int, before: Report | None) -> Report | None:
    """Read a report; None when it has no position. ``before``: the same aircraft's last one."""
    if pilot.latitude is None or pilot.longitude is None:
        return None
    altitude = None if pilot.altitude is None else round(pilot.altitude)
    report = Report(
        at_ms,
        pilot.latitude,
        pilot.longitude,
        altitude,
        None if pilot.groundspeed is None else round(pilot.groundspeed),
        None if pilot.heading is None else round(pilot.heading) % 360,
        None if before is None else vertical_rate_fpm(before, at_ms, altitude),
    )
    if before is None or not report.vertical_rate_fpm or not is_jump(before, report):
        return report
    return Report(
        at_ms, report.latitude, report.longitude, altitude, report.groundspeed_kts, report.heading_deg, None
    )


def _code(text: str | None) -> str | None:
    code = _text(text, MAX_AERODROME)
    return None if code is None else code.upper()


def _text(text: str | None, limit: int) -> str | None:
    return (text.strip()[:limit] or None) if text else None
