"""The phase of a flight, by the names known from the earlier service. Pure."""

from __future__ import annotations

from swim_server.detection.airfields import Airfields
from swim_server.detection.geodesy import distance_nm
from swim_server.detection.network_state import AIRBORNE, GROUND, Flight, GroundState, Plan, Report

PREFLIGHT = "PREFLIGHT"
"""Filed, or at the gate before take-off."""
DEPARTING = "DEPARTING"
"""Taxiing to the runway, taking off, or still low near the departure."""
CLIMBING = "CLIMBING"
ENROUTE = "ENROUTE"
DESCENDING = "DESCENDING"
APPROACH = "APPROACH"
"""Low near the destination."""
LANDED = "LANDED"
"""On the ground after a flight, taxiing to the gate, at the destination or elsewhere."""
ARRIVED = "ARRIVED"
"""Standing after a flight."""

STANDING_KTS = 3
LEVEL_FPM = 400
DEPARTING_NM, DEPARTING_FT = 5.0, 3_000
APPROACH_NM, APPROACH_FT = 20.0, 6_000
HIGHEST_FT = 22_000
"""Above any approach, so that no airfield need be considered."""


def phase_of(flight: Flight, airfields: Airfields) -> str | None:
    """Return the phase of a flight as last seen; None while it is unknown whether it flies."""
    if not flight.is_connected:
        return PREFLIGHT
    if flight.report is None:
        return None
    return phase_at(flight.report, flight.ground_state, flight.plan, airfields, has_arrived=flight.has_arrived)


def phase_at(
    report: Report, ground_state: GroundState, plan: Plan, airfields: Airfields, *, has_arrived: bool
) -> str | None:
    """Return the phase that a report shows."""
    if ground_state is AIRBORNE:
        rate, altitude = report.vertical_rate_fpm or 0, report.altitude_ft
        if altitude is not None and altitude < HIGHEST_FT:
            return phase_in_air(report.latitude, report.longitude, altitude, rate, plan, airfields)
        return _phase_by_climb(rate)
    return phase_on_ground(report.groundspeed_kts, has_arrived) if ground_state is GROUND else None


def phase_on_ground(speed_kts: int | None, has_arrived: bool) -> str:
    """Return the phase of an aircraft that stands or rolls."""
    is_standing = speed_kts is None or speed_kts <= STANDING_KTS
    if has_arrived:
        return ARRIVED if is_standing else LANDED
    return PREFLIGHT if is_standing else DEPARTING


def phase_in_air(
    latitude: float, longitude: float, altitude_ft: int | None, rate_fpm: int, plan: Plan, airfields: Airfields
) -> str:
    """Return the phase of an airborne aircraft."""
    if altitude_ft is not None and altitude_ft < HIGHEST_FT:
        place = latitude, longitude, altitude_ft
        if rate_fpm < LEVEL_FPM and _is_low_beside(plan.arr, airfields, *place, APPROACH_NM, APPROACH_FT):
            return APPROACH
        if rate_fpm > -LEVEL_FPM and _is_low_beside(plan.dep, airfields, *place, DEPARTING_NM, DEPARTING_FT):
            return DEPARTING
    return _phase_by_climb(rate_fpm)


def _phase_by_climb(rate_fpm: int) -> str:
    if rate_fpm >= LEVEL_FPM:
        return CLIMBING
    return DESCENDING if rate_fpm <= -LEVEL_FPM else ENROUTE


def _is_low_beside(
    code: str | None,
    airfields: Airfields,
    latitude: float,
    longitude: float,
    altitude_ft: int,
    within_nm: float,
    below_ft: int,
) -> bool:
    field = airfields.get(code)
    if field is None or altitude_ft - field.elevation_ft > below_ft:
        return False
    if abs(latitude - field.latitude) * 60 > within_nm:
        return False
    return distance_nm(latitude, longitude, field.latitude, field.longitude) <= within_nm
