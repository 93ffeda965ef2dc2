"""The Python SDK under load: reads commands of ``sdk_speed.py``, reports what its handlers saw."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from swim_client import SWIMClient, sync


def tell(**fields: Any) -> None:
    """Print one line."""
    print(json.dumps(fields), flush=True)


def main() -> None:
    """Run one client until standard input ends."""
    mode, url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    loops = sys.argv[4:] == ["sync"]
    client_class = sync.SWIMClient if loops else SWIMClient
    client = client_class("swim_dev_0123456789abcdefghijklmnopqrstuvwxyzAB", url, reconnect_interval=0.05)
    seen, first, latencies = 0, 0.0, []

    def on_flight(event: Any, timestamp: str) -> None:
        nonlocal seen, first
        if seen % count == 0:
            first = time.perf_counter()
        seen += 1
        if not event.callsign:
            raise ValueError("an event without a callsign")
        if mode == "latency":
            latencies.append(time.time() * 1e6 - event["sent_us"])
        if seen % count == 0:
            tell(seconds=time.perf_counter() - first, latencies=latencies)

    @client.on("subscribed")
    def on_subscribed() -> None:
        tell(subscribed=True)

    @client.flights.on_change
    def on_change(what: str, flight: Any) -> None:
        if mode == "mirror" and len(client.flights) == count:
            tell(mirrored=len(client.flights))

    if isinstance(client, sync.SWIMClient):
        client.connect()
        for event in client.events(["flight.*"], state=mode == "mirror"):
            on_flight(event, event.timestamp)
        return
    client.on("flight.*")(on_flight)
    client.subscribe(["flight.*"], state=mode == "mirror")
    threading.Thread(target=client.run, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
