"""Events are stored once each, in order, and then reported, whatever happens midway."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from support.virtual_clock import VirtualClock

from swimctl.client.publisher import EventRefused, Interrupted, Publisher
from swimctl.client.session import RpcFailed, SessionLost
from swimctl.errors import CommandFailed, DaemonNotRunning
from swimctl.event_lines import NumberedEvent

Answer = Callable[[list[Mapping[str, Any]]], Any]


class MemoryControl:
    """A control connection whose daemon stores into ``stored``; each call goes by the next of ``faults``, if any."""

    def __init__(self, stored: dict[str, int], faults: list[Exception | Callable[[], None]]) -> None:
        self.stored = stored
        self.faults = faults
        self.is_closed = False

    def call(self, method: str, params: Mapping[str, Any], timeout: float) -> Any:
        assert method == "publish"
        events = params["events"]
        bad = [index for index, event in enumerate(events) if event["type"] == "bad"]
        if bad:
            raise RpcFailed(method, -32602, "unknown channel bad", {"index": bad[0], "code": "INVALID_PUBLISH"})
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, RpcFailed):
            raise fault
        known = {event["event_id"]: event["event_id"] in self.stored for event in events}
        for event in events:
            self.stored.setdefault(event["event_id"], len(self.stored) + 1)
        if isinstance(fault, Exception):
            raise fault
        if fault is not None:
            fault()
        return {"published": [{"id": str(self.stored[name]), "duplicate": again} for name, again in known.items()]}

    def close(self) -> None:
        self.is_closed = True


class Bench:
    """A publisher with its surroundings in memory."""

    def __init__(self, *faults: Exception | Callable[[], None], away: int = 0) -> None:
        self.time = VirtualClock()
        self.stored: dict[str, int] = {}
        self.reported: list[tuple[str, str, bool]] = []
        self.connections: list[MemoryControl] = []
        self._faults = list(faults)
        self._away = away
        self.publisher = Publisher(
            self._connect, lambda *row: self.reported.append(row), nonce="n", patience_seconds=10,
            clock=self.time,
        )  # fmt: skip
        self.publisher.open()

    def _connect(self) -> Any:
        if self.connections and self._away:
            self._away -= 1
            raise DaemonNotRunning
        self.connections.append(MemoryControl(self.stored, self._faults))
        return self.connections[-1]


def batch(*types: str, first: int = 1, **more: Any) -> list[NumberedEvent]:
    return [NumberedEvent(first + n, {"type": type, "data": {}, **more}, 10) for n, type in enumerate(types)]


def test_batch_is_reported_in_order_once_it_is_stored() -> None:
    bench = Bench()
    bench.publisher.publish(batch("a.b", "c.d"))
    bench.publisher.publish(batch("e.f", first=3))
    assert bench.reported == [("1", "a.b", False), ("2", "c.d", False), ("3", "e.f", False)]
    assert list(bench.stored) == ["n-1", "n-2", "n-3"]
    assert bench.publisher.stored == 3


def test_event_with_a_name_of_its_own_keeps_it_and_is_stored_once() -> None:
    bench = Bench()
    bench.publisher.publish(batch("a.b", event_id="mine"))
    bench.publisher.publish(batch("a.b", event_id="mine"))
    assert bench.reported == [("1", "a.b", False), ("1", "a.b", True)]
    assert (bench.publisher.stored, bench.publisher.duplicates) == (1, 1)


def test_batch_whose_answer_was_lost_is_sent_again_and_stored_once() -> None:
    bench = Bench(SessionLost(1012, "restart"), away=3)
    bench.publisher.publish(batch("a.b", "c.d"))
    assert bench.reported == [("1", "a.b", True), ("2", "c.d", True)]
    assert len(bench.stored) == 2
    assert [control.is_closed for control in bench.connections] == [True, False]


def test_daemon_that_can_not_store_just_now_is_asked_again_on_the_same_connection() -> None:
    bench = Bench(RpcFailed("publish", -32000, "history can't be used at the moment"))
    bench.publisher.publish(batch("a.b"))
    assert bench.reported == [("1", "a.b", False)]
    assert len(bench.connections) == 1


def test_daemon_that_stays_away_is_waited_for_with_patience_only() -> None:
    bench = Bench(SessionLost(None, ""), away=10_000)
    began = bench.time.seconds
    with pytest.raises(DaemonNotRunning):
        bench.publisher.publish(batch("a.b"))
    assert 10 <= bench.time.seconds - began < 11
    assert bench.reported == []


def test_event_that_is_refused_leaves_those_before_it_stored_and_is_named_by_its_line() -> None:
    bench = Bench()
    with pytest.raises(EventRefused, match="line 7: unknown channel bad") as caught:
        bench.publisher.publish(batch("a.b", "c.d", "bad", "e.f", first=5))
    assert caught.value.line == 7
    assert [row[0] for row in bench.reported] == ["1", "2"]
    assert list(bench.stored) == ["n-5", "n-6"]


def test_first_event_that_is_refused_stores_nothing() -> None:
    bench = Bench()
    with pytest.raises(EventRefused):
        bench.publisher.publish(batch("bad", "a.b"))
    assert not bench.stored


def test_error_of_the_daemon_itself_is_not_asked_again() -> None:
    bench = Bench(RpcFailed("publish", -32603, "internal error"))
    with pytest.raises(CommandFailed, match="internal error"):
        bench.publisher.publish(batch("a.b"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_while_storing_ends_after_the_report(number: signal.Signals) -> None:
    bench = Bench(lambda: os.kill(os.getpid(), number))
    with bench.publisher.interruptible(), pytest.raises(Interrupted):
        bench.publisher.publish(batch("a.b", "c.d"))
    assert len(bench.reported) == len(bench.stored) == 2


def test_signal_while_idle_ends_at_once() -> None:
    bench = Bench()
    with bench.publisher.interruptible(), pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGTERM)


def test_second_signal_does_not_wait_for_the_answer() -> None:
    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    bench = Bench(twice)
    with bench.publisher.interruptible(), pytest.raises(Interrupted):
        bench.publisher.publish(batch("a.b"))
    assert bench.reported == []
