"""What is recorded about connections: subscriptions, lags and ends; and how little is kept."""

from __future__ import annotations

from typing import Any

import pytest
from support.streaming_rig import FIRST_MS, StreamingRig, flight, positions
from support.virtual_clock import clock_at
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.event_id import EventId
from swim_server.protocol.filters import Filters
from swim_server.streaming.explain.past_sessions import PastSessions
from swim_server.streaming.explain.session import Session, SlowPeriod
from swim_server.streaming.explain.session_log import SessionLog
from swim_server.streaming.subscription import Subscription


@pytest.fixture
def session_log() -> SessionLog:
    return SessionLog(clock_at(FIRST_MS))


@pytest.fixture
def watched(session_log: SessionLog) -> StreamingRig:
    """A rig whose hub remembers."""
    return StreamingRig(session_log=session_log)


def test_subscriptions_are_remembered_with_the_event_they_hold_from(watched: StreamingRig) -> None:
    (first,) = watched.publish(flight())
    client = watched.connect()
    (second,) = watched.publish(flight())
    watched.say(client, "subscribe", channels=["flight.*"], filters={"airports": ["KJFK"]})
    session = watched.connection(client).session
    assert session is not None
    assert [(change.after, sorted(change.subscription.channels)) for change in session.changes] == [
        (first.id, []),
        (second.id, ["flight.*"]),
    ]
    assert session.end is None


def test_end_remembers_the_last_event_and_the_close(watched: StreamingRig, session_log: SessionLog) -> None:
    client = watched.connect()
    watched.say(client, "subscribe", channels=["*"])
    (event,) = watched.publish(flight())
    session = watched.connection(client).session
    assert session is not None
    client.close(CloseCode.UNAUTHORIZED)
    session_log.closed(session, 4001, "The API key has expired.")
    assert session.end is not None
    assert (session.end.until, session.end.unsent_from, session.end.code) == (event.id, None, 4001)
    assert session_log.find(session.id) is session


def test_connection_that_breaks_remembers_what_it_was_not_given(watched: StreamingRig) -> None:
    client = watched.connect()
    watched.join(client, "*")
    watched.publish(flight())
    watched.run()
    (unsent, _) = watched.publish(flight(), flight())
    watched.hub.remove(watched.connection(client))
    session = watched.connection(client).session
    assert session is not None and session.end is not None
    assert session.end.unsent_from == unsent.id


def test_eviction_remembers_the_first_event_that_waited(watched: StreamingRig) -> None:
    client = watched.connect(limit_bytes=2000, capacity=1)
    watched.join(client, "*")
    watched.publish(flight())
    watched.run()
    waiting = watched.publish(*[flight(route="x" * 500) for _ in range(10)])
    watched.run()
    assert client.closed is not None and client.closed[0] is CloseCode.SLOW_CONSUMER
    session = watched.connection(client).session
    assert session is not None and session.end is not None
    assert session.end.unsent_from == waiting[0].id


def test_lag_that_ended_remembers_what_was_conflated(watched: StreamingRig) -> None:
    client = watched.connect(capacity=1)
    watched.join(client, "*")
    watched.publish(flight())
    watched.run()
    (older,) = watched.publish(positions("DAL1", "DAL2"))
    (newer,) = watched.publish(positions("DAL1"))
    watched.run()
    client.read_on()
    session = watched.connection(client).session
    assert session is not None
    (lag,) = session.lags
    assert (lag.first, lag.last, dict(lag.conflated)) == (older.id, newer.id, {older.id: 1})


def test_oldest_are_forgotten_first() -> None:
    rig = StreamingRig(session_log=(session_log := SessionLog(clock_at(FIRST_MS), max_changes=4)))
    clients = [rig.connect() for _ in range(3)]
    for client in clients[:2]:
        client.close(CloseCode.NORMAL)
    for client in (clients[2], rig.connect()):
        rig.say(client, "subscribe", channels=["*"])
    assert [session.id for session in session_log] == [rig.connection(clients[2]).id, "client_0000000000000004"]


def test_living_connection_keeps_its_subscription_however_old() -> None:
    rig = StreamingRig(session_log=(session_log := SessionLog(clock_at(FIRST_MS), max_changes=2)))
    client = rig.connect()
    rig.say(client, "subscribe", channels=["tmi.*"])
    for _ in range(5):
        rig.connect().close(CloseCode.NORMAL)
    session = rig.connection(client).session
    assert session is not None and session_log.find(session.id) is session
    assert session.is_cut
    assert [sorted(change.subscription.channels) for change in session.changes] == [["tmi.*"]]
    client.close(CloseCode.NORMAL)
    for _ in range(5):
        rig.connect().close(CloseCode.NORMAL)
    assert session_log.find(session.id) is None
    assert len(session_log) <= 2


def test_large_filters_weigh_more() -> None:
    session_log = SessionLog(clock_at(FIRST_MS), max_weight=100)
    rig = StreamingRig(session_log=session_log)
    codes = frozenset(f"K{number:03}" for number in range(60))
    for _ in range(3):
        client = rig.connect()
        session = rig.connection(client).session
        assert session is not None
        session_log.changed(session, rig.hub.delivered_id, Subscription(frozenset({"*"}), Filters(airports=codes)))
        client.close(CloseCode.NORMAL)
    assert len(session_log) == 1


def test_stays_of_a_key_come_latest_first(watched: StreamingRig, session_log: SessionLog) -> None:
    sessions = [watched.connection(watched.connect()).session for _ in range(3)]
    for session in sessions:
        assert session is not None
        session.key_id = 7
    assert list(session_log.of_key(7)) == sessions[::-1]
    assert list(session_log.of_key(8)) == []


def test_commands_of_this_machine_are_not_remembered(watched: StreamingRig, session_log: SessionLog) -> None:
    client = watched.connect(tier="local")
    watched.say(client, "subscribe", channels=["*"])
    client.close(CloseCode.NORMAL)
    assert (len(session_log), watched.connection(client).session) == (0, None)


def test_one_that_subscribes_all_the_time_takes_nobody_elses_place() -> None:
    rig = StreamingRig(session_log=(session_log := SessionLog(clock_at(FIRST_MS), max_changes=100)))
    quiet, restless = rig.connect(), rig.connect()
    rig.say(quiet, "subscribe", channels=["tmi.*"])
    for number in range(1000):
        rig.say(restless, "subscribe", channels=["flight.*"], filters={"airports": [f"K{number:03}"]})
    sessions = [rig.connection(client).session for client in (quiet, restless)]
    assert sessions[0] is not None and sessions[1] is not None
    assert (len(sessions[0].changes), sessions[0].is_cut) == (2, False)
    assert (len(sessions[1].changes), sessions[1].is_cut) == (50, True)
    for client in (quiet, restless):
        client.close(CloseCode.NORMAL)
    for _ in range(200):
        rig.connect().close(CloseCode.NORMAL)
    assert len(session_log) == 100


def test_same_subscription_again_is_no_change(watched: StreamingRig) -> None:
    client = watched.connect()
    for _ in range(5):
        watched.say(client, "subscribe", channels=["tmi.*"])
    session = watched.connection(client).session
    assert session is not None and len(session.changes) == 2


async def test_archived_session_is_the_same_when_it_is_asked_for(
    watched: StreamingRig, session_log: SessionLog
) -> None:
    client = watched.connect(capacity=1)
    watched.say(client, "subscribe", channels=["flight.*", "tmi.*"], filters={
        "airports": ["KJFK"], "phase": ["enroute"], "callsign_prefix": ["DAL"], "artccs": ["ZNY"],
        "bbox": {"north": 50, "south": 20, "east": -60, "west": -130}, "dep_window_end": "2026-11-28T10:00:00Z",
    })  # fmt: skip
    watched.say(client, "subscribe", channels=["*"], after="1-0")
    session = watched.connection(client).session
    assert session is not None
    session.key_id = 7
    session.lags = (SlowPeriod(EventId(1, 0), EventId(5, 1), 1, {EventId(2, 0): 3}),)
    client.close(CloseCode.SLOW_CONSUMER)
    session_log.closed(session, 4008, "Too slow.")
    before = shown(session)
    session_log.archive(session)
    found = session_log.find(session.id)
    assert found is not None and found is not session
    assert shown(found) == before
    assert [each.id for each in session_log.of_key(7)] == [session.id]
    assert not any(list(session_log.of_key(other)) for other in (8, -1, 1 << 63, -(1 << 70)))
    session_log.archive(session)
    assert [each.id for each in session_log] == [session.id], "once"


def shown(session: Session) -> dict[str, Any]:
    """Return everything that is remembered of a session, as values that can be compared."""
    end = session.end
    assert end is not None
    return {
        "facts": (session.id, session.tier, session.key_id, session.remote, session.connected_at_ms, session.is_cut),
        "changes": [
            (each.after, each.at_ms, each.subscription, dict(each.starts), each.max_message_bytes, each.catch_ups,
             each.is_catching_up)
            for each in session.changes
        ],
        "lags": [(lag.first, lag.last, lag.catch_ups, dict(lag.conflated)) for lag in session.lags],
        "end": (end.at_ms, end.until, end.unsent_from, end.history_until, end.code, end.reason),
    }  # fmt: skip


def test_archived_sessions_are_bounded_in_bytes_the_oldest_dropped_first() -> None:
    past = PastSessions(max_bytes=10_000)
    rig = StreamingRig(session_log=(session_log := SessionLog(clock_at(FIRST_MS), past=past)))
    sessions = []
    for _ in range(200):
        client = rig.connect()
        rig.say(client, "subscribe", channels=["flight.*"])
        session = rig.connection(client).session
        assert session is not None
        sessions.append(session.id)
        client.close(CloseCode.NORMAL)
        session_log.archive(session)
    assert [session.id for session in session_log] == sessions[-len(past) :]
    assert 30 < len(past) < 70, "some two hundred bytes each"
    assert len(session_log._ledger) < 1100, "what was forgotten is not held either"
    assert session is not None and not session.changes, "no cycle is left for the garbage collector"
