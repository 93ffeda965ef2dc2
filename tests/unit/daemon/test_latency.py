"""From an event's id to its last write: when a sample is taken, and how samples are reported."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest
from support.streaming_rig import StreamingRig, flight
from support.virtual_clock import clock_at
from swim_server.daemon.latency import KEPT_SECONDS, SAMPLE_SECONDS, Latency


class Rig:
    """A hub, a clock and the loop's turns, in the test's hands."""

    def __init__(self) -> None:
        self.streaming = StreamingRig()
        self.clock = clock_at(1000)
        self.soon: deque[Callable[[], None]] = deque()
        self.latency = Latency(
            self.streaming.hub, clock=self.clock, wall_ms=lambda: self.clock.wall_ms, call_soon=self.soon.append
        )

    def deliver(self, milliseconds: int) -> None:
        self.latency.delivered(milliseconds)
        self.clock.seconds += SAMPLE_SECONDS

    def turn(self) -> None:
        for _ in range(len(self.soon)):
            self.soon.popleft()()


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_no_event_is_no_latency(rig: Rig) -> None:
    assert rig.latency.summary_ms() is None


def test_sample_ends_when_everything_is_written(rig: Rig) -> None:
    client = rig.streaming.connect()
    rig.streaming.join(client, "*")
    rig.streaming.publish(flight())
    rig.deliver(990)
    rig.turn()
    assert rig.latency.summary_ms() is None, "the hub has yet to write"
    rig.streaming.run()
    rig.clock.wall_ms = 1002.5
    rig.turn()
    assert rig.latency.summary_ms() == {"p50": 12.5, "p99": 12.5, "max": 12.5}


def test_few_samples_a_second_are_taken_however_many_events(rig: Rig) -> None:
    for _ in range(1000):
        rig.latency.delivered(999)
        rig.turn()
    assert len(rig.soon) == 0
    rig.clock.seconds += SAMPLE_SECONDS
    rig.latency.delivered(900)
    rig.turn()
    assert rig.latency.summary_ms() == {"p50": 100.0, "p99": 100.0, "max": 100.0}


def test_clock_that_went_back_is_no_negative_latency(rig: Rig) -> None:
    rig.deliver(5000)
    rig.turn()
    assert rig.latency.summary_ms() == {"p50": 0.0, "p99": 0.0, "max": 0.0}


def test_samples_older_than_a_minute_do_not_count(rig: Rig) -> None:
    rig.deliver(900)
    rig.turn()
    rig.clock.seconds += KEPT_SECONDS + 1
    assert rig.latency.summary_ms() is None
