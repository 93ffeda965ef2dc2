"""The state as the Python SDK gives it to synchronous code: asked for over HTTP, and mirrored from the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from support.live_daemon import LiveDaemon, live_daemon
from swim_client import AuthenticationError, ConnectionLost, RequestRefused, SWIMRestClient, sync

FLIGHTS: list[tuple[str, dict[str, Any]]] = [
    ("flight.created", {"callsign": "DAL1", "flight_uid": 1, "dep": "KJFK", "arr": "EGLL", "phase": "ENROUTE",
                        "latitude": 40.5, "longitude": -73.5, "route": "MERIT"}),
    ("flight.created", {"callsign": "BAW9", "flight_uid": 2, "dep": "EGLL", "arr": "KJFK", "phase": "ARRIVED"}),
    ("tmi.issued", {"program_id": 7, "program_type": "GS", "airport": "KJFK"}),
    ("tmi.issued", {"program_id": 8, "program_type": "GDP-AAR", "airport": "KLGA"}),
]  # fmt: skip


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("state")) as running:
        running.put(*FLIGHTS)
        yield running


@pytest.fixture(scope="module")
def rest(daemon: LiveDaemon) -> SWIMRestClient:
    return SWIMRestClient(daemon.api_key(), daemon.url.replace("ws://", "http://").removesuffix("/ws"))


def callsigns(document: dict[str, Any]) -> list[str]:
    return [each["callsign"] for each in document["data"]]


def test_flights_come_in_pages_and_by_the_former_filters(rest: SWIMRestClient) -> None:
    assert callsigns(rest.get_flights()) == ["DAL1"]
    assert callsigns(rest.get_flights("completed")) == ["BAW9"]
    assert callsigns(rest.get_flights("all", dept_icao="EGLL")) == ["BAW9"]
    assert callsigns(rest.get_flights("all", dest_icao=["EGLL", "EDDF"])) == ["DAL1"]
    assert callsigns(rest.get_flights("all", callsign="dal*")) == ["DAL1"]
    second = rest.get_flights("all", page=2, per_page=1)
    assert second["pagination"] == {"page": 2, "per_page": 1, "total": 2, "total_pages": 2}
    assert callsigns(second) == ["BAW9"]


def test_one_flight_is_found_and_one_that_is_none_is_refused(rest: SWIMRestClient) -> None:
    assert rest.get_flight(flight_key=1)["callsign"] == rest.get_flight(flight_key="dal1")["callsign"] == "DAL1"
    with pytest.raises(RequestRefused, match="NOT_FOUND"):
        rest.get_flight(flight_key="AFR1")


def test_positions_are_geojson_within_bounds(rest: SWIMRestClient) -> None:
    (feature,) = rest.get_positions(bounds="-74,40,-73,41")["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [-73.5, 40.5]}
    assert "route" not in feature["properties"]
    assert rest.get_positions(bounds="0,0,1,1", include_route=True)["features"] == []


def test_programs_come_in_their_groups(rest: SWIMRestClient) -> None:
    programs = rest.get_tmi_programs()
    assert [each["program_id"] for each in programs["ground_stops"]] == [7]
    assert programs["summary"] == {"ground_stops": 1, "gdp_programs": 1, "other": 0}
    assert rest.get_tmi_programs("gdp", airport="KLGA")["gdp_programs"][0]["program_id"] == 8


async def test_async_twins_and_the_description(rest: SWIMRestClient) -> None:
    async with rest:
        flights, info = await asyncio.gather(rest.get_flights_async("all"), rest.get_api_info_async())
    assert (callsigns(flights), "/flights" in str(info["paths"])) == (["DAL1", "BAW9"], True)


def test_refused_key_and_a_service_that_is_not_there_are_told_apart(rest: SWIMRestClient) -> None:
    with pytest.raises(AuthenticationError):
        SWIMRestClient("swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB", rest.base_url).get_flights()
    with pytest.raises(ConnectionLost, match="can't reach"):
        SWIMRestClient(rest.api_key, "http://127.0.0.1:9").get_flights()


def test_plain_client_mirrors_publishes_and_loops(daemon: LiveDaemon) -> None:
    with sync.SWIMClient(daemon.api_key("system"), daemon.url) as client:
        assert {flight.callsign for flight in client.snapshot("flight.*", timeout=30)} == {"DAL1", "BAW9"}
        events = client.events(timeout=30)
        published = []
        client.on("pong")(
            lambda: published.append(client.publish("flight.updated", {"callsign": "BAW9", "flight_uid": 2}))
        )
        client.ping()
        event = next(each for each in events if each.type == "flight.updated")
        assert (event.callsign, event.id) == ("BAW9", published[0].result(30)["id"])
        assert client.flights.as_of == event.id
