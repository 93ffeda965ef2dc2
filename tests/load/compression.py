"""Compression: one compressed frame for all, compared with the library's own compression per connection.

    python tests/load/compression.py [--connections 1000] [--rounds 5]

Position batches of 250 flights, and bytes on the wire against the same batches plain.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.load_rig import Daemon, Receiver, Server, compiled, median, python_peer, table, workshop

SUBSCRIBE = '{"action":"subscribe","channels":["flight.positions"]}'
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
FLIGHTS = 250
PEER_SIZE = 220 * FLIGHTS


def batch(chance: random.Random) -> dict[str, Any]:
    """Return a batch as the feed makes it."""
    rows = [
        {
            "callsign": f"{chance.choice(['DAL', 'BAW', 'AAL'])}{chance.randrange(9999)}",
            "flight_uid": chance.randrange(2**50),
            "latitude": round(chance.uniform(-60, 60), 5),
            "longitude": round(chance.uniform(-180, 180), 5),
            "altitude_ft": chance.randrange(41_000),
            "groundspeed_kts": chance.randrange(520),
            "heading_deg": chance.randrange(360),
            "vertical_rate_fpm": chance.randrange(-2000, 2000),
            "current_artcc": chance.choice(["ZNY", "ZLA", "EGTT", None]),
            "dep": chance.choice(["KJFK", "KLAX", "EGLL"]),
            "arr": chance.choice(["KSFO", "LFPG", "RJTT"]),
        }
        for _ in range(FLIGHTS)
    ]
    return {"count": FLIGHTS, "positions": rows}


def measure(program: Path, server: Server, connections: int, times: int, *, compressed: bool) -> dict[str, float]:
    """Send batches one after another; return deliveries per second, CPU, memory, bytes."""
    headers = [OFFER] if compressed else []
    rss = server.rss()
    receiver = Receiver(program, server, connections, messages=[SUBSCRIBE], headers=headers)
    _, opened = receiver.opened()
    assert opened == connections
    chance = random.Random(1)
    counts = 0
    for warm in (True, False):
        if not warm:
            receiver.reset()
            cpu, began = server.cpu_seconds(), time.monotonic()
        for _ in range(1 if warm else times):
            receiver.expect(1)
            if isinstance(server, Daemon):
                server.publish([{"type": "flight.positions", "data": _marked(server, batch(chance))}])
            else:
                server.send(1, PEER_SIZE)
            receiver.counted()
            counts += not warm
    seconds, cpu = time.monotonic() - began, server.cpu_seconds() - cpu
    grown = (server.rss() - rss) / connections / 1024
    found = receiver.stop()
    deliveries = connections * counts
    return {
        "rate": deliveries / seconds,
        "cpu": 1e6 * cpu / deliveries,
        "bytes": found["bytes"] / deliveries,
        "memory": grown,
    }


def _marked(server: Server, data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "seq": 10**9 + server.sequence, "at": 10**18 + time.monotonic_ns()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=10)
    options = parser.parse_args()
    found: dict[str, list[dict[str, float]]] = {}
    with workshop() as folder:
        program = compiled("receiver.c", folder)
        ways: list[tuple[str, Callable[[], Server], bool]] = [
            ("swim, plain", lambda: Daemon(folder), False),
            ("swim, compressed once", lambda: Daemon(folder), True),
            ("library, deflate for each", lambda: python_peer("library", "deflate"), True),
        ]
        for _ in range(options.rounds):
            for name, start, compressed in ways:
                server = start()
                try:
                    measured = measure(program, server, options.connections, options.batches, compressed=compressed)
                    found.setdefault(name, []).append(measured)
                finally:
                    server.end()
    rows = [
        [name, *(median([each[key] for each in measured]) for key in ("rate", "cpu", "bytes", "memory"))]
        for name, measured in found.items()
    ]
    columns = ["server", "deliveries/s", "CPU s per million", "bytes a delivery", "KiB per connection"]
    table(f"Batches of {FLIGHTS} positions to {options.connections:,} connections", columns, rows)


if __name__ == "__main__":
    main()
