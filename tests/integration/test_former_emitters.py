"""What the former service's emitters write, through the event file of a real daemon to clients and to the operator."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.daemon import Daemon, running_daemon

EMITTED: list[dict[str, Any]] = [
    {"type": "tmi.program.published", "data": {"program_id": 7, "airport": None, "airports": ["EG**", "LSZH"]}},
    {"type": "ctp_slot_assigned", "callsign": "BAW1", "slot": "1200"},
    {"type": "controller.connected", "data": {"callsign": "EGLL_TWR"}},
    {"type": "simtraffic.lifecycle.spawned", "data": {"callsign": "BAW1"}},
    {"type": "metering.release", "data": {"callsign": "BAW1"}},
]
UNKNOWN = [{"type": "tmi.wish", "data": {}}] * 3


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("emitters")
    config = f'[[sources]]\nkind = "file"\nname = "provider"\npath = "{folder / "events.json"}"\n'
    with running_daemon(folder / "home", config=config) as daemon:
        (folder / "events.json").write_text(json.dumps([*EMITTED, *UNKNOWN]))
        eventually(lambda: source(daemon)["unknown_types"])
        yield daemon


def eventually(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def source(daemon: Daemon) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(daemon.swimctl("status", "--json").stdout)["sources"][0]
    return found


def types_of(daemon: Daemon, *words: str) -> list[str]:
    shown = daemon.swimctl("tail", *words, "--json", "--last", "100", "--no-follow").stdout
    return [json.loads(line)["type"] for line in shown.splitlines()]


def test_every_shape_arrives_in_its_family(daemon: Daemon) -> None:
    for entry in EMITTED:
        family = "ctp" if entry["type"].startswith("ctp") else entry["type"].partition(".")[0]
        assert types_of(daemon, f"{family}.*") == [entry["type"]]


@pytest.mark.parametrize("channel", ["ctp.slot.assigned", "ctp_slot_assigned"])
def test_slot_goes_out_under_its_own_type_with_its_fields_as_data(daemon: Daemon, channel: str) -> None:
    (line,) = daemon.swimctl("tail", channel, "--json", "--last", "9", "--no-follow").stdout.splitlines()
    event = json.loads(line)
    assert (event["type"], event["data"]) == ("ctp_slot_assigned", {"callsign": "BAW1", "slot": "1200"})


@pytest.mark.parametrize(("airport", "expected"), [("EGKK", 1), ("LSZH", 1), ("LSGG", 0)])
def test_event_of_an_open_ended_type_that_concerns_many_is_found(daemon: Daemon, airport: str, expected: int) -> None:
    assert len(types_of(daemon, "tmi.*", "--airport", airport)) == expected


def test_unknown_type_is_counted_told_once_and_mended_by_a_line(daemon: Daemon) -> None:
    assert source(daemon)["unknown_types"] == {"tmi.wish": 3}
    checks = json.loads(daemon.swimctl("doctor", "--json", "--only", "stream").stdout)["checks"]
    (check,) = [each for each in checks if each["id"] == "stream.known-types"]
    assert check["status"] == "warn"
    assert '[channels.families] tmi = ["wish"]' in json.dumps(check).replace("\\\\", "").replace('\\"', '"')


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["--airport", "JFK"], "hint: no airport JFK; KJFK?"),
        (["--airport", "KJFKX"], "hint: no airport KJFKX; KJFK?"),
        (["--artcc", "KZNY"], "hint: no centre KZNY; ZNY?"),
    ],
)
def test_filter_that_can_match_nothing_is_hinted_at(
    daemon: Daemon, tmp_path: Path, words: list[str], hint: str
) -> None:
    told = daemon.swimctl("tail", *words, "--last", "1", "--no-follow")
    assert told.stderr.splitlines() == [hint]
    told = daemon.swimctl("record", str(tmp_path / "x.swim"), *words, "--no-follow")
    assert hint in told.stderr


@pytest.mark.parametrize("option", ["--airport", "--artcc", "--callsign", "--fir"])
def test_empty_filter_is_refused(daemon: Daemon, option: str) -> None:
    told = daemon.swimctl("tail", option, "", "--no-follow")
    assert told.returncode == 2
    assert f"{option}: must not be empty" in told.stderr
