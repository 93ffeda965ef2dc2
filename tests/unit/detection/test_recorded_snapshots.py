"""The recorded feed: facts about it that were looked up by hand, report by report."""

from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.feed import Network, types
from swim_server.detection.airfields import Airfields
from swim_server.detection.detect import detect
from swim_server.detection.feed import Snapshot
from swim_server.detection.feed_decoding import decode_snapshot
from swim_server.detection.network_state import EMPTY_STATE, GroundState
from swim_server.protocol.events import NewEvent
from swim_server.sources.airports import load_airfields

RECORDED = Path(__file__).parents[4] / "shared" / "data" / "vatsim"

pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recorded snapshots in {RECORDED}")


@pytest.fixture(scope="module")
def airfields() -> Airfields:
    return load_airfields()


@pytest.fixture(scope="module")
def recorded() -> list[Snapshot]:
    """Four snapshots: 12:57:25, 12:57:40, 12:59:10, 12:59:25."""
    paths = sorted((RECORDED / "2024-11-21").glob("*.json.gz"))
    return [decode_snapshot(gzip.decompress(path.read_bytes())) for path in paths]


@pytest.fixture(scope="module")
def steps(recorded: list[Snapshot], airfields: Airfields) -> list[list[NewEvent]]:
    """What each of the four brought."""
    network = Network(airfields)
    return [network.take(snapshot).events for snapshot in recorded]


def callsigns(steps: list[list[NewEvent]], kind: str) -> set[str]:
    return {event.data["callsign"] for events in steps for event in events if event.type == f"flight.{kind}"}


def test_the_first_snapshot_announces_nothing(steps: list[list[NewEvent]]) -> None:
    assert steps[0] == []


def test_each_departure_is_found_and_nothing_else(steps: list[list[NewEvent]]) -> None:
    """Standing, taxiing or rolling in one report, over 100 ft and climbing in the next.

    Not among them: THA910, which was set from its gate in Heathrow to a 5-mile final (5.4 NM in 92 s, from 0 kt);
    N733JA, 85 ft up when first seen; IGO74G, GIA232, WJA310, UKV41RP, still rolling in the last report.
    """
    assert callsigns(steps, "departed") == {
        "AUA154",
        "BAW701V",
        "CSZ2582",
        "DLH183",
        "GAP2147",
        "GWI9HB",
        "KLM31A",
        "OECCK",
        "VTK601",
    }


def test_each_arrival_is_found_and_nothing_else(steps: list[list[NewEvent]]) -> None:
    """Not among them: BCY311, LOT3PB, first seen on the landing roll; IGO9P, without plan; CCA917, whose VHHX is no
    field on record; GJOEY, 700 ft over its destination at 44 to 51 kt."""
    assert callsigns(steps, "arrived") == {"EWG3591", "SFB12GN", "TOM6YL"}


def test_each_arrival_is_at_its_filed_destination(steps: list[list[NewEvent]]) -> None:
    arrivals = [event.data for events in steps for event in events if event.type == "flight.arrived"]
    places = {data["callsign"]: (data["arrived_at"], data["diverted"], data["phase"]) for data in arrivals}
    assert places == {
        "EWG3591": ("EDDV", False, "LANDED"),
        "SFB12GN": ("KOPF", False, "LANDED"),
        "TOM6YL": ("GCLP", False, "LANDED"),
    }


def test_events_are_dated_to_the_report_that_shows_them(steps: list[list[NewEvent]]) -> None:
    moved = {
        event.data["callsign"]: event.data
        for events in steps
        for event in events
        if event.type in ("flight.departed", "flight.arrived")
    }
    assert moved["GWI9HB"]["off_utc"] == "2024-11-21T12:59:22.861Z"
    assert moved["TOM6YL"]["in_utc"] == "2024-11-21T12:59:20.882Z"


def test_new_pilots_and_prefiles_are_created(steps: list[list[NewEvent]]) -> None:
    assert [types(events).count("created") for events in steps] == [0, 2, 14, 1]
    assert {"CCA2475", "SBI1239", "EJU1758", "DLH7JP", "APA277"} <= callsigns(steps, "created")


def test_prefiles_that_connect_and_edited_plans_are_updated(steps: list[list[NewEvent]]) -> None:
    connected = {"TGW434", "GSEBZ", "QTR1050", "CAN3732", "RYR23MM", "FHAHF"}
    edited = {"TRA22V", "CCA0522", "UAE140", "JST973", "BAV1422", "LAN129"}
    assert callsigns(steps, "updated") == connected | edited
    (route_edit,) = [
        event.data for event in steps[2] if event.type == "flight.updated" and event.data["callsign"] == "CCA0522"
    ]
    assert route_edit["changed"] == ["route"]
    assert route_edit["route"].startswith("IDBO9W/02L")


def test_absent_from_the_last_two_is_deleted(steps: list[list[NewEvent]]) -> None:
    """Eleven pilots and a prefile left before 12:59:10. N172SP and KLM342 were absent once, and came back."""
    assert [types(events).count("deleted") for events in steps] == [0, 0, 0, 12]
    deleted = callsigns(steps, "deleted")
    assert {"EZY34WJ", "SWT5577"} <= deleted  # renamed in flight to EJU1758; a prefile withdrawn
    assert not deleted & {"N172SP", "KLM342", "SJX0076"}


def test_a_pilot_that_reconnected_elsewhere_keeps_its_number_and_neither_departs_nor_arrives(
    recorded: list[Snapshot], airfields: Airfields
) -> None:
    network = Network(airfields)
    network.take(recorded[0])
    uid = network.network_state.flights["1709777 KLM342"].uid
    for snapshot in recorded[1:]:
        network.take(snapshot)
    flight = network.network_state.flights["1709777 KLM342"]
    assert (flight.uid, flight.ground_state, flight.departures, flight.arrivals) == (uid, GroundState.GROUND, 0, 0)


def test_the_light_aircraft_that_crosses_50_kt_in_the_air_stays_airborne(
    recorded: list[Snapshot], airfields: Airfields
) -> None:
    network = Network(airfields)
    network.take(recorded[0])
    for snapshot in recorded[1:]:
        network.take(snapshot)
        assert network.network_state.flights["1531008 GJOEY"].ground_state is GroundState.AIRBORNE


def test_headings_are_below_360_and_numbers_below_2_to_the_53(steps: list[list[NewEvent]]) -> None:
    positions: list[dict[str, Any]] = [
        position
        for events in steps
        for event in events
        if event.type == "flight.positions"
        for position in event.data["positions"]
    ]
    assert len(positions) > 2_000
    assert all(0 <= position["heading_deg"] < 360 for position in positions)
    assert all(0 < position["flight_uid"] < 2**53 for position in positions)
    assert len({position["flight_uid"] for position in positions}) == len(
        {(position["callsign"], position["flight_uid"]) for position in positions}
    )


def test_all_but_a_few_of_1706_pilots_are_known_to_stand_or_fly(airfields: Airfields) -> None:
    (path,) = (RECORDED / "single").glob("*.json.gz")
    snapshot = decode_snapshot(gzip.decompress(path.read_bytes()))
    assert (len(snapshot.pilots), len(snapshot.prefiles or ()), snapshot.dropped) == (1706, 136, 0)
    flights = detect(EMPTY_STATE, snapshot, airfields).network_state.flights.values()
    footings = Counter(flight.ground_state for flight in flights if flight.is_connected)
    assert footings[GroundState.UNKNOWN] < 30
    assert footings[GroundState.GROUND] > 450
