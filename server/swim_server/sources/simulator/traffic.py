"""Simulated traffic: flights are filed, connect, fly and disconnect, endlessly. Pure: one seed, one traffic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Literal, NamedTuple

import msgspec

from swim_server.detection.airfields import Airfield, Airfields
from swim_server.detection.feed import FeedPilot, FeedPlan, FeedPrefile, Snapshot
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.simulator.fixes import invent_route
from swim_server.sources.simulator.itinerary import DoesNotFit, Manoeuvre
from swim_server.sources.simulator.journey import UNUSUAL_COURSES, Course, Filing, lay_out_journey
from swim_server.sources.simulator.routes import Route, Routes, file_plan, invent_callsign
from swim_server.sources.simulator.world import AIRLINES, Airline

MANOEUVRES: tuple[Manoeuvre, ...] = ("rejected take-off", "go-around", "go-around", "touch-and-go")
REPORT_EVERY_MS = 15_000
"""Aircraft report at different times, so a snapshot is up to this old for each."""


class TrueEvent(NamedTuple):
    """What really happened, for comparison with the detection."""

    kind: Literal["created", "updated", "departed", "arrived", "deleted"]
    cid: int
    callsign: str
    at_ms: int


class Landing(NamedTuple):
    """One flight of a connection: when it really left and reached the ground, and where."""

    off_ms: int
    on_ms: int
    at: Airfield
    is_diverted: bool


class SimulatedFlight:
    """One connection from beginning to end: filed, connected, flown, gone. Most of them fly once."""

    def __init__(
        self,
        serial: int,
        begins_ms: int,
        route: Route,
        random: Random,
        manoeuvre: Manoeuvre,
        course: Course = "as filed",
        other: Airfield | None = None,
    ) -> None:
        """Lay out a flight. ``other``: the third airfield that some courses need. Raises DoesNotFit."""
        journey = lay_out_journey(course, route, other or route.arr, random, manoeuvre)
        prefile_minutes = random.uniform(4, 18) if random.random() < 0.45 else 0
        self.serial = serial
        self.cid = 1_000_000 + serial * 7919 % 900_000
        self.callsign = invent_callsign(route.airline, serial, random)
        self.dep = route.dep
        self.arr = route.arr
        self.aircraft = route.aircraft
        self.manoeuvre = manoeuvre
        self.course = course
        self.begins_ms = begins_ms
        """When it is first seen, as prefile or as pilot."""
        self.is_withdrawn = prefile_minutes > 0 and random.random() < 0.04
        """Filed, and never flown."""
        self.connects_ms = begins_ms + round(prefile_minutes * 60_000)
        self.ends_ms = self.connects_ms + (0 if self.is_withdrawn else round(journey.seconds * 1000))
        self._journey = journey
        self._plan = _filed(file_plan(route, random), journey.filings[0])
        self._edit_ms, self._edited = self._edit(random)

    def _edit(self, random: Random) -> tuple[int, FeedPlan]:
        """Choose when the route is edited, if at all: before connecting, or in the first hour of the flight."""
        edited = msgspec.structs.replace(self._plan, route=invent_route(random))
        if random.random() < 0.3 and self.connects_ms > self.begins_ms:
            return random.randint(self.begins_ms, self.connects_ms), edited
        if random.random() < 0.1:
            return random.randint(self.connects_ms, min(self.ends_ms, self.connects_ms + 3_600_000)), edited
        return self.ends_ms + 1, edited

    def shift(self, by_ms: int) -> None:
        """Move everything earlier or later, with the same result as another beginning."""
        self.begins_ms += by_ms
        self.connects_ms += by_ms
        self.ends_ms += by_ms
        self._edit_ms += by_ms

    @property
    def plan(self) -> FeedPlan:
        """The plan as first filed."""
        return self._plan

    def plan_at(self, at_ms: int) -> FeedPlan:
        """Return the plan at a moment."""
        plan = self._edited if at_ms >= self._edit_ms else self._plan
        filings = self._journey.filings
        if len(filings) == 1:
            return plan
        latest = next(
            (filing for filing in reversed(filings) if self._moment_ms(filing.at_seconds) <= at_ms), filings[0]
        )
        return plan if latest is filings[0] else _filed(plan, latest)

    @property
    def landings(self) -> list[Landing]:
        """Each flight of the connection; none if it was withdrawn."""
        if self.is_withdrawn:
            return []
        return [
            Landing(
                self._moment_ms(hop.begins_seconds + hop.itinerary.off_seconds),
                self._moment_ms(hop.begins_seconds + hop.itinerary.on_seconds),
                hop.lands_at,
                hop.is_diverted,
            )
            for hop in self._journey.hops
        ]

    @property
    def off_ms(self) -> int:
        """When it would first leave the ground."""
        return self._moment_ms(self._journey.hops[0].itinerary.off_seconds)

    @property
    def on_ms(self) -> int:
        """When it would first reach the ground."""
        return self._moment_ms(self._journey.hops[0].itinerary.on_seconds)

    def _moment_ms(self, seconds: float) -> int:
        return self.connects_ms + round(seconds * 1000)

    def prefile(self, at_ms: int) -> FeedPrefile | None:
        """Return the snapshot's entry while the pilot isn't connected."""
        if not self.begins_ms <= at_ms < self.connects_ms:
            return None
        filed_ms = self._edit_ms if at_ms >= self._edit_ms else self.begins_ms
        return FeedPrefile(self.cid, self.callsign, self.plan_at(at_ms), format_ms(filed_ms))

    def pilot(self, at_ms: int) -> FeedPilot | None:
        """Return the snapshot's entry while the pilot is connected, with a report some seconds old."""
        if not self.connects_ms <= at_ms < self.ends_ms:
            return None
        reported_ms = max(self.connects_ms, at_ms - (at_ms + self.cid) % REPORT_EVERY_MS)
        moment = self._journey.at((reported_ms - self.connects_ms) / 1000)
        return FeedPilot(
            self.cid,
            self.callsign,
            moment.latitude,
            moment.longitude,
            moment.altitude_ft,
            moment.groundspeed_kts,
            moment.heading_deg,
            self.plan_at(at_ms),
            format_ms(self.connects_ms),
            format_ms(reported_ms),
        )

    def truth(self) -> Iterator[TrueEvent]:
        """Yield what really happened, in order."""
        yield TrueEvent("created", self.cid, self.callsign, self.begins_ms)
        for landing in self.landings:
            yield TrueEvent("departed", self.cid, self.callsign, landing.off_ms)
            yield TrueEvent("arrived", self.cid, self.callsign, landing.on_ms)
        yield TrueEvent("deleted", self.cid, self.callsign, self.ends_ms)


def _filed(plan: FeedPlan, filing: Filing) -> FeedPlan:
    return msgspec.structs.replace(plan, departure=filing.dep.code, arrival=filing.arr.code)


class TrafficState(msgspec.Struct, frozen=True):
    """What must be saved to continue the traffic: flights are rebuilt from their serial numbers."""

    next_serial: int
    flights: list[tuple[int, int]]
    """Serial number and beginning."""


class Traffic:
    """A constant number of flights: when one ends, another begins."""

    def __init__(
        self,
        airfields: Airfields,
        *,
        seed: int,
        manoeuvres: float = 0.02,
        unusual: float = 0.05,
        airlines: Sequence[Airline] = AIRLINES,
    ) -> None:
        """Invent traffic.

        ``manoeuvres``: the share of flights that reject a take-off, go around, or touch and go. ``unusual``: the share
        of connections that don't end at the destination filed first: turnarounds, diversions, returns, stop-overs.
        """
        self._unusual = unusual
        self._seed = seed
        self._manoeuvres = manoeuvres
        self._routes = Routes(airfields, airlines)
        self._next_serial = 1
        self.flights: list[SimulatedFlight] = []
        """The current flights, including prefiles."""

    def begin(self, flights: int, now_ms: int, soon_ms: int = 0) -> None:
        """Begin with flights in all phases; a few of them take off, and a few land, within the next ``soon_ms``."""
        few = max(1, min(4, flights // 40)) if soon_ms else 0
        for number in range(flights):
            random = Random(f"{self._seed}:{self._next_serial}:begin")
            flight = self._make(now_ms)
            shift_ms = round(random.random() * (flight.ends_ms - flight.begins_ms))
            if number < 2 * few and not flight.is_withdrawn:
                mark_ms = flight.off_ms if number < few else flight.on_ms
                shift_ms = mark_ms - now_ms - round(soon_ms * random.uniform(0.1, 0.5))
            flight.shift(-max(0, shift_ms))
            self.flights.append(flight)

    def advance(self, now_ms: int) -> None:
        """End flights and begin others."""
        for number, flight in enumerate(self.flights):
            if flight.ends_ms <= now_ms:
                pause_ms = flight.serial * 7907 % 60_000
                self.flights[number] = self._make(max(flight.ends_ms + pause_ms, now_ms - 60_000))

    def snapshot(self, now_ms: int) -> Snapshot:
        """Return the network as the feed would."""
        pilots = (flight.pilot(now_ms) for flight in self.flights)
        prefiles = (flight.prefile(now_ms) for flight in self.flights)
        return Snapshot(
            now_ms,
            [pilot for pilot in pilots if pilot is not None],
            [prefile for prefile in prefiles if prefile is not None],
        )

    def state(self) -> TrafficState:
        """Return what is needed to continue later."""
        return TrafficState(self._next_serial, [(flight.serial, flight.begins_ms) for flight in self.flights])

    def resume(self, state: TrafficState) -> None:
        """Continue where another process was."""
        self._next_serial = state.next_serial
        self.flights = [self._remake(serial, begins_ms) for serial, begins_ms in state.flights]

    def _make(self, begins_ms: int) -> SimulatedFlight:
        self._next_serial += 1
        return self._remake(self._next_serial - 1, begins_ms)

    def _remake(self, serial: int, begins_ms: int) -> SimulatedFlight:
        """Rebuild the flight with this number: always the same one."""
        random, choice = Random(f"{self._seed}:{serial}"), Random(f"{self._seed}:{serial}:course")
        while True:
            route = self._routes.choose(random)
            manoeuvre: Manoeuvre = "none"
            if random.random() < self._manoeuvres:
                manoeuvre = random.choice(MANOEUVRES)
            course, other = self._choose_course(route, manoeuvre, choice)
            try:
                return SimulatedFlight(serial, begins_ms, route, random, manoeuvre, course, other)
            except DoesNotFit:
                continue

    def _choose_course(self, route: Route, manoeuvre: Manoeuvre, random: Random) -> tuple[Course, Airfield | None]:
        if manoeuvre != "none" or random.random() >= self._unusual:
            return "as filed", None
        other = self._routes.choose_other(route, random)
        return ("as filed", None) if other is None else (random.choice(UNUSUAL_COURSES), other)
