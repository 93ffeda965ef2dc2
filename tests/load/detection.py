"""Detection, measured: how fast a snapshot pair is decoded and compared, and how accurate the announcements are.

    python tests/load/detection.py
    python tests/load/detection.py --flights 300 --hours 6 --seed 7      # the same in some seconds

The day is simulated, so the truth about each flight is known, and full of trouble: snapshots dropped, repeated, late
and cut off; aircraft frozen, paused, accelerated, set to other places, renamed, disconnected and back within five
minutes; flickering speeds, two pilots of one member; rejected take-offs, go-arounds, touch-and-goes, helicopters,
gliders, seaplanes to unlisted lakes, helicopters to oil rigs; turnarounds, diversions, returns, stop-overs, plans
changed in flight.
"""

from __future__ import annotations

import argparse
import gc
import gzip
import statistics
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "server"))

from support.feed import document
from support.referee import Referee, troubles_of
from support.troubled_traffic import Seen, TroubledFlight, deliver
from swim_server.detection.airfields import Airfield, Airfields
from swim_server.detection.detect import detect
from swim_server.detection.feed import Snapshot
from swim_server.detection.feed_decoding import decode_snapshot
from swim_server.detection.geodesy import destination
from swim_server.detection.network_state import EMPTY_STATE, NetworkState
from swim_server.detection.regions import Regions
from swim_server.protocol.timestamps import format_ms, parse_ms
from swim_server.sources.airports import load_airfields
from swim_server.sources.boundaries import BoundariesFile
from swim_server.sources.simulator.itinerary import DoesNotFit
from swim_server.sources.simulator.routes import Route
from swim_server.sources.simulator.traffic import SimulatedFlight, Traffic
from swim_server.sources.simulator.world import AIRLINES, TYPES, AircraftType

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
RECORDED = DATA / "vatsim"
BOUNDARIES = DATA / "vatspy" / "Boundaries.geojson.gz"
NOON_MS = 1_768_564_800_000
SNAPSHOT_MS = 15_000
HELICOPTER_WEIGHT = 12
MANOEUVRES = 0.25
UNUSUAL = 0.4
"""Of the connections without a manoeuvre."""
SPECIALS_AN_HOUR = 8
"""Of gliders, seaplanes and helicopters to rigs, each."""


def main() -> None:
    """Measure both and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flights", type=int, default=3000, help="in a day")
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200, help="of each speed measurement")
    parser.add_argument("--only", choices=["speed", "quality"])
    parser.add_argument("--explain", action="store_true", help="name what was missed and what was false")
    arguments = parser.parse_args()
    airfields = load_airfields()
    if arguments.only != "quality":
        measure_speed(airfields, arguments.rounds)
    if arguments.only != "speed":
        measure_quality(airfields, arguments)


# Speed


def measure_speed(airfields: Airfields, rounds: int) -> None:
    """Decode and compare pairs of snapshots of two sizes, with and without region boundaries."""
    headings = "".join(f" {name:>17}" for name in ("decode", "detect", "together", "CPU together"))
    print(f"{'pilots':>7} {'from':<10} {'regions':<8}{headings}   ms: best, median, p99")
    boundaries = BoundariesFile(BOUNDARIES if BOUNDARIES.exists() else None)
    for origin, first, second in pairs(airfields):
        for regions in [None, boundaries] if BOUNDARIES.exists() else [None]:
            columns, snapshot = measure_pair(first, second, airfields, regions, rounds)
            told = "with" if regions else "none"
            print(f"{len(snapshot.pilots):>7} {origin:<10} {told:<8}{columns}   {memory(snapshot, airfields)}")


def measure_pair(
    first: bytes, second: bytes, airfields: Airfields, regions: Regions | None, rounds: int
) -> tuple[str, Snapshot]:
    """Decode and compare one pair repeatedly. CPU time is independent of the machine's other load."""
    snapshot = decode_snapshot(first)
    places = [(pilot.latitude or 0.0, pilot.longitude or 0.0) for pilot in snapshot.pilots]
    network_state = detect(EMPTY_STATE, snapshot, airfields, regions=regions).network_state
    detect(network_state, decode_snapshot(second), airfields, regions=regions)  # what is read once is read now
    decoding, detecting, together, cpu = [], [], [], []
    for _ in range(rounds):
        if regions is not None:
            regions.around(places)  # as after the snapshot before: what stands still is known, the rest is not
        cpu_began, began = time.process_time(), time.perf_counter()
        snapshot = decode_snapshot(second)
        decoded = time.perf_counter()
        detect(network_state, snapshot, airfields, regions=regions)
        ended = time.perf_counter()
        cpu.append((time.process_time() - cpu_began) * 1000)
        decoding.append((decoded - began) * 1000)
        detecting.append((ended - decoded) * 1000)
        together.append((ended - began) * 1000)
    return "".join(f" {show(values):>17}" for values in (decoding, detecting, together, cpu)), snapshot


def pairs(airfields: Airfields) -> Iterator[tuple[str, bytes, bytes]]:
    """Return two pairs of documents: recorded ones if there are any, otherwise simulated ones of the same size."""
    recorded = sorted((RECORDED / "2024-11-21").glob("*.json.gz"))
    if len(recorded) >= 2:
        yield "recorded", gzip.decompress(recorded[0].read_bytes()), gzip.decompress(recorded[1].read_bytes())
    else:
        yield "simulated", *simulated_pair(airfields, 940)
    single = next(iter((RECORDED / "single").glob("*.json.gz")), None)
    if single is not None:
        first = gzip.decompress(single.read_bytes())
        yield "recorded", first, moved(first)
    else:
        yield "simulated", *simulated_pair(airfields, 1780)


def simulated_pair(airfields: Airfields, flights: int) -> tuple[bytes, bytes]:
    """Return two simulated snapshots, 15 seconds apart."""
    traffic = Traffic(airfields, seed=1)
    traffic.begin(flights, NOON_MS)
    return document(traffic.snapshot(NOON_MS)), document(traffic.snapshot(NOON_MS + SNAPSHOT_MS))


def moved(first: bytes) -> bytes:
    """Return the same document 15 seconds later: everyone who flies has moved, and everyone has reported."""
    feed = msgspec.json.decode(first)
    feed["general"]["update_timestamp"] = later(feed["general"]["update_timestamp"])
    for pilot in feed["pilots"]:
        pilot["latitude"] = max(-90.0, pilot["latitude"] - pilot["groundspeed"] * SNAPSHOT_MS / 3_600_000 / 60)
        pilot["last_updated"] = later(pilot["last_updated"])
    return msgspec.json.encode(feed)


def later(stamp: str) -> str:
    """Return the time 15 seconds later, with as many digits as in the feed."""
    return format_ms(parse_ms(stamp) + SNAPSHOT_MS).replace("Z", "0000Z")


def memory(snapshot: Snapshot, airfields: Airfields) -> str:
    """Return the size of a network state: in memory, and as a state file."""
    gc.collect()
    tracemalloc.start()
    network_state = detect(EMPTY_STATE, snapshot, airfields).network_state
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return f"stage {held / 1024:,.0f} KiB, as JSON {len(msgspec.json.encode(network_state)) / 1024:,.0f} KiB"


def show(values: list[float]) -> str:
    """Print best, median and 99th percentile."""
    return f"{min(values):.1f} {statistics.median(values):.1f} {sorted(values)[int(len(values) * 0.99)]:.1f}"


# Quality


def measure_quality(airfields: Airfields, arguments: argparse.Namespace) -> None:
    """Simulate a day and compare what was announced with what was true."""
    day = Day(airfields, arguments)
    network_state, referee, skipped = NetworkState(scope="day:"), Referee(), Counter[str]()
    cids: dict[int, int] = {}
    longest, began = 0.0, time.perf_counter()
    for delivery in deliver(day.shots(), Random(f"{arguments.seed}:delivery")):
        started = time.perf_counter()
        detection = detect(network_state, delivery.snapshot, airfields, with_positions=False)
        longest = max(longest, time.perf_counter() - started)
        network_state = detection.network_state
        skipped[detection.skipped or "used"] += 1
        cids |= {flight.uid: flight.cid for flight in network_state.flights.values()}
        referee.watch(delivery, detection.events, cids)
    for flight in day.flights.values():
        referee.reveal(flight.cid, flight.truth())
        referee.reveal_arrivals(flight.cid, flight.arrivals())
    report(referee, day, skipped, arguments.explain)
    print(f"{arguments.hours:g} h in {time.perf_counter() - began:.0f} s; longest comparison {longest * 1000:.0f} ms")


class Day:
    """Troubled traffic, snapshot by snapshot."""

    def __init__(self, airfields: Airfields, arguments: argparse.Namespace) -> None:
        helicopters = [
            airline._replace(weight=HELICOPTER_WEIGHT) if airline.code == "LIFE" else airline for airline in AIRLINES
        ]
        self._traffic = Traffic(
            airfields, seed=arguments.seed, manoeuvres=MANOEUVRES, unusual=UNUSUAL, airlines=helicopters
        )
        self._specials = special_flights(airfields, arguments.seed, arguments.hours)
        self._seed = arguments.seed
        self._hours = arguments.hours
        self._at_once = max(10, round(arguments.flights / 5.3))
        """A flight lives 4.5 hours in the mean: so many at once make the number in a day."""
        self.flights: dict[int, TroubledFlight] = {}
        """By serial number, all that ever were."""
        self.troubles: dict[tuple[int, str], str] = {}
        self.manoeuvres: Counter[str] = Counter()
        self.courses: Counter[str] = Counter()

    def shots(self) -> Iterator[tuple[int, list[Seen]]]:
        """Yield each moment with what a snapshot of it lists."""
        self._traffic.begin(self._at_once, NOON_MS)
        for at_ms in range(NOON_MS, NOON_MS + round(self._hours * 3_600_000), SNAPSHOT_MS):
            self._traffic.advance(at_ms)
            yield at_ms, [seen for seen in self._look(at_ms) if seen is not None]

    def _look(self, at_ms: int) -> Iterator[Seen | None]:
        before = self._traffic.flights[-1].cid
        living = [flight for flight in self._specials if flight.begins_ms <= at_ms < flight.ends_ms]
        for flight in [*self._traffic.flights, *living]:
            troubled = self.flights.get(flight.serial)
            if troubled is None:
                random = Random(f"{self._seed}:{flight.serial}:trouble")
                troubled = self.flights[flight.serial] = TroubledFlight(flight, random, before)
                self.manoeuvres["helicopter" if flight.aircraft.is_rotorcraft else flight.manoeuvre] += 1
                self.courses[flight.course if flight.serial < FIRST_SPECIAL else flight.aircraft.designator] += 1
            before = flight.cid
            seen = troubled.see(at_ms)
            if seen is not None:
                self.troubles[seen.key] = (
                    f"{troubled.trouble}/{flight.manoeuvre}/{flight.course}/{flight.aircraft.designator}"
                )
            yield seen


GLIDER = AircraftType("GLID", "GLID/G", 60, 4000, 500, 350, 42, 50, 15, 60)
SEAPLANE = AircraftType("DHC2", "DHC2/G", 110, 5000, 700, 500, 52, 60, 20, 300)
FIRST_SPECIAL = 500_000
"""Serial numbers from here on are not the traffic's."""


def special_flights(airfields: Airfields, seed: int, hours: float) -> list[SimulatedFlight]:
    """Create flights that airlines don't fly: gliders between fields, seaplanes to lakes and helicopters to rigs."""
    random = Random(f"{seed}:special")
    hubs = [
        field for code in ("EDDF", "EGPD", "ENZV", "PANC", "KSEA", "KMSY", "LFML") if (field := airfields.get(code))
    ]
    flights: list[SimulatedFlight] = []
    for serial in range(FIRST_SPECIAL, FIRST_SPECIAL + round(3 * SPECIALS_AN_HOUR * hours)):
        kind = (GLIDER, SEAPLANE, TYPES["S76"])[serial % 3]
        hub = random.choice(hubs)
        begins_ms = NOON_MS + round(random.uniform(0, hours) * 3_600_000)
        while True:
            place = destination(hub.latitude, hub.longitude, random.uniform(0, 360), random.uniform(25, 55))
            if kind is GLIDER:
                other = airfields.nearest(*place, 10)
            else:
                other = (
                    None
                    if airfields.nearest(*place, 8)
                    else Airfield("ZZZZ", *place, 120 if kind.is_rotorcraft else 600)
                )
            if other is None or other.code == hub.code:
                continue
            ends = (hub, other) if random.random() < 0.5 else (other, hub)
            try:
                flights.append(SimulatedFlight(serial, begins_ms, Route(AIRLINES[0], kind, *ends), random, "none"))
            except DoesNotFit:
                continue
            break
    return flights


def after(delays_ms: list[int]) -> str:
    """Return the delay after it could be known: median and 99th percentile; negative: before the snapshot that proves
    it.
    """
    ordered = sorted(delays_ms) or [0]
    return f"{ordered[len(ordered) // 2] / 1000:g}, {ordered[int(len(ordered) * 0.99)] / 1000:g}"


def report(referee: Referee, day: Day, skipped: Counter[str], is_explained: bool) -> None:
    """Print the table."""
    troubles = Counter(flight.trouble for flight in day.flights.values())
    print(f"\n{len(day.flights)} flights: " + ", ".join(f"{count} {name}" for name, count in troubles.most_common()))
    print("    " + ", ".join(f"{count} {name}" for name, count in day.manoeuvres.most_common()))
    print("    " + ", ".join(f"{count} {name}" for name, count in day.courses.most_common()))
    print("snapshots: " + ", ".join(f"{count} {name}" for name, count in skipped.most_common()))
    headings = f"{'true':>7}{'detected':>10}{'missed':>8}{'false':>7}{'late':>6}{'precision':>11}{'recall':>9}"
    print(f"\n{'':<10}{headings}   seconds: median, p99")
    for score in referee.scores():
        print(
            f"{score.kind:<10}{score.true:>7}{score.detected:>10}{score.missed:>8}{score.false:>7}{score.late:>6}"
            f"{score.precision:>11.5f}{score.recall:>9.5f}   {after(referee.delays_ms(score.kind))}"
        )
        missed, false = referee.wrong(score.kind)
        if is_explained and (late := referee.late(score.kind)):
            print(f"    late: {dict(troubles_of(late, day.troubles))} {late[:5]}")
        if is_explained and (missed or false):
            print(f"    missed: {dict(troubles_of(missed, day.troubles))} {missed[:5]}")
            print(f"    false: {dict(troubles_of(false, day.troubles))} {false[:5]}")

    known, misplaced = referee.misplaced()
    print(f"arrivals with their place: {known}, {len(misplaced)} of them at another field or wrongly diverted")
    if is_explained and misplaced:
        print(
            "\n".join(
                f"    {day.troubles.get(told.key)} {told}: said {place}, true {true}"
                for told, place, true in misplaced[:10]
            )
        )


if __name__ == "__main__":
    main()
