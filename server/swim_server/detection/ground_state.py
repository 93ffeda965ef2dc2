"""Judges whether an aircraft left or reached the ground. All rules of departures and arrivals are here.

A single report is believed if it is clear: high and fast, or low and slow. If it is doubtful (a taxi at 45 kt, a bump
in the scenery, a hover, a low pass) the state stays as it was until the next report agrees. Heights are above the place
where the aircraft itself stood, else above the field: listed elevations are wrong by up to a thousand feet (LRBV,
SEQM), an aircraft's own altitude on the ground is not.
"""

from __future__ import annotations

import msgspec

from swim_server.detection.airfields import Airfields
from swim_server.detection.ground_motion import (
    SLOW_KTS,
    STANDING_KTS,
    TAXI_KTS,
    begins_to_roll,
    climbs_or_sinks,
    creeps,
    is_level_or_unknown,
    rolls_out,
    slow_since_ms,
    slows_to_taxi,
    stands_still,
    taxies,
    was,
)
from swim_server.detection.motion import climb_ft, elapsed_seconds, is_level
from swim_server.detection.network_state import AIRBORNE, GROUND, GroundState, Plan, Report
from swim_server.detection.rotorcraft import is_rotorcraft

MAX_ELEVATION_ERROR_FT = 3_000
MAX_FIELD_FT = 16_000
"""No airfield is higher: what stands still above it is a paused simulator."""
MAX_PLATFORM_FT = 400
"""No helicopter deck at sea is higher."""

FAST_KTS = 190
"""Nothing rolls this fast for two reports."""
HOVER_KTS, HOVER_TAXI_KTS = 5, 15
"""A rotorcraft that descends vertically was not faster before."""
UNSEEN_SECONDS = 45
"""After this long without reports, the way it came down is unknown."""


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """What is known after a report."""

    ground_state: GroundState
    ground_ft: int | None
    departed_ms: int | None = None
    """The time of the first report that showed it airborne; set once, in the judgement that accepts it."""
    landed_ms: int | None = None
    """The time of the first report that showed it slow on the ground, anywhere."""


STILL_AIRBORNE = Judgement(AIRBORNE, None)
"""The result of most reports."""


def judge(
    ground_state: GroundState,
    ground_ft: int | None,
    before: Report | None,
    now: Report,
    plan: Plan,
    airfields: Airfields,
) -> Judgement:
    """Judge the newest report of an aircraft against its known state and the previous report.

    ``before`` is None for the first report, and for one that does not continue the previous one because the aircraft
    was moved to another place: what it is now says nothing about how it got there.
    """
    if before is None:
        judgement = first_judgement(None, now, plan, airfields)
        was_in_air = ground_state is AIRBORNE and judgement.ground_state is GroundState.UNKNOWN
        return Judgement(AIRBORNE, ground_ft) if was_in_air else judgement
    speed = now.groundspeed_kts
    if speed is not None:  # nearly all aircraft cruise or are parked: they are handled first
        if ground_state is AIRBORNE and speed > SLOW_KTS:
            return STILL_AIRBORNE
        is_unmoved = ground_state is GROUND and now.altitude_ft == before.altitude_ft == ground_ft
        if is_unmoved and speed <= TAXI_KTS and was(before, TAXI_KTS):
            return Judgement(GROUND, ground_ft)
    if ground_state is GROUND and ground_ft is not None:
        return _judge_on_ground(ground_ft, before, now, plan, airfields)
    if ground_state is AIRBORNE:
        return _judge_in_air(ground_ft, before, now, plan, airfields)
    return first_judgement(before, now, plan, airfields)


def first_judgement(before: Report | None, now: Report, plan: Plan, airfields: Airfields) -> Judgement:
    """Judge an aircraft without a known state: it gives no departure or arrival."""
    speed, altitude = now.groundspeed_kts, now.altitude_ft
    if speed is None or altitude is None:
        return Judgement(GroundState.UNKNOWN, None)
    if speed >= FAST_KTS:
        return Judgement(AIRBORNE, None)
    field = airfields.at(now.latitude, now.longitude, plan.arr, plan.dep)
    if field is None:
        return _first_judgement_off_field(before, now, plan)
    height = altitude - field.elevation_ft
    is_low = -300 <= height <= (60 if is_rotorcraft(plan.aircraft) else 150)
    hovers = is_rotorcraft(plan.aircraft) and height > 60 and not is_level_or_unknown(before, now)
    if hovers or climbs_or_sinks(before, now, 100):
        return Judgement(AIRBORNE, None)
    if abs(height) <= 40 or (is_low and speed <= SLOW_KTS) or stands_still(before, now):
        return Judgement(GROUND, altitude)
    if taxies(before, now, plan) and abs(height) <= MAX_ELEVATION_ERROR_FT:
        return Judgement(GROUND, altitude)
    if (height >= 120 and speed >= 100) or (height >= 300 and (speed >= 50 or climbs_or_sinks(before, now))):
        return Judgement(AIRBORNE, None)
    return Judgement(GroundState.UNKNOWN, None)


def _first_judgement_off_field(before: Report | None, now: Report, plan: Plan) -> Judgement:
    altitude, speed = now.altitude_ft, now.groundspeed_kts
    if altitude is None or speed is None:
        raise AssertionError("the caller has looked")
    is_down = stands_still(before, now) or taxies(before, now, plan) or begins_to_roll(before, now, plan)
    if altitude <= MAX_FIELD_FT and is_down:
        return Judgement(GROUND, altitude)
    is_rotary = is_rotorcraft(plan.aircraft)
    is_steady = speed >= 100 or is_rotary or was(before, SLOW_KTS, above=True)
    changes_height = climbs_or_sinks(before, now, above_kts=STANDING_KTS if is_rotary else TAXI_KTS)
    is_flying = (is_steady and speed > SLOW_KTS) or changes_height
    return Judgement(AIRBORNE if is_flying else GroundState.UNKNOWN, None)


def _judge_on_ground(ground_ft: int, before: Report, now: Report, plan: Plan, airfields: Airfields) -> Judgement:
    if now.altitude_ft is None or now.groundspeed_kts is None:
        return Judgement(GROUND, ground_ft)
    if _is_clearly_airborne(now, ground_ft) or _climbs_away(before, now, ground_ft):
        return Judgement(AIRBORNE, None, before.at_ms if _may_be_airborne(before, ground_ft) else now.at_ms)
    if _still_stands(ground_ft, before, now, plan, airfields):
        return Judgement(GROUND, now.altitude_ft)
    if now.groundspeed_kts > 60 and now.altitude_ft < ground_ft - 150:
        return Judgement(AIRBORNE, None)  # it descends at speed: what seemed to be the ground was not
    if _may_be_airborne(before, ground_ft) and _may_be_airborne(now, ground_ft):
        return Judgement(AIRBORNE, None, before.at_ms)
    return Judgement(GROUND, ground_ft)


def _is_clearly_airborne(report: Report, ground_ft: int) -> bool:
    if report.altitude_ft is None or report.groundspeed_kts is None:
        return False
    height, speed = report.altitude_ft - ground_ft, report.groundspeed_kts
    return (height >= 300 and speed >= 50) or (height >= 100 and speed >= 120)


def _climbs_away(before: Report, now: Report, ground_ft: int) -> bool:
    """Tell whether a slow aircraft climbs more steeply than any runway."""
    is_higher = now.altitude_ft is not None and now.altitude_ft - ground_ft >= 100
    climb = climb_ft(before, now)
    return is_higher and climb is not None and climb >= 80 and climbs_or_sinks(before, now)


def _may_be_airborne(report: Report, ground_ft: int) -> bool:
    if report.altitude_ft is None or report.groundspeed_kts is None:
        return False
    height, speed = report.altitude_ft - ground_ft, report.groundspeed_kts
    return (height >= 80 and speed >= 40) or height >= 150 or speed >= FAST_KTS


def _still_stands(ground_ft: int, before: Report, now: Report, plan: Plan, airfields: Airfields) -> bool:
    """Tell whether a slow aircraft is on the ground at the altitude that it now reports.

    The ground rises during a taxi; and a simulator that loads its scenery puts the aircraft first at sea level, then at
    the altitude of the field.
    """
    if not was(now, SLOW_KTS) or now.altitude_ft is None:
        return False
    is_another = abs(now.altitude_ft - ground_ft) >= 60
    field = airfields.at(now.latitude, now.longitude, plan.arr, plan.dep) if is_another else None
    if field is not None:
        height = now.altitude_ft - field.elevation_ft
        if abs(height) <= 60 or (height < 0 and now.altitude_ft < ground_ft):
            return True
    if is_rotorcraft(plan.aircraft):
        return abs(now.altitude_ft - ground_ft) < 60
    rise_ft = 15 + 2 * min(30.0, elapsed_seconds(before, now))
    return was(before, SLOW_KTS) and is_level(before, now, round(rise_ft))


def _judge_in_air(sunk_to_ft: int | None, before: Report, now: Report, plan: Plan, airfields: Airfields) -> Judgement:
    """Judge an airborne aircraft. ``sunk_to_ft``: the altitude to which a rotorcraft has descended vertically."""
    if now.altitude_ft is None or not was(now, SLOW_KTS):
        return STILL_AIRBORNE
    field = airfields.at(now.latitude, now.longitude, plan.arr, plan.dep)
    if field is not None:
        landed_ms = _landed_ms(now.altitude_ft - field.elevation_ft, before, now, plan)
    elif is_rotorcraft(plan.aircraft):
        landed_ms = _landed_on_platform_ms(sunk_to_ft, before, now)
        if landed_ms is None:
            return Judgement(AIRBORNE, _sunk_to_ft(sunk_to_ft, before, now))
    else:
        landed_ms = _landed_off_field_ms(before, now, plan)
    return STILL_AIRBORNE if landed_ms is None else Judgement(GROUND, now.altitude_ft, landed_ms=landed_ms)


def _landed_off_field_ms(before: Report, now: Report, plan: Plan) -> int | None:
    """Return since when an aeroplane has been on an unlisted strip, or on water."""
    if now.altitude_ft is None or now.altitude_ft > MAX_FIELD_FT:
        return None
    if taxies(before, now, plan) or rolls_out(before, now):
        return before.at_ms
    if creeps(before, now, plan):
        return slow_since_ms(before, now)
    return now.at_ms if slows_to_taxi(before, now) else None


def _landed_on_platform_ms(sunk_to_ft: int | None, before: Report, now: Report) -> int | None:
    """Return since when a rotorcraft has been on a platform or ship; higher up it might be hovering.

    Standing is no proof, as it may be paused: it has descended vertically before, which a paused one has not.
    """
    is_low = now.altitude_ft is not None and now.altitude_ft <= MAX_PLATFORM_FT
    return before.at_ms if is_low and sunk_to_ft is not None and stands_still(before, now) else None


def _sunk_to_ft(sunk_to_ft: int | None, before: Report, now: Report) -> int | None:
    """Return the altitude to which a rotorcraft has descended vertically; None if it moves."""
    change = climb_ft(before, now)
    if change is None or change > 5 or not was(now, HOVER_KTS):
        return None
    is_upright = was(before, HOVER_TAXI_KTS) or elapsed_seconds(before, now) >= UNSEEN_SECONDS
    return (now.altitude_ft if change < -5 else sunk_to_ft) if is_upright else None


def _landed_ms(height_ft: float, before: Report, now: Report, plan: Plan) -> int | None:
    """Return since when a slow aircraft has been on the ground; None: it isn't, or one report is not enough."""
    if is_rotorcraft(plan.aircraft):
        return _rotorcraft_landed_ms(height_ft, before, now)
    if was(now, TAXI_KTS) and -400 <= height_ft <= 120:
        return now.at_ms
    if not is_level(before, now, 40):
        return None
    if height_ft < -400 and was(before, SLOW_KTS):
        return before.at_ms  # nothing flies underground: its altitude is wrong, or the field's elevation
    if was(now, 40) and -400 <= height_ft <= 100 and was(before, 100):
        return slow_since_ms(before, now)
    if was(before, SLOW_KTS) and -400 <= height_ft <= 120:
        return before.at_ms
    if abs(height_ft) > MAX_ELEVATION_ERROR_FT:
        return None
    if taxies(before, now, plan):
        return before.at_ms
    return slow_since_ms(before, now) if creeps(before, now, plan) else None


def _rotorcraft_landed_ms(height_ft: float, before: Report, now: Report) -> int | None:
    if was(now, STANDING_KTS) and abs(height_ft) <= 20:
        return now.at_ms
    if not was(before, 15) or not was(now, 15):
        return None
    if is_level(before, now, 15) and abs(height_ft) <= 60:
        return before.at_ms
    if stands_still(before, now) and abs(height_ft) <= 400:
        return before.at_ms  # a pad on a roof or a hill beside the field
    return None
