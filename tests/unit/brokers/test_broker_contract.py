"""The contract of every broker, whatever stores its events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.brokers import DAY_MS, KEEP_MS, KEEP_POSITIONS_MS, RIGS, Listener, Rig, ids, numbered, numbers, read_all
from swim_server.brokers.broker import Broker, BrokerUnavailable, InvalidEvent
from swim_server.protocol.event_id import MAX_SEQUENCE, ZERO, EventId
from swim_server.protocol.events import NewEvent
from swim_server.protocol.positions import MAX_MESSAGE_BYTES

MINUTE_MS = 60_000


@pytest.fixture(params=sorted(RIGS))
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Rig:
    return RIGS[request.param](tmp_path)


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def broker(rig: Rig, listener: Listener) -> AsyncIterator[Broker]:
    broker = rig.broker()
    await broker.open(listener)
    yield broker
    await broker.close()


async def restarted(rig: Rig, broker: Broker, listener: Listener | None = None, **settings: Any) -> Broker:
    await broker.close()
    new = rig.broker(**settings)
    await new.open(listener or Listener())
    return new


async def until_pruned(broker: Broker, count: int) -> list[Any]:
    """Wait until history holds no more than ``count`` events; what it holds then."""
    async with asyncio.timeout(10):
        while (await broker.span()).events > count:
            await asyncio.sleep(0.002)
    return numbers(await read_all(broker))


# ids and order


async def test_publish_gives_the_clock_as_id_and_counts_within_a_millisecond(rig: Rig, broker: Broker) -> None:
    published = await broker.publish(numbered(1, 3))
    first = ids(published)[0]
    assert first.milliseconds == rig.clock.now_ms()
    assert ids(published)[1:] == [first._replace(sequence=first.sequence + step) for step in (1, 2)]
    rig.clock.wall_ms += 1
    assert ids(await broker.publish(numbered(4))) == [EventId(rig.clock.now_ms(), 0)]


async def test_publish_delivers_before_it_answers_and_moves_newest_id(broker: Broker, listener: Listener) -> None:
    published = await broker.publish(numbered(1, 2))
    assert [str(event.id) for event in listener.events] == [answer.id for answer in published]
    assert broker.newest_id == listener.events[-1].id


async def test_newest_id_is_zero_before_the_first_event(broker: Broker) -> None:
    assert broker.newest_id == ZERO
    span = await broker.span()
    assert (span.oldest_id, span.newest_id, span.events) == (None, None, 0)


async def test_publish_of_nothing_answers_nothing(broker: Broker, listener: Listener) -> None:
    assert await broker.publish([]) == []
    assert listener.events == []


async def test_concurrent_publishers_are_stored_in_the_order_of_their_calls(broker: Broker, listener: Listener) -> None:
    answers = await asyncio.gather(*(broker.publish(numbered(10 * number, 3)) for number in range(50)))
    in_calls = [event_id for answer in answers for event_id in ids(answer)]
    assert in_calls == sorted(set(in_calls)) == [event.id for event in listener.events]
    assert listener.numbers == numbers(await read_all(broker))


async def test_delivered_events_are_already_stored_and_the_same(broker: Broker, listener: Listener) -> None:
    await broker.publish([NewEvent(type="tmi.issued", data={"reason": 'Gewitter über ✈ "EDDF"'}, timestamp_ms=5)])
    (stored,) = await read_all(broker)
    assert stored.wire == listener.events[0].wire
    assert msgspec.json.decode(stored.wire) == {
        "type": "tmi.issued",
        "timestamp": "1970-01-01T00:00:00.005Z",
        "id": str(stored.id),
        "data": {"reason": 'Gewitter über ✈ "EDDF"'},
    }


async def test_ids_go_on_when_the_clock_steps_back(rig: Rig, broker: Broker) -> None:
    (before,) = ids(await broker.publish(numbered(1)))
    rig.clock.wall_ms -= 3_600_000
    (after,) = ids(await broker.publish(numbered(2)))
    assert after == before._replace(sequence=before.sequence + 1)


async def test_ids_go_on_after_a_restart_with_a_clock_that_stepped_back(rig: Rig, broker: Broker) -> None:
    (before,) = ids(await broker.publish(numbered(1)))
    rig.clock.wall_ms -= 3_600_000
    broker = await restarted(rig, broker)
    assert broker.newest_id == before
    (after,) = ids(await broker.publish(numbered(2)))
    assert after > before
    await broker.close()


async def test_ids_go_on_after_a_restart_with_everything_pruned(rig: Rig, broker: Broker) -> None:
    (before,) = ids(await broker.publish(numbered(1)))
    rig.clock.wall_ms += KEEP_MS + 1
    assert await until_pruned(broker, 0) == []
    rig.clock.wall_ms -= 2 * KEEP_MS
    broker = await restarted(rig, broker)
    assert ids(await broker.publish(numbered(2)))[0] > before
    await broker.close()


@pytest.mark.parametrize("clock", [-5, 0, 2**62])
async def test_an_impossible_clock_still_gives_ids_in_order(rig: Rig, broker: Broker, clock: int) -> None:
    (before,) = ids(await broker.publish(numbered(1)))
    rig.clock.wall_ms = clock
    (after,) = ids(await broker.publish(numbered(2)))
    assert before < after < EventId(before.milliseconds + 1, 0)


# what is refused


@pytest.mark.parametrize(
    "event",
    [
        NewEvent(type="", data={}),
        NewEvent(type="x" * 300, data={}),
        NewEvent(type="tmi.issued", data={"bad": object()}),
        NewEvent(type="tmi.issued", data={"bad": "\ud800"}),
        NewEvent(type="tmi.issued", data={}, timestamp_ms=10**18),
        NewEvent(type="tmi.issued", data=[1]),  # type: ignore[arg-type]  # a wrong type is the test
    ],
)
async def test_an_event_that_is_no_json_refuses_its_call_and_no_other(
    broker: Broker, listener: Listener, event: NewEvent
) -> None:
    calls = [numbered(1), [*numbered(2), event], numbered(3)]
    answers = await asyncio.gather(*(broker.publish(call) for call in calls), return_exceptions=True)
    refusal = answers[1]
    assert isinstance(refusal, InvalidEvent)
    assert refusal.index == 1
    assert listener.numbers == [1, 3] == numbers(await read_all(broker))


async def test_publish_after_close_is_refused(broker: Broker) -> None:
    await broker.close()
    with pytest.raises(BrokerUnavailable):
        await broker.publish(numbered(1))
    with pytest.raises(BrokerUnavailable):
        await broker.read(ZERO)


# idempotence


async def test_the_same_event_id_is_published_once(broker: Broker, listener: Listener) -> None:
    (first,) = await broker.publish(numbered(1, named=True))
    (again,) = await broker.publish(numbered(1, named=True))
    assert (again.id, again.duplicate, first.duplicate) == (first.id, True, False)
    assert listener.numbers == [1] == numbers(await read_all(broker))


async def test_the_same_event_id_twice_in_one_call_is_published_once(broker: Broker, listener: Listener) -> None:
    call = [*numbered(1, named=True), *numbered(2, named=True), *numbered(1, named=True)]
    published = await broker.publish(call)
    assert [answer.duplicate for answer in published] == [False, False, True]
    assert published[2].id == published[0].id
    assert listener.numbers == [1, 2]


async def test_the_same_event_id_in_calls_at_once_is_published_once(broker: Broker, listener: Listener) -> None:
    answers = await asyncio.gather(*(broker.publish(numbered(1, named=True)) for _ in range(20)))
    assert sum(not answer[0].duplicate for answer in answers) == 1
    assert len({answer[0].id for answer in answers}) == 1
    assert listener.numbers == [1]


async def test_an_event_id_of_a_refused_call_is_still_free(broker: Broker) -> None:
    bad = NewEvent(type="tmi.issued", data={"bad": object()})
    answers = await asyncio.gather(
        broker.publish([*numbered(1, named=True), bad]), broker.publish(numbered(1, named=True)), return_exceptions=True
    )
    assert isinstance(answers[0], InvalidEvent)
    assert isinstance(answers[1], list)
    assert not answers[1][0].duplicate


async def test_an_event_id_is_remembered_over_a_restart(rig: Rig, broker: Broker) -> None:
    (first,) = await broker.publish(numbered(1, named=True))
    broker = await restarted(rig, broker)
    (again,) = await broker.publish(numbered(1, named=True))
    assert (again.id, again.duplicate) == (first.id, True)
    await broker.close()


async def test_an_event_id_is_forgotten_after_a_day(rig: Rig, broker: Broker, listener: Listener) -> None:
    (first,) = await broker.publish(numbered(1, named=True))
    rig.clock.wall_ms += DAY_MS - 1
    assert (await broker.publish(numbered(1, named=True)))[0].duplicate
    rig.clock.wall_ms += 2
    (later,) = await broker.publish(numbered(1, named=True))
    assert not later.duplicate
    assert later.id != first.id
    (again,) = await broker.publish(numbered(1, named=True))
    assert (again.id, again.duplicate) == (later.id, True)
    assert listener.numbers == [1, 1]


async def test_an_event_id_may_hold_any_text(broker: Broker) -> None:
    names = ["", " ", "é", "x" * 10_000, "\ud800", "event 1\n"]
    published = await broker.publish([NewEvent(type="tmi.issued", data={}, event_id=name) for name in names])
    assert not any(answer.duplicate for answer in published)


# positions


def batch(count: int, event_id: str | None = None) -> NewEvent:
    rows = [{"callsign": f"SWM{number}", "flight_uid": number} for number in range(count)]
    return NewEvent(type="flight.positions", data={"count": count, "positions": rows}, event_id=event_id)


async def test_a_large_batch_of_positions_is_stored_as_several(broker: Broker, listener: Listener) -> None:
    published = await broker.publish([batch(600), *numbered(1)])
    assert [event.data.get("count") for event in listener.events] == [280, 280, 40, None]
    assert [answer.id for answer in published] == [str(listener.events[2].id), str(listener.events[3].id)]


async def test_a_large_batch_with_an_event_id_is_published_once(broker: Broker, listener: Listener) -> None:
    (first,) = await broker.publish([batch(600, "snapshot 1")])
    (again,) = await broker.publish([batch(600, "snapshot 1")])
    assert (again.id, again.duplicate) == (first.id, True)
    assert len(listener.events) == 3


# callers that go away, listeners that fail


async def test_a_cancelled_caller_loses_and_reorders_nobody_else(broker: Broker, listener: Listener) -> None:
    calls = [asyncio.create_task(broker.publish(numbered(number))) for number in range(100)]
    for turn in range(3):
        await asyncio.sleep(0)
        calls[10 * turn + 5].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)
    answered = [number for number, answer in enumerate(answers) if not isinstance(answer, BaseException)]
    assert len(answered) == 97
    assert [number for number in listener.numbers if number in answered] == answered
    assert listener.numbers == sorted(listener.numbers) == numbers(await read_all(broker))


async def test_a_listener_that_fails_does_not_unsay_what_is_stored(broker: Broker, listener: Listener) -> None:
    listener.fail_next = True
    (published,) = await broker.publish(numbered(1))
    assert not published.duplicate
    await broker.publish(numbered(2))
    assert listener.numbers == [2]
    assert numbers(await read_all(broker)) == [1, 2]


# reading


async def test_read_gives_pages_that_meet(broker: Broker) -> None:
    await broker.publish(numbered(0, 25))
    page = await broker.read(ZERO, limit=10)
    assert (numbers(page.events), page.is_last) == (list(range(10)), False)
    assert page.next_after == page.events[-1].id
    page = await broker.read(page.next_after, limit=10)
    page = await broker.read(page.next_after, limit=5)
    assert (numbers(page.events), page.is_last) == (list(range(20, 25)), True)
    assert page.next_after == broker.newest_id


async def test_read_stops_at_until(broker: Broker) -> None:
    published = ids(await broker.publish(numbered(0, 10)))
    page = await broker.read(published[1], published[4])
    assert (numbers(page.events), page.next_after, page.is_last) == ([2, 3, 4], published[4], True)
    page = await broker.read(published[5], published[4])
    assert (page.events, page.next_after, page.is_last) == ([], published[5], True)


async def test_read_of_types_looks_past_the_others(broker: Broker) -> None:
    await broker.publish([*numbered(0, 5), *numbered(5, 2, type="tmi.issued"), *numbered(7, 3)])
    page = await broker.read(ZERO, types=["tmi.issued", "tmi.released"])
    assert (numbers(page.events), page.is_last, page.next_after) == ([5, 6], True, broker.newest_id)
    assert numbers(await read_all(broker, types=("flight.created",), limit=2)) == [0, 1, 2, 3, 4, 7, 8, 9]
    assert (await broker.read(ZERO, types=[])).events == []


async def test_read_of_a_rare_type_comes_to_its_end(broker: Broker) -> None:
    await broker.publish([*numbered(0, 9000), *numbered(9000, type="tmi.issued")])
    assert numbers(await read_all(broker, types=["tmi.issued"], limit=1)) == [9000]


async def test_a_page_is_bounded_in_bytes(broker: Broker) -> None:
    big = [NewEvent(type="splits.updated", data={"number": number, "text": "x" * 60_000}) for number in range(90)]
    await broker.publish(big)
    page = await broker.read(ZERO)
    assert sum(len(event.wire) for event in page.events) < 4 * 1024 * 1024
    assert numbers(await read_all(broker)) == list(range(90))


async def test_an_event_longer_than_a_message_may_be_is_refused_and_the_others_go_on(broker: Broker) -> None:
    """No way in may store what clients with a buffer of 64 KiB would be cut for, at each resume again."""
    whole = NewEvent(type="splits.updated", data={"text": ""})
    (first,) = await broker.publish([whole])
    (stored,) = [event for event in await read_all(broker) if str(event.id) == first.id]
    room = MAX_MESSAGE_BYTES - len(stored.wire)
    await broker.publish([NewEvent(type="splits.updated", data={"text": "x" * room})])
    with pytest.raises(InvalidEvent, match=r"a message of 65,536 bytes, at most 65,535 are sent"):
        await broker.publish([NewEvent(type="splits.updated", data={"text": "x" * (room + 1)})])
    assert max(len(event.wire) for event in await read_all(broker)) == MAX_MESSAGE_BYTES


async def test_read_last_gives_the_newest_oldest_first(broker: Broker) -> None:
    published = ids(await broker.publish([*numbered(0, 3), *numbered(3, 2, type="tmi.issued"), *numbered(5, 2)]))
    assert numbers(await broker.read_last(2)) == [5, 6]
    assert numbers(await broker.read_last(3, types=["flight.created"])) == [2, 5, 6]
    assert numbers(await broker.read_last(2, before=published[5])) == [3, 4]
    assert numbers(await broker.read_last(100)) == list(range(7))
    assert await broker.read_last(0) == []


async def test_reads_go_on_while_a_large_call_is_being_stored(broker: Broker) -> None:
    await broker.publish(numbered(0))
    storing = asyncio.create_task(broker.publish(numbered(1, 20_000)))
    await asyncio.sleep(0)
    assert numbers(await read_all(broker, until=broker.newest_id)) == [0]
    assert not storing.done()
    await storing


# gaps and retention


async def test_has_gap_is_false_for_what_is_stored(broker: Broker) -> None:
    published = ids(await broker.publish(numbered(0, 3)))
    for after in (ZERO, *published):
        assert not await broker.has_gap(after)
        assert not (await broker.read(after)).has_gap


async def test_has_gap_is_true_for_an_id_newer_than_anything(broker: Broker) -> None:
    assert await broker.has_gap(EventId(1, 0))
    (newest,) = ids(await broker.publish(numbered(0)))
    assert await broker.has_gap(newest._replace(sequence=newest.sequence + 1))


async def test_an_id_from_before_this_history_is_a_gap_and_a_moment_is_none(rig: Rig, broker: Broker) -> None:
    await broker.publish(numbered(0))
    assert await broker.has_gap(EventId(rig.clock.now_ms() - 1000, 0))
    assert not await broker.has_gap(EventId(rig.clock.now_ms() - 1000, MAX_SEQUENCE))


async def test_retention_removes_by_age_and_tells_the_gap_by_type(rig: Rig, broker: Broker) -> None:
    old = ids(await broker.publish([*numbered(0, 3), *numbered(3, 2, type="tmi.issued"), *numbered(5)]))
    rig.clock.wall_ms += KEEP_MS + 1
    await broker.publish(numbered(6))
    assert await until_pruned(broker, 1) == [6]
    assert await broker.has_gap(old[4])
    assert not await broker.has_gap(old[4], types=["tmi.issued"])
    assert await broker.has_gap(old[3], types=["tmi.issued"])
    assert (await broker.read(old[3], types=["tmi.issued"])).has_gap
    assert not await broker.has_gap(old[5])
    assert not await broker.has_gap(old[0], types=["aman.sequence"])


async def test_retention_lets_positions_go_earlier(rig: Rig, broker: Broker) -> None:
    mixed = [*numbered(0), *numbered(1, type="flight.position"), *numbered(2), *numbered(3, type="flight.positions")]
    old = ids(await broker.publish(mixed))
    rig.clock.wall_ms += KEEP_POSITIONS_MS + 1
    assert await until_pruned(broker, 2) == [0, 2]
    assert await broker.has_gap(old[0])
    assert not await broker.has_gap(old[0], types=["flight.created"])


async def test_gaps_of_retention_are_remembered_over_a_restart(rig: Rig, broker: Broker) -> None:
    old = ids(await broker.publish(numbered(0, 2)))
    rig.clock.wall_ms += KEEP_MS + 1
    await broker.publish(numbered(2))
    await until_pruned(broker, 1)
    broker = await restarted(rig, broker)
    assert await broker.has_gap(old[0])
    assert not await broker.has_gap(old[1])
    await broker.close()


async def test_span_tells_what_history_holds(broker: Broker) -> None:
    published = ids(await broker.publish(numbered(0, 5)))
    span = await broker.span()
    assert (span.oldest_id, span.newest_id, span.events) == (published[0], published[-1], 5)
    assert span.size_bytes > 0


# closing


async def test_close_stores_and_delivers_what_is_pending(rig: Rig, broker: Broker, listener: Listener) -> None:
    calls = [asyncio.create_task(broker.publish(numbered(number))) for number in range(50)]
    await asyncio.sleep(0)
    await broker.close()
    await asyncio.gather(*calls)
    assert listener.numbers == list(range(50))
    broker = await restarted(rig, broker)
    assert numbers(await read_all(broker)) == list(range(50))
    await broker.close()


async def test_close_is_idempotent_also_when_it_was_never_opened(rig: Rig, broker: Broker) -> None:
    await asyncio.gather(broker.close(), broker.close())
    await broker.close()
    await rig.broker().close()


async def test_open_ended_types_are_read_by_how_they_begin(broker: Broker) -> None:
    types = ["tmi.program.published", "tmi.issued", "tmi.program.closed", "tmi.programs.x"]
    await broker.publish([NewEvent(type=each, data={"number": number}) for number, each in enumerate(types)])
    assert numbers((await broker.read(ZERO, types=["tmi.program.*"])).events) == [0, 2]
    assert numbers(await broker.read_last(9, types=["tmi.program.*", "tmi.issued"])) == [0, 1, 2]
    assert numbers(await broker.read_last(9, types=["tmi.program.closed"])) == [2]
    assert not await broker.has_gap(ZERO, types=["tmi.program.*"])
