"""A storm: thousands connect at once while others receive live events. All are served; nobody waits long.

    python tests/load/storm.py [--connections 9900] [--live 100] [--rounds 3]

Live clients receive twenty events a second the whole time; their latencies are those of the storm's seconds alone.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.load_rig import Daemon, Receiver, compiled, median, table, workshop

LIVE = '{"action":"subscribe","channels":["flight.*"]}'
SUBSCRIBE = '{"action":"subscribe","channels":["tmi.*"]}'
EVENTS_PER_SECOND = 20


def storm(program: Path, folder: Path, connections: int, live: int) -> dict[str, Any]:
    """Run one storm on its own daemon."""
    daemon = Daemon(folder)
    is_over = threading.Event()
    try:
        listeners = Receiver(program, daemon, live, messages=[LIVE])
        listeners.opened()

        def publish() -> None:
            while not is_over.is_set():
                daemon.send(1, 262)
                time.sleep(1 / EVENTS_PER_SECOND)

        publisher = threading.Thread(target=publish)
        publisher.start()
        time.sleep(2)
        listeners.reset()
        crowd = Receiver(program, daemon, connections, in_flight=connections, messages=[SUBSCRIBE])
        seconds, opened = crowd.opened()
        is_over.set()
        publisher.join()
        time.sleep(0.5)
        found = listeners.stop()
        lag = daemon.status()["loop_lag_ms"]["max"]
        crowd.stop()
        return {**found, "seconds": seconds, "opened": opened, "lag": lag}
    finally:
        is_over.set()
        daemon.end()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=9_900)
    parser.add_argument("--live", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with workshop() as folder:
        program = compiled("receiver.c", folder)
        found = [storm(program, folder, options.connections, options.live) for _ in range(options.rounds)]
    for each in found:
        assert not each["lost"] and not each["repeated"], each
    row = [
        options.connections,
        min(each["opened"] for each in found),
        median([each["opened"] / each["seconds"] for each in found]),
        *(median([each[key] for each in found]) for key in ("p50_ms", "p99_ms", "max_ms", "lag")),
    ]
    columns = [
        "connects at once",
        "served",
        "connects/s",
        "live p50 ms",
        "live p99 ms",
        "live max ms",
        "loop lag max ms",
    ]
    table(f"A storm beside {options.live} live clients, {options.rounds} rounds", columns, [row])


if __name__ == "__main__":
    main()
