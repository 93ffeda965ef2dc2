"""The map's own modules, run by Node.js: its state equals the server's, and it parses filters and addresses
correctly.
"""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.packages import require_program
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import NewEvent, stamp
from swim_server.state.world import World

SOURCES = Path(__file__).parents[3] / "server" / "pages"
MOMENT = 1_768_573_815_000


def run(code: str, value: Any) -> Any:
    """Run a module of the pages with a value as ``given``; return what it tells."""
    program = f"""
import {{ readFileSync }} from 'node:fs';
const given = JSON.parse(readFileSync(0, 'utf8'));
const load = (name) => import('file://{SOURCES}/' + name);
{code}
"""
    words = [require_program("node", "nodejs"), "--input-type=module", "-e", program]
    done = subprocess.run(words, input=json.dumps(value), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def some_events(seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Events about a few flights and measures, in any order that a source could tell them."""
    choose = random.Random(seed)
    events: list[tuple[str, dict[str, Any]]] = []
    for _ in range(300):
        uid = choose.randint(1, 6)
        flight: dict[str, Any] = {"flight_uid": uid, "callsign": f"BAW{uid}"}
        if choose.random() < 0.2:
            del flight["flight_uid"]
        kind = choose.choice(["created", "updated", "departed", "arrived", "deleted", "positions", "positions", "tmi"])
        place = {"latitude": choose.uniform(-90, 90), "longitude": choose.uniform(-180, 180)}
        if kind == "positions":
            rows = [{**flight, **place, "altitude_ft": choose.randint(0, 40_000)}]
            events.append(("flight.positions", {"count": 1, "positions": rows}))
        elif kind == "tmi":
            name = choose.choice(["issued", "modified", "released"])
            events.append((f"tmi.{name}", {"program_id": choose.randint(1, 3), "airport": "KJFK"}))
        else:
            more = {"in_utc": "2026-01-16T14:30:15Z"} if kind == "arrived" else {"phase": kind.upper()}
            events.append((f"flight.{kind}", {**flight, **place, **more, "changed": ["phase"]}))
    return events


def told_by_server(events: list[tuple[str, dict[str, Any]]]) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
    """The messages that clients are sent of these events, and the world after them."""
    world, messages = World(), []
    for number, (event_type, data) in enumerate(events):
        event = stamp(NewEvent(type=event_type, data=data, timestamp_ms=MOMENT + number), EventId(MOMENT + number, 0))
        world.fold(event)
        messages.append(msgspec.json.decode(event.wire))
    return messages, {name: list(world.kinds[name].by_key.values()) for name in ("flights", "tmis")}


FOLD = """
const { World } = await load('map/world.js');
const world = new World();
for (const { type, timestamp: at, data } of given) {
  if (type.startsWith('tmi.')) world.foldMeasure({ type, id: null, at, data });
  else if (type === 'flight.positions') for (const row of data.positions) world.foldPosition(row, at);
  else world.foldFlight({ type, id: null, at, data });
}
console.log(JSON.stringify({ flights: [...world.flights.values()], tmis: [...world.measures.values()] }));
"""


@pytest.mark.parametrize("seed", range(4))
def test_map_folds_events_as_the_service_does(seed: int) -> None:
    messages, expected = told_by_server(some_events(seed))
    found = run(FOLD, messages)
    for name, without in (("flights", ("first_seen_at",)), ("tmis", ("first_seen_at", "updated_at"))):
        assert [_known(each, without) for each in found[name]] == [_known(each, without) for each in expected[name]]


def _known(entry: Mapping[str, Any], without: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None and name not in without}


def test_filters_hide_what_the_services_filters_would_and_say_why() -> None:
    flight = {"callsign": "BAW1", "dep": "EGLL", "arr": "KJFK", "current_artcc": "ZNY", "phase": "ENROUTE"}
    code = """
    const { passes, hiddenBy, noFilters } = await load('map/filters.js');
    console.log(JSON.stringify(given.wanted.map((set) => {
      const filters = { ...noFilters(), ...set };
      return [passes(given.flight, filters), hiddenBy(given.flight, filters).map(({ text }) => text)];
    })));
    """
    wanted = [{}, {"airport": ["KJFK"]}, {"fir": ["ZNY"]}, {"callsign": ["DAL", "BA"]}, {"airport": ["EDDF"]},
              {"phase": ["ARRIVED"], "centre": ["ZNY"]}]  # fmt: skip
    assert run(code, {"flight": flight, "wanted": wanted}) == [
        [True, []], [True, []], [True, []], [True, []],
        [False, ["Airport must be EDDF, and is EGLL to KJFK"]],
        [False, ["Phase must be ARRIVED, and is ENROUTE"]],
    ]  # fmt: skip


def test_address_of_a_view_is_read_back_as_it_was_written() -> None:
    code = """
    const { readView, writeView } = await load('map/shared_view.js');
    console.log(JSON.stringify(given.map((hash) => writeView(readView(hash)))));
    """
    kept = [
        "",
        "#airport=KJFK,EGLL&phase=ENROUTE&flight=BAW1&board=KJFK&tab=airport&trails=1&labels=0&boundaries=0"
        "&at=40.600,-74.000,6.40",
    ]
    hostile = ["#at=1,2", "#at=NaN,0,1", "#airport=<script>,%00,KJFK", "#at=999,0,1&flight=A%20B"]
    assert run(code, kept + hostile) == [*kept, "", "", "#airport=KJFK", "#flight=A"]


def test_aircraft_fly_on_between_reports_and_stop_after_a_while() -> None:
    code = """
    const { Motion, placeAt, isStale } = await load('map/motion.js');
    const { toLatitude, toLongitude } = await load('map/mercator.js');
    const motion = new Motion();
    motion.report(1, { latitude: 50, longitude: 0, groundspeed_kts: 480, heading_deg: 90, altitude_ft: 35000 }, 0);
    const track = motion.tracks.get(1);
    const at = (ms) => placeAt(track, ms).map((each, index) => (index ? toLatitude(each) : toLongitude(each)));
    const stale = [60_000, 600_000].map((ms) => isStale(track, ms));
    console.log(JSON.stringify([at(0), at(60_000), at(600_000), ...stale, track.band]));
    """
    begin, minute, later, is_soon, is_late, band = run(code, None)
    assert begin == pytest.approx([0, 50])
    assert minute[0] == pytest.approx(8 / 60 / 0.6428, rel=0.01), "8 nautical miles to the east"
    assert minute[1] == pytest.approx(50)
    assert later == minute
    assert [is_soon, is_late, band] == [False, True, 5]


def test_simulated_traffic_is_flown_on_at_its_own_pace() -> None:
    code = """
    const { Motion } = await load('map/motion.js');
    const motion = new Motion();
    for (let step = 0; step < 400; step += 1) {
      const longitude = ((480 * 30 * step * 2) / 3600 / 60) % 170;
      const report = { latitude: 0, longitude, groundspeed_kts: 480, heading_deg: 90, altitude_ft: 35000 };
      motion.report(1, report, step * 2_000);
    }
    console.log(JSON.stringify(motion.rate));
    """
    assert run(code, None) == pytest.approx(30, rel=0.1)


def test_trail_is_long_and_bounded_however_long_the_page_is_open() -> None:
    code = """
    const { Motion } = await load('map/motion.js');
    const motion = new Motion();
    for (let report = 0; report < given; report += 1) {
      const longitude = ((480 * report * 15) / 3600 / 60) % 170;
      const place = { latitude: 0, longitude, groundspeed_kts: 480, heading_deg: 90, altitude_ft: 35000 };
      motion.report(1, place, report * 15_000);
    }
    const { trail, past } = motion.tracks.get(1);
    console.log(JSON.stringify([trail.length / 2, past.length / 2, [...past, ...trail].filter((_, i) => i % 2 === 0)]));
    """
    for reports in (50, 240, 4_000):
        recent, past, longitudes = run(code, reports)
        assert recent <= 60
        assert past <= 20
        assert longitudes == sorted(longitudes) or reports == 4_000
    assert recent + past >= 70, "a quarter of an hour, and half an hour before"


def test_trail_of_history_is_put_before_what_the_page_saw_and_told_once() -> None:
    code = """
    const { Motion } = await load('map/motion.js');
    const { readTrails } = await load('map/past.js');
    const { toLongitude } = await load('map/mercator.js');
    const motion = new Motion();
    const report = { latitude: 0, groundspeed_kts: 480, heading_deg: 90, altitude_ft: 35000 };
    motion.report(1, { ...report, longitude: 4 }, 1_000_000);
    motion.report(1, { ...report, longitude: 5 }, 1_015_000);
    const trails = [[1, 0, 0, 1000, 1, 0, 1000, 2, 0, 3000], ['KLM9', 0, 1, 1]];
    const told = { ages: [90, 60, 30, 10], units: 1000, trails };
    for (let twice = 0; twice < 2; twice += 1) motion.addPast(readTrails(told, 1_030_000));
    const { past, trail } = motion.tracks.get(1);
    console.log(JSON.stringify([...past, ...trail].filter((_, i) => i % 2 === 0).map(toLongitude)));
    """
    assert run(code, None) == pytest.approx([1, 2, 4, 5]), "what is newer than the first report is passed over"


def test_lines_of_boundaries_are_read_back_from_their_steps() -> None:
    code = """
    const { places } = await load('map/boundaries.js');
    console.log(JSON.stringify(given.map((line) => places(line, 100))));
    """
    lines = [[100, 5000, 100, 0, 0, 50, -200, -50], []]
    assert run(code, lines) == [[[1, 50], [2, 50], [2, 50.5], [0, 50]], []]
