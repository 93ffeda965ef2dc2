"""The index: an event costs per receiver, a snapshot of positions per distinct cut; and it is never wrong.

    python tests/load/index.py [--examples 20000] [--rounds 5] [--seed 1]

One event with ten receivers among more and more connections with distinct filters; 1,700 positions to 1,000 clients
with 200 distinct filters, to a way out that does nothing and over sockets of a real daemon, where the last read counts;
and the property run against a naive matcher.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.load_rig import NINETEEN, TEN, Daemon, Receiver, compiled, median, table, workshop
from support.naive_matcher import compare_in_a_random_crowd
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.protocol.channels import Catalogue
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.event_id import ZERO
from swim_server.protocol.events import Event, NewEvent, stamp
from swim_server.protocol.filters import Filters
from swim_server.protocol.positions import split
from swim_server.protocol.predicates import Box
from swim_server.streaming.client import Client
from swim_server.streaming.connection import Connection
from swim_server.streaming.hub import Hub
from swim_server.streaming.subscription import Subscription

EVENTS_PER_EXAMPLE = 20
RECEIVERS = 10
FLIGHTS = 1700


class Nowhere:
    """A transport that only counts."""

    def __init__(self) -> None:
        self.writes = 0
        self.bytes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        self.bytes += len(data)

    def descriptor(self) -> int | None:
        return None

    def peer(self) -> tuple[str, int] | None:
        return None

    def buffered_bytes(self) -> int:
        return 0

    def hold_reading(self) -> None:
        raise AssertionError("nobody waits for an answer here")

    def release_reading(self) -> None:
        raise AssertionError("nobody waits for an answer here")

    def close(self, code: CloseCode, reason: str = "") -> None:
        raise AssertionError("nobody is slow here")


class HubRig:
    """A hub whose turns are run here."""

    def __init__(self) -> None:
        self.soon: deque[Callable[[], None]] = deque()
        self.hub = Hub(Catalogue(), call_soon=self.soon.append, clock=SYSTEM_CLOCK, on_failure=_fail)
        self.outlets: list[Nowhere] = []

    def connect(self, filters: Filters, channel: str = "flight.*") -> None:
        publisher = Nowhere()
        self.outlets.append(publisher)
        connection = Connection(
            f"client {len(self.outlets)}",
            publisher,
            Client("system", None, "", 0),
            limit_bytes=1,
        )
        self.hub.add(connection)
        self.hub.subscribe(connection, Subscription(frozenset({channel}), filters))

    def deliver(self, events: list[Event]) -> float:
        """Return the seconds until the last write."""
        began = time.perf_counter()
        self.hub.deliver(events)
        while self.soon:
            self.soon.popleft()()
        return time.perf_counter() - began


def _fail(error: BaseException) -> None:
    raise error


def distinct_filters(kind: str, number: int) -> Filters:
    """Return filters that no other client has."""
    match kind:
        case "airports":
            return Filters(airports=frozenset({f"X{number:05}"}))
        case "callsigns":
            return Filters(callsign_prefixes=frozenset({f"X{number:05}"}))
        case "centres and callsigns":
            return Filters(artccs=frozenset({"ZNY"}), callsign_prefixes=frozenset({f"X{number:05}"}))
        case "airports of one callsign":
            return Filters(airports=frozenset({f"X{number:05}"}), callsign_prefixes=frozenset({"DAL"}))
    south, west = -80 + number % 80, -170 + number // 80 % 100
    return Filters(bbox=_box(south, west))


def _box(south: float, west: float) -> Box:
    return Box(north=south + 0.9, south=south, east=west + 0.9, west=west)


def ten_receivers(kind: str, connections: int, rounds: int) -> float:
    """Return the microseconds for one event that ten of the connections receive."""
    rig = HubRig()
    for number in range(connections - RECEIVERS):
        rig.connect(distinct_filters(kind, number))
    for number in range(RECEIVERS):
        rig.connect(Filters(airports=frozenset({"KJFK", f"R{number}"}), callsign_prefixes=frozenset({"DAL"})))
    data = {
        "callsign": "DAL123",
        "dep": "KJFK",
        "arr": "KLAX",
        "current_artcc": "ZNY",
        "latitude": 40.6,
        "longitude": 73.8,
    }
    found = []
    event_id = ZERO
    for _ in range(rounds * 40):
        event_id = event_id.next(0)
        found.append(rig.deliver([stamp(NewEvent(type="flight.departed", data=data), event_id)]))
    received = sum(publisher.writes for publisher in rig.outlets)
    assert received == RECEIVERS * rounds * 40, received
    return 1e6 * median(found)


def snapshot(rounds: int, seed: int) -> tuple[float, float, float, int]:
    """Return milliseconds to the last write, the longest block, milliseconds for encoding, and frames written."""
    rig = HubRig()
    chosen, rows = _traffic(seed)
    for number in range(1000):
        rig.connect(chosen[number % 200])
    new = NewEvent(type="flight.positions", data={"count": FLIGHTS, "positions": rows})
    totals, holds, stamps = [], [], []
    event_id = ZERO
    for _ in range(rounds * 3):
        began = time.perf_counter()
        events = []
        for part in split(new):
            event_id = event_id.next(0)
            events.append(stamp(part, event_id))
        stamped = time.perf_counter()
        rig.hub.deliver(events)
        holds.append(time.perf_counter() - stamped)
        while rig.soon:
            turn = time.perf_counter()
            rig.soon.popleft()()
            holds.append(time.perf_counter() - turn)
        totals.append(time.perf_counter() - began)
        stamps.append(stamped - began)
    return (
        1e3 * median(totals),
        1e3 * max(holds),
        1e3 * median(stamps),
        sum(publisher.writes for publisher in rig.outlets),
    )


def _traffic(seed: int) -> tuple[list[Filters], list[dict[str, Any]]]:
    """Return two hundred distinct filters, and the positions of a snapshot."""
    chance = random.Random(seed)
    airports = [f"K{chr(65 + number // 26)}{chr(65 + number % 26)}X" for number in range(300)]
    centres = [f"Z{number:02}" for number in range(40)]
    kinds: tuple[Callable[[int], Filters], ...] = (
        lambda number: Filters(airports=frozenset(chance.sample(airports, 2))),
        lambda number: Filters(artccs=frozenset({chance.choice(centres)})),
        lambda number: Filters(callsign_prefixes=frozenset({f"C{chance.randrange(100):02}"})),
        lambda number: Filters(bbox=_box(-60 + number / 2, 20)),
    )
    chosen = [kinds[number % 4](number) for number in range(200)]
    rows = [
        {"callsign": f"C{number:04}", "flight_uid": number, "latitude": chance.uniform(-60, 60),
         "longitude": chance.uniform(-180, 180), "altitude_ft": 35000, "groundspeed_kts": 450, "heading_deg": 90,
         "vertical_rate_fpm": 0, "current_artcc": chance.choice(centres), "dep": chance.choice(airports),
         "arr": chance.choice(airports)}
        for number in range(FLIGHTS)
    ]  # fmt: skip
    return chosen, rows


def over_sockets(folder: Path, rounds: int, seed: int) -> tuple[float, float]:
    """Return milliseconds from the snapshot's publication to the last client's last read, and bytes written."""
    chosen, rows = _traffic(seed)
    program = compiled("receiver.c", folder)
    daemon = Daemon(folder)
    sets = [
        json.dumps({"action": "subscribe", "channels": ["flight.positions"], "filters": filters.to_wire()})
        for filters in chosen
    ]
    messages = [line for text in sets for line in ("---", text)][1:]
    delays, sizes = [], []
    try:
        for _ in range(rounds):
            receiver = Receiver(program, daemon, 1000, messages=messages, answers=2)
            receiver.opened()
            time.sleep(0.5)
            receiver.reset()
            data = {"count": FLIGHTS, "positions": rows, "seq": TEN + 1, "at": NINETEEN + time.monotonic_ns()}
            daemon.publish([{"type": "flight.positions", "data": data}])
            time.sleep(2)
            found = receiver.stop()
            assert not found["gone"], found
            assert found["silent"] < 500, found
            delays.append(found["max_ms"])
            sizes.append(found["bytes"])
    finally:
        daemon.end()
    return median(delays), median(sizes)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = []
    for kind in ("airports", "callsigns", "centres and callsigns", "airports of one callsign", "regions"):
        few, many = ten_receivers(kind, 100, options.rounds), ten_receivers(kind, 10_000, options.rounds)
        rows.append([kind, few, many, many / few])
    columns = ["distinct", "µs among 100", "µs among 10,000", "ratio"]
    table(f"One event, {RECEIVERS} receivers, every connection with filters of its own", columns, rows)
    began = time.perf_counter()
    rig = HubRig()
    for number in range(10_000):
        rig.connect(distinct_filters("airports", number), "*")
    added = time.perf_counter() - began
    total, hold, stamped, writes = snapshot(options.rounds, options.seed)
    with workshop() as folder:
        last_read, size = over_sockets(folder, options.rounds, options.seed)
    columns = [
        "ms from snapshot to last write",
        "of them cut and encode for history",
        "longest hold of the loop, ms",
        "writes",
        "over sockets: ms from snapshot to last read",
        "MB read",
    ]
    table(
        f"{FLIGHTS} positions, 1,000 clients, 200 distinct filters",
        columns,
        [[total, stamped, hold, writes, last_read, size / 1e6]],
    )
    table("Ten thousand groups with distinct filters", ["seconds to connect and subscribe"], [[added]])
    began = time.perf_counter()
    receivers = 0
    for number in range(-(-options.examples // EVENTS_PER_EXAMPLE)):
        receivers += compare_in_a_random_crowd(options.seed * 1_000_000 + number, events=EVENTS_PER_EXAMPLE)
    columns = ["events", "crowds", "receivers", "differences", "seconds", "seed"]
    crowds = -(-options.examples // EVENTS_PER_EXAMPLE)
    row = [crowds * EVENTS_PER_EXAMPLE, crowds, receivers, 0, time.perf_counter() - began, options.seed]
    table("Index against a naive matcher", columns, [row])


if __name__ == "__main__":
    main()
