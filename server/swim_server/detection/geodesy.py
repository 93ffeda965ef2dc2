"""Distances and positions on the globe, in nautical miles and degrees. A sphere is exact enough for all uses."""

from __future__ import annotations

from math import asin, atan2, cos, degrees, radians, sin, sqrt

EARTH_RADIUS_NM = 3440.065


def distance_nm(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the great-circle distance between two places (haversine: stable for small and large distances)."""
    phi, other_phi = radians(latitude), radians(other_latitude)
    sine_phi = sin((other_phi - phi) / 2)
    sine_lambda = sin(radians(other_longitude - longitude) / 2)
    chord = sine_phi * sine_phi + cos(phi) * cos(other_phi) * sine_lambda * sine_lambda
    return 2 * EARTH_RADIUS_NM * asin(min(1.0, sqrt(chord)))


def bearing_deg(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """Return the initial direction (0 <= degrees true < 360) of the great circle to the other place."""
    phi, other_phi = radians(latitude), radians(other_latitude)
    change = radians(other_longitude - longitude)
    east = sin(change) * cos(other_phi)
    north = cos(phi) * sin(other_phi) - sin(phi) * cos(other_phi) * cos(change)
    return degrees(atan2(east, north)) % 360


def destination(latitude: float, longitude: float, bearing: float, distance: float) -> tuple[float, float]:
    """Return the place ``distance`` NM away in direction ``bearing``; longitude in -180 .. 180."""
    phi, theta, angle = radians(latitude), radians(bearing), distance / EARTH_RADIUS_NM
    sine = sin(phi) * cos(angle) + cos(phi) * sin(angle) * cos(theta)
    there = asin(max(-1.0, min(1.0, sine)))
    change = atan2(sin(theta) * sin(angle) * cos(phi), cos(angle) - sin(phi) * sin(there))
    return degrees(there), (longitude + degrees(change) + 540) % 360 - 180
