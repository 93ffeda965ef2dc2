"""The state in the terminal: flights, tmis, and a tail that begins with state."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Iterator

import pytest
from support.live_daemon import STOP_SECONDS, LiveDaemon, live_daemon
from support.terminal import Terminal


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDaemon]:
    with live_daemon(tmp_path_factory.mktemp("state")) as running:
        place = {"latitude": 40.5, "longitude": -73.5}
        running.put(
            ("flight.created", {"callsign": "DAL1", "flight_uid": 1, "dep": "KJFK", "arr": "EGLL", **place}),
            ("flight.created", {"callsign": "BAW9", "flight_uid": 2, "dep": "EGLL", "arr": "EDDF"}),
            ("tmi.issued", {"program_id": 7, "program_type": "GS", "airport": "KJFK"}),
            ("tmi.issued", {"program_id": 8, "program_type": "GDP", "airport": "KLAX"}),
            ("tmi.released", {"program_id": 8, "program_type": "GDP", "airport": "KLAX"}),
        )
        yield running


def test_flights_in_all_formats(daemon: LiveDaemon) -> None:
    document = json.loads(daemon.swimctl("flights", "--json", check=True).stdout)
    assert [flight["callsign"] for flight in document["flights"]] == ["DAL1", "BAW9"]
    assert document["as_of"] == daemon.call("status")["history"]["newest_id"]
    (feature,) = json.loads(daemon.swimctl("flights", "--format", "geojson", check=True).stdout)["features"]
    assert feature["geometry"]["coordinates"] == [-73.5, 40.5]
    table = daemon.swimctl("flights", "--format", "csv", "--airport", "EDDF", check=True).stdout
    assert [row["callsign"] for row in csv.DictReader(io.StringIO(table))] == ["BAW9"]
    lines = daemon.swimctl("flights", "--header", "--callsign", "DAL", check=True).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["callsign", "DAL1"]


def test_tmis_that_hold(daemon: LiveDaemon) -> None:
    document = json.loads(daemon.swimctl("tmis", "--json", check=True).stdout)
    assert [entry["program_id"] for entry in document["tmis"]] == [7]
    assert daemon.swimctl("tmis", "--airport", "KLAX", check=True).stdout == ""


def test_flights_of_a_service_at_an_address_as_any_client(daemon: LiveDaemon) -> None:
    key = daemon.make_key().api_key
    done = daemon.swimctl("flights", "--url", daemon.url, "--json", SWIM_API_KEY=key, check=True)
    assert json.loads(done.stdout)["count"] == 2
    refused = daemon.swimctl("flights", "--url", daemon.url, SWIM_API_KEY="swim_dev_wrong")
    assert (refused.returncode, refused.stdout) == (6, "")


def test_tail_begins_with_state(daemon: LiveDaemon) -> None:
    done = daemon.swimctl("tail", "flight.*", "tmi.*", "--state", "--json", "--no-follow", check=True)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message["kind"] for message in messages] == ["flights", "tmis"]
    lines = daemon.swimctl("tail", "flight.*", "--state", "--no-follow", check=True).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["state", "flights"]] * 2
    wrong = daemon.swimctl("tail", "--state", "--last", "3")
    assert wrong.returncode == 2
    assert "--state" in wrong.stderr


def test_without_a_daemon_nothing_is_listed(tmp_path_factory: pytest.TempPathFactory) -> None:
    away = LiveDaemon(tmp_path_factory.mktemp("away"))
    assert away.swimctl("flights").returncode == 3


def test_watched_list_is_written_again_until_it_is_interrupted(daemon: LiveDaemon) -> None:
    process = daemon.spawn("flights", "--watch", "--json", "--callsign", "DAL")
    assert process.stdout is not None
    flights = [json.loads(process.stdout.readline())["flights"] for _ in range(2)]
    assert [[flight["callsign"] for flight in each] for each in flights] == [["DAL1"]] * 2
    process.send_signal(signal.SIGINT)
    assert process.wait(STOP_SECONDS) == 130


def test_watched_list_fills_a_terminal_until_q(daemon: LiveDaemon) -> None:
    with Terminal(["flights", "--watch"], daemon.environ) as terminal:
        terminal.read_until(lambda t: "2 flights as of" in t.text and "DAL1" in t.text)
        terminal.type("q")
        assert terminal.end() == 0
