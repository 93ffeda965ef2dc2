"""Traffic for the pages: aircraft that fly on great circles between airports and report at a fixed interval."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

Row = tuple[str, dict[str, Any]]
"""Type and data of an event."""

AIRPORTS: Mapping[str, tuple[float, float]] = {
    "EGLL": (51.47, -0.45), "EDDF": (50.03, 8.57), "LFPG": (49.01, 2.55), "LEMD": (40.47, -3.56),
    "ESSA": (59.65, 17.92), "LTFM": (41.28, 28.75), "OMDB": (25.25, 55.36), "VIDP": (28.57, 77.10),
    "WSSS": (1.36, 103.99), "RJTT": (35.55, 139.78), "YSSY": (-33.95, 151.18), "KJFK": (40.64, -73.78),
    "KATL": (33.64, -84.43), "KORD": (41.98, -87.90), "KDEN": (39.86, -104.67), "KLAX": (33.94, -118.41),
    "KSFO": (37.62, -122.37), "CYYZ": (43.68, -79.63), "SBGR": (-23.43, -46.47), "FAOR": (-26.13, 28.24),
}  # fmt: skip
AIRLINES = ("BAW", "DLH", "AFR", "UAL", "DAL", "AAL", "SAS", "QFA", "UAE", "THY")
BATCH = 280
NM_A_RADIAN = 3437.75


class MapTraffic:
    """So many flights, always; each that arrives makes room for a new one. The same seed gives the same traffic."""

    def __init__(self, flights: int, seed: int = 1) -> None:
        self._dice = random.Random(seed)
        self._number = 0
        self.flights = [self._new(self._dice.random()) for _ in range(flights)]

    def begin(self) -> list[Row]:
        """Return the events that tell of all of them."""
        return [("flight.created", _report(flight)) for flight in self.flights]

    def report(self, seconds: float) -> list[Row]:
        """Let so much time pass; return the events of one report: arrivals, new flights, positions of all."""
        events: list[Row] = []
        for index, flight in enumerate(self.flights):
            flight["done"] += flight["knots"] * seconds / 3600 / flight["miles"]
            if flight["done"] >= 1:
                events.append(("flight.arrived", {**_report(flight), "in_utc": "2026-01-16T14:30:00Z"}))
                events.append(
                    ("flight.deleted", {name: flight[name] for name in ("flight_uid", "callsign", "dep", "arr")})
                )
                self.flights[index] = self._new(0.0)
                events.append(("flight.created", _report(self.flights[index])))
        rows = [_position(flight) for flight in self.flights]
        for begin in range(0, len(rows), BATCH):
            batch = rows[begin : begin + BATCH]
            events.append(("flight.positions", {"count": len(batch), "positions": batch}))
        return events

    def _new(self, done: float) -> dict[str, Any]:
        self._number += 1
        dep, arr = self._dice.sample(list(AIRPORTS), 2)
        return {
            "flight_uid": 10**9 + self._number, "callsign": f"{self._dice.choice(AIRLINES)}{self._number}",
            "dep": dep, "arr": arr, "done": done, "knots": self._dice.randint(380, 520),
            "level": self._dice.randrange(290, 410, 10) * 100, "miles": max(50.0, _miles(AIRPORTS[dep], AIRPORTS[arr])),
        }  # fmt: skip


def _position(flight: Mapping[str, Any]) -> dict[str, Any]:
    (lat1, lon1), (lat2, lon2) = AIRPORTS[flight["dep"]], AIRPORTS[flight["arr"]]
    latitude, longitude = _between(lat1, lon1, lat2, lon2, flight["done"])
    next_latitude, next_longitude = _between(lat1, lon1, lat2, lon2, flight["done"] + 0.001)
    east = (((next_longitude - longitude) + 540) % 360 - 180) * math.cos(math.radians(latitude))
    from_end = min(flight["done"], 1 - flight["done"]) * flight["miles"]
    share = min(1.0, from_end / 120)
    return {
        "callsign": flight["callsign"], "flight_uid": flight["flight_uid"], "latitude": round(latitude, 5),
        "longitude": round(longitude, 5), "altitude_ft": round(flight["level"] * share),
        "groundspeed_kts": round(flight["knots"] * (0.4 + 0.6 * share)),
        "heading_deg": round(math.degrees(math.atan2(east, next_latitude - latitude))) % 360,
        "vertical_rate_fpm": 0, "current_artcc": None, "dep": flight["dep"], "arr": flight["arr"],
    }  # fmt: skip


def _report(flight: Mapping[str, Any]) -> dict[str, Any]:
    return {**_position(flight), "phase": "ENROUTE", "equipment": "B77W", "route": "DCT WHALE N291A JOOPY DCT LIMRI"}


def _miles(one: tuple[float, float], other: tuple[float, float]) -> float:
    return _angle(*one, *other) * NM_A_RADIAN


def _angle(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    a, b, c = math.radians(lat1), math.radians(lat2), math.radians(lon2 - lon1)
    return math.acos(max(-1.0, min(1.0, math.sin(a) * math.sin(b) + math.cos(a) * math.cos(b) * math.cos(c))))


def _between(lat1: float, lon1: float, lat2: float, lon2: float, part: float) -> tuple[float, float]:
    """Return the place at a part of the great circle."""
    angle = _angle(lat1, lon1, lat2, lon2)
    if angle == 0:
        return lat1, lon1
    first, second = math.sin((1 - part) * angle) / math.sin(angle), math.sin(part * angle) / math.sin(angle)
    a, b, c, d = (math.radians(each) for each in (lat1, lon1, lat2, lon2))
    x = first * math.cos(a) * math.cos(b) + second * math.cos(c) * math.cos(d)
    y = first * math.cos(a) * math.sin(b) + second * math.cos(c) * math.sin(d)
    z = first * math.sin(a) + second * math.sin(c)
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))
