"""An invented flight as a function of time: legs of constant acceleration and climb along great circles. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from swim_server.detection.geodesy import bearing_deg, destination, distance_nm

Point = tuple[float, float]
"""Latitude, longitude."""


class Leg(NamedTuple):
    """A period in which speed and altitude change evenly."""

    seconds: float
    from_kts: float
    to_kts: float
    from_ft: float
    to_ft: float

    @property
    def distance_nm(self) -> float:
        """The distance that it covers."""
        return (self.from_kts + self.to_kts) / 2 * self.seconds / 3600


class Moment(NamedTuple):
    """Position and motion of the aircraft at one moment."""

    latitude: float
    longitude: float
    altitude_ft: int
    groundspeed_kts: int
    heading_deg: int


class Track:
    """A path over the globe."""

    def __init__(self, points: Sequence[Point]) -> None:
        self._points = list(points)
        lengths = [distance_nm(*one, *other) for one, other in pairwise(points)]
        self._starts = [0.0, *accumulate(lengths)]
        self._bearings = [bearing_deg(*one, *other) for one, other in pairwise(points)]

    @property
    def length_nm(self) -> float:
        """The length along the path."""
        return self._starts[-1]

    def at(self, distance: float) -> tuple[float, float, float]:
        """Return position and direction after a distance in NM; beyond the ends, those at the end."""
        distance = max(0.0, min(distance, self.length_nm))
        number = min(bisect_right(self._starts, distance), len(self._points) - 1) - 1
        began, target = self._points[number], self._points[number + 1]
        walked = distance - self._starts[number]
        here = destination(*began, self._bearings[number], walked)
        is_far = self._starts[number + 1] - distance > 0.5
        return *here, bearing_deg(*here, *target) if is_far else self._final_bearing(number)

    def _final_bearing(self, number: int) -> float:
        return (bearing_deg(*self._points[number + 1], *self._points[number]) + 180) % 360


class Flown:
    """Legs along a track."""

    def __init__(self, track: Track, legs: Sequence[Leg]) -> None:
        self._track = track
        self._legs = list(legs)
        self._begins = [0.0, *accumulate(leg.seconds for leg in legs)]
        self._distances = [0.0, *accumulate(leg.distance_nm for leg in legs)]

    @property
    def seconds(self) -> float:
        """Return the time from standing at one gate to standing at the other."""
        return self._begins[-1]

    @property
    def distance_nm(self) -> float:
        """Return the length of the legs, which must equal that of the track, or the flight ends beside its gate."""
        return self._distances[-1]

    def at(self, seconds: float) -> Moment:
        """Return the state at a time after the beginning; before it and after the end, standing there."""
        seconds = max(0.0, min(seconds, self.seconds))
        number = min(bisect_right(self._begins, seconds), len(self._legs)) - 1
        leg, spent = self._legs[number], seconds - self._begins[number]
        part = spent / leg.seconds if leg.seconds > 0 else 1.0
        speed = leg.from_kts + (leg.to_kts - leg.from_kts) * part
        walked = self._distances[number] + (leg.from_kts + speed) / 2 * spent / 3600
        latitude, longitude, heading = self._track.at(walked)
        altitude = leg.from_ft + (leg.to_ft - leg.from_ft) * part
        return Moment(round(latitude, 5), round(longitude, 5), round(altitude), round(speed), round(heading) % 360)

    def begins(self, number: int) -> float:
        """Return the second at which a leg begins."""
        return self._begins[number]


def level_leg(distance: float, kts: float, feet: float) -> Leg:
    """Cover a distance at constant speed and altitude."""
    return Leg(max(0.0, distance) / kts * 3600, kts, kts, feet, feet)
