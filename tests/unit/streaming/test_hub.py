"""The hub: who receives which events, in which order, in how many writes."""

from __future__ import annotations

import pytest
from support.streaming_rig import FIRST_MS, FakeClientTransport, StreamingRig, flight, positions
from support.virtual_clock import clock_at
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.event_id import EventId
from swim_server.protocol.events import Event
from swim_server.protocol.filters import Filters
from swim_server.streaming.explain.session import Session
from swim_server.streaming.explain.session_log import SessionLog
from swim_server.streaming.group import ROWS_FROM_MEMBERS
from swim_server.streaming.group_writer import WRITE_BYTES
from swim_server.streaming.subscription import NOTHING, Subscription

DELTA = Filters(callsign_prefixes=frozenset({"DAL"}))
BRITISH = Filters(callsign_prefixes=frozenset({"BAW"}))
ANSWER = b'{"type":"pong"}'


def ids(events: list[Event]) -> list[str]:
    return [str(event.id) for event in events]


def test_events_of_one_turn_go_out_in_one_write_in_their_order(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.join(client, "flight.*")
    events = rig.publish(flight(), flight()) + rig.publish(flight())
    assert not client.writes, "not before the turn's end"
    rig.run()
    assert len(client.writes) == 1
    assert client.ids == ids(events)


def test_event_is_framed_once_for_all_who_get_it_whole(rig: StreamingRig) -> None:
    everybody, delta = rig.connect(), rig.connect()
    rig.join(everybody, "*")
    rig.join(delta, "flight.*", filters=DELTA)
    rig.publish(flight("DAL1"))
    rig.run()
    assert everybody.writes[0] is delta.writes[0]


def test_equal_rests_of_a_batch_are_framed_once(rig: StreamingRig) -> None:
    first, second = rig.connect(), rig.connect()
    rig.join(first, "flight.*", filters=DELTA)
    rig.join(second, "flight.positions", filters=DELTA)
    rig.publish(positions("DAL1", "BAW2", "DAL3"))
    rig.run()
    assert first.writes[0] is second.writes[0]
    assert first.messages[0]["data"]["count"] == 2


def test_batch_goes_to_each_with_what_passes_its_filters(rig: StreamingRig) -> None:
    delta, british, nobody = rig.connect(), rig.connect(), rig.connect()
    rig.join(delta, "flight.*", filters=DELTA)
    rig.join(british, "flight.*", filters=BRITISH)
    rig.join(nobody, "flight.*", filters=Filters(callsign_prefixes=frozenset({"AAL"})))
    rig.publish(positions("DAL1", "BAW2"))
    rig.run()
    assert [row["callsign"] for row in delta.messages[0]["data"]["positions"]] == ["DAL1"]
    assert [row["callsign"] for row in british.messages[0]["data"]["positions"]] == ["BAW2"]
    assert not nobody.writes


def test_equal_subscriptions_share_one_group(rig: StreamingRig) -> None:
    clients = [rig.connect() for _ in range(3)]
    for client in clients:
        rig.join(client, "flight.*", filters=Filters(callsign_prefixes=frozenset({"DAL"})))
    assert len(rig.hub.groups) == 1
    assert len({id(rig.connection(client).subscription) for client in clients}) == 1


def test_subscriber_gets_events_from_the_next_one_on(rig: StreamingRig) -> None:
    early, late = rig.connect(), rig.connect()
    rig.join(early, "flight.*")
    first = rig.publish(flight())
    rig.join(late, "flight.*")
    second = rig.publish(flight())
    rig.run()
    assert early.ids == ids(first + second)
    assert late.ids == ids(second)


def test_who_changes_its_filters_gets_what_preceded_through_the_old_ones(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.join(client, "flight.*", filters=DELTA)
    before = rig.publish(flight("DAL1"), flight("BAW2"))
    rig.join(client, "flight.*", filters=BRITISH)
    after = rig.publish(flight("DAL3"), flight("BAW4"))
    rig.run()
    assert client.ids == [str(before[0].id), str(after[1].id)]


def test_subscribing_to_the_same_again_changes_nothing(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.join(client, "flight.*")
    events = rig.publish(flight())
    rig.join(client, "flight.*")
    rig.run()
    assert client.ids == ids(events)
    assert len(client.writes) == 1


def test_answer_comes_behind_every_event_that_precedes_it(rig: StreamingRig) -> None:
    client, other = rig.connect(), rig.connect()
    rig.join(client, "flight.*")
    rig.join(other, "flight.*")
    rig.publish(flight())
    rig.connection(client).answer(ANSWER)
    rig.publish(flight())
    rig.run()
    assert client.types == ["flight.created", "pong", "flight.created"]
    assert other.types == ["flight.created", "flight.created"]
    assert len(other.writes) == 1


def test_heartbeat_comes_behind_every_event_that_precedes_it(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.join(client, "flight.*")
    rig.publish(flight())
    rig.connection(client).send_frame(b"\x81\x1b" + b'{"type":"system.heartbeat"}')
    rig.run()
    assert client.types == ["flight.created", "system.heartbeat"]


def test_close_comes_behind_every_event_that_precedes_it_and_nothing_behind_it(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.join(client, "flight.*")
    events = rig.publish(flight())
    client.close(CloseCode.SERVICE_RESTART)
    rig.publish(flight())
    rig.connection(client).answer(ANSWER)
    rig.run()
    assert client.ids == ids(events)
    assert client.types == ["flight.created"]


def test_removed_connection_is_written_to_no_more(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.join(client, "flight.*")
    rig.publish(flight())
    rig.hub.remove(rig.connection(client))
    rig.hub.remove(rig.connection(client))
    rig.run()
    assert not client.writes
    assert not rig.hub.connections


@pytest.mark.parametrize("way", ["remove", "flush_and_remove", "unsubscribe"])
def test_group_goes_with_its_last_member(rig: StreamingRig, way: str) -> None:
    clients = [rig.connect(), rig.connect()]
    for client in clients:
        rig.join(client, "flight.*", filters=DELTA)
    for client, groups_left in zip(clients, (1, 0), strict=True):
        connection = rig.connection(client)
        match way:
            case "remove":
                rig.hub.remove(connection)
            case "flush_and_remove":
                rig.hub.flush_and_remove(connection)
            case "unsubscribe":
                rig.hub.subscribe(connection, NOTHING)
        assert len(rig.hub.groups) == groups_left
    rig.publish(flight("DAL1"))
    rig.run()
    assert rig.hub._held_bytes == 0


def test_connection_that_is_gone_joins_nothing(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.hub.remove(rig.connection(client))
    rig.join(client, "flight.*")
    assert not rig.hub.groups


def test_plain_and_compressed_clients_are_in_groups_of_their_own(rig: StreamingRig) -> None:
    plain, deflated = rig.connect(), rig.connect(window_bits=12)
    rig.join(plain, "flight.*")
    rig.join(deflated, "flight.*")
    rig.publish(flight(route="DCT " * 500))
    rig.run()
    assert len(rig.hub.groups) == 2
    assert plain.messages == deflated.messages
    assert len(deflated.writes[0]) < len(plain.writes[0]) / 10


def test_live_stream_stands_at_the_last_delivered_event(rig: StreamingRig) -> None:
    events = rig.publish(flight(), flight())
    assert rig.hub.delivered_id == events[-1].id
    assert rig.hub.events_delivered == 2


def test_deliveries_are_counted_by_receivers(rig: StreamingRig) -> None:
    for channel in ("flight.*", "flight.*", "tmi.*"):
        rig.join(rig.connect(), channel)
    rig.publish(flight(), flight(), flight(type="tmi.issued"))
    rig.run()
    assert rig.hub.deliveries == 5


def test_broken_way_out_does_not_silence_the_others() -> None:
    rig = StreamingRig()
    clients = [rig.connect() for _ in range(3)]
    for client in clients:
        rig.join(client, "flight.*")
    clients[1].fail_next_write = True
    events = rig.publish(flight())
    rig.run()
    more = rig.publish(flight())
    rig.run()
    assert [client.ids for client in clients] == [ids(events + more), [], ids(events + more)]
    assert len(rig.failures) == 1
    assert rig.connection(clients[1]).is_gone


def test_who_goes_leaves_its_row_even_if_its_end_can_not_be_recorded() -> None:
    """Its socket is closed next, and the descriptor may be another client's by the next write."""

    class BrokenLog(SessionLog):
        def removed(self, session: Session, until: EventId, **_: object) -> None:
            raise RuntimeError("this log is broken, as the test asked")

    rig = StreamingRig(session_log=BrokenLog(clock_at(FIRST_MS)))
    clients = [rig.connect() for _ in range(ROWS_FROM_MEMBERS)]
    for client in clients:
        rig.join(client, "flight.*")
    leaving = rig.connection(clients[3])
    group = leaving.group
    assert group is not None
    for number, client in enumerate(clients):
        group.settle(rig.connection(client), 1000 + number, group.end)
    with pytest.raises(RuntimeError, match="this log is broken"):
        rig.hub.remove(leaving)
    assert leaving.is_gone and leaving.group is None and leaving.row is None
    assert [number for row in group.rows for number in row.descriptors] == [1000, 1001, 1002, 1004, 1005, 1006, 1007]


@pytest.mark.parametrize("others", [0, 20])
def test_event_that_cannot_be_judged_does_not_stop_those_behind_it(others: int) -> None:
    rig = StreamingRig()
    client, unfiltered = rig.connect(), rig.connect()
    rig.join(client, "flight.*", filters=DELTA)
    for number in range(others):
        rig.join(rig.connect(), "flight.*", filters=Filters(airports=frozenset({f"K{number}"})))
    rig.join(unfiltered, "flight.*")
    broken = Event(EventId(1, 0), "flight.created", b"no JSON")
    rig.hub.deliver([broken])
    events = rig.publish(flight("DAL1"))
    rig.run()
    assert client.ids == ids(events)
    assert len(rig.failures) == 1


# Slices: a clock that runs while the hub works.


def test_writing_many_is_cut_into_slices_in_which_others_have_their_turn() -> None:
    rig = StreamingRig(writes_per_look=4)
    clients = [rig.connect() for _ in range(20)]
    for client in clients:
        rig.join(client, "flight.*")
    rig.clock.step_seconds = 0.003
    rig.publish(flight())
    turns = 0
    while rig.turn():
        turns += 1
        assert sum(len(client.writes) for client in clients) <= 4 * turns
    assert turns > 4
    assert all(len(client.writes) == 1 for client in clients)


def test_events_for_nobody_are_worked_off_in_slices_too() -> None:
    rig = StreamingRig()
    rig.clock.step_seconds = 0.003
    events = rig.publish(*(flight() for _ in range(10)))
    turns = 0
    while rig.turn():
        turns += 1
    assert turns > 4
    assert rig.hub.delivered_id == events[-1].id
    late = rig.connect()
    rig.join(late, "flight.*")
    (event,) = rig.publish(flight())
    rig.run()
    assert late.ids == ids([event])


def test_event_that_comes_while_writing_joins_the_next_write() -> None:
    rig = StreamingRig(writes_per_look=1)
    clients = [rig.connect() for _ in range(3)]
    for client in clients:
        rig.join(client, "flight.*")
    rig.clock.step_seconds = 0.003
    events = rig.publish(flight())
    rig.turn()
    events += rig.publish(flight()) + rig.publish(flight())
    rig.run()
    assert [len(client.writes) for client in clients] == [2, 2, 2]
    assert all(client.ids == ids(events) for client in clients)
    assert rig.hub._held_bytes == 0, "what came while writing counts too"


def test_answer_in_the_midst_of_a_flush_keeps_the_order_and_repeats_nothing() -> None:
    rig = StreamingRig(writes_per_look=1)
    clients = [rig.connect() for _ in range(3)]
    for client in clients:
        rig.join(client, "flight.*")
    rig.clock.step_seconds = 0.003
    rig.publish(flight())
    rig.turn()
    rig.publish(flight())
    for client in clients:
        rig.connection(client).answer(ANSWER)
    rig.publish(flight())
    rig.run()
    for client in clients:
        assert client.types == ["flight.created", "flight.created", "pong", "flight.created"]
        assert len(set(client.ids)) == 3


def test_who_joins_in_the_midst_of_a_flush_gets_only_what_comes_then() -> None:
    rig = StreamingRig(writes_per_look=1)
    for _ in range(3):
        rig.join(rig.connect(), "flight.*")
    rig.clock.step_seconds = 0.003
    rig.publish(flight())
    rig.turn()
    late = rig.connect()
    rig.join(late, "flight.*")
    events = rig.publish(flight())
    rig.run()
    assert late.ids == ids(events)


def test_who_leaves_and_comes_back_in_the_midst_of_a_flush_gets_everything_once() -> None:
    rig = StreamingRig(writes_per_look=1)
    clients = [rig.connect() for _ in range(3)]
    for client in clients:
        rig.join(client, "flight.*")
    rig.clock.step_seconds = 0.003
    events = rig.publish(flight())
    rig.turn()
    for client in clients:
        rig.join(client, "tmi.*")
        rig.join(client, "flight.*")
    events += rig.publish(flight())
    rig.run()
    assert all(client.ids == ids(events) for client in clients)


def test_who_goes_in_the_midst_of_a_flush_is_not_written_to() -> None:
    rig = StreamingRig(writes_per_look=1)
    clients = [rig.connect() for _ in range(3)]
    for client in clients:
        rig.join(client, "flight.*")
    rig.clock.step_seconds = 0.003
    rig.publish(flight())
    rig.turn()
    rig.hub.remove(rig.connection(clients[2]))
    rig.run()
    assert [len(client.writes) for client in clients] == [1, 1, 0]


def matching_rig(*filters: Filters) -> tuple[StreamingRig, list[FakeClientTransport]]:
    """A hub that has only begun to hold an event against its groups, one a slice."""
    rig = StreamingRig(writes_per_look=1)
    clients = [rig.connect() for _ in filters]
    for client, chosen in zip(clients, filters, strict=True):
        rig.join(client, "flight.*", filters=chosen)
    rig.clock.step_seconds = 0.003
    return rig, clients


def test_event_counts_as_delivered_before_all_groups_have_it() -> None:
    rig, clients = matching_rig(DELTA, Filters(), Filters(airports=frozenset({"KJFK"})))
    events = rig.publish(flight("DAL1", dep="KJFK"))
    assert rig.hub.delivered_id == events[0].id
    assert rig.hub.deliveries < 3
    rig.run()
    assert all(client.ids == ids(events) for client in clients)


def test_who_leaves_a_group_that_waits_for_an_event_gets_it_first() -> None:
    rig, clients = matching_rig(DELTA, Filters(), Filters(airports=frozenset({"KJFK"})))
    events = rig.publish(flight("DAL1", dep="KJFK"))
    for client in clients:
        rig.join(client, "tmi.*")
    rig.run()
    assert all(client.ids == ids(events) for client in clients)


def test_who_joins_a_group_that_waits_for_an_event_does_not_get_it() -> None:
    rig, clients = matching_rig(DELTA, Filters(), Filters(airports=frozenset({"KJFK"})))
    rig.publish(flight("DAL1", dep="KJFK"))
    late = [rig.connect() for _ in clients]
    for client, early in zip(late, clients, strict=True):
        rig.join(client, "flight.*", filters=rig.connection(early).subscription.filters)
    rig.run()
    assert not any(client.ids for client in late)


def test_who_moves_between_groups_that_wait_for_an_event_gets_it_once() -> None:
    rig, clients = matching_rig(DELTA, Filters(), Filters(airports=frozenset({"KJFK"})))
    kinds = [rig.connection(client).subscription.filters for client in clients]
    events = rig.publish(flight("DAL1", dep="KJFK"))
    for number, client in enumerate(clients):
        rig.join(client, "flight.*", filters=kinds[number - 1])
    rig.run()
    assert all(client.ids == ids(events) for client in clients)


def test_answer_waits_for_the_event_that_its_group_waits_for() -> None:
    rig, clients = matching_rig(DELTA, Filters(), Filters(airports=frozenset({"KJFK"})))
    rig.publish(flight("DAL1", dep="KJFK"))
    for client in clients:
        rig.connection(client).answer(ANSWER)
    rig.run()
    assert all(client.types == ["flight.created", "pong"] for client in clients)


def test_advance_to_lets_the_live_stream_come_to_an_event_that_waits() -> None:
    rig, (client, *_) = matching_rig(Filters(), DELTA, BRITISH)
    events = rig.publish(flight("DAL1"), flight("DAL2"), flight("DAL3"))
    assert rig.hub.delivered_id == events[0].id
    assert rig.hub.advance_to(events[2].id)
    assert rig.hub.delivered_id == events[2].id
    assert not rig.hub.advance_to(events[2].id.next(0))
    rig.run()
    assert client.ids == ids(events)


# Bounds.


def test_more_waiting_events_than_allowed_are_worked_off_before_deliver_returns() -> None:
    rig = StreamingRig(writes_per_look=1, max_waiting_events=3)
    client = rig.connect()
    rig.join(client, "flight.*")
    rig.clock.step_seconds = 0.003
    events = rig.publish(*(flight() for _ in range(20)))
    assert len(rig.hub._waiting) == 3
    rig.run()
    assert client.ids == ids(events)


def test_held_frames_are_bounded_until_they_are_written() -> None:
    rig = StreamingRig(max_held_bytes=1000, max_waiting_events=1000)
    client = rig.connect()
    rig.join(client, "flight.*")
    events = rig.publish(*(flight(route="X" * 200) for _ in range(50)))
    assert rig.hub._held_bytes < 1400
    rig.run()
    assert client.ids == ids(events)
    assert rig.hub._held_bytes == 0


def test_one_write_is_bounded() -> None:
    rig = StreamingRig()
    client = rig.connect()
    rig.join(client, "flight.*")
    events = rig.publish(*(flight(route="X" * 10_000) for _ in range(40)))
    rig.run()
    assert client.ids == ids(events)
    assert all(len(data) <= WRITE_BYTES for data in client.writes)


def test_frames_beyond_one_write_go_in_the_next() -> None:
    rig = StreamingRig()
    client = rig.connect()
    rig.join(client, "flight.*")
    events = rig.publish(*[flight(route="X" * 60_000) for _ in range(WRITE_BYTES // 60_000 + 1)], flight(), flight())
    rig.run()
    assert client.ids == ids(events)
    assert len(client.writes) > 1


def test_many_groups_come_and_go_quickly_enough_to_be_counted_in_seconds() -> None:
    """Adding and removing are no scans: ten thousand of each take a moment."""
    rig = StreamingRig()
    clients = [rig.connect() for _ in range(2000)]
    for number, client in enumerate(clients):
        rig.hub.subscribe(
            rig.connection(client),
            Subscription(frozenset({"*"}), Filters(callsign_prefixes=frozenset({f"C{number}"}))),
        )
    assert len(rig.hub.groups) == 2000
    for client in clients:
        rig.hub.remove(rig.connection(client))
    assert not rig.hub.groups
