"""What is remembered of connections: subscriptions, lags and ends; and how little of it is kept."""

from __future__ import annotations

import pytest
from support.streaming_rig import FIRST_MS, StreamingRig, flight, positions
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.filters import Filters
from swim_server.streaming.explain.session_log import Attendance
from swim_server.streaming.subscription import Subscription


@pytest.fixture
def attendance() -> Attendance:
    return Attendance(lambda: FIRST_MS)


@pytest.fixture
def watched(attendance: Attendance) -> StreamingRig:
    """A rig whose hub remembers."""
    return StreamingRig(attendance=attendance)


def test_subscriptions_are_remembered_with_the_event_they_hold_from(watched: StreamingRig) -> None:
    (first,) = watched.publish(flight())
    client = watched.connect()
    (second,) = watched.publish(flight())
    watched.say(client, "subscribe", channels=["flight.*"], filters={"airports": ["KJFK"]})
    stay = watched.connection(client).stay
    assert stay is not None
    assert [(change.after, sorted(change.subscription.channels)) for change in stay.changes] == [
        (first.id, []),
        (second.id, ["flight.*"]),
    ]
    assert stay.end is None


def test_end_remembers_the_last_event_and_the_close(watched: StreamingRig, attendance: Attendance) -> None:
    client = watched.connect()
    watched.say(client, "subscribe", channels=["*"])
    (event,) = watched.publish(flight())
    stay = watched.connection(client).stay
    assert stay is not None
    client.close(CloseCode.UNAUTHORIZED)
    attendance.closed(stay, 4001, "The API key has expired.")
    assert stay.end is not None
    assert (stay.end.until, stay.end.unsent_from, stay.end.code) == (event.id, None, 4001)
    assert attendance.find(stay.id) is stay


def test_connection_that_breaks_remembers_what_it_was_not_given(watched: StreamingRig) -> None:
    client = watched.connect()
    watched.join(client, "*")
    watched.publish(flight())
    watched.run()
    (unsent, _) = watched.publish(flight(), flight())
    watched.hub.remove(watched.connection(client))
    stay = watched.connection(client).stay
    assert stay is not None and stay.end is not None
    assert stay.end.unsent_from == unsent.id


def test_eviction_remembers_the_first_event_that_waited(watched: StreamingRig) -> None:
    client = watched.connect(limit_bytes=2000, capacity=1)
    watched.join(client, "*")
    watched.publish(flight())
    watched.run()
    waiting = watched.publish(*[flight(route="x" * 500) for _ in range(10)])
    watched.run()
    assert client.closed is not None and client.closed[0] is CloseCode.SLOW_CONSUMER
    stay = watched.connection(client).stay
    assert stay is not None and stay.end is not None
    assert stay.end.unsent_from == waiting[0].id


def test_lag_that_ended_remembers_what_was_conflated(watched: StreamingRig) -> None:
    client = watched.connect(capacity=1)
    watched.join(client, "*")
    watched.publish(flight())
    watched.run()
    (older,) = watched.publish(positions("DAL1", "DAL2"))
    (newer,) = watched.publish(positions("DAL1"))
    watched.run()
    client.read_on()
    stay = watched.connection(client).stay
    assert stay is not None
    (lag,) = stay.lags
    assert (lag.first, lag.last, dict(lag.conflated)) == (older.id, newer.id, {older.id: 1})


def test_oldest_are_forgotten_first() -> None:
    rig = StreamingRig(attendance=(attendance := Attendance(lambda: FIRST_MS, max_changes=4)))
    clients = [rig.connect() for _ in range(3)]
    for client in clients[:2]:
        client.close(CloseCode.NORMAL)
    for client in (clients[2], rig.connect()):
        rig.say(client, "subscribe", channels=["*"])
    assert [stay.id for stay in attendance] == [rig.connection(clients[2]).id, "client_0000000000000004"]


def test_living_connection_keeps_its_subscription_however_old() -> None:
    rig = StreamingRig(attendance=(attendance := Attendance(lambda: FIRST_MS, max_changes=2)))
    client = rig.connect()
    rig.say(client, "subscribe", channels=["tmi.*"])
    for _ in range(5):
        rig.connect().close(CloseCode.NORMAL)
    stay = rig.connection(client).stay
    assert stay is not None and attendance.find(stay.id) is stay
    assert stay.is_cut
    assert [sorted(change.subscription.channels) for change in stay.changes] == [["tmi.*"]]
    client.close(CloseCode.NORMAL)
    for _ in range(5):
        rig.connect().close(CloseCode.NORMAL)
    assert attendance.find(stay.id) is None
    assert len(attendance) <= 2


def test_large_filters_weigh_more() -> None:
    attendance = Attendance(lambda: FIRST_MS, max_weight=100)
    rig = StreamingRig(attendance=attendance)
    codes = frozenset(f"K{number:03}" for number in range(60))
    for _ in range(3):
        client = rig.connect()
        stay = rig.connection(client).stay
        assert stay is not None
        attendance.changed(stay, rig.hub.delivered_id, Subscription(frozenset({"*"}), Filters(airports=codes)))
        client.close(CloseCode.NORMAL)
    assert len(attendance) == 1


def test_stays_of_a_key_come_latest_first(watched: StreamingRig, attendance: Attendance) -> None:
    stays = [watched.connection(watched.connect()).stay for _ in range(3)]
    for stay in stays:
        assert stay is not None
        stay.key_id = 7
    assert attendance.of_key(7) == stays[::-1]
    assert attendance.of_key(8) == []


def test_commands_of_this_machine_are_not_remembered(watched: StreamingRig, attendance: Attendance) -> None:
    client = watched.connect(tier="local")
    watched.say(client, "subscribe", channels=["*"])
    client.close(CloseCode.NORMAL)
    assert (len(attendance), watched.connection(client).stay) == (0, None)


def test_one_that_subscribes_all_the_time_takes_nobody_elses_place() -> None:
    rig = StreamingRig(attendance=(attendance := Attendance(lambda: FIRST_MS, max_changes=100)))
    quiet, restless = rig.connect(), rig.connect()
    rig.say(quiet, "subscribe", channels=["tmi.*"])
    for number in range(1000):
        rig.say(restless, "subscribe", channels=["flight.*"], filters={"airports": [f"K{number:03}"]})
    stays = [rig.connection(client).stay for client in (quiet, restless)]
    assert stays[0] is not None and stays[1] is not None
    assert (len(stays[0].changes), stays[0].is_cut) == (2, False)
    assert (len(stays[1].changes), stays[1].is_cut) == (50, True)
    for client in (quiet, restless):
        client.close(CloseCode.NORMAL)
    for _ in range(200):
        rig.connect().close(CloseCode.NORMAL)
    assert len(attendance) == 100


def test_same_subscription_again_is_no_change(watched: StreamingRig) -> None:
    client = watched.connect()
    for _ in range(5):
        watched.say(client, "subscribe", channels=["tmi.*"])
    stay = watched.connection(client).stay
    assert stay is not None and len(stay.changes) == 2
