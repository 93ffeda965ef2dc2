"""The promise of the local broker: an acknowledged event survives ``kill -9``, once and in order."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from support.brokers import Listener, read_all
from swim_server.brokers.local import LocalBroker
from swim_server.brokers.retention import Retention
from swim_server.concurrency.clock import SYSTEM_CLOCK
from swim_server.protocol.events import Event

pytestmark = pytest.mark.unmeasured

ROUNDS = 25
SEED = 20260116
PROCESS = Path(__file__).parents[1] / "support" / "broker_process.py"


def run_until_killed(history: Path, next_named: int, next_plain: int, seconds: float) -> list[tuple[str, int, str]]:
    """Let a publisher run for a while after its first acknowledgement, kill it, and return what was acknowledged."""
    arguments = [sys.executable, str(PROCESS), str(history), str(next_named), str(next_plain)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        time.sleep(seconds)
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [(kind, int(number), event_id) for kind, number, event_id in whole]


def next_unacknowledged(acknowledged: dict[int, str], start: int) -> int:
    while start in acknowledged:
        start += 1
    return start


async def read_history(history: Path) -> list[Event]:
    broker = LocalBroker(
        history,
        clock=SYSTEM_CLOCK,
        retention=Retention(keep_ms=86_400_000, keep_positions_ms=900_000, max_bytes=1 << 31),
    )
    await broker.open(Listener())
    events = await read_all(broker)
    await broker.close()
    return events


async def test_kill_at_random_moments_loses_repeats_and_reorders_nothing(tmp_path: Path) -> None:
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    history = tmp_path / "history.db"
    acknowledged: dict[str, dict[int, str]] = {"named": {}, "plain": {}}
    next_named = next_plain = 0
    for _ in range(ROUNDS):
        for kind, number, event_id in run_until_killed(history, next_named, next_plain, chance.uniform(0, 0.15)):
            assert acknowledged[kind].setdefault(number, event_id) == event_id
        # As a source does: what was not acknowledged is published again, under the same event_id.
        next_named = next_unacknowledged(acknowledged["named"], next_named)
        next_plain = max(acknowledged["plain"]) + 1000

    stored = await read_history(history)
    found = {(event.data["kind"], event.data["number"]): str(event.id) for event in stored}
    for kind, expected in acknowledged.items():
        assert len(expected) > ROUNDS
        assert {number: found.get((kind, number)) for number in expected} == expected
    times = Counter((event.data["kind"], event.data["number"]) for event in stored)
    assert {key: count for key, count in times.items() if count > 1} == {}
    assert [event.id for event in stored] == sorted(event.id for event in stored)
    named = [event.data["number"] for event in stored if event.data["kind"] == "named"]
    assert named == list(range(len(named)))
    assert not list(tmp_path.glob("*.damaged-*"))
