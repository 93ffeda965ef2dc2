"""Chooses airline, airports and aircraft of a flight, and invents its flight plan. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import msgspec

from swim_server.detection.airfields import Airfield, Airfields
from swim_server.detection.feed import FeedPlan
from swim_server.detection.geodesy import distance_nm
from swim_server.sources.simulator.fixes import invent_letters, invent_route
from swim_server.sources.simulator.world import (
    AIRLINES,
    PRIVATE_AIRPORTS,
    TYPES,
    AircraftType,
    Airline,
    airport_codes,
)


class Route(NamedTuple):
    """The airline, airports and aircraft of a flight."""

    airline: Airline
    aircraft: AircraftType
    dep: Airfield
    arr: Airfield


class Routes:
    """Chooses airlines, airports and aircraft."""

    def __init__(self, airfields: Airfields, airlines: Sequence[Airline] = AIRLINES) -> None:
        known = ((code, airfields.get(code)) for code in airport_codes())
        self._airports = [msgspec.structs.replace(field, code=code) for code, field in known if field is not None]
        self._by_code = {field.code: field for field in self._airports}
        if len(self._airports) < len(airport_codes()) // 2:
            raise ValueError(f"of this world's airports only {len(self._airports)} are on record")
        self._airlines = airlines
        self._weights = [airline.weight for airline in airlines]
        self._distances_nm: dict[str, list[float]] = {}
        """Distances to each airport, by hub."""
        self._reachable: dict[tuple[str, str, bool], list[Airfield]] = {}
        """By hub, type and whether an airline flies: computed once for each."""

    def choose(self, random: Random) -> Route:
        """Choose an airline, one of its hubs and types, and another airport within reach."""
        while True:
            airline = random.choices(self._airlines, self._weights)[0]
            hub = self._by_code.get(random.choice(airline.hubs.split()))
            aircraft = TYPES[random.choice(airline.types.split())]
            others = [] if hub is None else self._within_reach(hub, aircraft, is_airline=bool(airline.code))
            if hub is not None and others:
                other = random.choice(others)
                ends = (hub, other) if random.random() < 0.5 else (other, hub)
                return Route(airline, aircraft, *ends)

    def choose_other(self, route: Route, random: Random) -> Airfield | None:
        """Choose a third airport within reach of both ends of a route; None if there is none."""
        aircraft, is_airline = route.aircraft, bool(route.airline.code)
        reach = [self._within_reach(end, aircraft, is_airline=is_airline) for end in (route.dep, route.arr)]
        beyond = {field.code for field in reach[1]} - {route.dep.code, route.arr.code}
        others = [field for field in reach[0] if field.code in beyond]
        return random.choice(others) if others else None

    def _within_reach(self, hub: Airfield, aircraft: AircraftType, *, is_airline: bool) -> list[Airfield]:
        key = (hub.code, aircraft.designator, is_airline)
        if key not in self._reachable:
            self._reachable[key] = [
                field
                for field, away in zip(self._airports, self._distances_from(hub), strict=True)
                if aircraft.shortest_nm <= away <= aircraft.longest_nm
                and not (is_airline and field.code in PRIVATE_AIRPORTS)
            ]
        return self._reachable[key]

    def _distances_from(self, hub: Airfield) -> list[float]:
        if hub.code not in self._distances_nm:
            self._distances_nm[hub.code] = [
                distance_nm(hub.latitude, hub.longitude, field.latitude, field.longitude) for field in self._airports
            ]
        return self._distances_nm[hub.code]


def invent_callsign(airline: Airline, serial: int, random: Random) -> str:
    """Invent a callsign in the airline's style, unique among current flights."""
    number = serial * 367 % 9000
    if not airline.code:
        return f"N{number % 900 + 100}{invent_letters(random)}"
    if airline.has_letters and random.random() < 0.7:
        return f"{airline.code}{number % 90 + 10}{invent_letters(random)}"
    return f"{airline.code}{number + 1}" if len(airline.code) == 3 else f"{airline.code}{number % 90 + 1}"


def file_plan(route: Route, random: Random) -> FeedPlan:
    """File the plan of a flight."""
    return FeedPlan(
        route.aircraft.faa,
        route.aircraft.faa,
        route.aircraft.designator,
        route.dep.code,
        route.arr.code,
        invent_route(random),
    )
