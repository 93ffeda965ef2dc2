"""How long it takes from the feed's answer to a subscriber: ``python tests/load/feed_delay.py [--pilots 1700]``.

A local server serves simulated snapshots, a daemon asks it every second, a subscriber on the same machine listens to
everything. Prints milliseconds from the last byte of an answer to the first and to the last event that it brought.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "server"))

from support.daemon import Daemon, running_daemon
from support.feed import document
from support.feed_server import FeedServer
from swim_server.sources.airports import load_airfields
from swim_server.sources.simulator.traffic import Traffic

from swimctl.client.connect import to_daemon
from swimctl.client.session import Session, decode

NOON_MS = 1_768_564_800_000
SNAPSHOT_MS = 15_000
QUIET_SECONDS = 0.5
"""After so long without an event a snapshot has brought all it had."""


class TimedFeed(FeedServer):
    """Records when it has sent the last byte of its newest document."""

    served_at: float | None = None

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str], cut: int | None = None
    ) -> None:
        super()._send(handler, status, body, headers, cut)
        if status == 200:
            self.served_at = time.monotonic()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pilots", type=int, default=1700)
    parser.add_argument("--snapshots", type=int, default=20)
    arguments = parser.parse_args()
    traffic = Traffic(load_airfields(), seed=1)
    traffic.begin(round(arguments.pilots * 1.05), NOON_MS)
    snapshots = [traffic.snapshot(NOON_MS + number * SNAPSHOT_MS) for number in range(arguments.snapshots + 1)]
    feed = TimedFeed([document(snapshot) for snapshot in snapshots])
    feed.start()
    try:
        with tempfile.TemporaryDirectory(prefix="swim-feed-") as folder:
            source = f"vatsim:{feed.url}?interval_seconds=1"
            with running_daemon(Path(folder) / "h", sources=[source]) as daemon:
                delays = list(listen(daemon, feed))
    finally:
        feed.close()
    firsts, lasts, counts = zip(*delays, strict=True)
    print(f"{len(snapshots[-1].pilots)} pilots, {len(delays)} snapshots, {min(counts)} to {max(counts)} events each")
    for name, values in (("first event", firsts), ("last event", lasts)):
        ordered = sorted(values)
        print(f"{name:<12} best {ordered[0]:.0f}, median {ordered[len(ordered) // 2]:.0f}, worst {ordered[-1]:.0f} ms")


def listen(daemon: Daemon, feed: TimedFeed) -> Iterator[tuple[float, float, int]]:
    """Serve one snapshot after the other; return the delays of the first and last event, and how many there were."""
    from swim_server.daemon.home import Home

    session = to_daemon(Home(daemon.home))()
    session.receive(10)
    session.send({"action": "subscribe", "channels": ["flight.*"]})
    while daemon.status()["sources"][0]["details"]["snapshots"] < 1:
        time.sleep(0.05)
    while feed.advance():
        feed.served_at = None
        arrived = list(arrivals(session))
        assert feed.served_at is not None, "events came before the feed had been served"
        yield (arrived[0] - feed.served_at) * 1000, (arrived[-1] - feed.served_at) * 1000, len(arrived)
    session.close()


def arrivals(session: Session) -> Iterator[float]:
    """Return when the events of one snapshot arrived."""
    patience: float = 30
    while (payload := session.receive(patience)) is not None:
        message: dict[str, Any] = decode(payload)
        if str(message.get("type")).startswith("flight."):
            yield time.monotonic()
            patience = QUIET_SECONDS


if __name__ == "__main__":
    main()
