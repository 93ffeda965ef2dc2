"""One connection, several legs: turnarounds, diversions, returns, stop-overs, plans changed in flight."""

from __future__ import annotations

from typing import Any

from support.feed import AIRFIELDS, Network, beside, pilot, plan
from swim_server.detection.feed import FeedPlan
from swim_server.detection.legs import Leg, leg_of
from swim_server.protocol.events import NewEvent

FRANKFURT_MUNICH = plan("EDDF", "EDDM")


class Journey:
    """One aircraft, seen report by report, 15 seconds apart."""

    def __init__(self, filed: FeedPlan = FRANKFURT_MUNICH, aircraft_at: str = "EDDF") -> None:
        self.network = Network()
        self.filed = filed
        self.at = 0.0
        self.stand(aircraft_at)

    def file(self, filed: FeedPlan) -> None:
        """The plan from the next report on."""
        self.filed = filed

    def see(self, field: str, away_nm: float, height_ft: float, kts: float, *, after: float = 15) -> None:
        """One report."""
        self.at += after
        elevation = AIRFIELDS.get(field)
        assert elevation is not None
        report = pilot(
            self.at,
            **beside(field, away_nm),
            altitude=elevation.elevation_ft + height_ft,
            groundspeed=kts,
            flight_plan=self.filed,
        )
        self.network.see(self.at, [report])

    def stand(self, field: str, *, seconds: float = 30) -> None:
        """At the gate for so long."""
        for _ in range(round(seconds / 15)):
            self.see(field, 0.5, 0, 0)

    def taxi(self, field: str) -> None:
        self.see(field, 0.55, 0, 18)
        self.see(field, 0.62, 0, 18)

    def take_off(self, field: str) -> None:
        self.see(field, 0.8, 0, 120)
        self.see(field, 1.8, 900, 160)
        self.see(field, 3.0, 2500, 210)

    def land(self, field: str) -> None:
        """Out of the cruise, as long after as it takes; taxiing in at the end."""
        self.see(field, 40, 24_000, 420, after=1800)
        self.see(field, 5, 1600, 150, after=500)
        self.see(field, 0.9, 0, 110, after=120)
        self.see(field, 0.5, 0, 18, after=30)
        self.see(field, 0.45, 0, 18)

    def fly(self, origin: str, target: str) -> None:
        """From the gate to the gate."""
        self.taxi(origin)
        self.take_off(origin)
        self.land(target)
        self.stand(target)

    @property
    def moved(self) -> list[tuple[str, Any, Any]]:
        """Departures and arrivals, with where and whether diverted."""
        return [
            (event.type.removeprefix("flight."), event.data.get("arrived_at"), event.data.get("diverted"))
            for event in self.network.events
            if event.type in {"flight.departed", "flight.arrived"}
        ]

    @property
    def arrivals(self) -> list[NewEvent]:
        return [event for event in self.network.events if event.type == "flight.arrived"]

    @property
    def phase(self) -> str:
        """As it was published last."""
        rows = [
            row for event in self.network.events if event.type == "flight.positions" for row in event.data["positions"]
        ]
        return str(rows[-1]["phase"])

    @property
    def phases(self) -> list[str]:
        """In the order in which they were published, each once in a row."""
        rows = [
            row for event in self.network.events if event.type == "flight.positions" for row in event.data["positions"]
        ]
        found: list[str] = []
        for row in rows:
            if found[-1:] != [row["phase"]]:
                found.append(row["phase"])
        return found

    @property
    def leg(self) -> Leg:
        (flight,) = self.network.network_state.flights.values()
        return leg_of(flight)


def test_an_ordinary_flight_arrives_at_its_destination() -> None:
    journey = Journey()
    journey.fly("EDDF", "EDDM")
    assert journey.moved == [("departed", None, None), ("arrived", "EDDM", False)]
    assert journey.phases[-2:] == ["LANDED", "ARRIVED"]


def test_a_turnaround_filed_at_the_gate_is_a_leg_of_its_own() -> None:
    journey = Journey()
    journey.fly("EDDF", "EDDM")
    journey.file(plan("EDDM", "EDDF"))
    journey.stand("EDDM")
    assert journey.leg is Leg.BEFORE
    seen = len(journey.phases)
    journey.taxi("EDDM")
    assert journey.phases[seen - 1 :] == ["ARRIVED", "DEPARTING"]  # at the gate nothing moved, so nothing was published
    journey.take_off("EDDM")
    journey.land("EDDF")
    journey.stand("EDDF")
    assert journey.phases[-2:] == ["LANDED", "ARRIVED"]
    assert journey.moved[2:] == [("departed", None, None), ("arrived", "EDDF", False)]


def test_the_phase_at_the_gate_is_preflight_again_as_soon_as_the_next_leg_is_filed() -> None:
    journey = Journey()
    journey.fly("EDDF", "EDDM")
    journey.file(plan("EDDM", "EGJB"))
    journey.stand("EDDM", seconds=15)
    updated = [event.data for event in journey.network.events if event.type == "flight.updated"]
    assert (updated[-1]["arr"], updated[-1]["phase"]) == ("EGJB", "PREFLIGHT")


def test_a_landing_elsewhere_is_an_arrival_with_the_field_where_it_stands() -> None:
    journey = Journey(plan("EDDF", "EGJB"))
    journey.fly("EDDF", "EDDM")
    (arrival,) = journey.arrivals
    assert (arrival.data["arr"], arrival.data["arrived_at"], arrival.data["diverted"]) == ("EGJB", "EDDM", True)
    assert journey.phases[-2:] == ["LANDED", "ARRIVED"]


def test_a_diverted_flight_goes_on_to_its_destination_as_a_leg_of_its_own() -> None:
    journey = Journey(plan("EDDF", "EGJB"))
    journey.fly("EDDF", "EDDM")
    journey.stand("EDDM", seconds=240)
    assert journey.phase == "ARRIVED"
    journey.taxi("EDDM")
    assert journey.phase == "DEPARTING"
    journey.take_off("EDDM")
    journey.land("EGJB")
    assert journey.moved == [
        ("departed", None, None),
        ("arrived", "EDDM", True),
        ("departed", None, None),
        ("arrived", "EGJB", False),
    ]


def test_a_pilot_who_files_where_he_has_diverted_to_has_still_arrived_there() -> None:
    journey = Journey(plan("EDDF", "EGJB"))
    journey.fly("EDDF", "EDDM")
    journey.file(plan("EDDF", "EDDM"))
    journey.taxi("EDDM")
    assert (journey.leg, journey.phase) == (Leg.ARRIVED, "LANDED")


def test_a_return_to_the_departure_field_is_a_diversion() -> None:
    journey = Journey()
    journey.fly("EDDF", "EDDF")
    assert journey.moved == [("departed", None, None), ("arrived", "EDDF", True)]
    assert journey.phase == "ARRIVED"


def test_a_landing_where_the_plan_begins_is_no_return_for_certain_when_nobody_saw_the_departure() -> None:
    """It may as well be the next leg's plan, filed in the air before the flight was seen."""
    journey = Journey(plan("EDDM", "EGJB"), "EDDF")
    journey.network = Network()
    journey.land("EDDM")
    assert journey.moved == [("arrived", "EDDM", None)]


def test_a_stop_on_an_unlisted_strip_is_a_landing_but_a_pause_is_none() -> None:
    for kts, moved in ((44, [("arrived", None, True)]), (110, [])):
        journey = Journey()
        journey.network = Network()
        journey.see("EDDF", 38, 900, 110)
        journey.see("EDDF", 38.3, 300, kts)
        journey.see("EDDF", 38.4, 300, 0)
        assert journey.moved == moved


def test_a_local_flight_is_no_diversion() -> None:
    journey = Journey(plan("EDDF", "EDDF"))
    journey.fly("EDDF", "EDDF")
    assert journey.moved == [("departed", None, None), ("arrived", "EDDF", False)]


def test_a_destination_changed_in_flight_is_the_one_that_counts() -> None:
    journey = Journey()
    journey.taxi("EDDF")
    journey.take_off("EDDF")
    journey.file(plan("EDDF", "EGJB"))
    journey.land("EGJB")
    assert journey.moved[-1] == ("arrived", "EGJB", False)


def test_a_landing_at_the_former_destination_after_a_change_in_flight_is_a_diversion() -> None:
    journey = Journey()
    journey.taxi("EDDF")
    journey.take_off("EDDF")
    journey.file(plan("EDDF", "EGJB"))
    journey.land("EDDM")
    assert journey.moved[-1] == ("arrived", "EDDM", True)


def test_the_next_leg_filed_in_flight_does_not_take_the_arrival_away() -> None:
    journey = Journey()
    journey.taxi("EDDF")
    journey.take_off("EDDF")
    journey.file(plan("EDDM", "EGJB"))
    journey.land("EDDM")
    assert journey.moved[-1] == ("arrived", "EDDM", False)
    assert journey.phase == "LANDED"
    journey.stand("EDDM", seconds=60)
    assert (journey.leg, journey.phase) == (Leg.ARRIVED, "ARRIVED")
    journey.stand("EDDM", seconds=150)
    assert journey.leg is Leg.BEFORE
    journey.taxi("EDDM")
    assert journey.phase == "DEPARTING"


def test_holding_short_on_the_way_in_ends_no_leg() -> None:
    journey = Journey(plan("EDDF", "EGJB"))
    journey.taxi("EDDF")
    journey.take_off("EDDF")
    journey.land("EDDM")
    journey.see("EDDM", 0.45, 0, 0)
    journey.see("EDDM", 0.45, 0, 0, after=60)
    journey.taxi("EDDM")
    assert journey.phase == "LANDED"


def test_an_aircraft_that_changes_its_stand_has_still_arrived() -> None:
    journey = Journey()
    journey.fly("EDDF", "EDDM")
    journey.stand("EDDM", seconds=600)
    journey.taxi("EDDM")
    assert journey.phase == "LANDED"


def test_a_route_edited_after_the_arrival_begins_no_leg() -> None:
    journey = Journey()
    journey.fly("EDDF", "EDDM")
    journey.file(plan("EDDF", "EDDM", route="DCT ANORA DCT"))
    journey.stand("EDDM")
    assert journey.leg is Leg.ARRIVED


def test_a_destination_that_nobody_has_listed_tells_nothing_of_a_diversion_but_a_return_does() -> None:
    journey = Journey(plan("EDDF", "ZZZZ"))
    journey.fly("EDDF", "EDDM")
    assert journey.moved[-1] == ("arrived", "EDDM", None)
    journey = Journey(plan("EDDF", "ZZZZ"))
    journey.fly("EDDF", "EDDF")
    assert journey.moved[-1] == ("arrived", "EDDF", True)


def test_a_helicopter_comes_down_on_a_platform_at_sea() -> None:
    journey = Journey(plan("EGJB", "ZZZZ", "S76"), "EGJB")
    journey.see("EGJB", 0.5, 300, 40)
    journey.see("EGJB", 1.5, 900, 90)
    for height, kts in ((900, 120), (100, 40), (-220, 4), (-230, 0), (-230, 0)):  # 336 ft up lies the field
        journey.see("EGJB", 40, height, kts, after=60)
    assert journey.moved == [("departed", None, None), ("arrived", None, None)]
    journey.see("EGJB", 40, -100, 20)
    journey.see("EGJB", 40.5, 400, 80)
    assert journey.moved[-1] == ("departed", None, None)


def test_a_second_arrival_has_an_event_id_of_its_own() -> None:
    journey = Journey()
    journey.fly("EDDF", "EDDM")
    journey.file(plan("EDDM", "EDDF"))
    journey.fly("EDDM", "EDDF")
    assert len({event.event_id for event in journey.network.events}) == len(journey.network.events)


def test_a_state_of_before_goes_on_as_it_was() -> None:
    """What an earlier version kept says nothing of legs: who had arrived has."""
    journey = Journey()
    journey.fly("EDDF", "EDDM")
    (flight,) = journey.network.network_state.flights.values()
    assert (flight.arrivals, flight.has_arrived) == (1, True)
