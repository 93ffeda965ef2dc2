"""Lays out one flight from gate to gate: legs and track that match, and the true times of leaving the ground."""

from __future__ import annotations

from random import Random
from typing import Literal, NamedTuple

from swim_server.detection.airfields import Airfield
from swim_server.detection.geodesy import bearing_deg, destination, distance_nm
from swim_server.sources.simulator.flight import Flown, Leg, Point, Track, level_leg
from swim_server.sources.simulator.world import AircraftType

Manoeuvre = Literal["none", "rejected take-off", "go-around", "touch-and-go"]

GLIDE_FPM = 750
APPROACH_FT = 3_000
"""Height above the field at which the final approach begins."""
ROLL_OUT_KTS = 15
LOWEST_CRUISES = (1.0, 0.85, 0.7, 0.55, 0.42, 0.32, 0.24, 0.18, 0.13, 0.1)
"""Shares of the usual cruising altitude: short flights do not climb as high."""


class Itinerary(NamedTuple):
    """A flight that is laid out, and its true times."""

    flown: Flown
    off_seconds: float
    """When it finally leaves the ground, after the beginning."""
    on_seconds: float
    """When it finally touches the ground."""


class DoesNotFit(ValueError):
    """The two airfields are too close for an aircraft of that type."""


def lay_out(
    dep: Airfield,
    arr: Airfield,
    aircraft: AircraftType,
    random: Random,
    manoeuvre: Manoeuvre = "none",
    *,
    gate: Point | None = None,
    via: Point | None = None,
) -> Itinerary:
    """Lay out a flight. The same random numbers give the same flight. Raises DoesNotFit.

    ``gate``: where it begins; else somewhere beside the field. ``via``: a place that it passes.
    """
    if aircraft.is_rotorcraft:
        return _lay_out_rotorcraft(dep, arr, aircraft, random, via)
    return _Layout(dep, arr, aircraft, random, gate, via).build(manoeuvre)


def _lay_out_rotorcraft(
    dep: Airfield, arr: Airfield, aircraft: AircraftType, random: Random, via: Point | None
) -> Itinerary:
    low, lower = dep.elevation_ft, arr.elevation_ft
    cruise_ft, kts = max(low, lower) + aircraft.cruise_ft, aircraft.cruise_kts
    up_seconds = (cruise_ft - low - 120) / aircraft.climb_fpm * 60
    down_seconds = (cruise_ft - lower - 300) / aircraft.descent_fpm * 60
    before = [
        Leg(random.uniform(60, 240), 0, 0, low, low),
        Leg(20, 0, 0, low, low + 120),
        Leg(up_seconds, 0, kts, low + 120, cruise_ft),
    ]
    after = [
        Leg(down_seconds, kts, 35, cruise_ft, lower + 300),
        Leg(60, 35, 0, lower + 300, lower + 100),
        Leg(20, 0, 0, lower + 100, lower),
        Leg(random.uniform(90, 300), 0, 0, lower, lower),
    ]
    between = [] if via is None else [via]
    track = Track([(dep.latitude, dep.longitude), *between, (arr.latitude, arr.longitude)])
    flown = Flown(track, [*before, _fill(track.length_nm, [*before, *after], kts, cruise_ft), *after])
    return Itinerary(flown, flown.begins(1), flown.begins(7))


class _Layout:
    """Collects the legs and points of a flight."""

    def __init__(
        self,
        dep: Airfield,
        arr: Airfield,
        aircraft: AircraftType,
        random: Random,
        gate: Point | None,
        via: Point | None,
    ) -> None:
        self._from_gate = gate
        self._between = [] if via is None else [via]
        self._dep = dep
        self._arr = arr
        self._aircraft = aircraft
        self._random = random
        self._legs: list[Leg] = []
        self._points: list[Point] = []
        self._there: Point = (arr.latitude, arr.longitude)
        self._here: Point = (dep.latitude, dep.longitude)

    def build(self, manoeuvre: Manoeuvre) -> Itinerary:
        self._taxi_out()
        if manoeuvre == "rejected take-off":
            self._reject()
        off_leg = len(self._legs) + 1
        self._fly()
        if manoeuvre in ("go-around", "touch-and-go"):
            self._around(touches=manoeuvre == "touch-and-go")
        on_leg = len(self._legs)
        self._roll_out_and_taxi_in()
        flown = Flown(Track(self._points), self._legs)
        return Itinerary(flown, flown.begins(off_leg), flown.begins(on_leg))

    def _taxi_out(self) -> None:
        feet = self._dep.elevation_ft
        gate = self._from_gate or self._gate(self._here)
        kts = self._random.uniform(12, 24)
        self._points += [gate, self._here]
        self._legs += [
            Leg(self._random.uniform(60, 420), 0, 0, feet, feet),
            level_leg(distance_nm(*gate, *self._here), kts, feet),
            Leg(self._random.uniform(20, 90), 0, 0, feet, feet),
        ]

    def _reject(self) -> None:
        """Add a rejected take-off: roll, brake, taxi back to where the roll began."""
        feet, fast = self._dep.elevation_ft, self._aircraft.rotate_kts * 0.8
        roll = [Leg(fast / 4, 0, fast, feet, feet), Leg(fast / 5, fast, 10, feet, feet)]
        rolled = sum(leg.distance_nm for leg in roll)
        end = destination(*self._here, bearing_deg(*self._here, *self._there), rolled)
        self._points += [end, self._here]
        self._legs += [*roll, level_leg(rolled, 25, feet), Leg(60, 0, 0, feet, feet)]

    def _fly(self) -> None:
        """Add the flight: roll, climb, cruise as high as the distance allows, descend to the threshold."""
        way = [self._here, *self._between, self._there]
        distance = Track(way).length_nm
        for part in LOWEST_CRUISES:
            before, after, cruise_ft, cruise_kts = self._climb_and_descent(part)
            if sum(leg.distance_nm for leg in before + after) + self._roll_out().distance_nm < 0.95 * distance:
                break
        else:
            raise DoesNotFit(f"{self._dep.code} to {self._arr.code} is too short for {self._aircraft.designator}")
        cruise = _fill(distance, [*before, *after, self._roll_out()], cruise_kts, cruise_ft)
        self._legs += [*before, cruise, *after]
        self._points += way[1:]

    def _climb_and_descent(self, part: float) -> tuple[list[Leg], list[Leg], float, float]:
        aircraft, low, lower = self._aircraft, self._dep.elevation_ft, self._arr.elevation_ft
        floor = max(low, lower)
        cruise_ft = floor + max(1500.0, (aircraft.cruise_ft - floor) * part)
        cruise_kts = aircraft.rotate_kts + (aircraft.cruise_kts - aircraft.rotate_kts) * min(1.0, part + 0.25)
        rotate, approach = float(aircraft.rotate_kts), float(aircraft.approach_kts)
        final_ft = min(APPROACH_FT, cruise_ft - lower)
        first_ft = min(1500.0, cruise_ft - low)
        before = [
            Leg(rotate / 4, 0, rotate, low, low),
            Leg(first_ft / aircraft.climb_fpm * 60, rotate, rotate * 1.2, low, low + first_ft),
            Leg(
                (cruise_ft - low - first_ft) / aircraft.climb_fpm * 60,
                rotate * 1.2,
                cruise_kts,
                low + first_ft,
                cruise_ft,
            ),
        ]
        fast = min(cruise_kts, approach * 1.4)
        down_ft = cruise_ft - lower - final_ft
        after = [
            Leg(down_ft / aircraft.descent_fpm * 60, cruise_kts, fast, cruise_ft, lower + final_ft),
            Leg(final_ft / 2 / GLIDE_FPM * 60, fast, approach, lower + final_ft, lower + final_ft / 2),
            Leg(final_ft / 2 / GLIDE_FPM * 60, approach, approach, lower + final_ft / 2, lower),
        ]
        return before, after, cruise_ft, cruise_kts

    def _around(self, *, touches: bool) -> None:
        """Add a go-around or a touch-and-go, and another approach."""
        low, approach = self._arr.elevation_ft, float(self._aircraft.approach_kts)
        inbound = bearing_deg(*self._here, *self._there)
        ahead = destination(*self._there, inbound + 15, 6)
        abeam = destination(*ahead, inbound + 105, 5)
        behind = destination(*self._there, inbound + 180, 9)
        circuit = Track([self._there, ahead, abeam, behind, self._there])
        bottom = low if touches else low + 150
        if not touches:
            self._legs[-1] = self._legs[-1]._replace(to_ft=bottom)
        before = [Leg(16, approach, approach * 0.85, low, low)] if touches else []
        before += [
            Leg(60, before[-1].to_kts if before else approach, approach * 1.2, bottom, bottom + 1200),
            Leg(50, approach * 1.2, approach * 1.2, bottom + 1200, low + 2200),
        ]
        after = [Leg(2200 / GLIDE_FPM * 60, approach * 1.2, approach, low + 2200, low)]
        around = _fill(circuit.length_nm, [*before, *after, self._roll_out()], approach * 1.2, low + 2200)
        # The roll-out before the runway's middle was left out on the way in: it is added at the end.
        self._legs += [level_leg(self._roll_out().distance_nm, approach, bottom), *before, around, *after]
        self._points += [ahead, abeam, behind, self._there]

    def _roll_out(self) -> Leg:
        approach, feet = float(self._aircraft.approach_kts), self._arr.elevation_ft
        return Leg((approach - ROLL_OUT_KTS) / 3.5, approach, ROLL_OUT_KTS, feet, feet)

    def _roll_out_and_taxi_in(self) -> None:
        feet = self._arr.elevation_ft
        gate = self._gate(self._there)
        self._points.append(gate)
        self._legs += [
            self._roll_out(),
            level_leg(distance_nm(*self._there, *gate), ROLL_OUT_KTS, feet),
            Leg(self._random.uniform(60, 400), 0, 0, feet, feet),
        ]

    def _gate(self, field: Point) -> Point:
        return destination(*field, self._random.uniform(0, 360), self._random.uniform(0.3, 0.9))


def _fill(distance: float, others: list[Leg], kts: float, feet: float) -> Leg:
    """Return the level leg that fills the distance left by the other legs."""
    rest = distance - sum(leg.distance_nm for leg in others)
    if rest < 0:
        raise DoesNotFit(f"{distance:.0f} NM are too short")
    return level_leg(rest, kts, feet)
