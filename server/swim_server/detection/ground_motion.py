"""What one or two reports of an aircraft say about its motion on and near the ground. Pure."""

from __future__ import annotations

from swim_server.detection.motion import climb_ft, is_level, speed_between_kts
from swim_server.detection.network_state import Plan, Report
from swim_server.detection.rotorcraft import is_rotorcraft

SLOW_KTS = 55
"""An aeroplane on the ground is rarely faster except when taking off or landing; in the air never for long."""
TAXI_KTS = 30
STANDING_KTS = 3
SLOWEST_KTS, ROLLING_KTS = 20, 40
"""No aeroplane flies this slowly against usual winds; hardly one flies this slowly at all."""
MISREPORTED_KTS = 65
"""Slowly rolling aircraft were seen to report up to this speed for minutes."""


def was(report: Report | None, speed_kts: int, *, above: bool = False) -> bool:
    """Tell whether a report shows at most this speed (``above``: more than it); an unknown speed is neither."""
    if report is None or report.groundspeed_kts is None:
        return False
    return (report.groundspeed_kts > speed_kts) is above


def taxies(before: Report | None, now: Report, plan: Plan) -> bool:
    """Tell whether an aeroplane moves as on the ground, whatever its height above the listed elevation.

    Two level reports at taxi speed. Standing is no proof: a simulator paused in flight stands too.
    """
    at_taxi_speed = all(was(report, TAXI_KTS) and was(report, STANDING_KTS, above=True) for report in (before, now))
    return at_taxi_speed and is_level(before, now, 20) and not is_rotorcraft(plan.aircraft)


def creeps(before: Report, now: Report, plan: Plan) -> bool:
    """Tell whether an aeroplane has rolled slowly, whatever speed it reports: level, straight, and not far.

    A circling one does not get far either, but turns; one whose position stands still may be paused.
    """
    if is_rotorcraft(plan.aircraft) or not is_level(before, now, 5):
        return False
    if not all(was(report, MISREPORTED_KTS) and was(report, STANDING_KTS, above=True) for report in (before, now)):
        return False
    if before.heading_deg is None or now.heading_deg is None:
        return False
    turned_deg = abs((now.heading_deg - before.heading_deg + 180) % 360 - 180)
    covered_kts = speed_between_kts(before, now)
    return turned_deg <= 20 and covered_kts is not None and 4 <= covered_kts <= TAXI_KTS


def slows_to_taxi(before: Report, now: Report) -> bool:
    """Tell whether an aeroplane that was already slow and level is now slower than any flies."""
    was_slow = was(before, MISREPORTED_KTS) and was(before, STANDING_KTS, above=True)
    return was_slow and was(now, SLOWEST_KTS) and was(now, STANDING_KTS, above=True) and is_level(before, now, 20)


def begins_to_roll(before: Report | None, now: Report, plan: Plan) -> bool:
    """Tell whether an aeroplane that stood moves at the same altitude, slower than one that flies after a pause."""
    is_slow = was(now, ROLLING_KTS) and was(now, STANDING_KTS, above=True)
    return is_slow and was(before, STANDING_KTS) and is_level(before, now, 5) and not is_rotorcraft(plan.aircraft)


def rolls_out(before: Report, now: Report) -> bool:
    """Tell whether an aeroplane stopped, level, from a speed at which few fly: not a paused simulator."""
    is_slow = was(before, SLOW_KTS) and was(before, STANDING_KTS, above=True)
    return is_slow and was(now, STANDING_KTS) and is_level(before, now, 10)


def climbs_or_sinks(before: Report | None, now: Report, by_ft: int = 30, above_kts: int = TAXI_KTS) -> bool:
    """Tell whether an aircraft faster than a taxi changes its altitude more than terrain would."""
    change = climb_ft(before, now)
    is_fast = was(before, above_kts, above=True) and was(now, above_kts, above=True)
    return change is not None and abs(change) > by_ft and is_fast


def is_level_or_unknown(before: Report | None, now: Report) -> bool:
    """Tell whether nothing contradicts level motion."""
    change = climb_ft(before, now)
    return change is None or abs(change) <= 30


def stands_still(before: Report | None, now: Report) -> bool:
    """Tell whether both reports show it standing at one altitude."""
    return was(before, STANDING_KTS) and was(now, STANDING_KTS) and is_level(before, now, 5)


def slow_since_ms(before: Report, now: Report) -> int:
    """Return the time of the first of both reports that shows it slow."""
    return before.at_ms if was(before, SLOW_KTS) else now.at_ms
