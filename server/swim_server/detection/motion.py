"""What two reports of an aircraft say about its motion: climb, level flight, and impossible jumps."""

from __future__ import annotations

from swim_server.detection.geodesy import distance_nm
from swim_server.detection.network_state import Report

MAX_VERTICAL_RATE_FPM = 20_000
MIN_CLIMB_MS, MAX_CLIMB_MS = 1_000, 180_000
"""Over less time the rounding of altitudes dominates, over more the mean says nothing about the present."""

MIN_COVERED_SECONDS, MAX_COVERED_SECONDS = 8, 60
"""Over less time the reports' timestamps dominate, over more it may have gone there and back."""

STANDSTILL_KTS = 40
ACCELERATION_KTS_PER_SECOND = 4.0
"""More than airliners reach on a runway; fighters do, but rarely for long before a report shows them moving."""
STOOD_KTS = 10
JUMP_ACCELERATION_SECONDS, JUMP_SPEED_KTS = 40, 200
"""Standing, and this fast so soon after: a simulator that was paused in flight, or moved to another place."""
FLOWN_NM, FLOWN_NM_PER_KT_MS = 1.5, 1.25 / 3_600_000
LEAST_REACH_NM = 1.0
"""A shorter distance is never a jump."""


def elapsed_seconds(before: Report, now: Report) -> float:
    """Return by how much ``now`` is later; at least a millisecond."""
    return max(0.001, (now.at_ms - before.at_ms) / 1000)


def vertical_rate_fpm(before: Report, at_ms: int, altitude_ft: int | None) -> int | None:
    """Return the climb (negative: descent) since the previous report; None if it is unknown."""
    if before.altitude_ft is None or altitude_ft is None:
        return None
    milliseconds = at_ms - before.at_ms
    if not MIN_CLIMB_MS <= milliseconds <= MAX_CLIMB_MS:
        return None
    climb = altitude_ft - before.altitude_ft
    if not climb:
        return 0
    return max(-MAX_VERTICAL_RATE_FPM, min(MAX_VERTICAL_RATE_FPM, round(climb * 60_000 / milliseconds)))


def climb_ft(before: Report | None, now: Report) -> int | None:
    """Return by how much the altitude changed; None if either is missing."""
    if before is None or before.altitude_ft is None or now.altitude_ft is None:
        return None
    return now.altitude_ft - before.altitude_ft


def is_level(before: Report | None, now: Report, within_ft: int) -> bool:
    """Tell whether both altitudes are known and about the same."""
    change = climb_ft(before, now)
    return change is not None and abs(change) <= within_ft


def speed_between_kts(before: Report, now: Report) -> float | None:
    """Return the speed from one position to the other; None if the time between them is unsuitable."""
    seconds = elapsed_seconds(before, now)
    if not MIN_COVERED_SECONDS <= seconds <= MAX_COVERED_SECONDS:
        return None
    return distance_nm(before.latitude, before.longitude, now.latitude, now.longitude) * 3600 / seconds


def is_jump(before: Report, now: Report) -> bool:
    """Tell whether the aircraft was moved to another place, rather than having flown there."""
    # A degree is at most 60 NM: nearly all aircraft pass without trigonometry.
    at_most_nm = (abs(now.latitude - before.latitude) + abs(now.longitude - before.longitude)) * 60
    speed = before.groundspeed_kts
    if speed is not None and speed > STANDSTILL_KTS and now.groundspeed_kts is not None:
        if at_most_nm <= FLOWN_NM + FLOWN_NM_PER_KT_MS * speed * (now.at_ms - before.at_ms):  # it gets this far
            return False
    elif (now.groundspeed_kts or 0) >= JUMP_SPEED_KTS and _stood(before) and _is_soon(before, now):
        return True
    if at_most_nm <= LEAST_REACH_NM or at_most_nm <= (reach := _reach_nm(before, now)):
        return False
    return distance_nm(before.latitude, before.longitude, now.latitude, now.longitude) > reach


def _flown_nm(speed_kts: float, milliseconds: float) -> float:
    """Return how far a flying aircraft can have come, with some allowance for wind and late positions."""
    return FLOWN_NM + FLOWN_NM_PER_KT_MS * speed_kts * milliseconds


def _reach_nm(before: Report, now: Report) -> float:
    """Return how far it can have come, with some allowance for wind, speed changes and late positions."""
    seconds = elapsed_seconds(before, now)
    if before.groundspeed_kts is None or now.groundspeed_kts is None:
        return 1.5 + 700 * seconds / 3600
    if before.groundspeed_kts > STANDSTILL_KTS or now.groundspeed_kts <= STANDSTILL_KTS:
        fastest = max(before.groundspeed_kts, now.groundspeed_kts, STANDSTILL_KTS)
        return _flown_nm(fastest, seconds * 1000)
    accelerating = min(seconds, now.groundspeed_kts / ACCELERATION_KTS_PER_SECOND)
    at_full_speed = seconds - accelerating
    return LEAST_REACH_NM + 1.1 * now.groundspeed_kts * (accelerating / 2 + at_full_speed) / 3600


def _stood(report: Report) -> bool:
    return report.groundspeed_kts is not None and report.groundspeed_kts <= STOOD_KTS


def _is_soon(before: Report, now: Report) -> bool:
    return elapsed_seconds(before, now) <= JUMP_ACCELERATION_SECONDS
