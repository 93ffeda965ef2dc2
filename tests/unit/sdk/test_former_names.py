"""Names that programs of the former Python SDK import, set and construct."""

from __future__ import annotations

import dataclasses
import http.server
import importlib
import socket
import threading
from typing import Any, cast

import pytest
import swim_client
from swim_client import DEFAULT_URL, FlightEvent, Position, PositionBatch, SubscriptionFilters, SWIMClient
from swim_client.errors import ConnectionLost
from swim_client.rest import SWIMRestClient

KEY = "swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB"


@pytest.mark.parametrize(
    "name",
    [
        "SWIMClient", "SubscriptionFilters", "DEFAULT_URL", "EventType", "FlightEvent", "TMIEvent", "Position",
        "PositionBatch", "HeartbeatEvent", "ConnectionInfo", "SWIMRestClient",
    ],
)  # fmt: skip
def test_name_is_imported_from_the_package(name: str) -> None:
    assert hasattr(swim_client, name) and name in swim_client.__all__


@pytest.mark.parametrize("module", ["client", "events", "models", "rest"])
def test_module_is_there(module: str) -> None:
    assert importlib.import_module(f"swim_client.{module}")


def test_settings_are_read_and_set_while_the_client_exists() -> None:
    client = SWIMClient(KEY)
    assert (client.api_key, client.url, SWIMClient.DEFAULT_URL) == (KEY, DEFAULT_URL, DEFAULT_URL)
    client.api_key = "another-key"
    for name, value in (
        ("reconnect", False), ("reconnect_interval", 2.5), ("max_reconnect_interval", 30.0), ("ping_interval", 5.0),
    ):  # fmt: skip
        setattr(client, name, value)
        assert getattr(client, name) == value
    assert client.api_key == "another-key"
    assert "another-key" not in repr(client)
    with pytest.raises(ValueError, match="ping_interval: must be more than 0"):
        client.ping_interval = 0


def test_filters_may_be_one_value() -> None:
    filters = SubscriptionFilters(airports=["KJFK"], callsign_prefix="DAL")
    assert filters.to_dict() == {"airports": ["KJFK"], "callsign_prefix": "DAL"}
    client = SWIMClient(KEY)
    client.subscribe(["flight.*"], filters=filters)
    assert client._subscriptions.snapshot().wishes[0].filters == {"airports": ["KJFK"], "callsign_prefix": ["DAL"]}


def test_batch_is_constructed_and_turned_into_a_dict() -> None:
    batch = PositionBatch(count=1, positions=[Position(callsign="DAL1", latitude=40.5)])
    assert (batch.count, batch.positions[0].callsign, batch["positions"][0]["latitude"]) == (1, "DAL1", 40.5)
    come = PositionBatch.from_dict({"count": 1, "positions": [{"callsign": "DAL1", "altitude_ft": None}, "x"]})
    assert come.positions is come.positions
    found = dataclasses.asdict(cast(Any, come))
    assert found["count"] == 1
    assert [(each["callsign"], each["altitude_ft"]) for each in found["positions"]] == [("DAL1", 0)]


def test_fields_are_read_from_the_data_when_asked_for() -> None:
    flight = FlightEvent.from_dict({"callsign": None, "dep": "KJFK", "gate": "A1"})
    assert (flight.callsign, flight.dep, flight.changed, flight.gate) == ("", "KJFK", [], "A1")
    assert dict(flight) == {"callsign": None, "dep": "KJFK", "gate": "A1"}
    assert FlightEvent(callsign="DAL1")["callsign"] == "DAL1"
    assert FlightEvent.callsign == ""


def test_address_of_the_state_is_that_of_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWIM_URL", "wss://swim.example.net/api/swim/v1/ws/")
    assert SWIMRestClient(KEY).base_url == "https://swim.example.net/api/swim/v1"
    monkeypatch.delenv("SWIM_URL")
    assert SWIMRestClient(KEY).base_url == "http://127.0.0.1:8090/api/swim/v1"


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers everything with one document."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"tmis": []}')

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_state_is_asked_for_at_the_next_address_where_one_can_not_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as server, socket.create_server(("127.0.0.1", 0)) as gone:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        here, dead = f"ws://127.0.0.1:{server.server_port}/ws", f"ws://127.0.0.1:{gone.getsockname()[1]}/ws"
        gone.close()
        monkeypatch.setenv("SWIM_URL", f"{dead},{here}")
        client = SWIMRestClient(KEY)
        assert client.get_tmi_programs()["summary"] == {"ground_stops": 0, "gdp_programs": 0, "other": 0}
        assert client.base_url == f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
    with pytest.raises(ConnectionLost, match=f"can't reach http://127.0.0.1:{server.server_port}: .*; can't reach"):
        client.get_tmi_programs()


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("get_tmi_controlled", {}), ("ingest_flights", {"flights": []}), ("ingest_tracks", {"tracks": []}),
        ("get_flights", {"tmi_controlled": True}), ("get_flight", {"gufi": "x"}),
        ("get_tmi_programs", {"include_history": True}),
    ],
)  # fmt: skip
def test_what_is_not_served_says_what_to_use(name: str, arguments: dict[str, object]) -> None:
    with pytest.raises(swim_client.NotServed, match="this service does not serve it; "):
        getattr(SWIMRestClient(KEY), name)(**arguments)
