"""The VATSIM source in a real daemon, against a server that serves snapshots as the feed does; killed at any moment."""

from __future__ import annotations

import gzip
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.daemon import Daemon
from support.feed_server import FeedServer, feed_server
from swim_server.detection.detect import detect
from swim_server.detection.feed_decoding import decode_snapshot
from swim_server.detection.network_state import NetworkState
from swim_server.protocol.positions import NEVER_NULL
from swim_server.protocol.timestamps import format_ms
from swim_server.sources.airports import load_airfields

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "vatsim" / "2024-11-21"
SEED = 20241121
KILLS = 2
"""While each snapshot is served."""

pytestmark = [
    pytest.mark.skipif(not RECORDED.is_dir(), reason=f"no recorded snapshots in {RECORDED}"),
    pytest.mark.unmeasured,
]


@pytest.fixture(scope="module")
def documents() -> list[bytes]:
    return [gzip.decompress(path.read_bytes()) for path in sorted(RECORDED.glob("*.json.gz"))]


@pytest.fixture(scope="module")
def expected(documents: list[bytes]) -> Counter[tuple[str, str]]:
    """What detection finds when nothing goes wrong."""
    airfields = load_airfields()
    network_state, found = NetworkState(scope="vatsim:vatsim:"), Counter[tuple[str, str]]()
    for document in documents:
        detection = detect(network_state, decode_snapshot(document), airfields)
        network_state = detection.network_state
        for event in detection.events:
            found.update(contents(event.type, format_ms(event.timestamp_ms or 0), event.data))
    return found


def contents(type: str, timestamp: str, data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What an event tells, and when it is said to have been; each position of a batch by itself."""
    known = dict.fromkeys(NEVER_NULL, 0)
    batch = [known | {name: value for name, value in one.items() if value is not None or name not in known}
             for one in data["positions"]] if type == "flight.positions" else [data]  # fmt: skip
    for one in batch:
        yield type, timestamp + msgspec.json.encode(one, order="sorted").decode()


@pytest.fixture
def server(documents: list[bytes]) -> Iterator[FeedServer]:
    with feed_server(*documents) as server:
        yield server


def published(daemon: Daemon) -> Counter[tuple[str, str]]:
    """Everything in history."""
    done = daemon.swimctl("tail", "--last", "100000", "--no-follow", "--json", check=True)
    found: Counter[tuple[str, str]] = Counter()
    for line in done.stdout.splitlines():
        event = msgspec.json.decode(line)
        found.update(contents(event["type"], event["timestamp"], event["data"]))
    return found


def source_status(daemon: Daemon) -> dict[str, Any]:
    (found,) = daemon.status()["sources"]
    return dict(found)


def wait_for(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come to be"
        time.sleep(0.02)


def has_seen(daemon: Daemon, server: FeedServer, documents: list[bytes]) -> bool:
    stamp = decode_snapshot(documents[server.number]).update_ms
    return bool(source_status(daemon)["details"].get("feed_time") == format_ms(stamp))


def test_each_event_comes_once_through_every_trouble_of_the_feed(
    server: FeedServer, documents: list[bytes], expected: Counter[tuple[str, str]], tmp_path: Path
) -> None:
    daemon = Daemon(tmp_path / "home", sources=[f"vatsim:{server.url}?interval_seconds=0.1"]).start()
    try:
        wait_for(lambda: has_seen(daemon, server, documents))
        while server.advance():
            server.faults = [503, "truncated", "cut"]
            wait_for(lambda: has_seen(daemon, server, documents))
            server.faults = [-1]
            wait_for(lambda: not server.faults)
        wait_for(lambda: server.answers[304] >= 2)
        status = source_status(daemon)
        assert published(daemon) == expected
    finally:
        daemon.kill()
    assert server.answers[503] >= 1
    details = status["details"]
    assert details["snapshots"] == 4
    assert details["failed_status_503"] >= 1
    assert details["failed_truncated"] >= 2
    assert details["skipped_out_of_order"] >= 1
    assert (status["state"], status["last_error"]) == ("running", None)


def test_killed_at_any_moment_it_changes_nothing_in_the_list_of_events(
    server: FeedServer, documents: list[bytes], expected: Counter[tuple[str, str]], tmp_path: Path
) -> None:
    rng = random.Random(SEED)
    daemon = Daemon(tmp_path / "home", sources=[f"vatsim:{server.url}?interval_seconds=0.1"]).start()
    try:
        wait_for(lambda: has_seen(daemon, server, documents))
        while server.advance():
            for _ in range(KILLS):
                time.sleep(rng.uniform(0, 0.4))  # before it is asked for, while it is compared, published, remembered
                daemon.kill()
                daemon.start()
            wait_for(lambda: has_seen(daemon, server, documents))
        assert published(daemon) == expected
    finally:
        daemon.kill()
