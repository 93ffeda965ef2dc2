"""How a source publishes and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from support.sources import Recorder
from support.virtual_clock import VirtualClock
from swim_server.brokers.broker import BrokerUnavailable, InvalidEvent, Published
from swim_server.logs import get_logger
from swim_server.protocol.events import NewEvent
from swim_server.sources.health import Health
from swim_server.sources.publisher import EventPublisher
from swim_server.sources.source import SourceStatus


def events(count: int) -> list[NewEvent]:
    return [NewEvent(type="tmi.issued", data={"number": number}, event_id=str(number)) for number in range(count)]


def status() -> SourceStatus:
    return SourceStatus(name="test", kind="test")


async def test_all_are_published_in_order_and_duplicates_are_not_counted() -> None:
    publish, told = Recorder(), status()
    publisher = EventPublisher(told, get_logger("test"))
    assert await publisher.publish(publish, events(1200)) == 1200
    assert await publisher.publish(publish, events(1201)) == 1
    assert publish.numbers == list(range(1201))
    assert (told.events, publish.calls) == (1201, 6)


async def test_an_outage_of_the_broker_is_waited_for_longer_and_longer() -> None:
    told, clock, failures = status(), VirtualClock(), 6

    async def publish(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        nonlocal failures
        failures -= 1
        if failures:
            raise BrokerUnavailable("disk full")
        return [Published("1-0") for _ in events]

    assert await EventPublisher(told, get_logger("test"), clock=clock).publish(publish, events(3)) == 3
    assert clock.slept == [0.2, 0.4, 0.8, 1.6, 3.2]
    assert (told.errors, told.state) == (1, "degraded")


async def test_what_can_not_be_stored_is_left_out_and_told() -> None:
    stored: list[NewEvent] = []

    async def publish(events: Sequence[NewEvent], *, durable: bool = False) -> list[Published]:
        for index, event in enumerate(events):
            if event.data["number"] == 1:
                raise InvalidEvent(index, "too large")
        stored.extend(events)
        return [Published("1-0") for _ in events]

    told, refused = status(), list[tuple[Any, str]]()
    publisher = EventPublisher(told, get_logger("test"))
    await publisher.publish(publish, events(3), lambda event, reason: refused.append((event.event_id, reason)))
    assert refused == [("1", "too large")]
    assert [event.event_id for event in stored] == ["0", "2"]
    await publisher.publish(publish, events(3))
    assert told.last_error == "an event of type tmi.issued can't be stored: too large"


def test_trouble_is_told_until_it_is_over_and_what_lasts_until_it_is_mended() -> None:
    told = status()
    health = Health(told, get_logger("test"), "the feed")
    health.trouble("unreachable", "asking again in 5 s")
    health.trouble("unreachable", "asking again in 9 s")
    assert (told.state, told.errors, told.last_error) == ("degraded", 1, "unreachable; asking again in 9 s")
    health.lasting("columns", "missing: x")
    health.well()
    assert (told.state, told.errors, told.last_error) == ("degraded", 2, "missing: x")
    health.lasting("columns", None)
    health.well()
    assert (told.state, told.last_error) == ("running", None)
