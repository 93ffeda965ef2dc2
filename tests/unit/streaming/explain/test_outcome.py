"""What happened to an event for a connection: one test per answer, all compared with what was sent."""

from __future__ import annotations

import random
from typing import Any

import pytest
from support.streaming_rig import FIRST_MS, FakeClientTransport, StreamingRig, flight, positions
from support.virtual_clock import clock_at
from swim_server.protocol.codes import CloseCode
from swim_server.protocol.events import Event
from swim_server.streaming.explain.outcome import Explanation, Outcome, explain_session, explain_subscription
from swim_server.streaming.explain.session_log import SessionLog
from swim_server.streaming.subscription import NOTHING


@pytest.fixture
def rig() -> StreamingRig:
    """A rig whose hub remembers."""
    return StreamingRig(session_log=SessionLog(clock_at(FIRST_MS)))


def judge(rig: StreamingRig, client: FakeClientTransport, event: Event) -> Explanation:
    connection = rig.connection(client)
    assert connection.session is not None
    return explain_session(connection.session, event, rig.hub.delivered_id, rig.hub.connections.get(connection.id))


def closed(rig: StreamingRig, client: FakeClientTransport, code: CloseCode, reason: str = "") -> None:
    client.close(code, reason)
    session_log, session = rig.hub.session_log, rig.connection(client).session
    assert session_log is not None and session is not None
    session_log.closed(session, int(code), reason)


def test_event_that_passes_was_sent(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], filters={"callsign_prefix": ["DAL"]})
    (event,) = rig.publish(flight())
    rig.run()
    explanation = judge(rig, client, event)
    assert explanation.outcome is Outcome.SENT
    assert explanation.why == (
        "sent at 2026-01-16T14:30:15.123Z: channel flight.* selects it and it passes callsign_prefix"
    )


def test_event_before_the_connect_was_not_sent(rig: StreamingRig) -> None:
    (event,) = rig.publish(flight())
    client = rig.connect()
    rig.say(client, "subscribe", channels=["*"])
    explanation = judge(rig, client, event)
    assert explanation.outcome is Outcome.NOT_CONNECTED
    assert "it connected later" in explanation.why


def test_event_after_the_end_was_not_sent(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["*"])
    closed(rig, client, CloseCode.UNAUTHORIZED, "The API key has expired.")
    (event,) = rig.publish(flight())
    explanation = judge(rig, client, event)
    assert explanation.outcome is Outcome.NOT_CONNECTED
    assert "4001, The API key has expired." in explanation.why


def test_event_before_the_subscribe_was_not_subscribed_to(rig: StreamingRig) -> None:
    client = rig.connect()
    (event,) = rig.publish(flight())
    rig.say(client, "subscribe", channels=["*"])
    explanation = judge(rig, client, event)
    assert (explanation.outcome, explanation.why) == (
        Outcome.NOT_SUBSCRIBED,
        "not subscribed to flight.created, to nothing",
    )


def test_clause_that_stopped_it_is_named_with_both_sides(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], filters={"airports": ["KJFK"]})
    (event,) = rig.publish(flight(dep="EGLL", arr="EDDF"))
    explanation = judge(rig, client, event)
    assert explanation.outcome is Outcome.FILTERED
    assert explanation.why == "filter airports stopped it: wanted KJFK, the event has EGLL, EDDF"


def test_subscription_of_that_moment_counts_not_the_one_of_today(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["tmi.*"])
    (event,) = rig.publish(flight())
    rig.say(client, "subscribe", channels=["flight.*"])
    assert judge(rig, client, event).outcome is Outcome.NOT_SUBSCRIBED


def test_slow_consumer_did_not_get_what_waited(rig: StreamingRig) -> None:
    client = rig.connect(limit_bytes=2000, capacity=1)
    rig.say(client, "subscribe", channels=["*"])
    (first,) = rig.publish(flight())
    rig.run()
    waiting = rig.publish(*[flight(route="x" * 500) for _ in range(10)])
    rig.run()
    closed(rig, client, CloseCode.SLOW_CONSUMER)
    assert client.closed is not None
    session = rig.connection(client).session
    assert session is not None and session.end is not None
    outcomes = [judge(rig, client, event).outcome for event in waiting]
    assert outcomes[0] is Outcome.SLOW
    assert set(outcomes) <= {Outcome.SLOW, Outcome.NOT_CONNECTED}
    sent = {message.get("id") for message in client.messages}
    assert (judge(rig, client, first).outcome is Outcome.SENT) == (str(first.id) in sent)


def test_event_that_waits_for_a_lagging_client_is_told_so(rig: StreamingRig) -> None:
    client = rig.connect(capacity=1)
    rig.say(client, "subscribe", channels=["*"])
    rig.publish(flight())
    rig.run()
    (event,) = rig.publish(flight())
    rig.run()
    assert judge(rig, client, event).outcome is Outcome.WAITING
    client.read_on()
    assert judge(rig, client, event).outcome is Outcome.SENT


def test_position_that_a_newer_one_replaced_was_conflated(rig: StreamingRig) -> None:
    client = rig.connect(capacity=1)
    rig.say(client, "subscribe", channels=["*"])
    rig.publish(flight())
    rig.run()
    (older,) = rig.publish(positions("DAL1"))
    (partly,) = rig.publish(positions("DAL1", "DAL2"))
    (newer,) = rig.publish(positions("DAL2"))
    rig.run()
    client.read_on()
    assert judge(rig, client, older).outcome is Outcome.CONFLATED
    assert (explanation := judge(rig, client, partly)).outcome is Outcome.SENT
    assert (explanation.positions_sent, "1 of its positions were left out" in explanation.why) == (1, True)
    assert judge(rig, client, newer).outcome is Outcome.SENT


async def test_history_that_was_asked_for_was_sent(rig: StreamingRig) -> None:
    before, event = rig.publish(flight(), flight())
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], after=str(before.id))
    await rig.settle()
    assert (explanation := judge(rig, client, event)).outcome is Outcome.SENT
    assert "from history" in explanation.why
    assert judge(rig, client, before).outcome is Outcome.NOT_CONNECTED
    await rig.close()


def test_broken_connection_did_not_get_what_was_not_written(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["*"])
    (event,) = rig.publish(flight())
    rig.hub.remove(rig.connection(client))
    assert judge(rig, client, event).outcome is Outcome.UNSENT


def test_time_that_is_forgotten_is_not_known() -> None:
    rig = StreamingRig(session_log=SessionLog(clock_at(FIRST_MS), max_changes=2))
    client = rig.connect()
    (event,) = rig.publish(flight())
    rig.say(client, "subscribe", channels=["*"])
    for _ in range(3):
        rig.connect()
    assert judge(rig, client, event).outcome is Outcome.UNKNOWN


def test_subscription_that_nobody_has_is_judged_by_itself() -> None:
    assert explain_subscription(NOTHING, "flight.created", {}).outcome is Outcome.NOT_SUBSCRIBED


@pytest.mark.parametrize("seed", range(40))
async def test_verdict_is_what_was_received(seed: int) -> None:
    """Clients come, go, subscribe, lag and resume at random: for each event, SENT if and only if it was received."""
    chance = random.Random(seed)
    rig = StreamingRig(session_log=SessionLog(clock_at(FIRST_MS)))
    clients: list[FakeClientTransport] = []
    stored: list[Event] = []
    for _ in range(120):
        match chance.choice(["connect", "subscribe", "publish", "publish", "run", "leave", "slow", "read"]):
            case "connect":
                clients.append(rig.connect(limit_bytes=3000))
            case "publish":
                stored += rig.publish(*[_any_event(chance) for _ in range(chance.randint(1, 4))])
            case "run":
                await rig.settle()
            case "slow" if clients:
                chance.choice(clients).capacity = 1
            case "read" if clients:
                chance.choice(clients).read_on()
            case "leave" if clients:
                rig.hub.remove(rig.connection(chance.choice(clients)))
            case "subscribe" if clients:
                _subscribe(rig, chance.choice(clients), chance)
    for client in clients:
        client.read_on()
    await rig.settle()
    for client in clients:
        received = {message["id"] for message in client.messages if "id" in message}
        told = {str(event.id) for event in stored if judge(rig, client, event).outcome is Outcome.SENT}
        assert told == received, f"seed {seed}, {rig.connection(client).id}"
    await rig.close()


def _any_event(chance: random.Random) -> Any:
    callsign = chance.choice(["DAL1", "DAL2", "BAW9"])
    if chance.random() < 0.4:
        return positions(*chance.sample(["DAL1", "DAL2", "BAW9"], chance.randint(1, 3)))
    return flight(callsign, route="x" * chance.choice([0, 400]))


def _subscribe(rig: StreamingRig, client: FakeClientTransport, chance: random.Random) -> None:
    connection = rig.connection(client)
    if connection.is_gone or connection.waiting is not None or connection.catch_up is not None:
        return
    filters = {"callsign_prefix": chance.choice([[], ["DAL"], ["BAW"], ["DAL1"]])}
    channels = chance.choice([["*"], ["flight.*"], ["flight.created"], ["tmi.*"]])
    history: dict[str, Any] = chance.choice([{}, {}, {"last": chance.randint(0, 5)}])
    rig.say(client, "subscribe", channels=channels, filters=filters, **history)


def test_event_that_was_too_long_for_the_client_was_replaced_by_an_error(rig: StreamingRig) -> None:
    client, other = rig.connect(), rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], max_message_bytes=4096)
    rig.say(other, "subscribe", channels=["flight.*"])
    (event,) = rig.publish(flight(route="x" * 5000))
    rig.run()
    explanation = judge(rig, client, event)
    assert explanation.outcome is Outcome.TOO_LARGE
    assert "at most 4,096 are sent to this connection: an error was sent in its place" in explanation.why
    assert judge(rig, other, event).outcome is Outcome.SENT


def test_longest_message_of_that_moment_counts(rig: StreamingRig) -> None:
    client = rig.connect()
    rig.say(client, "subscribe", channels=["flight.*"], max_message_bytes=4096)
    (before,) = rig.publish(flight(route="x" * 5000))
    rig.run()
    rig.say(client, "subscribe", channels=["flight.*"], max_message_bytes=10_000)
    (after,) = rig.publish(flight(route="x" * 5000))
    rig.run()
    assert [judge(rig, client, event).outcome for event in (before, after)] == [Outcome.TOO_LARGE, Outcome.SENT]
