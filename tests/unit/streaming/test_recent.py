"""The newest events in memory: a range without holes that ends at the last one."""

from __future__ import annotations

import asyncio

import pytest
from support.memory_broker import MemoryBroker
from support.streaming_rig import flight
from swim_server.protocol.event_id import ZERO, EventId
from swim_server.protocol.events import Event, NewEvent, stamp
from swim_server.streaming.recent import PRELOADED_EVENTS, Recent, preload


def event(number: int, size: int = 0) -> Event:
    return stamp(flight(route="X" * size), EventId(number, 0))


def filled(count: int, **bounds: int) -> Recent:
    recent = Recent(ZERO, **bounds)
    for number in range(1, count + 1):
        recent.append(event(number))
    return recent


def numbers(events: list[Event] | None) -> list[int] | None:
    return None if events is None else [event.id.milliseconds for event in events]


def test_events_after_a_cursor_come_oldest_first() -> None:
    assert numbers(filled(5).after(EventId(2, 0))) == [3, 4, 5]


def test_cursor_between_two_events_is_as_good_as_one() -> None:
    assert numbers(filled(5).after(EventId(2, 7))) == [3, 4, 5]


def test_nothing_follows_the_newest() -> None:
    assert numbers(filled(5).after(EventId(5, 0))) == []
    assert numbers(filled(5).after(EventId(9, 0))) == []


def test_beyond_the_bound_of_events_it_does_not_reach() -> None:
    recent = filled(10, max_events=3)
    assert recent.after(EventId(6, 0)) is None
    assert numbers(recent.after(EventId(7, 0))) == [8, 9, 10]


def test_beyond_the_bound_of_bytes_it_does_not_reach() -> None:
    recent = Recent(ZERO, max_bytes=1000)
    for number in (1, 2, 3):
        recent.append(event(number, 400))
    assert recent.after(ZERO) is None
    assert numbers(recent.after(EventId(2, 0))) == [3]


def test_event_larger_than_all_bytes_leaves_it_empty() -> None:
    recent = Recent(ZERO, max_bytes=100)
    recent.append(event(1, 400))
    assert recent.after(ZERO) is None
    assert numbers(recent.after(EventId(1, 0))) == []


def test_before_the_first_event_it_reaches_to_where_it_began() -> None:
    recent = Recent(EventId(7, 0))
    assert recent.after(EventId(6, 0)) is None
    assert numbers(recent.after(EventId(7, 0))) == []


def test_it_holds_only_events_that_it_saw() -> None:
    recent = filled(5, max_events=3)
    assert recent.holds(EventId(3, 0))
    assert not recent.holds(EventId(3, 1))
    assert not recent.holds(EventId(2, 0)), "the floor may be no event at all"


def test_it_keeps_no_decoded_data() -> None:
    recent = filled(1)
    (kept,) = recent.after(ZERO) or []
    assert "data" not in vars(kept)
    assert kept.data["callsign"] == "DAL1"


def test_recalled_events_are_known_after_the_first_of_them() -> None:
    recent = Recent(EventId(3, 0))
    recent.preload([event(1), event(2), event(3)])
    assert recent.after(ZERO) is None
    assert numbers(recent.after(EventId(1, 0))) == [2, 3]
    recent.append(event(4))
    assert numbers(recent.after(EventId(2, 0))) == [3, 4]


def test_recalling_nothing_changes_nothing() -> None:
    recent = Recent(EventId(3, 0))
    recent.preload([])
    assert numbers(recent.after(EventId(3, 0))) == []


def test_recalling_behind_delivered_events_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        filled(1).preload([event(1)])


async def stored(count: int) -> MemoryBroker:
    broker = MemoryBroker()
    await broker.publish([NewEvent(type="flight.departed", data={"number": number}) for number in range(count)])
    return broker


async def test_restarted_service_knows_the_newest_stored_events() -> None:
    broker = await stored(PRELOADED_EVENTS + 10)
    recent = Recent(broker.newest_id)
    await preload(recent, broker)
    known = broker.events[-PRELOADED_EVENTS]
    assert [event.id for event in recent.after(known.id) or []] == [event.id for event in broker.events[11:]]
    assert recent.after(broker.events[9].id) is None
    assert recent.holds(broker.events[-1].id)


async def test_stretch_with_holes_is_not_preloaded() -> None:
    broker = await stored(20)
    broker.floor = broker.events[5].id
    recent = Recent(broker.newest_id)
    await preload(recent, broker)
    assert recent.after(broker.events[-2].id) is None


async def test_what_was_delivered_meanwhile_stays_what_is_known() -> None:
    broker = await stored(20)
    recent = Recent(broker.newest_id)
    broker.gate = asyncio.Event()
    preloading = asyncio.create_task(preload(recent, broker))
    await asyncio.sleep(0)
    await broker.publish([NewEvent(type="flight.departed", data={})])
    recent.append(broker.events[-1])
    broker.gate.set()
    await preloading
    assert [event.id for event in recent.after(broker.events[-2].id) or []] == [broker.events[-1].id]
    assert recent.after(broker.events[-3].id) is None


async def test_empty_history_is_nothing_to_preload() -> None:
    recent = Recent(ZERO)
    await preload(recent, await stored(0))
    assert recent.after(ZERO) == []
