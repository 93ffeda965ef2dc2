"""The phase of a flight, from what it did and where it is."""

from __future__ import annotations

from typing import Any

import pytest
from support.feed import AIRFIELDS, Network, beside, pilot, positions, prefile
from swim_server.detection.network_state import NO_PLAN, Plan
from swim_server.detection.phases import phase_in_air


def fly(network: Network, at: float, field: str, away_nm: float, altitude: int, kts: int) -> Any:
    """Let a report be seen; give the phase of the position announced."""
    events = network.see(at, [pilot(at, **beside(field, away_nm), altitude=altitude, groundspeed=kts)])
    (position,) = positions(events)
    return position["phase"]


def test_a_flight_goes_through_its_phases() -> None:
    network = Network()
    network.see(-30)
    (filed,) = [event.data for event in network.see(-15, [], [prefile()]) if event.type == "flight.created"]
    assert filed["phase"] == "PREFLIGHT"
    network.see(0, [pilot(0)])
    assert fly(network, 15, "EDDF", 0.2, 364, 2) == "PREFLIGHT"
    assert fly(network, 30, "EDDF", 0.3, 364, 18) == "DEPARTING"
    assert fly(network, 45, "EDDF", 1.0, 1200, 160) == "DEPARTING"
    assert fly(network, 60, "EDDF", 1.9, 3500, 220) == "CLIMBING"
    network = _in_cruise()
    assert fly(network, 15, "EDDM", 60, 35_000, 450) == "ENROUTE"
    assert fly(network, 30, "EDDM", 58, 34_000, 450) == "DESCENDING"
    assert fly(network, 210, "EDDM", 12, 5_000, 210) == "APPROACH"
    assert fly(network, 225, "EDDM", 11.5, 5_000, 200) == "APPROACH"
    assert fly(network, 400, "EDDM", 0.4, 1487, 45) == "APPROACH"
    assert fly(network, 415, "EDDM", 0.5, 1487, 18) == "LANDED"
    assert fly(network, 430, "EDDM", 0.6, 1487, 0) == "ARRIVED"


def _in_cruise() -> Network:
    network = Network()
    network.see(0, [pilot(0, **beside("EDDM", 62), altitude=35_000, groundspeed=450)])
    return network


def test_departed_and_arrived_tell_the_phase_that_they_began() -> None:
    network = Network()
    network.see(0, [pilot(0)])
    fly(network, 15, "EDDF", 1.0, 1400, 160)
    (departed,) = [event for event in network.events if event.type == "flight.departed"]
    assert departed.data["phase"] == "DEPARTING"


def test_an_aircraft_of_which_nothing_is_known_has_no_phase() -> None:
    network = Network()
    network.see(0)
    network.see(15, [pilot(15, **beside("EDDF", 30), altitude=900, groundspeed=40)])
    assert network.events[-1].data["positions"][0]["phase"] is None
    network.see(30, [pilot(30, latitude=None, longitude=None, cid=9, callsign="X")])
    (created,) = [event for event in network.events if event.data.get("callsign") == "X"]
    assert created.data["phase"] is None


@pytest.mark.parametrize(
    ("rate", "phase"), [(0, "ENROUTE"), (399, "ENROUTE"), (400, "CLIMBING"), (-399, "ENROUTE"), (-400, "DESCENDING")]
)
def test_away_from_its_fields_the_climb_tells(rate: int, phase: str) -> None:
    for plan in (NO_PLAN, Plan("EDDF", "EDDM"), Plan("XXXX", "ZZZZ")):
        assert phase_in_air(20.0, 20.0, 9000, rate, plan, AIRFIELDS) == phase
        assert phase_in_air(50.0333, 8.5706, 35_000, rate, plan, AIRFIELDS) == phase
    assert phase_in_air(50.0333, 8.5706, None, rate, Plan("EDDF", "EDDM"), AIRFIELDS) == phase
