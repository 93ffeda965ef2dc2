"""One connection of an invented pilot: one flight or several, as filed or not. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Literal, NamedTuple, get_args

from swim_server.detection.airfields import Airfield
from swim_server.detection.geodesy import bearing_deg, destination
from swim_server.sources.simulator.flight import Moment, Point
from swim_server.sources.simulator.itinerary import Itinerary, Manoeuvre, lay_out
from swim_server.sources.simulator.routes import Route

Course = Literal[
    "as filed", "turnaround", "diversion", "return", "stop-over", "changed in flight", "next leg filed early"
]
UNUSUAL_COURSES: tuple[Course, ...] = get_args(Course)[1:]
STAND_SECONDS = (300.0, 900.0)
"""Time at the gate between two flights, besides the time that each of them stands at its ends."""


class Hop(NamedTuple):
    """One flight from gate to gate."""

    begins_seconds: float
    """After the connection."""
    itinerary: Itinerary
    lands_at: Airfield
    is_diverted: bool


class Filing(NamedTuple):
    """A plan, and from when on it is filed."""

    at_seconds: float
    """After the connection; the first is filed from the beginning."""
    dep: Airfield
    arr: Airfield


class Journey:
    """What a connection does, from the first gate to the last."""

    def __init__(self, hops: Sequence[Hop], filings: Sequence[Filing]) -> None:
        self.hops = list(hops)
        self.filings = list(filings)

    @property
    def seconds(self) -> float:
        """How long it takes."""
        last = self.hops[-1]
        return last.begins_seconds + last.itinerary.flown.seconds

    def at(self, seconds: float) -> Moment:
        """Return the state at a time after the connection; between two flights, at the gate."""
        hop = next((hop for hop in reversed(self.hops) if hop.begins_seconds <= seconds), self.hops[0])
        return hop.itinerary.flown.at(seconds - hop.begins_seconds)


def lay_out_journey(
    course: Course, route: Route, other: Airfield, random: Random, manoeuvre: Manoeuvre = "none"
) -> Journey:
    """Lay out a connection. ``other``: the field that it diverts to or stops at. Raises DoesNotFit."""
    dep, arr, aircraft = route.dep, route.arr, route.aircraft
    match course:
        case "diversion":
            return Journey([Hop(0, lay_out(dep, other, aircraft, random), other, True)], [Filing(0, dep, arr)])
        case "return":
            bearing = bearing_deg(dep.latitude, dep.longitude, arr.latitude, arr.longitude)
            away_nm = max(aircraft.shortest_nm * 0.6, random.uniform(25, 60))
            via = destination(dep.latitude, dep.longitude, bearing, away_nm)
            return Journey([Hop(0, lay_out(dep, dep, aircraft, random, via=via), dep, True)], [Filing(0, dep, arr)])
        case "changed in flight":
            hop = Hop(0, lay_out(dep, arr, aircraft, random), arr, False)
            return Journey([hop], [Filing(0, dep, other), Filing(_on_the_way(hop, random), dep, arr)])
        case "stop-over":
            first = Hop(0, lay_out(dep, other, aircraft, random), other, True)
            return Journey([first, _next(first, arr, route, random)], [Filing(0, dep, arr)])
        case "turnaround" | "next leg filed early":
            first = Hop(0, lay_out(dep, arr, aircraft, random), arr, False)
            second = _next(first, dep, route, random)
            stands = first.itinerary.flown.seconds
            at_gate = random.uniform(stands + 30, max(stands + 31, second.begins_seconds - 30))
            filed = at_gate if course == "turnaround" else _on_the_way(first, random)
            return Journey([first, second], [Filing(0, dep, arr), Filing(filed, arr, dep)])
        case "as filed":
            return Journey([Hop(0, lay_out(dep, arr, aircraft, random, manoeuvre), arr, False)], [Filing(0, dep, arr)])


def _on_the_way(hop: Hop, random: Random) -> float:
    itinerary = hop.itinerary
    part = random.uniform(0.3, 0.9)
    return hop.begins_seconds + itinerary.off_seconds + part * (itinerary.on_seconds - itinerary.off_seconds)


def _next(before: Hop, arr: Airfield, route: Route, random: Random) -> Hop:
    """Lay out the flight after another one, from the gate where that ended."""
    flown = before.itinerary.flown
    end = flown.at(flown.seconds)
    gate: Point = end.latitude, end.longitude
    begins = before.begins_seconds + flown.seconds + random.uniform(*STAND_SECONDS)
    return Hop(begins, lay_out(before.lands_at, arr, route.aircraft, random, gate=gate), arr, False)
