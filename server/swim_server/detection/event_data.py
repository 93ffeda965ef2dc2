"""The ``data`` of detected events, in the form of ``flight.*`` on the wire."""

from __future__ import annotations

from swim_server.detection.airfields import Airfields
from swim_server.detection.network_state import Flight, Plan, Report
from swim_server.detection.phases import phase_of
from swim_server.detection.regions import UNKNOWN, Regions
from swim_server.protocol.json_data import JsonObject
from swim_server.protocol.timestamps import format_ms

PLAN_FIELDS = ("dep", "arr", "equipment", "route")
POSITION_FIELDS = ("latitude", "longitude", "altitude_ft", "groundspeed_kts", "heading_deg")


def flight_data(flight: Flight, regions: Regions, airfields: Airfields) -> JsonObject:
    """Build the data of ``flight.created`` or, with ``changed``, of ``flight.updated``."""
    plan = {"equipment": flight.plan.equipment, "route": flight.plan.route}
    return {**_identity(flight), **plan, **_where(flight, regions), "phase": phase_of(flight, airfields)}


def moment_data(flight: Flight, regions: Regions, airfields: Airfields, **times_ms: int) -> JsonObject:
    """Build the data of ``flight.departed`` (``off_utc``), ``flight.arrived`` (``in_utc``), ``flight.deleted``."""
    times = {name: format_ms(moment) for name, moment in times_ms.items()}
    return {**_identity(flight), **times, **_where(flight, regions), "phase": phase_of(flight, airfields)}


def position_data(flight: Flight, report: Report, regions: Regions, phase: str | None) -> JsonObject:
    """Build one element of ``flight.positions``."""
    region = regions.locate(report.latitude, report.longitude)
    return {
        "callsign": flight.callsign,
        "flight_uid": flight.uid,
        "latitude": report.latitude,
        "longitude": report.longitude,
        "altitude_ft": report.altitude_ft,
        "groundspeed_kts": report.groundspeed_kts,
        "heading_deg": report.heading_deg,
        "vertical_rate_fpm": report.vertical_rate_fpm,
        "current_artcc": region.artcc,
        "current_fir": region.fir,
        "dep": flight.plan.dep,
        "arr": flight.plan.arr,
        "phase": phase,
    }


def plan_changes(before: Plan, now: Plan) -> list[str]:
    """Return the wire fields in which two plans differ."""
    return [name for name in PLAN_FIELDS if getattr(before, name) != getattr(now, name)]


def known_fields(report: Report) -> list[str]:
    """Return the wire fields that a report fills."""
    return [name for name in POSITION_FIELDS if getattr(report, name) is not None]


def _identity(flight: Flight) -> JsonObject:
    return {
        "callsign": flight.callsign,
        "flight_uid": flight.uid,
        "dep": flight.plan.dep,
        "arr": flight.plan.arr,
    }


def _where(flight: Flight, regions: Regions) -> JsonObject:
    """Return the last known position; all null for a prefile."""
    report = flight.report
    where: JsonObject = {name: None if report is None else getattr(report, name) for name in POSITION_FIELDS}
    region = UNKNOWN if report is None else regions.locate(report.latitude, report.longitude)
    airspace = {"current_artcc": region.artcc, "current_fir": region.fir, "current_sector": region.sector}
    return {**where, **airspace}
