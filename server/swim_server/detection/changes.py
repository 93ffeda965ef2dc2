"""What is new about a flight in a snapshot: nothing, its position, its plan."""

from __future__ import annotations

from swim_server.detection.feed import FeedPilot, FeedPlan
from swim_server.detection.network_state import GROUND, NO_PLAN, Flight, Plan, Report
from swim_server.detection.reading import is_same_plan, read_plan


def goes_on(flight: Flight, pilot: FeedPilot, sent: FeedPlan | None) -> bool:
    """Tell whether at most the position is new, which is true for nearly all flights and so checked first."""
    return (
        flight.report is not None
        and flight.is_connected
        and not flight.absences
        and not flight.plan_absences
        and pilot.logon_time == flight.logon
        and (
            flight.plan == NO_PLAN
            if sent is None
            else is_same_plan(sent, flight.plan) or read_plan(sent) == flight.plan
        )
    )


def plan_now(flight: Flight, sent: FeedPlan | None) -> tuple[Plan, int]:
    """Keep a plan that is missing from one snapshot; missing from two in a row, it was withdrawn."""
    if sent is not None and is_same_plan(sent, flight.plan):
        return flight.plan, 0
    plan = read_plan(sent)
    if plan == flight.plan:
        return flight.plan, 0
    if plan != NO_PLAN or flight.plan == NO_PLAN or flight.plan_absences:
        return plan, 0
    return flight.plan, 1


def is_elsewhere(announced: Report | None, report: Report) -> bool:
    """Tell whether a report differs from the last published one in a field of a position."""
    return announced is None or not (
        announced.latitude == report.latitude
        and announced.longitude == report.longitude
        and announced.altitude_ft == report.altitude_ft
        and announced.groundspeed_kts == report.groundspeed_kts
        and announced.heading_deg == report.heading_deg
    )


def is_parked(flight: Flight, before: Report, report: Report) -> bool:
    """Tell whether an aircraft stands where it stood before its first flight: only the time is new."""
    return (
        flight.ground_state is GROUND
        and report.latitude == before.latitude
        and report.longitude == before.longitude
        and report.groundspeed_kts == 0 == before.groundspeed_kts
        and report.altitude_ft == before.altitude_ft == flight.ground_ft
        and not flight.arrivals
        and not is_elsewhere(flight.announced, report)
    )
